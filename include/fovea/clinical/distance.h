/* Exact Euclidean distances within masks. */
#ifndef FOVEA_CLINICAL_DISTANCE_H
#define FOVEA_CLINICAL_DISTANCE_H

#include "fovea/image/image.h"

/* distance_px[y * width + x]: from the centre of a set pixel to the centre of the nearest pixel that is not set, px; 0
   where the mask is not set, INFINITY everywhere in a mask without background. What lies outside the image counts as
   neither. Exact (Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, Theory of Computing 8,
   2012). FV_BAD_INPUT for a mask with 3 channels. */
fv_status fv_distance_within(const fv_image *mask, float *distance_px);

#endif
