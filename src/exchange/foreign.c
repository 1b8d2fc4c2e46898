#include "fovea/exchange/foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"
#include "fovea/tensor/half.h"
#include "readers.h"

#define FILE_LIMIT ((size_t)4 << 30)

const char *const fv_foreign_kind_names[] = {"Keras HDF5", "PyTorch", "NumPy", "safetensors", NULL};

/* ---- the list ---- */

static fv_status count_values(const fv_foreign *file, const char *name, int dims, const int64_t *shape, size_t *count) {
    if (dims < 0 || dims > FV_FOREIGN_MAX_DIMS)
        return fv_fail(FV_BAD_INPUT, "%s: tensor %.100s has %d dimensions; at most %d are read", file->path, name, dims,
                       FV_FOREIGN_MAX_DIMS);
    *count = 1;
    for (int i = 0; i < dims; i++) {
        if (shape[i] < 0)
            return fv_fail(FV_BAD_INPUT, "%s: tensor %.100s has a negative size; the file is damaged", file->path,
                           name);
        *count = fv_size_multiply(*count, (size_t)shape[i]);
    }
    if (*count > FV_FOREIGN_MAX_VALUES || file->values + *count > FV_FOREIGN_MAX_VALUES)
        return fv_fail(FV_BAD_INPUT, "%s: with tensor %.100s the file has more than %zu values", file->path, name,
                       FV_FOREIGN_MAX_VALUES);
    return FV_OK;
}

static fv_status grow(fv_foreign *file) {
    if (file->count < file->capacity) return FV_OK;
    if (file->count == FV_FOREIGN_MAX_TENSORS)
        return fv_fail(FV_BAD_INPUT, "%s has more than %d tensors", file->path, FV_FOREIGN_MAX_TENSORS);
    int capacity = file->capacity ? 2 * file->capacity : 256;
    fv_foreign_tensor *larger = realloc(file->list, (size_t)capacity * sizeof *larger);
    if (!larger) return fv_fail_memory("the list of tensors", (size_t)capacity * sizeof *larger);
    file->list = larger;
    file->capacity = capacity;
    return FV_OK;
}

fv_status fv_foreign_add(fv_foreign *file, const char *name, int dims, const int64_t *shape,
                         fv_foreign_tensor **tensor) {
    size_t count = 0;
    if (strlen(name) >= FV_FOREIGN_NAME_MAX)
        return fv_fail(FV_BAD_INPUT, "%s: a tensor's name has %zu letters; at most %d are read", file->path,
                       strlen(name), FV_FOREIGN_NAME_MAX - 1);
    FV_TRY(count_values(file, name, dims, shape, &count));
    FV_TRY(grow(file));
    fv_foreign_tensor *fresh = &file->list[file->count];
    *fresh = (fv_foreign_tensor){.dims = dims, .count = count};
    if (dims) memcpy(fresh->shape, shape, (size_t)dims * sizeof *shape);
    fresh->name = strdup(name);
    fresh->values = fv_allocate(count, sizeof *fresh->values, "a tensor's values");
    file->count++; /* fv_foreign_free() takes what is there */
    if (!fresh->name) return fv_fail_memory("a tensor's name", strlen(name));
    if (!fresh->values) return FV_NO_RESOURCE;
    file->values += count;
    *tensor = fresh;
    return FV_OK;
}

void fv_foreign_free(fv_foreign *file) {
    for (int i = 0; i < file->count; i++) {
        free(file->list[i].name);
        free(file->list[i].values);
    }
    free(file->list);
    *file = (fv_foreign){0};
}

const char *fv_foreign_shape_text(const fv_foreign_tensor *tensor, char text[FV_FOREIGN_SHAPE_TEXT]) {
    size_t at = (size_t)snprintf(text, FV_FOREIGN_SHAPE_TEXT, "(");
    for (int i = 0; i < tensor->dims && at < FV_FOREIGN_SHAPE_TEXT - 24; i++)
        at += (size_t)snprintf(text + at, FV_FOREIGN_SHAPE_TEXT - at, "%s%lld", i ? ", " : "",
                               (long long)tensor->shape[i]);
    snprintf(text + at, FV_FOREIGN_SHAPE_TEXT - at, tensor->dims == 1 ? ",)" : ")");
    return text;
}

/* ---- numbers ---- */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are moved as the file has them: little-endian");

size_t fv_foreign_type_bytes(fv_foreign_type type) {
    static const size_t bytes[] = {2, 2, 4, 8, 0};
    return bytes[type];
}

