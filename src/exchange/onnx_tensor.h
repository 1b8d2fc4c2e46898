/* Tensors of an ONNX file whose values are known: weights, and the numbers that shape computations come to. */
#ifndef FOVEA_EXCHANGE_ONNX_TENSOR_H
#define FOVEA_EXCHANGE_ONNX_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "onnx_file.h"

#define FV_ONNX_MAX_RANK 8

/* How one element is stored. */
typedef enum fv_onnx_element {
    FV_ONNX_F32,
    FV_ONNX_F64,
    FV_ONNX_F16,
    FV_ONNX_BF16,
    FV_ONNX_F16_WIDE, /* the bits of a half in an int32 */
    FV_ONNX_BF16_WIDE,
    FV_ONNX_I64,
    FV_ONNX_I32,
    FV_ONNX_I16,
    FV_ONNX_I8,
    FV_ONNX_U8, /* and bool */
} fv_onnx_element;

/* Row by row, the last dimension innermost. The data belong to the file's message or to the reader. */
typedef struct fv_onnx_tensor {
    int rank;
    int64_t dims[FV_ONNX_MAX_RANK];
    size_t count; /* of elements; 1 for rank 0 */
    fv_onnx_element element;
    const void *data; /* at any address */
} fv_onnx_tensor;

/* Checks type, dims and the amount of data. FV_BAD_INPUT with a sentence
   that begins with `where`. */
fv_status fv_onnx_tensor_take(const Onnx__TensorProto *proto, const char *where, fv_onnx_tensor *tensor);
/* Sets rank, dims and count. FV_BAD_INPUT for more than FV_ONNX_MAX_RANK dims, a negative one, and a product above 2^31
   of those that are not 0, so that no product of some of them overflows. */
fv_status fv_onnx_tensor_set_dims(fv_onnx_tensor *tensor, size_t rank, const int64_t *dims, const char *where);
size_t fv_onnx_element_bytes(fv_onnx_element element);
/* Whether a data type of the schema is one of floating point numbers. */
bool fv_onnx_is_real_type(int64_t type);
bool fv_onnx_is_real(const fv_onnx_tensor *tensor);
/* `count` elements from `begin` as floats. */
void fv_onnx_tensor_floats(const fv_onnx_tensor *tensor, size_t begin, size_t count, float *values);
double fv_onnx_tensor_real(const fv_onnx_tensor *tensor, size_t index);
/* Numbers with a fraction are cut towards 0, what does not fit is 0. */
int64_t fv_onnx_tensor_integer(const fv_onnx_tensor *tensor, size_t index);

#endif
