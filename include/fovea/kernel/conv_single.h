/* Convolutions of many channels with a single filter, which end networks that find one class: the depthwise convolution
   with the same weights, and the sum of its channels while a band of rows is in the cache. A matrix product would have
   one column, and Winograd's way would transform all channels for it. */
#ifndef FOVEA_KERNEL_CONV_SINGLE_H
#define FOVEA_KERNEL_CONV_SINGLE_H

#include "fovea/kernel/gemm.h"
#include "fovea/kernel/window.h"

/* result{pixels, 1} = convolution of in with weight{kernel_h, kernel_w, channels, 1}. The result's `add`, `stream` and
   `sums` are not looked at. */
typedef struct fv_conv_single {
    fv_window window;
    int channels;
    const fv_real *in;
    int64_t in_stride; /* distance of two pixels in elements */
    const fv_real *weight;
    fv_gemm_result result;
    void *work; /* fv_conv_single_work() bytes, which depend on fv_threads() */
} fv_conv_single;

/* Whether that is quicker than the other ways: 3x3, one filter, and more channels than suit conv_narrow.h. */
bool fv_conv_single_pays(const fv_window *window, int channels, int filters);
size_t fv_conv_single_work(const fv_window *window, int channels);
void fv_conv_single_run(const fv_conv_single *product);

#endif
