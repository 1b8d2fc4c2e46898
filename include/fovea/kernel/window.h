/* How a window slides over an image: the geometry that convolutions and depthwise convolutions share. "in" is the side
   with more pixels: the input of a convolution, the output of a transposed one. Window position (i, j) and tap (u, v)
   meet in-pixel (i*stride + u*dilation - top, j*stride + v*dilation - left); taps that fall outside count as zeros. */
#ifndef FOVEA_KERNEL_WINDOW_H
#define FOVEA_KERNEL_WINDOW_H

#include <stdint.h>

#include "fovea/tensor/tensor.h"

typedef struct fv_window {
    int n;                  /* images */
    int in_h, in_w;         /* px */
    int out_h, out_w;       /* window positions */
    int kernel_h, kernel_w; /* taps */
    int stride, dilation;   /* px, at least 1 */
    int top, left;          /* padding, px; what lies below and at the right follows from out_h and out_w */
} fv_window;

static inline int64_t fv_window_in_pixels(const fv_window *w) {
    return (int64_t)w->n * w->in_h * w->in_w;
}
static inline int64_t fv_window_out_pixels(const fv_window *w) {
    return (int64_t)w->n * w->out_h * w->out_w;
}

/* The taps u in [begin, end) of 0 .. taps-1 for which 0 <= start + u*dilation < size; may be empty. */
typedef struct fv_tap_range {
    int begin, end;
} fv_tap_range;

static inline fv_tap_range fv_window_clip(int start, int dilation, int taps, int size) {
    fv_tap_range range = {0, taps};
    if (start < 0) range.begin = (-start + dilation - 1) / dilation;
    if (start >= size) {
        range.end = 0;
    } else if ((size - 1 - start) / dilation + 1 < taps) {
        range.end = (size - 1 - start) / dilation + 1;
    }
    if (range.begin > range.end) range.begin = range.end;
    return range;
}

#endif
