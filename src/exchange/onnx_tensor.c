#include "onnx_tensor.h"

#include <math.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/tensor/half.h"

size_t fv_onnx_element_bytes(fv_onnx_element element) {
    static const unsigned char bytes[] = {
        [FV_ONNX_F32] = 4,      [FV_ONNX_F64] = 8,       [FV_ONNX_F16] = 2, [FV_ONNX_BF16] = 2,
        [FV_ONNX_F16_WIDE] = 4, [FV_ONNX_BF16_WIDE] = 4, [FV_ONNX_I64] = 8, [FV_ONNX_I32] = 4,
        [FV_ONNX_I16] = 2,      [FV_ONNX_I8] = 1,        [FV_ONNX_U8] = 1};
    return bytes[element];
}

bool fv_onnx_is_real(const fv_onnx_tensor *tensor) {
    return tensor->element < FV_ONNX_I64;
}

bool fv_onnx_is_real_type(int64_t type) {
    return type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT || type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 ||
           type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE || type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
}

/* ---- taking one from a message ---- */

/* Data of a type lie either as bytes in raw_data or in one of the typed fields. */
typedef struct storage {
    int32_t type;
    fv_onnx_element raw, typed;
} storage;

static const storage storages[] = {
    {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, FV_ONNX_F32, FV_ONNX_F32},
    {ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, FV_ONNX_F64, FV_ONNX_F64},
    {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16, FV_ONNX_F16, FV_ONNX_F16_WIDE},
    {ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16, FV_ONNX_BF16, FV_ONNX_BF16_WIDE},
    {ONNX__TENSOR_PROTO__DATA_TYPE__INT64, FV_ONNX_I64, FV_ONNX_I64},
    {ONNX__TENSOR_PROTO__DATA_TYPE__INT32, FV_ONNX_I32, FV_ONNX_I32},
    {ONNX__TENSOR_PROTO__DATA_TYPE__INT16, FV_ONNX_I16, FV_ONNX_I32},
    {ONNX__TENSOR_PROTO__DATA_TYPE__INT8, FV_ONNX_I8, FV_ONNX_I32},
    {ONNX__TENSOR_PROTO__DATA_TYPE__UINT8, FV_ONNX_U8, FV_ONNX_I32},
    {ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, FV_ONNX_U8, FV_ONNX_I32},
};

static const storage *storage_of(int32_t type) {
    for (size_t i = 0; i < sizeof storages / sizeof *storages; i++)
        if (storages[i].type == type) return &storages[i];
    return NULL;
}

fv_status fv_onnx_tensor_set_dims(fv_onnx_tensor *tensor, size_t rank, const int64_t *dims, const char *where) {
    size_t product = 1; /* of those that are not 0 */
    if (rank > FV_ONNX_MAX_RANK)
        return fv_fail(FV_BAD_INPUT, "%s has %zu dimensions; fovea reads up to %d", where, rank, FV_ONNX_MAX_RANK);
    tensor->rank = (int)rank;
    tensor->count = 1;
    for (size_t i = 0; i < rank; i++) {
        if (dims[i] < 0) return fv_fail(FV_BAD_INPUT, "%s has the negative dimension %lld", where, (long long)dims[i]);
        tensor->dims[i] = dims[i];
        if (dims[i] > 0) product = fv_size_multiply(product, (size_t)dims[i]);
        if (dims[i] == 0) tensor->count = 0;
    }
    if (product > INT32_MAX)
        return fv_fail(FV_BAD_INPUT, "%s has dimensions that come to more than 2^31 elements", where);
    if (tensor->count) tensor->count = product;
    return FV_OK;
}

/* The typed field that holds elements of this kind. */
static size_t typed_data(const Onnx__TensorProto *proto, fv_onnx_element element, const void **data) {
    switch (element) {
    case FV_ONNX_F32:
        *data = proto->float_data;
        return proto->n_float_data;
    case FV_ONNX_F64:
        *data = proto->double_data;
        return proto->n_double_data;
    case FV_ONNX_I64:
        *data = proto->int64_data;
        return proto->n_int64_data;
    default:
        *data = proto->int32_data;
        return proto->n_int32_data;
    }
}

