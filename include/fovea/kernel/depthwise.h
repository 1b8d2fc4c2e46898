/* Depthwise convolution: every channel with its own kernel, y[i,j,c] = sum_{u,v} x[i*s + u*d - top, j*s + v*d - left,
   c] w[u,v,c]. A variant is a set of functions on one image and a range of rows; x is in_h x in_w x c, y out_h x out_w
   x c, w kernel_h x kernel_w x c (the window's n is not looked at). Rows of a result are disjoint, so ranges may run in
   parallel. */
#ifndef FOVEA_KERNEL_DEPTHWISE_H
#define FOVEA_KERNEL_DEPTHWISE_H

#include "fovea/kernel/window.h"

typedef struct fv_depthwise {
    const char *name;
    /* A variant may decline a shape; the last one, plain C, never does. */
    bool (*accepts)(const fv_window *window, int channels);
    /* y, rows [row, row_end) */
    void (*forward)(const fv_window *window, int channels, const fv_real *x, const fv_real *w, int row, int row_end,
                    fv_real *y);
    /* dx, rows [row, row_end): dx[y,x,c] = sum of dy[i,j,c] w[u,v,c] over the windows that meet the pixel, or += with
     * add */
    void (*data)(const fv_window *window, int channels, const fv_real *dy, const fv_real *w, int row, int row_end,
                 bool add, fv_real *dx);
    /* dw[u,v,c] += sum of x[...] dy[i,j,c] over rows i of [row, row_end) */
    void (*weight)(const fv_window *window, int channels, const fv_real *x, const fv_real *dy, int row, int row_end,
                   fv_real *dw);
} fv_depthwise;

/* The quickest variant for this shape that fv_cpu() allows at the moment. */
const fv_depthwise *fv_depthwise_choose(const fv_window *window, int channels);

extern const fv_depthwise fv_depthwise_direct_scalar;
#if defined(__x86_64__) && !defined(FV_DOUBLE)
/* 3x3, dilation 1, stride 1 and 2; for processors with AVX2 and FMA, and with AVX-512 F, VL, DQ and BW. */
extern const fv_depthwise fv_depthwise_3x3_avx2, fv_depthwise_3x3_avx512;
#endif

#endif
