#include "canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/text.h"
#include "fovea/image/image_file.h"
#include "fovea/image/resize.h"
#include "fovea/report/picture.h"

#define TEXT_MAX 512 /* bytes of one text that are drawn */

static fv_status check_cairo(cairo_status_t status, const char *what) {
    if (status == CAIRO_STATUS_SUCCESS) return FV_OK;
    return fv_fail(FV_NO_RESOURCE, "%s: cairo reports \"%s\"; free memory or draw a smaller picture", what,
                   cairo_status_to_string(status));
}

fv_status fv_canvas_make(int64_t width, int64_t height, fv_canvas *canvas) {
    *canvas = (fv_canvas){0};
    if (width < 1 || height < 1 || width > FV_REPORT_MAX_SIDE || height > FV_REPORT_MAX_SIDE)
        return fv_fail(FV_BAD_INPUT,
                       "a picture of %lld x %lld px can't be drawn: each side must lie in 1..%d; draw fewer or smaller "
                       "images in one picture",
                       (long long)width, (long long)height, FV_REPORT_MAX_SIDE);
    canvas->width = (int)width;
    canvas->height = (int)height;
    canvas->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, canvas->width, canvas->height);
    canvas->cr = cairo_create(canvas->surface);
    fv_status status = check_cairo(cairo_status(canvas->cr), "a new picture");
    if (status != FV_OK) {
        fv_canvas_free(canvas);
        return status;
    }
    /* Grey antialiasing: subpixel colours would show as fringes in a PNG. */
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_SLIGHT);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(canvas->cr, options);
    cairo_font_options_destroy(options);
    fv_canvas_set_colour(canvas, 0xFFFFFF, 1);
    cairo_paint(canvas->cr);
    return FV_OK;
}

void fv_canvas_free(fv_canvas *canvas) {
    if (canvas->cr) cairo_destroy(canvas->cr);
    if (canvas->surface) cairo_surface_destroy(canvas->surface);
    *canvas = (fv_canvas){0};
}

fv_status fv_canvas_write_png(const fv_canvas *canvas, const char *path) {
    fv_image image;
    FV_TRY(fv_canvas_to_image(canvas, &image));
    fv_status status = fv_image_write_png(&image, path);
    fv_image_free(&image);
    return status;
}

fv_status fv_canvas_to_image(const fv_canvas *canvas, fv_image *image) {
    *image = (fv_image){0};
    FV_TRY(check_cairo(cairo_status(canvas->cr), "a picture"));
    FV_TRY(fv_image_make_unset(canvas->width, canvas->height, 3, image));
    cairo_surface_flush(canvas->surface);
    const unsigned char *rows = cairo_image_surface_get_data(canvas->surface);
    const int stride = cairo_image_surface_get_stride(canvas->surface);
    uint8_t *out = image->data;
    for (int y = 0; y < canvas->height; y++) {
        const uint32_t *row = (const uint32_t *)(const void *)(rows + (size_t)y * (size_t)stride);
        for (int x = 0; x < canvas->width; x++, out += 3) {
            out[0] = (uint8_t)(row[x] >> 16);
            out[1] = (uint8_t)(row[x] >> 8);
            out[2] = (uint8_t)row[x];
        }
    }
    return FV_OK;
}

void fv_canvas_set_colour(const fv_canvas *canvas, uint32_t colour, double alpha) {
    cairo_set_source_rgba(canvas->cr, (colour >> 16 & 255) / 255.0, (colour >> 8 & 255) / 255.0, (colour & 255) / 255.0,
                          alpha);
}

static double advance_of(cairo_t *cr, const char *text) {
    cairo_text_extents_t extents;
    cairo_text_extents(cr, text, &extents);
    return extents.x_advance;
}

/* Cuts the last characters until the text fits with an ellipsis behind it. `text` has room for the ellipsis. */
static void shorten(cairo_t *cr, char *text, double max_width) {
    static const char ellipsis[] = "\xE2\x80\xA6";
    if (advance_of(cr, text) <= max_width) return;
    size_t length = strlen(text);
    do {
        while (length > 0 && ((unsigned char)text[length - 1] & 0xC0) == 0x80) length--;
        if (length > 0) length--;
        memcpy(text + length, ellipsis, sizeof ellipsis);
    } while (length > 0 && advance_of(cr, text) > max_width);
}

