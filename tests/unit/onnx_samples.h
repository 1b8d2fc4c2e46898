/* Small ONNX files, built message by message with protobuf-c. All memory is malloc's, so that
   onnx__model_proto__free_unpacked() frees a sample. */
#ifndef FOVEA_TESTS_ONNX_SAMPLES_H
#define FOVEA_TESTS_ONNX_SAMPLES_H

#include "onnx.pb-c.h"

/* Opset 17, input "input" {batch, 3, size, size} (0: free), output "output" {batch, classes, size, size}; no nodes yet.
 */
Onnx__ModelProto *onnx_sample_make(int size);
/* Names are separated by spaces; "-" stands for an input that is left out. The node's name is "n_<first output>". */
Onnx__NodeProto *onnx_sample_node(Onnx__ModelProto *model, const char *type, const char *inputs, const char *outputs);
void onnx_sample_ints(Onnx__NodeProto *node, const char *name, int count, const int *values);
void onnx_sample_int(Onnx__NodeProto *node, const char *name, int64_t value);
void onnx_sample_float(Onnx__NodeProto *node, const char *name, float value);
void onnx_sample_text(Onnx__NodeProto *node, const char *name, const char *value);
/* An initializer of float32 in raw_data; NULL values: small numbers of both signs, different for each name. */
Onnx__TensorProto *onnx_sample_weights(Onnx__ModelProto *model, const char *name, int rank, const int *dims,
                                       const float *values);
Onnx__TensorProto *onnx_sample_integers(Onnx__ModelProto *model, const char *name, int count, const int *values);
void onnx_sample_metadata(Onnx__ModelProto *model, const char *key, const char *value);
/* To be freed. */
void *onnx_sample_pack(const Onnx__ModelProto *model, size_t *bytes);

#endif
