/* Smoothing of grey images for enhancement. */
#ifndef FOVEA_SRC_IMAGE_SMOOTH_H
#define FOVEA_SRC_IMAGE_SMOOTH_H

#include <stdbool.h>

#include "fovea/image/image.h"

/* Gaussian blur as cv2.GaussianBlur(image, (0, 0), sigma) of 8-bit images: cut at 3 sigma, rounded up to whole pixels,
   reflected about the outermost pixels (BORDER_REFLECT_101), rounded to levels. `blurred` is made. */
fv_status fv_gaussian_grey(const fv_image *grey, double sigma, fv_image *blurred);

/* Mean and variance round each pixel. */
typedef struct fv_local_moments {
    float *mean, *variance; /* levels, levels^2: {height, width}; 0 where nothing of the field is near */
    float mean_deviation;   /* mean of the square root of the variance over the field */
} fv_local_moments;

/* Weighted by a Gaussian of `sigma` px (three box means one after the other: within 3 % of it, in a time that does not
   depend on sigma; Kovesi 2010) over the pixels inside `fov` (NULL: the whole frame): normalised convolution (Knutsson
   and Westin 1993). */
fv_status fv_local_moments_make(const fv_image *grey, const fv_image *fov, double sigma, fv_local_moments *moments);
void fv_local_moments_free(fv_local_moments *moments);

#endif
