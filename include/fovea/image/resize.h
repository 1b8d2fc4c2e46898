/* Resizing of 8-bit images, axis by axis: exact area averaging where it shrinks, bilinear where it enlarges. */
#ifndef FOVEA_IMAGE_RESIZE_H
#define FOVEA_IMAGE_RESIZE_H

#include "fovea/image/image.h"

typedef struct fv_place {
    int x, y, width, height; /* px */
} fv_place;

/* Fills the place (within target) with the whole source; equal numbers of channels. */
fv_status fv_resize_into(const fv_image *source, fv_image *target, fv_place place);

#endif
