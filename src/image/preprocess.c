#include "fovea/image/preprocess.h"

#include <math.h>

#include "fovea/image/fov.h"
#include "fovea/image/mask.h"
#include "fovea/image/warp.h"

const char *const fv_fit_names[] = {"letterbox", "stretch", "fov", "native", NULL};
const char *const fv_normalise_names[] = {"unit", "signed", "imagenet", NULL};

/* The fits that cut the photograph to its field of view. */
static bool fits_field(fv_fit fit) {
    return fit == FV_FIT_FOV || fit == FV_FIT_NATIVE;
}

static fv_status check_side(const char *name, int side) {
    if (side >= 1 && side <= FV_PREPROCESS_MAX_SIZE) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "preprocessing: %s %d px, expected 1..%d", name, side, FV_PREPROCESS_MAX_SIZE);
}

fv_status fv_preprocess_check(const fv_preprocess *settings) {
    if (settings->fit == FV_FIT_FOV) FV_TRY(check_side("FOV diameter", settings->fov_diameter));
    if (!fits_field(settings->fit)) FV_TRY(check_side("work size", settings->work_size));
    if (fits_field(settings->fit) && !settings->windows)
        return fv_fail(FV_BAD_INPUT, "preprocessing: fit %s gives work images of many sizes, which need windows = yes",
                       fv_fit_names[settings->fit]);
    return FV_OK;
}

fv_preprocess fv_preprocess_for_camera(const fv_preprocess *settings, double degrees) {
    fv_preprocess adapted = *settings;
    if (settings->fit != FV_FIT_FOV || !(settings->fov_degrees > 0) || isnan(degrees)) return adapted;
    int diameter = (int)lround(settings->fov_diameter * degrees / settings->fov_degrees);
    adapted.fov_diameter = diameter < 1 ? 1 : diameter;
    return adapted;
}

/* ---- step 1 ---- */

static int fitted_side(int side, int other, int square) {
    if (side >= other) return square;
    int fitted = (int)lround((double)square * side / other);
    return fitted < 1 ? 1 : fitted;
}

static void frame_square(const fv_preprocess *settings, int width, int height, fv_frame *frame) {
    int square = settings->work_size;
    *frame = (fv_frame){.source = {0, 0, width, height}, .width = square, .height = square};
    frame->target = (fv_place){0, 0, square, square};
    if (settings->fit == FV_FIT_STRETCH) return;
    int fitted_width = fitted_side(width, height, square), fitted_height = fitted_side(height, width, square);
    frame->target = (fv_place){(square - fitted_width) / 2, (square - fitted_height) / 2, fitted_width, fitted_height};
}

static fv_status frame_field(const fv_preprocess *settings, const fv_image *fov, fv_frame *frame) {
    fv_box box;
    if (!fv_mask_box(fov, &box)) return fv_fail(FV_BAD_INPUT, "preprocessing: the field of view is empty");
    int width = box.x1 - box.x0 + 1, height = box.y1 - box.y0 + 1, longer = width > height ? width : height;
    double scale = settings->fit == FV_FIT_FOV ? (double)settings->fov_diameter / longer : 1;
    int fitted_width = (int)lround(width * scale), fitted_height = (int)lround(height * scale);
    frame->source = (fv_place){box.x0, box.y0, width, height};
    frame->width = fitted_width < 1 ? 1 : fitted_width;
    frame->height = fitted_height < 1 ? 1 : fitted_height;
    frame->target = (fv_place){0, 0, frame->width, frame->height};
    FV_TRY(check_side("the field's width", frame->width));
    return check_side("the field's height", frame->height);
}

fv_status fv_preprocess_frame(const fv_preprocess *settings, int photo_width, int photo_height, const fv_image *fov,
                              fv_frame *frame) {
    FV_TRY(fv_preprocess_check(settings));
    if (fits_field(settings->fit)) return frame_field(settings, fov, frame);
    frame_square(settings, photo_width, photo_height, frame);
    return FV_OK;
}

fv_mapping fv_frame_mapping(const fv_frame *frame, double ratio) {
    double scale_x = ratio * frame->target.width / frame->source.width;
    double scale_y = ratio * frame->target.height / frame->source.height;
    return (fv_mapping){
        .scale_x = scale_x,
        .scale_y = scale_y,
        .offset_x = ratio * frame->target.x - scale_x * frame->source.x,
        .offset_y = ratio * frame->target.y - scale_y * frame->source.y,
    };
}

/* The source's part of the frame resized into a fresh black image. */
static fv_status fit(const fv_frame *frame, const fv_image *source, fv_image *fitted) {
    fv_image part = {0};
    fv_place from = frame->source;
    bool whole = from.width == source->width && from.height == source->height;
    *fitted = (fv_image){0};
    if (!whole) FV_TRY(fv_image_crop(source, from.x, from.y, from.width, from.height, &part));
    fv_status status = fv_image_make(frame->width, frame->height, source->channels, fitted);
    if (status == FV_OK) status = fv_resize_into(whole ? source : &part, fitted, frame->target);
    fv_image_free(&part);
    if (status != FV_OK) fv_image_free(fitted);
    return status;
}

fv_status fv_preprocess_fit_mask(const fv_frame *frame, const fv_image *mask, fv_image *fitted) {
    *fitted = (fv_image){0};
    if (mask->channels != 1) {
        return fv_fail(FV_BAD_INPUT, "preprocessing: the mask has %d channels, expected 1 (grey)", mask->channels);
    }
    return fit(frame, mask, fitted);
}

