#include "overlay.h"

#include <math.h>
#include <string.h>

#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"

uint32_t fv_report_class_colour(const char *name, int index) {
    static const struct {
        const char *name;
        uint32_t colour;
    } known[] = {{"disc", 0x1DB954}, {"cup", 0x2F7BFF}, {"vessel", 0x00C4DC}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (name && strcmp(name, known[i].name) == 0) return known[i].colour;
    return fv_chart_colour(index);
}

fv_status fv_report_check_classes(const fv_report_classes *classes, const char *what) {
    if (classes->count < 1 || classes->count > FV_REPORT_MAX_CLASSES)
        return fv_fail(FV_BAD_INPUT, "%s: %d classes; expected 1..%d", what, classes->count, FV_REPORT_MAX_CLASSES);
    return FV_OK;
}

fv_status fv_report_check_photo(const fv_image *photo, const char *what) {
    if (!photo || !photo->data || photo->width < 1 || photo->height < 1)
        return fv_fail(FV_BAD_INPUT, "%s: the image to draw is empty; read it first", what);
    if (photo->channels != 1 && photo->channels != 3)
        return fv_fail(FV_BAD_INPUT, "%s: the image to draw has %d channels; expected 1 or 3", what, photo->channels);
    return FV_OK;
}

fv_status fv_report_check_masks(const fv_image *masks, const fv_report_classes *classes, bool needed,
                                const char *what) {
    if (!masks && needed) return fv_fail(FV_BAD_INPUT, "%s: no predicted masks; expected one for each class", what);
    for (int i = 0; masks && i < classes->count; i++) {
        if (!masks[i].data && !needed) continue;
        if (!masks[i].data || masks[i].channels != 1 || masks[i].width < 1 || masks[i].height < 1)
            return fv_fail(FV_BAD_INPUT, "%s: the mask of \"%s\" is %d x %d px with %d channels; expected 1 channel",
                           what, classes->names[i], masks[i].width, masks[i].height,
                           masks[i].data ? masks[i].channels : 0);
    }
    return FV_OK;
}

/* The mask's outlines as cairo's path in px of the canvas; *thickness is the mean width of what they enclose, in px of
   the canvas. */
static fv_status place_path(const fv_canvas *canvas, const fv_overlay *overlay, const fv_image *mask, fv_rect target,
                            double *thickness) {
    cairo_t *cr = canvas->cr;
    const double scale = target.width / overlay->source.width;
    const double pixel = scale * overlay->photo->width / mask->width;
    int64_t edges = 0;
    cairo_new_path(cr);
    cairo_save(cr);
    cairo_translate(cr, target.x - overlay->source.x * scale, target.y - overlay->source.y * scale);
    cairo_scale(cr, pixel, scale * overlay->photo->height / mask->height);
    fv_status status = fv_contour_path(cr, mask, &edges);
    cairo_restore(cr);
    *thickness = edges ? 2.0 * (double)fv_mask_count(mask) / (double)edges * pixel : 0;
    return status;
}

static fv_status draw_predicted(const fv_canvas *canvas, const fv_overlay *overlay, int class, fv_rect target) {
    double thickness;
    FV_TRY(place_path(canvas, overlay, &overlay->predicted[class], target, &thickness));
    const bool thin = thickness < 4 * overlay->line;
    const uint32_t colour = fv_report_class_colour(overlay->classes->names[class], class);
    if (overlay->fill || thin) {
        fv_canvas_set_colour(canvas, colour, thin ? 0.7 : 0.22);
        cairo_fill_preserve(canvas->cr);
    }
    if (!thin) {
        fv_canvas_set_colour(canvas, colour, 1);
        cairo_set_line_width(canvas->cr, overlay->line);
        cairo_stroke_preserve(canvas->cr);
    }
    cairo_new_path(canvas->cr);
    return FV_OK;
}

/* Thinner than the predicted contour, so that both are seen where they agree. */
static fv_status draw_truth(const fv_canvas *canvas, const fv_overlay *overlay, int class, fv_rect target) {
    double thickness;
    FV_TRY(place_path(canvas, overlay, &overlay->truth[class], target, &thickness));
    fv_canvas_set_colour(canvas, FV_TRUTH, 1);
    cairo_set_line_width(canvas->cr, fmin(0.6 * overlay->line, fmax(0.4, thickness / 5)));
    cairo_stroke(canvas->cr);
    return FV_OK;
}

fv_status fv_overlay_draw(const fv_canvas *canvas, const fv_overlay *overlay, fv_rect target) {
    FV_TRY(fv_canvas_image(canvas, overlay->photo, &overlay->source, target, 0xFFFFFF));
    cairo_save(canvas->cr);
    cairo_rectangle(canvas->cr, target.x, target.y, target.width, target.height);
    cairo_clip(canvas->cr);
    cairo_set_line_join(canvas->cr, CAIRO_LINE_JOIN_ROUND);
    fv_status status = FV_OK;
    for (int i = 0; overlay->predicted && i < overlay->classes->count && status == FV_OK; i++)
        if (overlay->predicted[i].data) status = draw_predicted(canvas, overlay, i, target);
    for (int i = 0; overlay->truth && i < overlay->classes->count && status == FV_OK; i++)
        if (overlay->truth[i].data) status = draw_truth(canvas, overlay, i, target);
    cairo_restore(canvas->cr);
    return status;
}

/* Grows [x0, x1) x [y0, y1) of the photograph by where the masks are set. */
static void include_masks(const fv_image *photo, const fv_image *masks, int count, fv_box *bounds) {
    for (int i = 0; masks && i < count; i++) {
        fv_box box;
        if (!masks[i].data || !fv_mask_box(&masks[i], &box)) continue;
        const double x = (double)photo->width / masks[i].width, y = (double)photo->height / masks[i].height;
        bounds->x0 = (int)fmin(bounds->x0, floor(box.x0 * x));
        bounds->y0 = (int)fmin(bounds->y0, floor(box.y0 * y));
        bounds->x1 = (int)fmax(bounds->x1, ceil((box.x1 + 1) * x));
        bounds->y1 = (int)fmax(bounds->y1, ceil((box.y1 + 1) * y));
    }
}

/* The part of the photograph that is drawn over: the masks with the width of their contours. Empty without any. */
static fv_rect touched_part(const fv_overlay *overlay) {
    const fv_image *photo = overlay->photo;
    fv_box box = {photo->width, photo->height, 0, 0};
    include_masks(photo, overlay->predicted, overlay->classes->count, &box);
    include_masks(photo, overlay->truth, overlay->classes->count, &box);
    if (box.x0 >= box.x1) return (fv_rect){0};
    const int margin = (int)ceil(overlay->line) + 2;
    const double x0 = fmax(0, box.x0 - margin), y0 = fmax(0, box.y0 - margin);
    return (fv_rect){x0, y0, fmin(photo->width, box.x1 + margin) - x0, fmin(photo->height, box.y1 + margin) - y0};
}

static void copy_into(const fv_image *part, fv_image *whole, int x, int y) {
    const size_t length = 3 * (size_t)part->width;
    for (int i = 0; i < part->height; i++)
        memcpy(whole->data + 3 * ((size_t)(y + i) * (size_t)whole->width + (size_t)x), part->data + (size_t)i * length,
               length);
}

/* Only what the masks touch goes over cairo's canvas: photographs are large, discs are not. */
static fv_status draw_touched(fv_overlay *overlay, fv_image *out) {
    const fv_rect part = touched_part(overlay), target = {0, 0, part.width, part.height};
    if (part.width < 1) return FV_OK;
    overlay->source = part;
    fv_canvas canvas;
    fv_image drawn = {0};
    FV_TRY(fv_canvas_make((int64_t)part.width, (int64_t)part.height, &canvas));
    fv_status status = fv_overlay_draw(&canvas, overlay, target);
    if (status == FV_OK) status = fv_canvas_to_image(&canvas, &drawn);
    if (status == FV_OK) copy_into(&drawn, out, (int)part.x, (int)part.y);
    fv_image_free(&drawn);
    fv_canvas_free(&canvas);
    return status;
}

static fv_status copy_in_colour(const fv_image *photo, fv_image *out) {
    if (photo->channels == 3) return fv_image_copy(photo, out);
    FV_TRY(fv_image_make_unset(photo->width, photo->height, 3, out));
    const size_t count = (size_t)photo->width * (size_t)photo->height;
    for (size_t i = 0; i < count; i++) memset(out->data + 3 * i, photo->data[i], 3);
    return FV_OK;
}

fv_status fv_report_overlay_image(const fv_image *photo, const fv_report_classes *classes, const fv_image *predicted,
                                  const fv_image *truth, fv_image *out) {
    *out = (fv_image){0};
    FV_TRY(fv_report_check_classes(classes, "overlay"));
    FV_TRY(fv_report_check_photo(photo, "overlay"));
    FV_TRY(fv_report_check_masks(predicted, classes, true, "overlay"));
    FV_TRY(fv_report_check_masks(truth, classes, false, "overlay"));
    FV_TRY(copy_in_colour(photo, out));
    const double side = sqrt((double)photo->width * photo->height);
    fv_overlay overlay = {photo, classes, predicted, truth, {0, 0, 0, 0}, fmax(1.5, side / 400), true};
    fv_status status = draw_touched(&overlay, out);
    if (status != FV_OK) fv_image_free(out);
    return status;
}

fv_status fv_report_overlay(const char *path, const fv_image *photo, const fv_report_classes *classes,
                            const fv_image *predicted, const fv_image *truth) {
    fv_image image;
    FV_TRY(fv_report_overlay_image(photo, classes, predicted, truth, &image));
    fv_status status = fv_image_write_png(&image, path);
    fv_image_free(&image);
    return status;
}
