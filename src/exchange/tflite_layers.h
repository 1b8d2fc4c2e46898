/* Layers as operators of a TensorFlow Lite model. */
#ifndef FOVEA_EXCHANGE_TFLITE_LAYERS_H
#define FOVEA_EXCHANGE_TFLITE_LAYERS_H

#include "tflite_builder.h"

/* Adds all layers behind the tensor `input`; returns the last one's result. Types as `settings` say. */
int tflite_layers_add(tflite_builder *b, const fv_folded *folded, const fv_tflite_settings *settings, int input);

/* Gives an int8 tensor the step and zero point with which it has the numbers of `range`: real 0 is always one of them.
 */
void tflite_tensor_quantise_range(tflite_builder *b, int tensor, fv_range range);

#endif
