#include "cells.h"

#include <math.h>
#include <stdio.h>

#include "fovea/image/mask.h"

#define CROP_LEAST 64 /* px of the photograph */

double fv_cells_row_height(const fv_report_sample *samples, int count, double width) {
    double height = 1;
    for (int i = 0; i < count; i++)
        height = fmax(height, fmin(width, round(width * samples[i].photo->height / samples[i].photo->width)));
    return height;
}

fv_status fv_cell_image(const fv_canvas *canvas, const fv_image *image, fv_rect cell) {
    return fv_canvas_image(canvas, image, NULL, fv_rect_fit(cell, image->width, image->height), 0xFFFFFF);
}

void fv_cell_unknown(const fv_canvas *canvas, fv_rect cell) {
    const fv_text_style style = {13, false, FV_INK_SOFT, FV_ALIGN_CENTRE, cell.width};
    fv_canvas_set_colour(canvas, 0xF2F4F6, 1);
    cairo_rectangle(canvas->cr, cell.x, cell.y, cell.width, cell.height);
    cairo_fill(canvas->cr);
    fv_canvas_text(canvas, cell.x + cell.width / 2, cell.y + cell.height / 2 + 5, "unknown", &style);
}

fv_status fv_cell_mask(const fv_canvas *canvas, const fv_image *photo, const fv_image *mask, uint32_t colour,
                       fv_rect cell) {
    const fv_rect target = fv_rect_fit(cell, photo->width, photo->height);
    if (mask && mask->data) return fv_canvas_image(canvas, mask, NULL, target, colour);
    fv_cell_unknown(canvas, target);
    return FV_OK;
}

/* Grows [*low, *high] of the photograph by the extent of one mask. */
static void include_box(const fv_image *photo, const fv_image *mask, double low[2], double high[2]) {
    fv_box box;
    if (!mask->data || !fv_mask_box(mask, &box)) return;
    const double scale_x = (double)photo->width / mask->width, scale_y = (double)photo->height / mask->height;
    low[0] = fmin(low[0], box.x0 * scale_x);
    low[1] = fmin(low[1], box.y0 * scale_y);
    high[0] = fmax(high[0], (box.x1 + 1) * scale_x);
    high[1] = fmax(high[1], (box.y1 + 1) * scale_y);
}

fv_rect fv_cells_crop(const fv_report_sample *sample, const fv_report_classes *classes, double margin) {
    const double size[2] = {sample->photo->width, sample->photo->height};
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY}, start[2], length[2];
    for (int i = 0; i < classes->count; i++) {
        include_box(sample->photo, &sample->predicted[i], low, high);
        if (sample->truth) include_box(sample->photo, &sample->truth[i], low, high);
    }
    if (low[0] > high[0]) return (fv_rect){0, 0, size[0], size[1]};
    const double side = fmax(CROP_LEAST, margin * fmax(high[0] - low[0], high[1] - low[1]));
    for (int axis = 0; axis < 2; axis++) {
        length[axis] = fmin(side, size[axis]);
        start[axis] = fmin(fmax(0, (low[axis] + high[axis] - length[axis]) / 2), size[axis] - length[axis]);
    }
    return (fv_rect){start[0], start[1], length[0], length[1]};
}

fv_status fv_cell_overlay(const fv_canvas *canvas, const fv_overlay *overlay, fv_rect cell, fv_rect *drawn) {
    const fv_rect target = fv_rect_fit(cell, overlay->source.width, overlay->source.height);
    if (drawn) *drawn = target;
    return fv_overlay_draw(canvas, overlay, target);
}

static double legend_entry(const fv_canvas *canvas, const char *name, uint32_t colour, double right, double y) {
    const fv_text_style style = {13, false, FV_INK, FV_ALIGN_LEFT, 160};
    const double x = right - fv_canvas_text_width(canvas, name, &style);
    fv_canvas_text(canvas, x, y, name, &style);
    fv_canvas_set_colour(canvas, colour, 1);
    cairo_rectangle(canvas->cr, x - 18, y - 11, 12, 12);
    cairo_fill(canvas->cr);
    return x - 36;
}

void fv_cells_legend(const fv_canvas *canvas, const fv_report_classes *classes, bool truth, double right, double y) {
    if (truth) right = legend_entry(canvas, "truth", FV_TRUTH, right, y);
    for (int i = classes->count - 1; i >= 0; i--) {
        char text[96];
        snprintf(text, sizeof text, "%s predicted", classes->names[i]);
        right = legend_entry(canvas, text, fv_report_class_colour(classes->names[i], i), right, y);
    }
}

void fv_cells_row_label(const fv_canvas *canvas, const fv_report_sample *sample, double left, double right, double y) {
    fv_text_style style = {13, true, FV_INK, FV_ALIGN_LEFT, (right - left) / 2};
    const double width = fv_canvas_text(canvas, left, y, sample->name, &style);
    style = (fv_text_style){13, false, FV_INK_SOFT, FV_ALIGN_LEFT, right - left - width - 20};
    fv_canvas_text(canvas, left + width + (width > 0 ? 16 : 0), y, sample->figures, &style);
}

fv_status fv_report_check_samples(const char *path, const fv_report_classes *classes, const fv_report_sample *samples,
                                  int count) {
    if (count < 1) return fv_fail(FV_BAD_INPUT, "%s: no samples to draw; give at least one", path);
    FV_TRY(fv_report_check_classes(classes, path));
    for (int i = 0; i < count; i++) {
        char what[512];
        snprintf(what, sizeof what, "%.300s, sample %d (%.150s)", path, i + 1,
                 samples[i].name ? samples[i].name : "no name");
        FV_TRY(fv_report_check_photo(samples[i].photo, what));
        if (samples[i].input) FV_TRY(fv_report_check_photo(samples[i].input, what));
        FV_TRY(fv_report_check_masks(samples[i].predicted, classes, true, what));
        FV_TRY(fv_report_check_masks(samples[i].truth, classes, false, what));
    }
    return FV_OK;
}

bool fv_report_has_truth(const fv_image *truth, const fv_report_classes *classes) {
    for (int i = 0; truth && i < classes->count; i++)
        if (truth[i].data) return true;
    return false;
}
