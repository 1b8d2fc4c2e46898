/* Layers of a quantised network, as far as their time is concerned: int8_projection.c. x and y are unsigned bytes,
   weights signed ones with a scale for each filter, sums whole numbers of 32 bits; y = round(sum scale[f] + offset[f]),
   limited to 0 .. 255, where offset holds bias and zero points. */
#ifndef FOVEA_TESTS_INT8_H
#define FOVEA_TESTS_INT8_H

#include <stdint.h>

typedef struct int8_layer {
    int in_h, in_w, channels, out_h, out_w, filters; /* channels: a multiple of 4 */
    int stride, top, left;                           /* of a depthwise layer, 3x3, filters = channels */
    /* 1x1: blocks of `lanes` filters, in them groups of 4 channels, in them filter by filter 4 weights. Depthwise:
       blocks of `lanes` channels, in them 3 columns of taps, in them channel by channel 3 weights and a 0. */
    int8_t *weight;
    float *scale, *offset; /* up to a multiple of `lanes` */
    float share;           /* of the residual */
} int8_layer;

typedef struct int8_kernels {
    int lanes; /* numbers of 32 bits in a vector */
    void (*pointwise)(const int8_layer *layer, const uint8_t *x, const uint8_t *residual, uint8_t *y);
    /* `zeros` stand in for a row outside. */
    void (*depthwise)(const int8_layer *layer, const uint8_t *x, const uint8_t *zeros, uint8_t *y);
} int8_kernels;

extern const int8_kernels int8_avx2, int8_avx512; /* MADDUBS and MADD; VNNI */

#endif