fv_status fv_onnx_tensor_take(const Onnx__TensorProto *proto, const char *where, fv_onnx_tensor *tensor) {
    *tensor = (fv_onnx_tensor){0};
    const storage *stored = storage_of(proto->data_type);
    if (!stored)
        return fv_fail(FV_BAD_INPUT, "%s has the ONNX data type %d; fovea reads float, float16 and integers", where,
                       (int)proto->data_type);
    if (proto->n_external_data ||
        (proto->has_data_location && proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL))
        return fv_fail(FV_BAD_INPUT,
                       "%s keeps its values in another file (external data): save the model with its weights inside",
                       where);
    FV_TRY(fv_onnx_tensor_set_dims(tensor, proto->n_dims, proto->dims, where));
    tensor->element = proto->has_raw_data ? stored->raw : stored->typed;
    size_t bytes = fv_onnx_element_bytes(tensor->element), found = proto->raw_data.len / bytes;
    tensor->data = proto->raw_data.data;
    if (!proto->has_raw_data) found = typed_data(proto, tensor->element, &tensor->data);
    bool whole = !proto->has_raw_data || proto->raw_data.len % bytes == 0;
    if (whole && found == tensor->count) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s has data for %zu elements, its dimensions say %zu: the file is damaged", where,
                   found, tensor->count);
}

/* ---- reading values ---- */

#define ELEMENT_AT(type, tensor, index)                                                                                \
    type value;                                                                                                        \
    memcpy(&value, (const char *)(tensor)->data + (index) * sizeof value, sizeof value)

static int64_t stored_integer(const fv_onnx_tensor *tensor, size_t index) {
    switch (tensor->element) {
    case FV_ONNX_I64: {
        ELEMENT_AT(int64_t, tensor, index);
        return value;
    }
    case FV_ONNX_I16: {
        ELEMENT_AT(int16_t, tensor, index);
        return value;
    }
    case FV_ONNX_I8: {
        ELEMENT_AT(int8_t, tensor, index);
        return value;
    }
    case FV_ONNX_U8: {
        ELEMENT_AT(uint8_t, tensor, index);
        return value;
    }
    case FV_ONNX_F16:
    case FV_ONNX_BF16: {
        ELEMENT_AT(uint16_t, tensor, index);
        return value;
    }
    default: {
        ELEMENT_AT(int32_t, tensor, index);
        return value;
    }
    }
}

double fv_onnx_tensor_real(const fv_onnx_tensor *tensor, size_t index) {
    switch (tensor->element) {
    case FV_ONNX_F32: {
        ELEMENT_AT(float, tensor, index);
        return (double)value;
    }
    case FV_ONNX_F64: {
        ELEMENT_AT(double, tensor, index);
        return value;
    }
    case FV_ONNX_F16:
    case FV_ONNX_F16_WIDE:
        return (double)fv_half_to_float((uint16_t)stored_integer(tensor, index));
    case FV_ONNX_BF16:
    case FV_ONNX_BF16_WIDE:
        return (double)fv_bfloat16_to_float((uint16_t)stored_integer(tensor, index));
    default:
        return (double)stored_integer(tensor, index);
    }
}

int64_t fv_onnx_tensor_integer(const fv_onnx_tensor *tensor, size_t index) {
    if (!fv_onnx_is_real(tensor)) return stored_integer(tensor, index);
    double value = fv_onnx_tensor_real(tensor, index);
    return fabs(value) < 9e18 ? (int64_t)value : 0;
}

void fv_onnx_tensor_floats(const fv_onnx_tensor *tensor, size_t begin, size_t count, float *values) {
    const char *data = (const char *)tensor->data + begin * fv_onnx_element_bytes(tensor->element);
    if (tensor->element == FV_ONNX_F32)
        memcpy(values, data, count * sizeof *values);
    else if (tensor->element == FV_ONNX_F16)
        fv_halves_to_floats(count, data, values);
    else
        for (size_t i = 0; i < count; i++) values[i] = (float)fv_onnx_tensor_real(tensor, begin + i);
}
