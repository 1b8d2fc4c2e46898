#include "fovea/dataset/augment.h"

#include <math.h>

#include "fovea/image/blur.h"
#include "light.h"

static const char section[] = "augment";

static double read_number(fv_config *config, const char *key, double standard, double high) {
    return fv_config_number(config, section, key, standard, 0, high);
}

typedef struct bounds {
    double low, high;
} bounds;

/* A span "low..high" within the bounds. */
static void read_span(fv_config *config, const char *key, bounds standard, bounds allowed, double *low, double *high) {
    fv_config_span(config, section, key, standard.low, standard.high, low, high);
    if (*low <= *high && *low >= allowed.low && *high <= allowed.high) return;
    fv_config_complain(config, section, key, "expected low..high, low first, within %g..%g, for example %g..%g",
                       allowed.low, allowed.high, standard.low, standard.high);
    *low = standard.low;
    *high = standard.high;
}

static void read_geometry(fv_config *config, fv_augment *augment) {
    augment->flip_horizontal = read_number(config, "flip_horizontal", 0.5, 1);
    augment->flip_vertical = read_number(config, "flip_vertical", 0.5, 1);
    augment->rotate_probability = read_number(config, "rotate_probability", 0.7, 1);
    augment->rotate_degrees = read_number(config, "rotate_degrees", 25, 180);
    augment->shift_probability = read_number(config, "shift_probability", 0.5, 1);
    augment->shift_fraction = read_number(config, "shift_fraction", 0.05, 0.5);
    augment->scale_probability = read_number(config, "scale_probability", 0.5, 1);
    read_span(config, "scale", (bounds){0.85, 1.15}, (bounds){0.1, 10}, &augment->scale_low, &augment->scale_high);
}

static void read_light(fv_config *config, fv_augment *augment) {
    augment->brightness_probability = read_number(config, "brightness_probability", 0.5, 1);
    augment->brightness = read_number(config, "brightness", 0.1, 1);
    augment->contrast_probability = read_number(config, "contrast_probability", 0.5, 1);
    read_span(config, "contrast", (bounds){0.8, 1.2}, (bounds){0, 10}, &augment->contrast_low, &augment->contrast_high);
    augment->gamma_probability = read_number(config, "gamma_probability", 0.3, 1);
    read_span(config, "gamma", (bounds){0.8, 1.25}, (bounds){0.1, 10}, &augment->gamma_low, &augment->gamma_high);
    augment->saturation_probability = read_number(config, "saturation_probability", 0.3, 1);
    read_span(config, "saturation", (bounds){0.8, 1.2}, (bounds){0, 10}, &augment->saturation_low,
              &augment->saturation_high);
    augment->hue_probability = read_number(config, "hue_probability", 0.3, 1);
    augment->hue_degrees = read_number(config, "hue_degrees", 8, 180);
    augment->blur_probability = read_number(config, "blur_probability", 0.1, 1);
    read_span(config, "blur", (bounds){0.3, 1}, (bounds){0, FV_BLUR_MAX_SIGMA}, &augment->blur_low,
              &augment->blur_high);
    augment->noise_probability = read_number(config, "noise_probability", 0.2, 1);
    read_span(config, "noise", (bounds){1, 5}, (bounds){0, 255}, &augment->noise_low, &augment->noise_high);
}

void fv_augment_from_config(fv_config *config, fv_augment *augment) {
    *augment = (fv_augment){0};
    bool enabled = fv_config_flag(config, section, "enabled", true);
    read_geometry(config, augment); /* asked for in any case, so that they are checked */
    read_light(config, augment);
    if (!enabled) *augment = (fv_augment){0};
}

/* Both numbers are drawn whether or not the change happens. */
static double draw_one(fv_rng *rng, double probability, double low, double high, double neutral) {
    double chance = fv_rng_uniform(rng), value = fv_rng_range(rng, low, high);
    return chance < probability ? value : neutral;
}

static double draw_around(fv_rng *rng, double probability, double most) {
    return draw_one(rng, probability, -most, most, 0);
}

fv_augment_draw fv_augment_make_draw(const fv_augment *augment, fv_rng *rng) {
    const fv_augment *a = augment;
    fv_augment_draw draw;
    draw.flip_horizontal = fv_rng_uniform(rng) < a->flip_horizontal;
    draw.flip_vertical = fv_rng_uniform(rng) < a->flip_vertical;
    draw.rotate_degrees = draw_around(rng, a->rotate_probability, a->rotate_degrees);
    draw.shift_x = draw_around(rng, a->shift_probability, a->shift_fraction);
    draw.shift_y = draw_around(rng, a->shift_probability, a->shift_fraction);
    draw.scale = draw_one(rng, a->scale_probability, a->scale_low, a->scale_high, 1);
    draw.brightness = 255 * draw_around(rng, a->brightness_probability, a->brightness);
    draw.contrast = draw_one(rng, a->contrast_probability, a->contrast_low, a->contrast_high, 1);
    draw.gamma = draw_one(rng, a->gamma_probability, a->gamma_low, a->gamma_high, 1);
    draw.saturation = draw_one(rng, a->saturation_probability, a->saturation_low, a->saturation_high, 1);
    draw.hue_degrees = draw_around(rng, a->hue_probability, a->hue_degrees);
    draw.blur_sigma = draw_one(rng, a->blur_probability, a->blur_low, a->blur_high, 0);
    draw.noise_deviation = draw_one(rng, a->noise_probability, a->noise_low, a->noise_high, 0);
    draw.noise_seed = fv_rng_next(rng);
    return draw;
}

/* Backwards from the output: undo the shift, the rotation and the scale about the centre, then the flips. */
fv_affine fv_augment_map(const fv_augment_draw *draw, const fv_window *window, int size) {
    double ratio_x = window->width / size, ratio_y = window->height / size;
    double half_width = window->width / 2, half_height = window->height / 2;
    double angle = draw->rotate_degrees * M_PI / 180, cosine = cos(angle) / draw->scale,
           sine = sin(angle) / draw->scale;
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

static void sample_mask(const fv_image *mask, const fv_affine *map, int size, int taps, float *out, int stride) {
    int count = size * size;
    if (mask->data) {
        fv_warp(mask, map, size, taps, out, stride);
        for (int i = 0; i < count; i++) out[(size_t)i * stride] /= 255;
    } else {
        for (int i = 0; i < count; i++) out[(size_t)i * stride] = 0;
    }
}

void fv_augment_apply(const fv_augment *augment, const fv_preprocess *preprocess, const fv_image *work,
                      const fv_image *masks, int mask_count, const fv_window *window, fv_rng *rng, float *input,
                      float *target, float *scratch) {
    int size = preprocess->size, taps = fv_warp_taps(fmax(window->width, window->height), size);
    fv_augment_draw draw = {.scale = 1, .contrast = 1, .gamma = 1, .saturation = 1};
    if (augment) draw = fv_augment_make_draw(augment, rng);
    fv_affine map = fv_augment_map(&draw, window, size);
    fv_warp(work, &map, size, taps, input, 3);
    for (int m = 0; m < mask_count; m++) sample_mask(masks + m, &map, size, taps, target + m, mask_count);
    fv_light_change(&draw, size, input, scratch);
    fv_preprocess_normalise(preprocess->normalise, input, (size_t)size * (size_t)size);
}
