/* Operations on binary masks (1 channel, 0 or not 0). Images with 3 channels are FV_BAD_INPUT where a status is
 * returned. */
#ifndef FOVEA_IMAGE_MASK_H
#define FOVEA_IMAGE_MASK_H

#include <stdbool.h>

#include "fovea/image/image.h"

/* Level of a pixel of a mask that is not yet binary: a coloured one counts by its brightest channel. */
static inline uint8_t fv_mask_level(const uint8_t *pixel, int channels) {
    uint8_t brightest = pixel[0];
    for (int c = 1; c < channels; c++)
        if (pixel[c] > brightest) brightest = pixel[c];
    return brightest;
}

/* 255 where the pixel is above `threshold`, 0 elsewhere; of fv_mask_level(). Result has 1 channel. */
fv_status fv_mask_from_image(const fv_image *image, int threshold, fv_image *mask);
/* Keeps the component (8-connected) with most pixels; of equals the first in reading order. */
fv_status fv_mask_keep_largest(fv_image *mask);
/* Sets (to 255) background that is not 4-connected to the border. */
fv_status fv_mask_fill_holes(fv_image *mask);
/* mask := mask and other; equal sizes. */
void fv_mask_and(fv_image *mask, const fv_image *other);
int64_t fv_mask_count(const fv_image *mask);

typedef struct fv_box {
    int x0, y0, x1, y1; /* px, inclusive */
} fv_box;
/* false for an empty mask. */
bool fv_mask_box(const fv_image *mask, fv_box *box);

#endif
