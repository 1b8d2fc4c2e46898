/* Numbers of 8 bits: affine steps for results, symmetric ones a filter for kernels (Jacob et al. 2018). */
#ifndef FOVEA_EXCHANGE_QUANTISE_H
#define FOVEA_EXCHANGE_QUANTISE_H

#include <stdint.h>

#include "fovea/exchange/precision.h"
#include "fovea/exchange/ranges.h"

/* value = (q - zero) * scale, `least` <= q <= `most` */
typedef struct fv_steps {
    float scale;
    int zero, least, most;
} fv_steps;

/* The steps that reach over the range, moved by less than one so that 0 is one of them. uint8: least 0, most 255; int8:
   -128, 127. */
fv_steps fv_steps_of(fv_range range, int least, int most);

/* A layer's kernel and bias for integer arithmetic, in the layer's layout:
   weight[i] ~ q[i] * scale[i % filters], q in -127 .. 127; bias[f] ~ b[f] * scale[f] * input_scale. */
typedef struct fv_quantised_kernel {
    int8_t *q;
    int32_t *b;
    float *scale; /* a filter each */
    size_t count, filters;
} fv_quantised_kernel;

/* Of a layer with a kernel. A filter's scale is its largest weight / 127; larger where the bias needs it so as to stay
   below 2^30. FV_BAD_INPUT with the layer's name where a weight is no number. */
fv_status fv_quantise_kernel(const fv_folded_layer *layer, float input_scale, fv_quantised_kernel *kernel);
/* Accepts a zeroed struct. */
void fv_quantised_kernel_free(fv_quantised_kernel *kernel);

#endif
