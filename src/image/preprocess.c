#include "fovea/image/preprocess.h"

#include <math.h>

#include "fovea/image/clahe.h"
#include "fovea/image/warp.h"
#include "fovea/image/resize.h"

const char *const fv_fit_names[] = {"letterbox", "stretch", NULL};
const char *const fv_enhance_names[] = {"none", "lab_clahe", NULL};
const char *const fv_normalise_names[] = {"unit", "signed", "imagenet", NULL};

static int fitted_side(int side, int other, int square) {
    if (side >= other) return square;
    int fitted = (int)lround((double)square * side / other);
    return fitted < 1 ? 1 : fitted;
}

/* Where the photograph comes to lie in the work square. */
static fv_place fit_place(const fv_preprocess *settings, int width, int height) {
    int square = settings->work_size;
    if (settings->fit == FV_FIT_STRETCH) return (fv_place){0, 0, square, square};
    int fitted_width = fitted_side(width, height, square), fitted_height = fitted_side(height, width, square);
    return (fv_place){(square - fitted_width) / 2, (square - fitted_height) / 2, fitted_width, fitted_height};
}

fv_mapping fv_preprocess_mapping(const fv_preprocess *settings, int photo_width, int photo_height, int side) {
    fv_place place = fit_place(settings, photo_width, photo_height);
    double ratio = (double)side / settings->work_size;
    return (fv_mapping){
        .scale_x = ratio * place.width / photo_width,
        .scale_y = ratio * place.height / photo_height,
        .offset_x = ratio * place.x,
        .offset_y = ratio * place.y,
    };
}

/* Step 1: resized into a fresh black square with the source's channels. */
static fv_status fit_square(const fv_preprocess *settings, const fv_image *source, fv_image *square) {
    *square = (fv_image){0};
    if (settings->work_size < 1 || settings->work_size > FV_PREPROCESS_MAX_SIZE) {
        return fv_fail(FV_BAD_INPUT, "preprocessing: work size %d px, expected 1..%d", settings->work_size,
                       FV_PREPROCESS_MAX_SIZE);
    }
    if (!source->data || source->width < 1 || source->height < 1) {
        return fv_fail(FV_BAD_INPUT, "preprocessing: the image is empty, expected at least 1 x 1 px");
    }
    FV_TRY(fv_image_make(settings->work_size, settings->work_size, source->channels, square));
    fv_status status = fv_resize_into(source, square, fit_place(settings, source->width, source->height));
    if (status != FV_OK) fv_image_free(square);
    return status;
}

static fv_status colour_from_grey(const fv_image *grey, fv_image *colour) {
    FV_TRY(fv_image_make_unset(grey->width, grey->height, 3, colour));
    size_t count = (size_t)grey->width * (size_t)grey->height;
    for (size_t i = 0; i < 3 * count; i++) colour->data[i] = grey->data[i / 3];
    return FV_OK;
}

fv_status fv_preprocess_enhance(const fv_preprocess *settings, const fv_image *photo, fv_image *work) {
    FV_TRY(fit_square(settings, photo, work));
    fv_status status = FV_OK;
    if (work->channels == 1) {
        fv_image grey = *work;
        *work = (fv_image){0};
        status = colour_from_grey(&grey, work);
        fv_image_free(&grey);
    }
    if (status == FV_OK && settings->enhance == FV_ENHANCE_LAB_CLAHE) {
        status = fv_clahe_lab(work, settings->clahe_clip, settings->clahe_tiles);
    }
    if (status != FV_OK) fv_image_free(work);
    return status;
}

fv_status fv_preprocess_fit_mask(const fv_preprocess *settings, const fv_image *mask, fv_image *work) {
    *work = (fv_image){0};
    if (mask->channels != 1) {
        return fv_fail(FV_BAD_INPUT, "preprocessing: the mask has %d channels, expected 1 (grey)", mask->channels);
    }
    return fit_square(settings, mask, work);
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
