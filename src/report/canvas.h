/* A white page to draw on with cairo, and the house's way of text, images and contours. */
#ifndef FOVEA_SRC_REPORT_CANVAS_H
#define FOVEA_SRC_REPORT_CANVAS_H

#include <cairo.h>
#include <stdbool.h>
#include <stdint.h>

#include "fovea/image/image.h"

/* Greys of the house, 0xRRGGBB. */
enum { FV_INK = 0x1A1F26, FV_INK_SOFT = 0x5B6470, FV_RULE = 0xDCE0E5, FV_TRUTH = 0xFF2020 };

#define FV_PAGE_MARGIN 24 /* px around a picture */
#define FV_CELL_GAP 12    /* px between cells */

typedef struct fv_canvas {
    cairo_surface_t *surface;
    cairo_t *cr;
    int width, height; /* px */
} fv_canvas;

typedef struct fv_rect {
    double x, y, width, height; /* px */
} fv_rect;

/* White page. Sides above 32767 px (cairo's bound) are FV_BAD_INPUT. */
fv_status fv_canvas_make(int64_t width, int64_t height, fv_canvas *canvas);
void fv_canvas_free(fv_canvas *canvas); /* safe on a zeroed struct, and twice */
/* Atomically. FV_NO_RESOURCE when cairo ran out of memory while drawing. */
fv_status fv_canvas_write_png(const fv_canvas *canvas, const char *path);
fv_status fv_canvas_to_image(const fv_canvas *canvas, fv_image *image);

void fv_canvas_set_colour(const fv_canvas *canvas, uint32_t colour, double alpha);

typedef enum fv_align { FV_ALIGN_LEFT, FV_ALIGN_CENTRE, FV_ALIGN_RIGHT } fv_align;
typedef struct fv_text_style {
    double size; /* px */
    bool bold;
    uint32_t colour;
    fv_align align;   /* of the text to x */
    double max_width; /* px; longer text is cut and ends in an ellipsis; 0 for no bound */
} fv_text_style;

/* Baseline at y. `text` may be NULL. Returns the width drawn, px. */
double fv_canvas_text(const fv_canvas *canvas, double x, double y, const char *text, const fv_text_style *style);
double fv_canvas_text_width(const fv_canvas *canvas, const char *text, const fv_text_style *style);

/* Largest rectangle of the given aspect centred in `cell`. */
fv_rect fv_rect_fit(fv_rect cell, double width, double height);

/* Draws `source` (px of the image; NULL for all of it) into `target`, smoothly. White of the image becomes `tint`
   (0xFFFFFF leaves colours as they are). The canvas's transformation must be the identity, and nothing clipped. */
fv_status fv_canvas_image(const fv_canvas *canvas, const fv_image *image, const fv_rect *source, fv_rect target,
                          uint32_t tint);

#endif