void fv_foreign_convert(fv_foreign_type type, const void *from, size_t count, float *to) {
    if (type == FV_FOREIGN_F16) fv_halves_to_floats(count, from, to);
    if (type == FV_FOREIGN_BF16) fv_bfloat16s_to_floats(count, from, to);
    if (type == FV_FOREIGN_F32 && count) memcpy(to, from, count * sizeof *to);
    if (type != FV_FOREIGN_F64) return;
    for (size_t i = 0; i < count; i++) {
        double wide;
        memcpy(&wide, (const char *)from + i * sizeof wide, sizeof wide); /* at any address */
        to[i] = (float)wide;
    }
}

/* ---- which reader ---- */

static bool begins(const void *data, size_t bytes, const char *magic, size_t length) {
    return bytes >= length && memcmp(data, magic, length) == 0;
}

static bool ends_with(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

/* torch.save, numpy.savez and Keras 3 all write zip archives: the entries' names tell. */
static fv_status parse_zip(const fv_zip *zip, fv_foreign *file) {
    bool arrays = zip->count > 0;
    for (zip_int64_t i = 0; i < zip->count; i++) {
        const char *name = fv_zip_name(zip, i);
        if (name && ends_with(name, "data.pkl")) return fv_torch_parse(zip, file);
        if (name && ends_with(name, "model.weights.h5"))
            return fv_fail(FV_BAD_INPUT,
                           "%s is a .keras file of Keras 3, whose layers have no names to go by; load it in Keras and "
                           "save it with model.save(\"model.h5\")",
                           file->path);
        arrays = arrays && name && ends_with(name, ".npy");
    }
    if (arrays) return fv_numpy_parse(zip, file);
    return fv_fail(FV_BAD_INPUT,
                   "%s is a zip archive but neither of torch.save (no data.pkl in it) nor of numpy.savez (not all "
                   "entries end with .npy)",
                   file->path);
}

static fv_status parse_archive(const void *data, size_t bytes, fv_foreign *file) {
    fv_zip zip;
    FV_TRY(fv_zip_open(data, bytes, file->path, &zip));
    fv_status status = parse_zip(&zip, file);
    fv_zip_close(&zip);
    return status;
}

static bool is_hdf5(const void *data, size_t bytes) {
    return begins(data, bytes, "\211HDF\r\n\032\n", 8);
}

static bool is_zip(const void *data, size_t bytes) {
    return begins(data, bytes, "PK\003\004", 4);
}

static bool is_pickle(const void *data, size_t bytes) {
    return begins(data, bytes, "\200\002", 2) || begins(data, bytes, "\200\003", 2) ||
           begins(data, bytes, "\200\004", 2);
}

bool fv_foreign_is_file(const char *path) {
    char head[9];
    FILE *stream = fopen(path, "rb");
    if (!stream) return false;
    size_t bytes = fread(head, 1, sizeof head, stream);
    fclose(stream);
    bool safetensors = bytes == sizeof head && head[8] == '{'; /* whose length may begin like any of these */
    return !safetensors && (is_hdf5(head, bytes) || is_zip(head, bytes) || is_pickle(head, bytes));
}

static fv_status parse(const void *data, size_t bytes, fv_foreign *file) {
    if (is_hdf5(data, bytes)) return fv_keras_parse(data, bytes, file);
    if (is_zip(data, bytes)) return parse_archive(data, bytes, file);
    if (bytes > 8 && ((const char *)data)[8] == '{') return fv_safetensors_to_foreign(data, bytes, file);
    if (is_pickle(data, bytes))
        return fv_fail(FV_BAD_INPUT,
                       "%s is a bare pickle, as PyTorch before 1.6 wrote; load it there and save it again with "
                       "torch.save(model.state_dict(), ...)",
                       file->path);
    return fv_fail(FV_BAD_INPUT,
                   "%s is no file of weights that fovea knows; it reads .h5 of Keras, .pth of torch.save, .npz and "
                   ".safetensors",
                   file->path);
}

fv_status fv_foreign_parse(const void *data, size_t bytes, const char *name, fv_foreign *file) {
    *file = (fv_foreign){0};
    snprintf(file->path, sizeof file->path, "%s", name);
    fv_status status = parse(data, bytes, file);
    if (status == FV_OK && file->count == 0)
        status = fv_fail(FV_BAD_INPUT, "%s holds no tensor of floating point numbers", file->path);
    if (status != FV_OK) fv_foreign_free(file);
    return status;
}

fv_status fv_foreign_read(const char *path, fv_foreign *file) {
    void *data;
    size_t bytes;
    *file = (fv_foreign){0};
    FV_TRY(fv_file_read(path, FILE_LIMIT, &data, &bytes));
    fv_status status = fv_foreign_parse(data, bytes, path, file);
    free(data);
    return status;
}
