/* Messages of an ONNX model, put together piece by piece on the heap: the published schema's structs as protobuf-c
   generates them. Whatever fails for lack of memory is remembered; all later calls then do nothing, so that a writer
   checks once, at the end. Format: onnx/onnx, docs/IR.md and onnx.proto. */
#ifndef FOVEA_SRC_EXCHANGE_ONNX_BUILD_H
#define FOVEA_SRC_EXCHANGE_ONNX_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "fovea/base/status.h"
#include "onnx.pb-c.h"

typedef enum onnx_type { /* element types, as the schema numbers them */
                         ONNX_FLOAT = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
                         ONNX_HALF = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16,
                         ONNX_INT8 = ONNX__TENSOR_PROTO__DATA_TYPE__INT8,
                         ONNX_UINT8 = ONNX__TENSOR_PROTO__DATA_TYPE__UINT8,
                         ONNX_INT32 = ONNX__TENSOR_PROTO__DATA_TYPE__INT32,
                         ONNX_INT64 = ONNX__TENSOR_PROTO__DATA_TYPE__INT64,
} onnx_type;

#define ONNX_MAX_DIMS 4

typedef struct onnx_builder {
    Onnx__ModelProto *model;
    bool failed; /* out of memory */
} onnx_builder;

/* A dimension of the network's input or output: a name ("batch") where it is free, else a size. */
typedef struct onnx_dimension {
    const char *name;
    int64_t size;
} onnx_dimension;

fv_status onnx_begin(onnx_builder *builder, const char *graph_name, int opset);
void onnx_free(onnx_builder *builder);

/* A node with one output. An input that is "" is an absent optional one. NULL when out of memory, which the setters
   below accept. */
Onnx__NodeProto *onnx_node(onnx_builder *builder, const char *op, int input_count, const char *const *inputs,
                           const char *output);
void onnx_set_int(onnx_builder *builder, Onnx__NodeProto *node, const char *name, int64_t value);
void onnx_set_float(onnx_builder *builder, Onnx__NodeProto *node, const char *name, float value);
void onnx_set_text(onnx_builder *builder, Onnx__NodeProto *node, const char *name, const char *value);
void onnx_set_ints(onnx_builder *builder, Onnx__NodeProto *node, const char *name, int count, const int64_t *values);

/* A constant tensor, as raw data: little-endian, like every processor that fovea runs on. Returns its zeroed memory to
   be filled, NULL when out of memory. */
void *onnx_tensor(onnx_builder *builder, const char *name, onnx_type type, int dims, const int64_t *sizes);
void onnx_input(onnx_builder *builder, const char *name, onnx_type type, const onnx_dimension dims[ONNX_MAX_DIMS]);
void onnx_output(onnx_builder *builder, const char *name, onnx_type type, const onnx_dimension dims[ONNX_MAX_DIMS]);
void onnx_metadata(onnx_builder *builder, const char *key, const char *text);
void onnx_describe(onnx_builder *builder, const char *producer, const char *version, const char *doc);

/* FV_NO_RESOURCE when anything has failed; FV_BAD_INPUT above protobuf's 2 GiB. */
fv_status onnx_write(const onnx_builder *builder, const char *path);

#endif
