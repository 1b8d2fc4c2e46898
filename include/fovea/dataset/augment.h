/* Augmentation on the fly: one geometric map for photograph and masks, then light and colour of the photograph. */
#ifndef FOVEA_DATASET_AUGMENT_H
#define FOVEA_DATASET_AUGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea/base/config.h"
#include "fovea/base/rng.h"
#include "fovea/image/preprocess.h"
#include "fovea/image/warp.h"

typedef enum fv_change {
    FV_CHANGE_FLIP_HORIZONTAL,
    FV_CHANGE_FLIP_VERTICAL,
    FV_CHANGE_ROTATE,
    FV_CHANGE_SHIFT,
    FV_CHANGE_SCALE,
    FV_CHANGE_BRIGHTNESS,
    FV_CHANGE_CONTRAST,
    FV_CHANGE_GAMMA,
    FV_CHANGE_SATURATION,
    FV_CHANGE_HUE,
    FV_CHANGE_BLUR,
    FV_CHANGE_NOISE,
    FV_CHANGE_ROTATE90,
    FV_CHANGE_ELASTIC,
    FV_CHANGE_GRID,
    FV_CHANGE_OPTICAL,
    FV_CHANGES,
} fv_change;

/* Changes decided on in common. With the group's probability, of a one-of group exactly one happens (a member's own
   probability is its weight among them), of another group each with its own probability; otherwise none. */
typedef struct fv_augment_group {
    double probability;
    uint32_t members; /* bits 1 << fv_change; 0: no group */
    uint32_t is_one_of;
} fv_augment_group;

enum { FV_AUGMENT_GROUPS = 5, FV_GRID_MOST_STEPS = 64 };
#define FV_ELASTIC_LEAST_SIGMA 2.0 /* px */

/* Each change happens with its probability and then draws uniformly from its range. */
typedef struct fv_augment {
    double flip_horizontal, flip_vertical;                          /* probabilities */
    double rotate_probability, rotate_degrees;                      /* +- */
    double shift_probability, shift_fraction;                       /* +- of the side, x and y apart */
    double scale_probability, scale_low, scale_high;                /* above 1 enlarges */
    double brightness_probability, brightness;                      /* +- share of 255 added */
    double contrast_probability, contrast_low, contrast_high;       /* factor about the photograph's mean */
    double gamma_probability, gamma_low, gamma_high;                /* 255 (v / 255) ^ gamma */
    double saturation_probability, saturation_low, saturation_high; /* factor about the pixel's grey */
    double hue_probability, hue_degrees;                            /* +-, about the grey axis */
    double blur_probability, blur_low, blur_high;                   /* Gaussian sigma, px of the input */
    double noise_probability, noise_low, noise_high;                /* sd of nearly Gaussian noise, grey levels */
    double rotate90_probability;                                    /* by 90, 180 or 270 degrees, equally often */
    double elastic_probability, elastic_low, elastic_high;          /* rms shift along x and along y, px of the input */
    double elastic_sigma;                                           /* smoothness, px of the input */
    double grid_probability, grid_limit;                            /* each step of a grid stretched by 1 +- limit */
    double optical_probability, optical_limit, optical_shift;       /* k +- limit; centre +- share of the side */
    int grid_steps;                                                 /* along each side */
    fv_augment_group groups[FV_AUGMENT_GROUPS];                     /* no change is in two of them */
} fv_augment;

/* Section [augment]; docs/augmentation.md shows its keys. They are the fields above; the pairs _low, _high are one key
   "low..high" (scale, contrast, gamma, saturation, blur, noise, elastic). Groups are lists of changes: one_of,
   one_of_2, one_of_3, together, together_2, with KEY_probability. The standard values suit whole photographs for disc
   and cup; the changes from rotate90 on are then off. A group's member has the standard probability 1. `enabled = no`
   turns all off. */
void fv_augment_from_config(fv_config *config, fv_augment *augment);

/* What was drawn for one sample. A change that does not happen has its neutral value. */
typedef struct fv_augment_draw {
    bool flip_horizontal, flip_vertical;
    double rotate_degrees;   /* clockwise as seen */
    double shift_x, shift_y; /* share of the side, to the right and down */
    double scale;            /* neutral: 1, as the next three; 0 for all others */
    double contrast, gamma, saturation;
    double brightness; /* grey levels */
    double hue_degrees;
    double blur_sigma, noise_deviation; /* px; grey levels */
    uint64_t noise_seed;
    int quarter_turns;                       /* 0..3, clockwise */
    double elastic_amplitude, elastic_sigma; /* px */
    double grid_limit;
    int grid_steps;
    double optical_strength, optical_x, optical_y; /* k; shift of the centre, share of the side */
    uint64_t bend_seed;                            /* of elastic and grid */
} fv_augment_draw;

/* Always takes the same count of numbers from rng, in a fixed order: another probability or group for one change leaves
   the others as they were. */
fv_augment_draw fv_augment_make_draw(const fv_augment *augment, fv_rng *rng);
/* From output pixels of a square `size` to the work image, of which a window is shown: the photograph is flipped,
   scaled and rotated (in px of the work image, quarter turns included) about the window's centre, then shifted by a
   share of the window's sides. Without changes the output is the window. */
fv_affine fv_augment_map(const fv_augment_draw *draw, const fv_window *window, int size);

/* Floats of scratch for fv_augment_apply(). */
size_t fv_augment_scratch_floats(int size);
/* Samples a window of photograph and masks (mask_count images as large as `work`, which may have any sides; data NULL
   where absent: target 0) to `size` with one random geometric map, its output bent by the elastic, grid and optical
   shifts added up, and changes the photograph's light. input: {size, size, 3} 0..255 -> normalised; target: {size,
   size, mask_count} 0..1 (bilinear; outside the frame 0). With augment NULL only samples; for the whole image in the
   same bits as fv_preprocess_sample(). rng and scratch may be NULL then. */
void fv_augment_apply(const fv_augment *augment, const fv_preprocess *preprocess, const fv_image *work,
                      const fv_image *masks, int mask_count, const fv_window *window, fv_rng *rng, float *input,
                      float *target, float *scratch);

#endif
