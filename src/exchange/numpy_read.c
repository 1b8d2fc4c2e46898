/* .npz: a zip archive of .npy files. Format: NumPy Enhancement Proposal 1, "The format". */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "readers.h"

#define HEADER_LIMIT 65536

/* What the header, a Python dict as text, says. */
typedef struct npy_header {
    fv_foreign_type type;
    bool fortran_order;
    int dims;
    int64_t shape[FV_FOREIGN_MAX_DIMS];
} npy_header;

static fv_status wrong_header(const fv_foreign *file, const char *name, const char *what) {
    return fv_fail(FV_BAD_INPUT, "%s: array %.100s: %s", file->path, name, what);
}

/* The text behind 'key': with white space passed; NULL when it is not there. */
static const char *value_of(const char *header, const char *key) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *at = strstr(header, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), " ") : NULL;
}

static fv_status take_type(const fv_foreign *file, const char *name, const char *text, npy_header *header) {
    static const struct {
        const char *descr;
        fv_foreign_type type;
    } types[] = {{"'<f2'", FV_FOREIGN_F16}, {"'<f4'", FV_FOREIGN_F32}, {"'<f8'", FV_FOREIGN_F64}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strncmp(text, types[i].descr, 5) == 0) {
            header->type = types[i].type;
            return FV_OK;
        }
    header->type = FV_FOREIGN_WHOLE;
    bool whole = strlen(text) > 2 && text[0] == '\'' && strchr("<|", text[1]) && strchr("iub", text[2]);
    if (whole) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "%s: array %.100s is of type %.12s; expected little-endian floating point numbers: <f2, <f4 or <f8",
                   file->path, name, text);
}

static fv_status take_shape(const fv_foreign *file, const char *name, const char *text, npy_header *header) {
    if (*text != '(') return wrong_header(file, name, "its header has no shape");
    for (text++; *text && *text != ')';) {
        if (strchr(" ,", *text)) {
            text++;
            continue;
        }
        char *end;
        long long size = isdigit((unsigned char)*text) ? strtoll(text, &end, 10) : -1;
        if (size < 0 || header->dims == FV_FOREIGN_MAX_DIMS)
            return wrong_header(file, name, "its shape is no tuple of at most 8 whole numbers");
        header->shape[header->dims++] = size;
        text = end;
    }
    return *text ? FV_OK : wrong_header(file, name, "its shape does not end");
}

static fv_status parse_header(const fv_foreign *file, const char *name, const char *text, npy_header *header) {
    const char *descr = value_of(text, "descr"), *order = value_of(text, "fortran_order"),
               *shape = value_of(text, "shape");
    if (!descr || !order || !shape) return wrong_header(file, name, "its header lacks descr, fortran_order or shape");
    FV_TRY(take_type(file, name, descr, header));
    header->fortran_order = strncmp(order, "True", 4) == 0;
    return take_shape(file, name, shape, header);
}

/* "\x93NUMPY", version, length of the header (2 bytes; 4 from version 2 on), header, numbers. */
static fv_status take_header(const fv_foreign *file, const char *name, const unsigned char *data, size_t bytes,
                             npy_header *header, size_t *start) {
    *header = (npy_header){0};
    if (bytes < 12 || memcmp(data, "\x93NUMPY", 6) != 0 || data[6] < 1 || data[6] > 3)
        return wrong_header(file, name, "this is no .npy file of version 1 to 3");
    size_t prefix = data[6] == 1 ? 10 : 12, length = data[8] | (size_t)data[9] << 8;
    if (data[6] > 1) length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (length > HEADER_LIMIT || length > bytes - prefix)
        return wrong_header(file, name, "its header is longer than the file; it is cut off");
    char *text = strndup((const char *)data + prefix, length);
    if (!text) return fv_fail_memory("a header", length);
    fv_status status = parse_header(file, name, text, header);
    free(text);
    *start = prefix + length;
    return status;
}

/* Fortran order has the first index run fastest. */
static void reorder(const float *from, fv_foreign_tensor *tensor) {
    int64_t index[FV_FOREIGN_MAX_DIMS] = {0};
    for (size_t i = 0; i < tensor->count; i++) {
        size_t at = 0, step = 1;
        for (int d = 0; d < tensor->dims; step *= (size_t)tensor->shape[d++]) at += (size_t)index[d] * step;
        tensor->values[i] = from[at];
        for (int d = tensor->dims - 1; d >= 0 && ++index[d] == tensor->shape[d]; d--) index[d] = 0;
    }
}

static fv_status take_values(const npy_header *header, const void *numbers, fv_foreign_tensor *tensor) {
    if (!header->fortran_order || header->dims < 2) {
        fv_foreign_convert(header->type, numbers, tensor->count, tensor->values);
        return FV_OK;
    }
    float *plain = fv_allocate(tensor->count, sizeof *plain, "an array");
    if (!plain) return FV_NO_RESOURCE;
    fv_foreign_convert(header->type, numbers, tensor->count, plain);
    reorder(plain, tensor);
    free(plain);
    return FV_OK;
}

static fv_status add_array(fv_foreign *file, const char *name, const unsigned char *data, size_t bytes) {
    npy_header header;
    size_t start = 0, needed;
    fv_foreign_tensor *tensor;
    FV_TRY(take_header(file, name, data, bytes, &header, &start));
    if (header.type == FV_FOREIGN_WHOLE) {
        file->passed++;
        return FV_OK;
    }
    needed = fv_foreign_type_bytes(header.type);
    for (int i = 0; i < header.dims; i++) needed = fv_size_multiply(needed, (size_t)header.shape[i]);
    if (needed != bytes - start)
        return fv_fail(FV_BAD_INPUT,
                       "%s: array %.100s has %zu bytes of numbers, which do not fit its shape and type; the file is "
                       "damaged",
                       file->path, name, bytes - start);
    FV_TRY(fv_foreign_add(file, name, header.dims, header.shape, &tensor));
    return take_values(&header, data + start, tensor);
}

static fv_status read_array(const fv_zip *zip, zip_int64_t i, fv_foreign *file) {
    char name[FV_FOREIGN_NAME_MAX];
    void *data;
    size_t bytes;
    const char *entry = fv_zip_name(zip, i);
    size_t length = strlen(entry) - strlen(".npy");
    if (length >= FV_FOREIGN_NAME_MAX)
        return fv_fail(FV_BAD_INPUT, "%s: an array's name has %zu letters; at most %d are read", file->path, length,
                       FV_FOREIGN_NAME_MAX - 1);
    snprintf(name, sizeof name, "%.*s", (int)length, entry);
    FV_TRY(fv_zip_read(zip, i, FV_FOREIGN_MAX_VALUES * sizeof(double), &data, &bytes));
    fv_status status = add_array(file, name, data, bytes);
    free(data);
    return status;
}

fv_status fv_numpy_parse(const fv_zip *zip, fv_foreign *file) {
    file->kind = FV_FOREIGN_NUMPY;
    for (zip_int64_t i = 0; i < zip->count; i++) FV_TRY(read_array(zip, i, file));
    return FV_OK;
}
