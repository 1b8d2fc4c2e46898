#include "tflite_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

void tflite_builder_free(tflite_builder *b) {
    for (int i = 0; i < b->tensor_count; i++) {
        free((void *)b->tensors[i].data);
        free((void *)b->tensors[i].quantisation.scale);
    }
    free(b->tensors);
    free(b->operators);
    *b = (tflite_builder){0};
}

void tflite_builder_fail(tflite_builder *b, fv_status status) {
    if (b->status == FV_OK) b->status = status;
}

/* Room for one more element of `size` bytes. */
static bool make_room(tflite_builder *b, void **list, int count, int *capacity, size_t size) {
    if (b->status != FV_OK) return false;
    if (count < *capacity) return true;
    int larger = *capacity ? 2 * *capacity : 64;
    void *grown = realloc(*list, (size_t)larger * size);
    if (!grown) {
        tflite_builder_fail(b, fv_fail_memory("a TensorFlow Lite model", (size_t)larger * size));
        return false;
    }
    *list = grown;
    *capacity = larger;
    return true;
}

int tflite_tensor_add(tflite_builder *b, const char *name, const char *suffix, tflite_type type, int dims,
                      const int *shape) {
    if (!make_room(b, (void **)&b->tensors, b->tensor_count, &b->tensor_capacity, sizeof *b->tensors))
        return TFLITE_NO_TENSOR;
    tflite_tensor *t = &b->tensors[b->tensor_count];
    *t = (tflite_tensor){.type = type, .dims = dims};
    snprintf(t->name, sizeof t->name, "%s%s", name, suffix);
    memcpy(t->shape, shape, (size_t)dims * sizeof *shape);
    return b->tensor_count++;
}

static size_t bytes_of(tflite_type type) {
    switch (type) {
    case TFLITE_FLOAT32:
    case TFLITE_INT32:
        return 4;
    case TFLITE_FLOAT16:
        return 2;
    case TFLITE_UINT8:
    case TFLITE_INT8:
        break;
    }
    return 1;
}

int tflite_constant_add(tflite_builder *b, const char *name, const char *suffix, tflite_type type, int dims,
                        const int *shape, void **data) {
    *data = NULL;
    int tensor = tflite_tensor_add(b, name, suffix, type, dims, shape);
    if (tensor == TFLITE_NO_TENSOR) return tensor;
    size_t bytes = bytes_of(type);
    for (int i = 0; i < dims; i++) bytes = fv_size_multiply(bytes, (size_t)shape[i]);
    *data = fv_allocate_unset(bytes, 1, "the weights of a TensorFlow Lite model");
    b->tensors[tensor].data = *data;
    b->tensors[tensor].bytes = bytes;
    if (*data) return tensor;
    tflite_builder_fail(b, FV_NO_RESOURCE);
    return TFLITE_NO_TENSOR;
}

static int copied_add(tflite_builder *b, const char *name, const char *suffix, tflite_type type, int dims,
                      const int *shape, const void *values) {
    void *data;
    int tensor = tflite_constant_add(b, name, suffix, type, dims, shape, &data);
    if (data) memcpy(data, values, b->tensors[tensor].bytes);
    return tensor;
}

int tflite_integers_add(tflite_builder *b, const char *name, const char *suffix, int dims, const int *shape,
                        const int *values) {
    return copied_add(b, name, suffix, TFLITE_INT32, dims, shape, values);
}

int tflite_floats_add(tflite_builder *b, const char *name, const char *suffix, int dims, const int *shape,
                      const float *values) {
    return copied_add(b, name, suffix, TFLITE_FLOAT32, dims, shape, values);
}

void tflite_tensor_quantise(tflite_builder *b, int tensor, const float *scale, int count, int axis, int zero_point) {
    if (b->status != FV_OK) return;
    float *copy = fv_allocate((size_t)count, sizeof *copy, "the scales of a TensorFlow Lite model");
    if (!copy) {
        tflite_builder_fail(b, FV_NO_RESOURCE);
        return;
    }
    memcpy(copy, scale, (size_t)count * sizeof *copy);
    b->tensors[tensor].quantisation = (tflite_quantisation){copy, count, axis, zero_point};
}

void tflite_tensor_quantise_alike(tflite_builder *b, int to, int from) {
    if (b->status != FV_OK) return;
    const tflite_quantisation *q = &b->tensors[from].quantisation;
    if (q->count) tflite_tensor_quantise(b, to, q->scale, q->count, q->axis, q->zero_point);
}

tflite_operator *tflite_operator_add(tflite_builder *b, tflite_operator_kind kind, int count, const int *inputs,
                                     int output) {
    if (!make_room(b, (void **)&b->operators, b->operator_count, &b->operator_capacity, sizeof *b->operators)) {
        b->forgotten = (tflite_operator){0};
        return &b->forgotten;
    }
    tflite_operator *o = &b->operators[b->operator_count++];
    *o = (tflite_operator){.kind = kind, .input_count = count, .output = output, .stride = 1, .dilation = 1};
    memcpy(o->inputs, inputs, (size_t)count * sizeof *inputs);
    return o;
}

/* The least version of an operator that has what is asked of it, as TensorFlow's converter numbers them
   (tensorflow/compiler/mlir/lite/tools/versioning/op_version.cc). */
static int version_of(const tflite_operator *o, const tflite_tensor *tensors) {
    const tflite_tensor *in = &tensors[o->inputs[o->kind == TFLITE_TRANSPOSE_CONV ? TFLITE_TRANSPOSE_CONV_DATA : 0]];
    bool integer = in->type == TFLITE_INT8;
    switch (o->kind) {
    case TFLITE_CONV_2D: /* 6: in groups */
        return in->shape[3] != tensors[o->inputs[1]].shape[3] ? 6 : integer ? 3 : 1;
    case TFLITE_DEPTHWISE_CONV_2D:
        return integer ? 3 : o->dilation > 1 ? 2 : 1;
    case TFLITE_TRANSPOSE_CONV: /* 3: with a bias */
        return o->activation == TFLITE_ACTIVATION_NONE ? 3 : 4;
    case TFLITE_DEQUANTIZE:
        return in->type == TFLITE_FLOAT16 ? 3 : 2;
    case TFLITE_QUANTIZE: /* 2: from one step to another, instead of from float32 */
        return integer && tensors[o->output].type == TFLITE_INT8 ? 2 : 1;
    case TFLITE_RESIZE_BILINEAR: /* 3: half-pixel centres */
        return 3;
    case TFLITE_ADD:
    case TFLITE_CAST:
    case TFLITE_CONCATENATION:
    case TFLITE_LOGISTIC:
    case TFLITE_MAX_POOL_2D:
    case TFLITE_MEAN:
    case TFLITE_MUL:
    case TFLITE_PAD:
    case TFLITE_PADV2:
    case TFLITE_RELU:
    case TFLITE_RELU6:
    case TFLITE_RESHAPE:
    case TFLITE_RESIZE_NEAREST_NEIGHBOR:
    case TFLITE_RSQRT:
    case TFLITE_SLICE:
    case TFLITE_SUB:
        break;
    }
    return integer ? 2 : 1;
}

void tflite_builder_set_versions(tflite_builder *b) {
    for (int i = 0; i < b->operator_count; i++) b->operators[i].version = version_of(&b->operators[i], b->tensors);
}