static void prepare_text(const fv_canvas *canvas, const char *text, const fv_text_style *style, char *out) {
    cairo_select_font_face(canvas->cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           style->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(canvas->cr, style->size);
    fv_text_clean(text ? text : "", out, TEXT_MAX - 4);
    if (style->max_width > 0) shorten(canvas->cr, out, style->max_width);
}

double fv_canvas_text_width(const fv_canvas *canvas, const char *text, const fv_text_style *style) {
    char clean[TEXT_MAX];
    prepare_text(canvas, text, style, clean);
    return advance_of(canvas->cr, clean);
}

double fv_canvas_text(const fv_canvas *canvas, double x, double y, const char *text, const fv_text_style *style) {
    char clean[TEXT_MAX];
    prepare_text(canvas, text, style, clean);
    const double width = advance_of(canvas->cr, clean);
    if (style->align == FV_ALIGN_CENTRE) x -= width / 2;
    if (style->align == FV_ALIGN_RIGHT) x -= width;
    fv_canvas_set_colour(canvas, style->colour, 1);
    cairo_move_to(canvas->cr, x, y);
    cairo_show_text(canvas->cr, clean);
    cairo_new_path(canvas->cr);
    return width;
}

fv_rect fv_rect_fit(fv_rect cell, double width, double height) {
    const double scale = fmin(cell.width / width, cell.height / height);
    const double w = fmax(1, round(width * scale)), h = fmax(1, round(height * scale));
    return (fv_rect){cell.x + floor((cell.width - w) / 2), cell.y + floor((cell.height - h) / 2), w, h};
}

/* Pixels of a part of the image as cairo's 0x00RRGGBB, white as `tint`, at (x, y) of a surface that has room for them.
 */
static void put_pixels(const fv_image *image, fv_place part, uint32_t tint, cairo_surface_t *surface, int x, int y) {
    cairo_surface_flush(surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(surface), channels = (size_t)image->channels;
    unsigned char *rows = cairo_image_surface_get_data(surface) + (size_t)y * stride + 4 * (size_t)x;
    const uint32_t red = tint >> 16 & 255, green = tint >> 8 & 255, blue = tint & 255;
    for (int i = 0; i < part.height; i++) {
        const uint8_t *in = image->data + ((size_t)(part.y + i) * (size_t)image->width + (size_t)part.x) * channels;
        uint32_t *row = (uint32_t *)(void *)(rows + (size_t)i * stride);
        for (int j = 0; j < part.width; j++, in += channels) {
            const uint32_t r = in[0], g = in[channels == 3 ? 1 : 0], b = in[channels == 3 ? 2 : 0];
            row[j] = (r * red / 255) << 16 | (g * green / 255) << 8 | (b * blue / 255);
        }
    }
    cairo_surface_mark_dirty_rectangle(surface, x, y, part.width, part.height);
}

static fv_place whole_image(const fv_image *image) {
    return (fv_place){0, 0, image->width, image->height};
}

static bool is_whole(double value) {
    return value == floor(value);
}

/* Whether the rectangle lies within width x height pixels, with all its edges between them. */
static bool is_on_pixels(fv_rect rect, int width, int height) {
    return is_whole(rect.x) && is_whole(rect.y) && is_whole(rect.width) && is_whole(rect.height) && rect.x >= 0 &&
           rect.y >= 0 && rect.x + rect.width <= width && rect.y + rect.height <= height;
}

/* A whole image made smaller than it is: cairo's own reduction takes many times as long. */
static fv_status put_reduced(const fv_canvas *canvas, const fv_image *image, fv_rect target, uint32_t tint) {
    fv_image reduced;
    FV_TRY(fv_image_make_unset((int)target.width, (int)target.height, image->channels, &reduced));
    fv_status status = fv_resize_into(image, &reduced, whole_image(&reduced));
    if (status == FV_OK)
        put_pixels(&reduced, whole_image(&reduced), tint, canvas->surface, (int)target.x, (int)target.y);
    fv_image_free(&reduced);
    return status;
}

/* Any part of an image in any place, by cairo. */
static fv_status paint(const fv_canvas *canvas, const fv_image *image, fv_rect from, fv_rect target, uint32_t tint) {
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, image->width, image->height);
    fv_status status = check_cairo(cairo_surface_status(surface), "an image in a picture");
    cairo_t *cr = canvas->cr;
    if (status == FV_OK) {
        put_pixels(image, whole_image(image), tint, surface, 0, 0);
        cairo_save(cr);
        cairo_rectangle(cr, target.x, target.y, target.width, target.height);
        cairo_clip(cr);
        cairo_translate(cr, target.x, target.y);
        cairo_scale(cr, target.width / from.width, target.height / from.height);
        cairo_set_source_surface(cr, surface, -from.x, -from.y);
        cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_GOOD);
        cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_PAD); /* no pale seam at the border */
        cairo_paint(cr);
        cairo_restore(cr);
    }
    cairo_surface_destroy(surface);
    return status;
}

fv_status fv_canvas_image(const fv_canvas *canvas, const fv_image *image, const fv_rect *source, fv_rect target,
                          uint32_t tint) {
    if (image->width > FV_REPORT_MAX_SIDE || image->height > FV_REPORT_MAX_SIDE)
        return fv_fail(FV_BAD_INPUT, "an image of %d x %d px can't be drawn: a side must not exceed %d px",
                       image->width, image->height, FV_REPORT_MAX_SIDE);
    const fv_rect from = source ? *source : (fv_rect){0, 0, image->width, image->height};
    if (!is_on_pixels(target, canvas->width, canvas->height) || !is_on_pixels(from, image->width, image->height))
        return paint(canvas, image, from, target, tint);
    if (from.width == target.width && from.height == target.height) {
        const fv_place part = {(int)from.x, (int)from.y, (int)from.width, (int)from.height};
        put_pixels(image, part, tint, canvas->surface, (int)target.x, (int)target.y);
        return FV_OK;
    }
    const bool all = from.width == image->width && from.height == image->height;
    if (all && target.width <= from.width && target.height <= from.height)
        return put_reduced(canvas, image, target, tint);
    return paint(canvas, image, from, target, tint);
}
