/* Weights of a layer as constants of a TensorFlow Lite model. */
#ifndef FOVEA_EXCHANGE_TFLITE_WEIGHTS_H
#define FOVEA_EXCHANGE_TFLITE_WEIGHTS_H

#include "tflite_builder.h"

typedef struct tflite_kernel {
    int weight, bias; /* tensors that an operator takes */
} tflite_kernel;

/* Which dimension of a kernel counts filters, each of which has a step of its own when quantised. */
typedef enum tflite_kernel_layout {
    TFLITE_FILTERS_FIRST, /* {filters, height, width, in}: convolutions, transposed too */
    TFLITE_FILTERS_LAST,  /* {1, height, width, channels}: depthwise */
} tflite_kernel_layout;

/* Weight and bias of `layer`, whose kernel is taken as one of `shape` {height, width, in, filters}, as fovea has them.
   `type`: float32; a weight in float16, which an operator DEQUANTIZE makes float32; or int8 for an operator on the int8
   tensor `input`: real = step[filter] x stored with step = largest / 127, and the bias in int32 in units of step x
   input's step. */
tflite_kernel tflite_kernel_add(tflite_builder *b, const fv_folded_layer *layer, fv_shape shape,
                                tflite_kernel_layout layout, fv_tflite_type type, int input);

#endif
