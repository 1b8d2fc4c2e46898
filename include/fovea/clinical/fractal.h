/* Box-counting dimension. */
#ifndef FOVEA_CLINICAL_FRACTAL_H
#define FOVEA_CLINICAL_FRACTAL_H

#include "fovea/image/image.h"

/* The slope D of log N(s) against log(1 / s) by least squares, and its r2. N(s): boxes of s x s pixels that hold any of
   the mask, the fewest of four positions of the grid (shifted by half a box in x, in y, in both). s: the powers of 2 in
   smallest_px .. largest_px. 1 for a line, 2 for an area. Both NAN for an empty mask and for fewer than three sizes.
   FV_BAD_INPUT for a mask with 3 channels. */
fv_status fv_fractal_dimension(const fv_image *mask, int smallest_px, int largest_px, double *dimension, double *r2);

#endif
