/* Layers in 8 bits, for inference: results are unsigned bytes, kernels signed ones of -63 .. 63, sums whole numbers of
   32 bits. A byte q of a tensor stands for the value (q - zero) step. For a kernel with a step of its own for each
   filter, the sum over zeros included is linear in the result (Jacob et al. 2018, arXiv:1712.05877), so that every
   layer ends in y = round(sum scale[f] + offset[f]), limited to 0 .. 255, halves to even where offset holds bias and
   zeros. Kernels have 7 bits so that the sum of two products fits into 16 (AVX2's MADDUBS).

   Sums are exact, and the multiplication and the addition behind them are fused, rounded once, in every variant: all
   give the same bits. */
#ifndef FOVEA_KERNEL_INT8_H
#define FOVEA_KERNEL_INT8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea/base/cpu.h"
#include "fovea/kernel/window.h"

#define FV_INT8_MOST_WEIGHT 63
#define FV_INT8_LANES_MAX 16

typedef struct fv_int8_layer {
    fv_window window;            /* n = 1; a product of pixels: in_h x in_w of them, 1x1 */
    int channels, filters;       /* channels a multiple of 4 (depthwise: of 8, and equal to filters), filters of 8 */
    const int8_t *weight;        /* packed: fv_int8_place() */
    const float *scale, *offset; /* for each filter, zeros behind them up to a multiple of lanes */
    uint8_t zero;                /* of x: what stands outside of the picture */
} fv_int8_layer;

typedef struct fv_int8_kernels {
    fv_cpu_level level;
    const char *name;
    int lanes; /* filters side by side in a packed kernel: up to FV_INT8_LANES_MAX */
    /* y, pixels [begin, end): the matrix product {pixels, channels} {channels, filters}. */
    void (*product)(const fv_int8_layer *layer, int64_t begin, int64_t end, const uint8_t *x, uint8_t *y);
    /* y, rows [row, row_end): 3x3, stride 1 or 2. outside: a pixel of `channels` zeros of x, and 16 bytes more. x may
       be read up to 16 bytes behind its end. */
    void (*depthwise)(const fv_int8_layer *layer, int row, int row_end, const uint8_t *x, const uint8_t *outside,
                      uint8_t *y);
    /* As product, but y = sum scale[f] + offset[f], floats, for any number of filters and channels; weight is {filters,
       channels}, not packed. For the last layer. */
    void (*logits)(const fv_int8_layer *layer, int64_t begin, int64_t end, const uint8_t *x, float *y);
    /* y = x scale + offset, rounded and limited. Rows of `channels` bytes, those of y y_stride bytes apart. */
    void (*quantise)(size_t count, const float *x, float scale, float offset, uint8_t *y);
    void (*rescale)(size_t rows, size_t channels, const uint8_t *x, float scale, float offset, uint8_t *y,
                    size_t y_stride);
    /* y = a scale_a + b scale_b + offset, rounded and limited. */
    void (*add)(size_t count, const uint8_t *a, const uint8_t *b, float scale_a, float scale_b, float offset,
                uint8_t *y);
} fv_int8_kernels;

/* Where weight k of filter f stands in the packed kernel of a product of `channels` channels; for a depthwise kernel
   `channels` is 12 and k = 4 v + u for row u and column v. What is not placed is 0. */
static inline size_t fv_int8_place(int lanes, int channels, int k, int f) {
    return (size_t)(f / lanes) * (size_t)lanes * (size_t)channels + (size_t)(k / 4 * 4 * lanes + f % lanes * 4 + k % 4);
}
#define FV_INT8_DEPTHWISE 12 /* places for the nine weights of a channel */

/* Filters of a packed kernel with those that fill it up, and so the numbers of scale and of offset. */
static inline size_t fv_int8_padded(int lanes, int filters) {
    return (size_t)((filters + lanes - 1) / lanes * lanes);
}

/* The quickest variant that the CPU and fv_cpu() allow at the moment. */
const fv_int8_kernels *fv_int8_kernels_choose(void);

/* The variants that the CPU has, best first, plain C last, then NULL. */
extern const fv_int8_kernels *const fv_int8_variants[];
/* Whether the CPU has the instructions of a variant (AVX-512's needs VNNI, which fv_cpu() says nothing of). */
bool fv_int8_runs(const fv_int8_kernels *kernels);

#endif
