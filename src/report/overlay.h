/* Masks drawn over photographs: translucent areas and contours. */
#ifndef FOVEA_SRC_REPORT_OVERLAY_H
#define FOVEA_SRC_REPORT_OVERLAY_H

#include "canvas.h"
#include "fovea/report/picture.h"

/* What is drawn over which part of a photograph. */
typedef struct fv_overlay {
    const fv_image *photo;
    const fv_report_classes *classes;
    const fv_image *predicted, *truth; /* classes->count masks each; NULL for none */
    fv_rect source;                    /* part of the photograph, px of it */
    double line;                       /* width of contours, px of the canvas */
    bool fill;                         /* translucent areas under the predicted contours */
} fv_overlay;

/* Photograph, then predicted areas and contours in their colours, then the truth's contours in red, into `target`. A
   structure too thin to hold a contour (vessels) is filled instead. */
fv_status fv_overlay_draw(const fv_canvas *canvas, const fv_overlay *overlay, fv_rect target);

/* Appends the outlines of a mask to cairo's path, in px of the mask: outer ones clockwise, holes anticlockwise, halves
   of pixel edges joined and evened by (1, 2, 1) / 4. Returns the outlines' length in pixel edges through `edges`. */
fv_status fv_contour_path(cairo_t *cr, const fv_image *mask, int64_t *edges);

/* Sentences about samples that can't be drawn; `what` names the picture. */
fv_status fv_report_check_classes(const fv_report_classes *classes, const char *what);
fv_status fv_report_check_photo(const fv_image *photo, const char *what);
/* masks may be NULL where they are not needed. */
fv_status fv_report_check_masks(const fv_image *masks, const fv_report_classes *classes, bool needed, const char *what);

#endif
