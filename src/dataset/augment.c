#include "fovea/dataset/augment.h"

#include <math.h>

#include "bend.h"
#include "light.h"

static void turn_a_quarter(double *cosine, double *sine) {
    double before = *cosine;
    *cosine = -*sine;
    *sine = before;
}

/* Backwards from the output: undo the shift, the rotation and the scale about the centre, then the flips. */
fv_affine fv_augment_map(const fv_augment_draw *draw, const fv_window *window, int size) {
    double ratio_x = window->width / size, ratio_y = window->height / size;
    double half_width = window->width / 2, half_height = window->height / 2;
    double angle = draw->rotate_degrees * M_PI / 180, cosine = cos(angle) / draw->scale,
           sine = sin(angle) / draw->scale;
    for (int i = 0; i < draw->quarter_turns; i++) turn_a_quarter(&cosine, &sine);
    double flip_x = draw->flip_horizontal ? -1 : 1, flip_y = draw->flip_vertical ? -1 : 1;
    double xx = flip_x * cosine, xy = flip_x * sine, yx = flip_y * -sine, yy = flip_y * cosine;
    double moved_x = half_width + draw->shift_x * window->width, moved_y = half_height + draw->shift_y * window->height;
    return (fv_affine){
        .xx = xx * ratio_x,
        .xy = xy * ratio_y,
        .x0 = window->x + half_width - (xx * moved_x + xy * moved_y),
        .yx = yx * ratio_x,
        .yy = yy * ratio_y,
        .y0 = window->y + half_height - (yx * moved_x + yy * moved_y),
    };
}

/* How photograph and masks of one sample are read. */
typedef struct sampling {
    fv_affine map;
    fv_bend bend; /* x NULL: none */
    int size, taps;
} sampling;

static void sample_image(const sampling *how, const fv_image *image, float *out, int stride) {
    if (how->bend.x)
        fv_warp_bent(image, &how->map, &how->bend, how->size, how->taps, out, stride);
    else
        fv_warp(image, &how->map, how->size, how->taps, out, stride);
}

static void sample_mask(const sampling *how, const fv_image *mask, float *out, int stride) {
    size_t count = (size_t)how->size * (size_t)how->size;
    if (mask->data) {
        sample_image(how, mask, out, stride);
        for (size_t i = 0; i < count; i++) out[i * (size_t)stride] /= 255;
    } else {
        for (size_t i = 0; i < count; i++) out[i * (size_t)stride] = 0;
    }
}

size_t fv_augment_scratch_floats(int size) {
    size_t light = fv_light_scratch_floats(size), bend = fv_bend_scratch_floats(size);
    return light > bend ? light : bend;
}

void fv_augment_apply(const fv_augment *augment, const fv_preprocess *preprocess, const fv_image *work,
                      const fv_image *masks, int mask_count, const fv_window *window, fv_rng *rng, float *input,
                      float *target, float *scratch) {
    int size = preprocess->size;
    fv_augment_draw draw = {.scale = 1, .contrast = 1, .gamma = 1, .saturation = 1};
    if (augment) draw = fv_augment_make_draw(augment, rng);
    sampling how = {
        .map = fv_augment_map(&draw, window, size),
        .size = size,
        .taps = fv_warp_taps(fmax(window->width, window->height), size),
    };
    if (fv_bend_is_drawn(&draw)) how.bend = fv_bend_make(&draw, size, scratch);
    sample_image(&how, work, input, 3);
    for (int m = 0; m < mask_count; m++) sample_mask(&how, masks + m, target + m, mask_count);
    fv_light_change(&draw, size, input, scratch); /* the bend in scratch has been used */
    fv_preprocess_normalise(preprocess->normalise, input, (size_t)size * (size_t)size);
}
