/* Bilinear sampling of an image along an affine map, of the output as it is or bent beforehand. */
#ifndef FOVEA_IMAGE_WARP_H
#define FOVEA_IMAGE_WARP_H

#include "fovea/image/image.h"

/* From a point (x, y) of the output to a point of the image: (xx x + xy y + x0, yx x + yy y + y0), both in continuous
   coordinates where pixel i covers [i, i + 1). */
typedef struct fv_affine {
    double xx, xy, x0;
    double yx, yy, y0; /* x0, y0: px of the image */
} fv_affine;

/* A part of an image, in continuous coordinates; it may reach beyond the frame. */
typedef struct fv_window {
    double x, y, width, height; /* px of the image: upper left corner, sides */
} fv_window;

/* The map that samples a square image of side `from` to a square of side `to`: every factor is from / to. */
fv_affine fv_affine_scale(int from, int to);

/* out[(y * size + x) * stride + c], c < image->channels, of range 0..255: the image at the place where the map sends
   the centre of output pixel (x, y), interpolated bilinearly between pixel centres, repeated at the rim, 0 outside the
   frame. Each output pixel is the mean of taps x taps such places spread evenly over it (1 for plain sampling). */
void fv_warp(const fv_image *image, const fv_affine *map, int size, int taps, float *out, int stride);
/* Shifts of the places that are read, for each output pixel {size, size}: px of the output, to the right and down. */
typedef struct fv_bend {
    const float *x, *y;
} fv_bend;

/* fv_warp() of a bent output: the map is asked for the centre of output pixel (x, y) plus its shift (with taps: each
   tap moved by the shift of its pixel). The same bits on every CPU; without shifts those of fv_warp(). */
void fv_warp_bent(const fv_image *image, const fv_affine *map, const fv_bend *bend, int size, int taps, float *out,
                  int stride);
/* taps for sampling a window whose longer side is `from` px to side `to` so that no pixel is passed over: 1 up to from
   = 2 to; beyond, ceil(from / to), or half of it where from / to is even. A whole from / to gives the exact mean of
   each block of pixels. */
int fv_warp_taps(double from, int to);

#endif
