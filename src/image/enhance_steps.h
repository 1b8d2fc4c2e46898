/* The steps of enhance.h that have a file of their own. Images have 1 or 3 channels and are changed in place; `fov` is
   a mask of the same size that is not empty, or NULL for the whole frame. */
#ifndef FOVEA_IMAGE_ENHANCE_STEPS_H
#define FOVEA_IMAGE_ENHANCE_STEPS_H

#include "fovea/image/image.h"

#define FV_UNSHARP_MAX_SIGMA 20.0 /* px */
#define FV_LOCAL_MAX_SIGMA 1000.0 /* px */

/* Mean and deviation that the normalising steps give: 95 % of the levels of a normal distribution stay below 255. */
enum { FV_NORMAL_MEAN = 128, FV_NORMAL_DEVIATION = 48 };

/* (1 + amount) v - amount blur(v), bounded to 0..255; the blur as cv2.GaussianBlur(v, (0, 0), sigma), reflected at the
   frame. sigma: 0.1..FV_UNSHARP_MAX_SIGMA. */
fv_status fv_unsharp(fv_image *image, double amount, double sigma);
/* Lowest level inside, of any channel -> 0, highest -> 255, as cv2.normalize(NORM_MINMAX); one level only -> 0. */
void fv_levels_stretch(fv_image *image, const fv_image *fov);
/* Sets what is outside. */
void fv_levels_outside(fv_image *image, const fv_image *fov, uint8_t level);
/* Each channel to mean 128 and deviation 48 inside; 128 outside. */
void fv_levels_standardise(fv_image *image, const fv_image *fov);
/* Each channel: 128 + 48 (v - m) / max(s, 4), bounded; m: mean of the pixels inside, weighted by a Gaussian of `sigma`
   (px, 1..FV_LOCAL_MAX_SIGMA); s: root of the mean of (v - m)^2 in a Gaussian three times as wide; 128 outside. */
fv_status fv_local_normalise(fv_image *image, const fv_image *fov, double sigma);

#endif
