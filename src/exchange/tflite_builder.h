/* A TensorFlow Lite model being collected, tensor by tensor and operator by operator.

   As with fv_graph, the first failure sticks and later calls do nothing, so that layers read as formulas: functions
   that return a tensor return TFLITE_NO_TENSOR then. */
#ifndef FOVEA_EXCHANGE_TFLITE_BUILDER_H
#define FOVEA_EXCHANGE_TFLITE_BUILDER_H

#include "fovea/exchange/tflite_write.h"
#include "tflite_flatbuffer.h"

#define TFLITE_NO_TENSOR (-1)

enum { TFLITE_TRANSPOSE_CONV_DATA = 2 }; /* which input of that operator is convolved: behind size and kernel */

typedef struct tflite_builder {
    tflite_tensor *tensors; /* their data and scales are owned */
    tflite_operator *operators;
    int tensor_count, tensor_capacity, operator_count, operator_capacity;
    fv_status status;
    tflite_operator forgotten; /* see tflite_operator_add() */
} tflite_builder;

/* Accepts a zeroed struct. */
void tflite_builder_free(tflite_builder *b);
/* Remembers the first failure. */
void tflite_builder_fail(tflite_builder *b, fv_status status);

/* A fresh tensor called "<name><suffix>", without data and quantisation. */
int tflite_tensor_add(tflite_builder *b, const char *name, const char *suffix, tflite_type type, int dims,
                      const int *shape);
/* A fresh constant of `dims` sizes whose `bytes` bytes of data the caller fills in through the returned tensor's
 *data: NULL after a failure. */
int tflite_constant_add(tflite_builder *b, const char *name, const char *suffix, tflite_type type, int dims,
                        const int *shape, void **data);
/* Constants of int32 and of float32. */
int tflite_integers_add(tflite_builder *b, const char *name, const char *suffix, int dims, const int *shape,
                        const int *values);
int tflite_floats_add(tflite_builder *b, const char *name, const char *suffix, int dims, const int *shape,
                      const float *values);
/* Gives the tensor `count` scales along `axis`; they are copied. */
void tflite_tensor_quantise(tflite_builder *b, int tensor, const float *scale, int count, int axis, int zero_point);
/* The step and zero point of `from` for `to` as well. */
void tflite_tensor_quantise_alike(tflite_builder *b, int to, int from);

/* An operator of `kind` on `count` tensors that makes `output`; for the caller to set what the kind has of options,
   until the next one is added. Never NULL: after a failure what is set is forgotten. */
tflite_operator *tflite_operator_add(tflite_builder *b, tflite_operator_kind kind, int count, const int *inputs,
                                     int output);
/* When all is added: fills in the operators' versions, which follow from types and options. */
void tflite_builder_set_versions(tflite_builder *b);

#endif
