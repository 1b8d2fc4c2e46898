/* Cells of the pictures' grids. */
#ifndef FOVEA_SRC_REPORT_CELLS_H
#define FOVEA_SRC_REPORT_CELLS_H

#include "overlay.h"

/* Height of a row of cells `width` px wide that show these samples' photographs: the tallest, but no more than `width`.
 */
double fv_cells_row_height(const fv_report_sample *samples, int count, double width);

/* An image of its own shape, centred. */
fv_status fv_cell_image(const fv_canvas *canvas, const fv_image *image, fv_rect cell);
/* Grey, with the word. */
void fv_cell_unknown(const fv_canvas *canvas, fv_rect cell);
/* Part of the photograph around all masks of the sample, px of the photograph: a square (64 px at least) of `margin`
   times their extent as far as the photograph reaches; all of it where the masks are empty. */
fv_rect fv_cells_crop(const fv_report_sample *sample, const fv_report_classes *classes, double margin);
/* A mask in its class's colour on black, in the photograph's shape; "unknown" where there is none. */
fv_status fv_cell_mask(const fv_canvas *canvas, const fv_image *photo, const fv_image *mask, uint32_t colour,
                       fv_rect cell);
/* `overlay` centred, in the shape of its source. Returns where through `drawn` (may be NULL). */
fv_status fv_cell_overlay(const fv_canvas *canvas, const fv_overlay *overlay, fv_rect cell, fv_rect *drawn);

/* Coloured squares with the names of the classes, and of the truth where `truth`; ends at x = right, baseline y. */
void fv_cells_legend(const fv_canvas *canvas, const fv_report_classes *classes, bool truth, double right, double y);
/* Name at the left and figures at the right of a row, baseline y. */
void fv_cells_row_label(const fv_canvas *canvas, const fv_report_sample *sample, double left, double right, double y);

/* Checks a list of samples with predictions. `path` begins the sentence. */
fv_status fv_report_check_samples(const char *path, const fv_report_classes *classes, const fv_report_sample *samples,
                                  int count);
bool fv_report_has_truth(const fv_image *truth, const fv_report_classes *classes);

#endif
