/* Parts of an output row whose places all have their four neighbours in the image: no case distinctions, so it can
   be done many pixels at a time. The bits are those of warp.c. */
#ifndef FOVEA_SRC_WARP_INNER_H
#define FOVEA_SRC_WARP_INNER_H

#include "fovea/image/warp.h"

/* One row of the output: pixel x is read at (along_x (x + 0.5) + across_x + x0, the same with y). */
typedef struct fv_warp_row {
    const fv_image *image;
    double along_x, across_x, x0, along_y, across_y, y0;
} fv_warp_row;

/* Pixels begin .. end-1; their places lie in [0.5, width - 3) x [0.5, height - 1), which leaves room to read a few
   bytes past the right neighbour. out: of pixel `begin`, `stride` floats from pixel to pixel. */
void fv_warp_inner_avx2(const fv_warp_row *row, int begin, int end, float *out, int stride);

enum { FV_WARP_PART = 64 };

/* Any places in the image, of up to FV_WARP_PART pixels. */
typedef struct fv_warp_places {
    double x[FV_WARP_PART], y[FV_WARP_PART];
} fv_warp_places;

/* `count` pixels at places that lie within the same bounds. */
void fv_warp_places_avx2(const fv_image *image, const fv_warp_places *places, int count, float *out, int stride);

#endif
