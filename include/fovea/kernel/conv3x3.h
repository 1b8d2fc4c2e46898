/* 3x3 convolutions of stride 1: what the ways of kernel/winograd.h and kernel/conv_narrow.h are given. */
#ifndef FOVEA_KERNEL_CONV3X3_H
#define FOVEA_KERNEL_CONV3X3_H

#include "fovea/kernel/gemm.h"
#include "fovea/kernel/norm.h"
#include "fovea/kernel/window.h"

/* 3x3, stride 1, dilation 1, padding 0 to 2 at the top and left. */
static inline bool fv_window_is_3x3(const fv_window *w) {
    return w->kernel_h == 3 && w->kernel_w == 3 && w->stride == 1 && w->dilation == 1 && w->top <= 2 && w->left <= 2;
}

/* The window of the input gradient of such a convolution. */
static inline fv_window fv_conv3x3_backward_window(const fv_window *w) {
    fv_window back = *w;
    back.in_h = w->out_h;
    back.in_w = w->out_w;
    back.out_h = w->in_h;
    back.out_w = w->in_w;
    back.top = 2 - w->top;
    back.left = 2 - w->left;
    return back;
}

/* result{pixels, c_out} = convolution of in with weight{3,3,c_in,c_out}; with `backward` the weight is {3,3,c_out,c_in}
   of a convolution whose output's gradient is `in`, and the result is its input's gradient; `window` is in both cases
   the one that slides over `in`. `moments` as in fv_gemm_rows; result.stream and sums are set here. */
typedef struct fv_conv3x3_product {
    fv_window window;
    int c_in, c_out;
    const fv_real *in;
    int in_stride;             /* distance of two pixels in elements */
    const fv_norm_map *in_map; /* NULL: none; else the convolution is one of the map of in */
    const fv_real *weight;
    bool backward;
    fv_gemm_result result;
    double *moments;
    void *work; /* as many bytes as the way says, which depends on fv_threads() */
} fv_conv3x3_product;

/* dw{3,3,c_in,c_out} = sum over the pixels of (window of in)^T d_out, or += with add; with `in_map` (NULL: none) of the
   map of in. */
typedef struct fv_conv3x3_weight {
    fv_window window;
    int c_in, c_out;
    const fv_real *in, *d_out;
    int in_stride, d_out_stride;
    const fv_norm_map *in_map;
    bool add;
    fv_real *dw;
    void *work; /* as many bytes as the way says, which depends on fv_threads() */
} fv_conv3x3_weight;

#endif
