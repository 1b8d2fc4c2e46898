/* 8-bit images, interleaved, rows from the top, no padding between rows. */
#ifndef FOVEA_IMAGE_IMAGE_H
#define FOVEA_IMAGE_IMAGE_H

#include <stdint.h>

#include "fovea/base/status.h"

typedef struct fv_image {
    int width, height; /* px */
    int channels;      /* 1 grey, 3 RGB */
    uint8_t *data;     /* width * height * channels */
} fv_image;

/* Bound on width * height of a decoded file, checked before anything is allocated. */
#define FV_IMAGE_MAX_PIXELS ((int64_t)120 * 1000 * 1000)

/* Zeroed image. FV_BAD_INPUT for a side below 1 or channels other than 1 and 3, FV_NO_RESOURCE without memory. */
fv_status fv_image_make(int width, int height, int channels, fv_image *image);
/* The same with pixels of any value, for those who write them all. */
fv_status fv_image_make_unset(int width, int height, int channels, fv_image *image);
void fv_image_free(fv_image *image); /* safe on a zeroed struct, and twice */
/* `copy` is made anew: what it held before is not freed. */
fv_status fv_image_copy(const fv_image *source, fv_image *copy);
/* The part of width x height pixels from (x, y) on, which must lie within the source, as an image of its own. */
fv_status fv_image_crop(const fv_image *source, int x, int y, int width, int height, fv_image *part);

#endif
