/* A depthwise convolution and the pointwise one behind it in one pass, band by band of rows: what lies between them
   stays in the level-2 cache and never sees memory. For inference; training needs what lies between. */
#ifndef FOVEA_KERNEL_SEPARABLE_H
#define FOVEA_KERNEL_SEPARABLE_H

#include "fovea/kernel/epilogue.h"
#include "fovea/kernel/gemm.h"
#include "fovea/kernel/window.h"

/* result{pixels, filters} = finish(depthwise(in, taps)) weight: `window` and taps{kernel_h, kernel_w, channels} are the
   depthwise convolution's, weight is {channels, filters}. The same bits as one after the other. */
typedef struct fv_separable {
    fv_window window;
    int channels, filters;
    const fv_real *in;
    int64_t in_stride; /* distance of two pixels in elements */
    const fv_real *taps;
    const fv_channel_epilogue *finish; /* of the depthwise convolution, without a residual; NULL: none */
    const fv_real *weight;
    fv_gemm_result result;
    void *work; /* fv_separable_work() bytes, which depend on fv_threads() */
} fv_separable;

/* Whether that is quicker: what lies between is larger than a level-2 cache, and the weight is small enough to stay
   there beside a band. */
bool fv_separable_pays(const fv_window *window, int channels, int filters);
size_t fv_separable_work(const fv_window *window, int channels);
void fv_separable_run(const fv_separable *product);

#endif
