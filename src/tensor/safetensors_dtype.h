/* Element types that fovea reads and writes. */
#ifndef SRC_TENSOR_SAFETENSORS_DTYPE_H
#define SRC_TENSOR_SAFETENSORS_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#define FV_SAFETENSORS_HEADER_LIMIT ((uint64_t)100 * 1000 * 1000)
#define FV_SAFETENSORS_FILE_LIMIT ((size_t)4 << 30)
#define FV_SAFETENSORS_DTYPES "F32, F64, F16, BF16, I64, I32, I16, I8, U8, BOOL"
#define FV_SAFETENSORS_METADATA "__metadata__"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "tensor data are moved as they are: the file is little-endian");

/* Bytes of one element, 0 for an unknown dtype. */
size_t fv_safetensors_element_bytes(const char *dtype);
/* Bytes of a tensor's data, SIZE_MAX when that does not fit; sizes must not be negative. */
size_t fv_safetensors_data_bytes(size_t element_bytes, int dims, const int64_t *shape);

#endif
