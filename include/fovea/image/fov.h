/* The field of view (FOV): the lit part of a fundus photograph. */
#ifndef FOVEA_IMAGE_FOV_H
#define FOVEA_IMAGE_FOV_H

#include "fovea/image/image.h"

/* Mask (1 channel, 0 or 255, the photograph's size) of the lit part: the largest component of grey > 10 with its holes
   filled (REFERENCE: largest outer contour, filled). A photograph without a dark rim gives the whole frame.
   FV_BAD_INPUT when nothing is lit. */
fv_status fv_fov_find(const fv_image *photo, fv_image *fov);

#endif