static fv_status fit_field(const fv_frame *frame, const fv_image *fov, fv_image *fitted) {
    FV_TRY(fv_preprocess_fit_mask(frame, fov, fitted));
    size_t count = (size_t)fitted->width * (size_t)fitted->height;
    for (size_t i = 0; i < count; i++) fitted->data[i] = fitted->data[i] > 127 ? 255 : 0;
    return FV_OK;
}

/* ---- steps 1 and 2 ---- */

static fv_status colour_from_grey(fv_image *image) {
    fv_image grey = *image, colour;
    size_t count = (size_t)grey.width * (size_t)grey.height;
    FV_TRY(fv_image_make_unset(grey.width, grey.height, 3, &colour));
    for (size_t i = 0; i < 3 * count; i++) colour.data[i] = grey.data[i / 3];
    fv_image_free(&grey);
    *image = colour;
    return FV_OK;
}

bool fv_preprocess_needs_fov(const fv_preprocess *settings) {
    return fits_field(settings->fit) || fv_enhance_needs_fov(&settings->enhance);
}

static fv_status work_make(const fv_preprocess *settings, const fv_image *photo, const fv_image *fov, fv_work *work) {
    FV_TRY(fv_preprocess_frame(settings, photo->width, photo->height, fov, &work->frame));
    FV_TRY(fit(&work->frame, photo, &work->image));
    if (fov) FV_TRY(fit_field(&work->frame, fov, &work->fov));
    if (work->image.channels == 1) FV_TRY(colour_from_grey(&work->image));
    return fv_enhance_apply(&settings->enhance, &work->image, fov ? &work->fov : NULL);
}

fv_status fv_preprocess_enhance(const fv_preprocess *settings, const fv_image *photo, const fv_image *fov,
                                fv_work *work) {
    fv_image found = {0};
    *work = (fv_work){0};
    if (!photo->data || photo->width < 1 || photo->height < 1) {
        return fv_fail(FV_BAD_INPUT, "preprocessing: the image is empty, expected at least 1 x 1 px");
    }
    bool needed = fv_preprocess_needs_fov(settings);
    if (needed && !fov) FV_TRY(fv_fov_find(photo, &found));
    fv_status status = work_make(settings, photo, !needed ? NULL : fov ? fov : &found, work);
    fv_image_free(&found);
    if (status != FV_OK) fv_work_free(work);
    return status;
}

void fv_work_free(fv_work *work) {
    fv_image_free(&work->image);
    fv_image_free(&work->fov);
}

/* ---- steps 3 and 4 ---- */

static void copy_levels(const uint8_t *levels, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) out[i] = levels[i];
}

static void clear(float *out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = 0;
}

void fv_preprocess_window(const fv_preprocess *settings, const fv_image *work, fv_place window, float *out) {
    size_t row_floats = 3 * (size_t)window.width;
    int inside = work->width - window.x < window.width ? work->width - window.x : window.width;
    for (int y = 0; y < window.height; y++) {
        float *row = out + (size_t)y * row_floats;
        bool below = window.y + y >= work->height;
        size_t known = below ? 0 : 3 * (size_t)inside;
        size_t at = 3 * ((size_t)(window.y + y) * (size_t)work->width + (size_t)window.x);
        if (known) copy_levels(work->data + at, known, row);
        clear(row + known, row_floats - known);
    }
    fv_preprocess_normalise(settings->normalise, out, (size_t)window.width * (size_t)window.height);
}

void fv_preprocess_sample(const fv_preprocess *settings, const fv_image *work, float *out) {
    int size = settings->size;
    fv_affine map = fv_affine_scale(settings->work_size, size);
    fv_warp(work, &map, size, fv_warp_taps(settings->work_size, size), out, 3);
    fv_preprocess_normalise(settings->normalise, out, (size_t)size * (size_t)size);
}

/* ImageNet's, of levels 0..1. */
static const float mean[3] = {0.485F, 0.456F, 0.406F}, deviation[3] = {0.229F, 0.224F, 0.225F};

void fv_preprocess_normalise(fv_normalise how, float *rgb, size_t count) {
    switch (how) {
    case FV_NORMALISE_UNIT:
        for (size_t i = 0; i < 3 * count; i++) rgb[i] /= 255;
        break;
    case FV_NORMALISE_SIGNED:
        for (size_t i = 0; i < 3 * count; i++) rgb[i] = rgb[i] / 127.5F - 1;
        break;
    case FV_NORMALISE_IMAGENET:
        for (size_t i = 0; i < 3 * count; i += 3) {
            for (size_t c = 0; c < 3; c++) rgb[i + c] = (rgb[i + c] / 255 - mean[c]) / deviation[c];
        }
        break;
    }
}

static float denormalised(fv_normalise how, float value, size_t channel) {
    switch (how) {
    case FV_NORMALISE_UNIT:
        return value * 255;
    case FV_NORMALISE_SIGNED:
        return (value + 1) * 127.5F;
    case FV_NORMALISE_IMAGENET:
        return (value * deviation[channel] + mean[channel]) * 255;
    }
    return 0;
}

void fv_preprocess_denormalise(fv_normalise how, const float *values, size_t count, uint8_t *rgb) {
    for (size_t i = 0; i < 3 * count; i++) {
        float level = denormalised(how, values[i], i % 3);
        rgb[i] = level > 0 ? (uint8_t)(level < 255 ? level + 0.5F : 255) : 0;
    }
}
