#include <math.h>
#include <stddef.h>

#include "cells.h"

#define CELL 320 /* px, side of a cell */
#define COLUMNS 4
#define HEADER 44       /* px */
#define HEADINGS 26     /* px */
#define LABEL 26        /* px above a row */
#define CROP_MARGIN 1.4 /* side of the enlarged square over that of the masks */

static void mark_crop(const fv_canvas *canvas, fv_rect photo, fv_rect crop, double scale) {
    cairo_t *cr = canvas->cr;
    cairo_rectangle(cr, photo.x + crop.x * scale, photo.y + crop.y * scale, crop.width * scale, crop.height * scale);
    fv_canvas_set_colour(canvas, 0x000000, 0.6);
    cairo_set_line_width(cr, 3);
    cairo_stroke_preserve(cr);
    fv_canvas_set_colour(canvas, 0xFFFFFF, 1);
    cairo_set_line_width(cr, 1.4);
    cairo_stroke(cr);
}

static fv_status draw_row(const fv_canvas *canvas, const fv_report_classes *classes, const fv_report_sample *sample,
                          double top, double row_height) {
    const fv_image *photo = sample->photo;
    const fv_rect whole = {0, 0, photo->width, photo->height}, crop = fv_cells_crop(sample, classes, CROP_MARGIN);
    fv_rect cell = {FV_PAGE_MARGIN, top + LABEL, CELL, row_height}, drawn;
    fv_cells_row_label(canvas, sample, cell.x, canvas->width - FV_PAGE_MARGIN, top + 17);
    fv_overlay view = {photo, classes, NULL, NULL, whole, 2, false};
    FV_TRY(fv_cell_overlay(canvas, &view, cell, &drawn));
    mark_crop(canvas, drawn, crop, drawn.width / whole.width);
    view.source = crop;
    cell.x += CELL + FV_CELL_GAP;
    FV_TRY(fv_cell_overlay(canvas, &view, cell, NULL));
    cell.x += CELL + FV_CELL_GAP;
    view.truth = sample->truth;
    view.line = 3.4; /* the truth's line is thinner by 0.6 */
    if (fv_report_has_truth(sample->truth, classes))
        FV_TRY(fv_cell_overlay(canvas, &view, cell, NULL));
    else
        fv_cell_unknown(canvas, cell);
    cell.x += CELL + FV_CELL_GAP;
    view.predicted = sample->predicted;
    view.line = 2.4;
    return fv_cell_overlay(canvas, &view, cell, NULL);
}

fv_status fv_report_worst(const char *path, const char *header, const fv_report_classes *classes,
                          const fv_report_sample *samples, int count) {
    static const char *const headings[COLUMNS] = {"Photograph", "Enlarged", "Truth", "Prediction and truth"};
    FV_TRY(fv_report_check_samples(path, classes, samples, count));
    const double row_height = CELL, row = LABEL + row_height + FV_CELL_GAP;
    const double rows_top = FV_PAGE_MARGIN + HEADER + HEADINGS;
    fv_canvas canvas;
    FV_TRY(fv_canvas_make(2 * FV_PAGE_MARGIN + COLUMNS * (CELL + FV_CELL_GAP) - FV_CELL_GAP,
                          (int64_t)(rows_top + count * row) + FV_PAGE_MARGIN / 2, &canvas));
    const fv_text_style title = {22, true, FV_INK, FV_ALIGN_LEFT, 0.6 * canvas.width},
                        heading = {14, true, FV_INK, FV_ALIGN_CENTRE, CELL};
    fv_canvas_text(&canvas, FV_PAGE_MARGIN, FV_PAGE_MARGIN + 20, header, &title);
    fv_cells_legend(&canvas, classes, true, canvas.width - FV_PAGE_MARGIN, FV_PAGE_MARGIN + 18);
    for (int i = 0; i < COLUMNS; i++)
        fv_canvas_text(&canvas, FV_PAGE_MARGIN + i * (CELL + FV_CELL_GAP) + CELL / 2.0, FV_PAGE_MARGIN + HEADER + 16,
                       headings[i], &heading);
    fv_status status = FV_OK;
    for (int i = 0; i < count && status == FV_OK; i++)
        status = draw_row(&canvas, classes, &samples[i], rows_top + i * row, row_height);
    if (status == FV_OK) status = fv_canvas_write_png(&canvas, path);
    fv_canvas_free(&canvas);
    return status;
}
