/* Weights of a layer as constants of a TensorFlow Lite model. */
#ifndef FOVEA_EXCHANGE_TFLITE_WEIGHTS_H
#define FOVEA_EXCHANGE_TFLITE_WEIGHTS_H

#include "tflite_builder.h"

/* Which dimension of a kernel counts filters. */
typedef enum tflite_layout {
    TFLITE_FILTERS_FIRST, /* {filters, height, width, in}: convolutions, transposed too */
    TFLITE_FILTERS_LAST,  /* {1, height, width, channels}: depthwise */
} tflite_layout;

/* Kernel and bias of a layer: what an operator takes. */
typedef struct tflite_kernel {
    int weight, bias; /* tensors */
} tflite_kernel;

/* Adds those of `layer`, whose kernel is taken as one of `shape` {height, width, in, filters}. In halves, the weight is
   the result of an operator DEQUANTIZE. In int8, the bias has the steps of weight x the tensor `input`, which the
   operator multiplies. */
tflite_kernel tflite_kernel_add(tflite_builder *b, const fv_folded_layer *layer, fv_shape shape, tflite_layout layout,
                                fv_export_precision precision, int input);

#endif
