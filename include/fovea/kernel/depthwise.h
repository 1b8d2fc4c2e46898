/* Depthwise convolution: every channel with its own kernel, y[i,j,c] = sum_{u,v} x[i*s + u*d - top, j*s + v*d - left,
   c] w[u,v,c]. A variant is a set of functions on one image and a range of rows; x is in_h x in_w x c, y out_h x out_w
   x c, w kernel_h x kernel_w x c (the window's n is not looked at). Pixels of x and dx stand x_stride elements apart, c
   or more, all others side by side. Rows of a result are disjoint, so ranges may run in parallel. */
#ifndef FOVEA_KERNEL_DEPTHWISE_H
#define FOVEA_KERNEL_DEPTHWISE_H

#include "fovea/base/cpu.h"
#include "fovea/kernel/epilogue.h"
#include "fovea/kernel/window.h"

typedef struct fv_depthwise {
    fv_cpu_level level;
    const char *name;
    /* A variant may decline a shape; the last one, plain C, never does. */
    bool (*accepts)(const fv_window *window, int channels);
    /* y, rows [row, row_end), through the epilogue unless that is NULL; its residual is that of the image's pixel 0. */
    void (*forward)(const fv_window *window, int channels, const fv_real *x, int64_t x_stride, const fv_real *w,
                    int row, int row_end, const fv_channel_epilogue *epilogue, fv_real *y);
    /* dx, rows [row, row_end): dx[y,x,c] = sum of dy[i,j,c] w[u,v,c] over the windows that meet the pixel, or += with
     * add */
    void (*data)(const fv_window *window, int channels, const fv_real *dy, const fv_real *w, int row, int row_end,
                 bool add, fv_real *dx, int64_t x_stride);
    /* dw[u,v,c] += sum of x[...] dy[i,j,c] over rows i of [row, row_end) */
    void (*weight)(const fv_window *window, int channels, const fv_real *x, int64_t x_stride, const fv_real *dy,
                   int row, int row_end, fv_real *dw);
} fv_depthwise;

/* The quickest variant for this shape that fv_cpu() allows at the moment. */
const fv_depthwise *fv_depthwise_choose(const fv_window *window, int channels);

/* The variants, best first, then NULL; the last one, plain C, accepts everything. */
extern const fv_depthwise *const fv_depthwise_variants[];

#endif
