#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"
#include "fovea/tensor/safetensors.h"
#include "safetensors_dtype.h"

#define HEADER_STEP 8            /* the header is padded so that the data begin at a multiple of it */
#define SIZE_LIMIT 1000000000000 /* bytes; cJSON prints whole numbers up to 10^15 without exponent */

struct fv_safetensors_writer {
    fv_safetensor *list; /* names are ours */
    int count, capacity;
    cJSON *metadata;
};

fv_status fv_safetensors_writer_make(fv_safetensors_writer **writer) {
    *writer = fv_allocate(1, sizeof **writer, "a safetensors file");
    return *writer ? FV_OK : FV_NO_RESOURCE;
}

void fv_safetensors_writer_free(fv_safetensors_writer *writer) {
    if (!writer) return;
    for (int i = 0; i < writer->count; i++) free((char *)writer->list[i].name);
    free(writer->list);
    cJSON_Delete(writer->metadata);
    free(writer);
}

/* Length in bytes of the UTF-8 character at `text`, 0 when it is none (Unicode standard, table 3-7). */
static size_t utf8_length(const unsigned char *text) {
    unsigned char first = text[0], low = 0x80, high = 0xbf;
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f; /* surrogates */
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf)
        if (text[i] < low || text[i] > high) return 0;
    return length;
}

/* Puts '?' in place of what is not UTF-8; returns how many bytes were replaced. */
static int mend_utf8(char *text) {
    int replaced = 0;
    while (*text) {
        size_t length = utf8_length((const unsigned char *)text);
        if (!length) {
            *text = '?';
            replaced++;
            length = 1;
        }
        text += length;
    }
    return replaced;
}

static fv_status check_tensor(const fv_safetensors_writer *writer, const char *name, const char *dtype, int dims,
                              const int64_t *shape) {
    size_t element_bytes = fv_safetensors_element_bytes(dtype);
    if (!element_bytes)
        return fv_fail(FV_BAD_INPUT, "tensor %s: dtype %s is none of " FV_SAFETENSORS_DTYPES, name, dtype);
    if (!*name || !strcmp(name, FV_SAFETENSORS_METADATA))
        return fv_fail(FV_BAD_INPUT, "\"%s\" cannot be the name of a tensor", name);
    if (dims < 0 || dims > FV_SAFETENSORS_MAX_DIMS)
        return fv_fail(FV_BAD_INPUT, "tensor %s: %d dimensions, 0 to %d can be written", name, dims,
                       FV_SAFETENSORS_MAX_DIMS);
    for (int i = 0; i < dims; i++)
        if (shape[i] < 0 || shape[i] > SIZE_LIMIT)
            return fv_fail(FV_BAD_INPUT, "tensor %s: size %lld of its shape is not possible", name,
                           (long long)shape[i]);
    if (fv_safetensors_data_bytes(element_bytes, dims, shape) > SIZE_LIMIT)
        return fv_fail(FV_BAD_INPUT, "tensor %s is too large to be written", name);
    for (int i = 0; i < writer->count; i++)
        if (!strcmp(writer->list[i].name, name)) return fv_fail(FV_BAD_INPUT, "tensor %s is added twice", name);
    return FV_OK;
}

static fv_status grow(fv_safetensors_writer *writer) {
    if (writer->count < writer->capacity) return FV_OK;
    int capacity = writer->capacity ? 2 * writer->capacity : 64;
    fv_safetensor *larger = realloc(writer->list, (size_t)capacity * sizeof *larger);
    if (!larger) return fv_fail_memory("the list of tensors", (size_t)capacity * sizeof *larger);
    writer->list = larger;
    writer->capacity = capacity;
    return FV_OK;
}

fv_status fv_safetensors_add(fv_safetensors_writer *writer, const char *name, const char *dtype, int dims,
                             const int64_t *shape, const void *data) {
    FV_TRY(check_tensor(writer, name, dtype, dims, shape));
    FV_TRY(grow(writer));
    char *copy = strdup(name);
    if (!copy) return fv_fail_memory("a tensor's name", strlen(name));
    if (mend_utf8(copy)) {
        free(copy);
        return fv_fail(FV_BAD_INPUT, "the name of a tensor, %s, is not UTF-8", name);
    }
    fv_safetensor *fresh = &writer->list[writer->count++];
    *fresh = (fv_safetensor){.name = copy, .dims = dims, .data = data};
    fresh->bytes = fv_safetensors_data_bytes(fv_safetensors_element_bytes(dtype), dims, shape);
    snprintf(fresh->dtype, sizeof fresh->dtype, "%s", dtype);
    for (int i = 0; i < dims; i++) fresh->shape[i] = shape[i];
    return FV_OK;
}

