#include <math.h>
#include <stdio.h>

#include "cells.h"

#define CELL 256   /* px, width of a cell */
#define CAPTION 24 /* px below an image */

fv_status fv_report_sheet(const char *path, const fv_image *images, int count, int columns,
                          const char *const *captions) {
    if (count < 1) return fv_fail(FV_BAD_INPUT, "%s: no images to draw; give at least one", path);
    if (columns < 1) return fv_fail(FV_BAD_INPUT, "%s: %d columns; expected at least 1", path, columns);
    for (int i = 0; i < count; i++) {
        char what[512];
        snprintf(what, sizeof what, "%.400s, image %d", path, i + 1);
        FV_TRY(fv_report_check_photo(&images[i], what));
    }
    if (columns > count) columns = count;
    double height = 1; /* of the tallest image in its cell */
    for (int i = 0; i < count; i++)
        height = fmax(height, fv_rect_fit((fv_rect){0, 0, CELL, CELL}, images[i].width, images[i].height).height);
    const int64_t rows = (count + (int64_t)columns - 1) / columns;
    const double row = height + (captions ? CAPTION : 0) + FV_CELL_GAP;
    fv_canvas canvas;
    FV_TRY(fv_canvas_make(2 * FV_PAGE_MARGIN + columns * (int64_t)(CELL + FV_CELL_GAP) - FV_CELL_GAP,
                          2 * FV_PAGE_MARGIN + (int64_t)((double)rows * row) - FV_CELL_GAP, &canvas));
    const fv_text_style style = {13, false, FV_INK, FV_ALIGN_CENTRE, CELL};
    fv_status status = FV_OK;
    for (int i = 0; i < count && status == FV_OK; i++) {
        const fv_rect cell = {FV_PAGE_MARGIN + i % columns * (double)(CELL + FV_CELL_GAP),
                              FV_PAGE_MARGIN + i / columns * row, CELL, height};
        status = fv_cell_image(&canvas, &images[i], cell);
        if (captions) fv_canvas_text(&canvas, cell.x + CELL / 2.0, cell.y + height + 17, captions[i], &style);
    }
    if (status == FV_OK) status = fv_canvas_write_png(&canvas, path);
    fv_canvas_free(&canvas);
    return status;
}
