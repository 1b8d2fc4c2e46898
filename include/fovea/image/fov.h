/* The field of view (FOV): the lit part of a fundus photograph. */
#ifndef FOVEA_IMAGE_FOV_H
#define FOVEA_IMAGE_FOV_H

#include "fovea/image/image.h"

/* Mask (1 channel, 0 or 255, the photograph's size) of the lit part: the largest component of grey > 10, holes filled,
   as OpenCV's largest outer contour. A lower or higher threshold is taken where the photograph is dark or its rim
   noisy; letters are left out; where a shadow bites the rim the convex hull is taken (docs/enhancement.md). A
   photograph without a dark rim gives the whole frame. FV_BAD_INPUT when no grey level is above 2. */
fv_status fv_fov_find(const fv_image *photo, fv_image *fov);

#endif