fv_status fv_safetensors_add_metadata(fv_safetensors_writer *writer, const char *key, const char *text) {
    char *key_copy = strdup(key), *text_copy = strdup(text);
    bool done = key_copy && text_copy;
    if (!writer->metadata) writer->metadata = cJSON_CreateObject();
    if (done && writer->metadata) {
        mend_utf8(key_copy);
        mend_utf8(text_copy);
        cJSON_DeleteItemFromObjectCaseSensitive(writer->metadata, key_copy);
        done = cJSON_AddStringToObject(writer->metadata, key_copy, text_copy);
    }
    done = done && writer->metadata;
    free(key_copy);
    free(text_copy);
    return done ? FV_OK : fv_fail_memory("the metadata of a safetensors file", strlen(text));
}

/* ---- the file ---- */

/* Puts wide elements first and keeps the order of adding otherwise. */
static fv_safetensor *order_by_width(const fv_safetensors_writer *writer) {
    fv_safetensor *ordered = fv_allocate((size_t)writer->count, sizeof *ordered, "the list of tensors");
    int placed = 0;
    for (size_t width = 8; ordered && width > 0; width /= 2)
        for (int i = 0; i < writer->count; i++)
            if (fv_safetensors_element_bytes(writer->list[i].dtype) == width) ordered[placed++] = writer->list[i];
    return ordered;
}

static bool add_number(cJSON *array, size_t value) {
    return cJSON_AddItemToArray(array, cJSON_CreateNumber((double)value));
}

/* {"dtype": ..., "shape": [...], "data_offsets": [begin, end]} */
static bool describe(cJSON *header, const fv_safetensor *tensor, size_t begin) {
    cJSON *entry = cJSON_AddObjectToObject(header, tensor->name);
    if (!entry || !cJSON_AddStringToObject(entry, "dtype", tensor->dtype)) return false;
    cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
    cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    bool done = shape && offsets;
    for (int i = 0; i < tensor->dims && done; i++) done = add_number(shape, (size_t)tensor->shape[i]);
    return done && add_number(offsets, begin) && add_number(offsets, begin + tensor->bytes);
}

/* The header's JSON text, NULL without memory. */
static char *header_text(fv_safetensors_writer *writer, const fv_safetensor *ordered) {
    cJSON *header = cJSON_CreateObject();
    bool done = header != NULL;
    if (done && writer->metadata) {
        done = cJSON_AddItemToObject(header, FV_SAFETENSORS_METADATA, writer->metadata);
        if (done) writer->metadata = NULL; /* the header owns it now */
    }
    size_t begin = 0;
    for (int i = 0; i < writer->count && done; begin += ordered[i++].bytes) done = describe(header, &ordered[i], begin);
    char *text = done ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    return text;
}

static fv_status write_file(const char *path, const char *json, const fv_safetensor *ordered, int count) {
    size_t length = strlen(json), padded = (length + HEADER_STEP - 1) / HEADER_STEP * HEADER_STEP;
    if (padded > FV_SAFETENSORS_HEADER_LIMIT)
        return fv_fail(FV_BAD_INPUT, "%s: the header would exceed 100 MB; keep less metadata", path);
    fv_file file;
    FV_TRY(fv_file_begin(&file, path));
    uint64_t announced = padded; /* little-endian, as the host is */
    fwrite(&announced, sizeof announced, 1, file.stream);
    fwrite(json, 1, length, file.stream);
    for (size_t i = length; i < padded; i++) fputc(' ', file.stream);
    for (int i = 0; i < count && !ferror(file.stream); i++)
        if (ordered[i].bytes) fwrite(ordered[i].data, 1, ordered[i].bytes, file.stream);
    return fv_file_commit(&file); /* finds what failed */
}

fv_status fv_safetensors_write(fv_safetensors_writer *writer, const char *path) {
    fv_safetensor *ordered = order_by_width(writer);
    char *json = ordered ? header_text(writer, ordered) : NULL;
    fv_status status =
        json ? write_file(path, json, ordered, writer->count)
             : fv_fail_memory("the header of a safetensors file", (size_t)writer->count * sizeof *ordered);
    cJSON_free(json);
    free(ordered);
    fv_safetensors_writer_free(writer);
    return status;
}
