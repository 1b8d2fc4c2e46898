#include "fovea/tensor/safetensors.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"
#include "safetensors_dtype.h"

#define NODE_LIMIT 1000000 /* JSON values: a few bytes of text grow to 64 bytes of cJSON each */
#define EXACT_LIMIT 0x1p53 /* whole numbers that JSON's doubles hold exactly */

size_t fv_safetensors_element_bytes(const char *dtype) {
    static const struct {
        const char *name;
        size_t bytes;
    } types[] = {{"F32", 4}, {"F64", 8}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                 {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(dtype, types[i].name)) return types[i].bytes;
    return 0;
}

size_t fv_safetensors_data_bytes(size_t element_bytes, int dims, const int64_t *shape) {
    size_t bytes = element_bytes;
    for (int i = 0; i < dims; i++) bytes = fv_size_multiply(bytes, (size_t)shape[i]);
    return bytes;
}

/* ---- the header ---- */

static uint64_t little_endian_64(const unsigned char *bytes) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

/* Bounds the memory that cJSON will take, before it takes it. */
static bool has_too_many_nodes(const char *json, size_t length) {
    size_t nodes = 0;
    for (size_t i = 0; i < length; i++) nodes += json[i] == ',' || json[i] == '[' || json[i] == '{';
    return nodes > NODE_LIMIT;
}

/* Parses the JSON text, which must be one object with nothing but white space behind it. */
static fv_status parse_header(fv_safetensors *file, const char *json, size_t length) {
    if (length == 0 || json[0] != '{')
        return fv_fail(FV_BAD_INPUT, "%s: the header does not begin with '{': this is no safetensors file", file->path);
    if (has_too_many_nodes(json, length))
        return fv_fail(FV_BAD_INPUT, "%s: the header has more than %d values", file->path, NODE_LIMIT);
    const char *end = json;
    cJSON *header = cJSON_ParseWithLengthOpts(json, length, &end, 0);
    file->header = header;
    if (!header)
        return fv_fail(FV_BAD_INPUT, "%s: the header is not JSON near its byte %td; the file is damaged", file->path,
                       end - json);
    for (; end < json + length; end++)
        if (!memchr(" \t\r\n", *end, 4))
            return fv_fail(FV_BAD_INPUT,
                           "%s: the header goes on behind its JSON object at byte %td; the file is damaged", file->path,
                           end - json);
    return FV_OK;
}

static fv_status check_metadata(fv_safetensors *file, const cJSON *metadata) {
    if (file->metadata) return fv_fail(FV_BAD_INPUT, "%s: " FV_SAFETENSORS_METADATA " is there twice", file->path);
    if (!cJSON_IsObject(metadata))
        return fv_fail(FV_BAD_INPUT, "%s: " FV_SAFETENSORS_METADATA " is not an object", file->path);
    for (const cJSON *item = metadata->child; item; item = item->next)
        if (!cJSON_IsString(item))
            return fv_fail(FV_BAD_INPUT, "%s: metadata \"%.100s\" is not a text", file->path, item->string);
    file->metadata = (void *)metadata;
    return FV_OK;
}

/* A whole number of at least 0 that a double holds exactly. */
static bool take_whole(const cJSON *item, int64_t *value) {
    if (!cJSON_IsNumber(item)) return false;
    double number = item->valuedouble;
    if (!(number >= 0 && number <= EXACT_LIMIT) || number != floor(number)) return false;
    *value = (int64_t)number;
    return true;
}

/* ---- one tensor ---- */

static fv_status take_dtype(const fv_safetensors *file, const cJSON *item, fv_safetensor *tensor) {
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    if (!cJSON_IsString(dtype) || !fv_safetensors_element_bytes(dtype->valuestring))
        return fv_fail(FV_BAD_INPUT, "%s: tensor %.100s: dtype %.20s is none of " FV_SAFETENSORS_DTYPES "; convert it",
                       file->path, tensor->name, cJSON_IsString(dtype) ? dtype->valuestring : "(missing)");
    snprintf(tensor->dtype, sizeof tensor->dtype, "%s", dtype->valuestring);
    return FV_OK;
}

static fv_status take_shape(const fv_safetensors *file, const cJSON *item, fv_safetensor *tensor) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
    if (!cJSON_IsArray(shape)) return fv_fail(FV_BAD_INPUT, "%s: tensor %.100s has no shape", file->path, tensor->name);
    for (const cJSON *size = shape->child; size; size = size->next) {
        if (tensor->dims == FV_SAFETENSORS_MAX_DIMS)
            return fv_fail(FV_BAD_INPUT, "%s: tensor %.100s has more than %d dimensions", file->path, tensor->name,
                           FV_SAFETENSORS_MAX_DIMS);
        if (!take_whole(size, &tensor->shape[tensor->dims++]))
            return fv_fail(FV_BAD_INPUT, "%s: tensor %.100s: size %d of its shape is not a whole number of at least 0",
                           file->path, tensor->name, tensor->dims);
    }
    return FV_OK;
}

static fv_status take_offsets(const fv_safetensors *file, const cJSON *item, const char *data, size_t data_bytes,
                              fv_safetensor *tensor) {
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    const cJSON *first = cJSON_IsArray(offsets) ? offsets->child : NULL;
    const cJSON *second = first ? first->next : NULL;
    int64_t begin, end;
    if (!second || second->next || !take_whole(first, &begin) || !take_whole(second, &end) || begin > end)
        return fv_fail(FV_BAD_INPUT, "%s: tensor %.100s: data_offsets are not two ascending whole numbers", file->path,
                       tensor->name);
    if ((uint64_t)end > data_bytes)
        return fv_fail(FV_BAD_INPUT,
                       "%s: tensor %.100s ends at byte %lld of the data, but there are only %zu; the file is cut off",
                       file->path, tensor->name, (long long)end, data_bytes);
    size_t expected =
        fv_safetensors_data_bytes(fv_safetensors_element_bytes(tensor->dtype), tensor->dims, tensor->shape);
    if (expected != (size_t)(end - begin))
        return fv_fail(FV_BAD_INPUT,
                       "%s: tensor %.100s has %lld bytes, which do not fit its shape and dtype %s; the file is damaged",
                       file->path, tensor->name, (long long)(end - begin), tensor->dtype);
    tensor->data = data + begin;
    tensor->bytes = expected;
    return FV_OK;
}

static fv_status take_tensor(const fv_safetensors *file, const cJSON *item, const char *data, size_t data_bytes,
                             fv_safetensor *tensor) {
    *tensor = (fv_safetensor){.name = item->string};
    if (!cJSON_IsObject(item))
        return fv_fail(FV_BAD_INPUT, "%s: the entry of tensor %.100s is not an object", file->path, tensor->name);
    FV_TRY(take_dtype(file, item, tensor));
    FV_TRY(take_shape(file, item, tensor));
    return take_offsets(file, item, data, data_bytes, tensor);
}

/* ---- all tensors ---- */

static int compare_name(const void *a, const void *b) {
    return strcmp(((const fv_safetensor *)a)->name, ((const fv_safetensor *)b)->name);
}

static int compare_place(const void *a, const void *b) {
    const fv_safetensor *left = a, *right = b;
    const char *left_begin = left->data, *right_begin = right->data;
    if (left_begin != right_begin) return left_begin < right_begin ? -1 : 1;
    if (left->bytes != right->bytes) return left->bytes < right->bytes ? -1 : 1; /* empty ones first */
    return compare_name(a, b);
}

static fv_status check_places(const fv_safetensors *file, const char *data, size_t data_bytes) {
    const char *at = data;
    for (int i = 0; i < file->count; i++) {
        const fv_safetensor *tensor = &file->list[i];
        if (tensor->data != at)
            return fv_fail(FV_BAD_INPUT, "%s: tensor %.100s %s; the file is damaged", file->path, tensor->name,
                           (const char *)tensor->data < at ? "overlaps the one before" : "leaves a gap before it");
        at += tensor->bytes;
    }
    if (at != data + data_bytes)
        return fv_fail(FV_BAD_INPUT, "%s: %td bytes behind the last tensor belong to none; the file is damaged",
                       file->path, data + data_bytes - at);
    return FV_OK;
}

static fv_status take_tensors(fv_safetensors *file, const char *data, size_t data_bytes) {
    const cJSON *header = file->header;
    file->list = fv_allocate((size_t)cJSON_GetArraySize(header), sizeof *file->list, "the list of tensors");
    if (!file->list) return FV_NO_RESOURCE;
    for (const cJSON *item = header->child; item; item = item->next) {
        if (!strcmp(item->string, FV_SAFETENSORS_METADATA))
            FV_TRY(check_metadata(file, item));
        else
            FV_TRY(take_tensor(file, item, data, data_bytes, &file->list[file->count++]));
    }
    qsort(file->list, (size_t)file->count, sizeof *file->list, compare_place);
    FV_TRY(check_places(file, data, data_bytes));
    qsort(file->list, (size_t)file->count, sizeof *file->list, compare_name);
    for (int i = 1; i < file->count; i++)
        if (!strcmp(file->list[i - 1].name, file->list[i].name))
            return fv_fail(FV_BAD_INPUT, "%s: there are two tensors named %.100s", file->path, file->list[i].name);
    return FV_OK;
}

/* Checks file->file, which the struct owns already. */
static fv_status take_file(fv_safetensors *file, size_t bytes) {
    if (bytes < 8) return fv_fail(FV_BAD_INPUT, "%s: %zu bytes are too few for a safetensors file", file->path, bytes);
    uint64_t length = little_endian_64(file->file);
    if (length > FV_SAFETENSORS_HEADER_LIMIT || length > bytes - 8)
        return fv_fail(
            FV_BAD_INPUT,
            "%s: a header of %llu bytes is announced, but the file has %zu; it is cut off or no safetensors file",
            file->path, (unsigned long long)length, bytes);
    const char *json = (const char *)file->file + 8;
    FV_TRY(parse_header(file, json, (size_t)length));
    return take_tensors(file, json + length, bytes - 8 - (size_t)length);
}

/* Takes over `content`. */
static fv_status take_content(void *content, size_t bytes, const char *name, fv_safetensors *file) {
    *file = (fv_safetensors){.file = content};
    snprintf(file->path, sizeof file->path, "%s", name);
    fv_status status = take_file(file, bytes);
    if (status != FV_OK) fv_safetensors_free(file);
    return status;
}

fv_status fv_safetensors_read(const char *path, fv_safetensors *file) {
    *file = (fv_safetensors){0};
    void *content;
    size_t bytes;
    FV_TRY(fv_file_read(path, FV_SAFETENSORS_FILE_LIMIT, &content, &bytes));
    return take_content(content, bytes, path, file);
}

fv_status fv_safetensors_parse(const void *data, size_t bytes, const char *name, fv_safetensors *file) {
    *file = (fv_safetensors){0};
    void *content = fv_allocate(bytes, 1, "a safetensors file");
    if (!content) return FV_NO_RESOURCE;
    if (bytes) memcpy(content, data, bytes);
    return take_content(content, bytes, name, file);
}

void fv_safetensors_free(fv_safetensors *file) {
    cJSON_Delete(file->header);
    free(file->list);
    free(file->file);
    *file = (fv_safetensors){0};
}

const fv_safetensor *fv_safetensors_find(const fv_safetensors *file, const char *name) {
    fv_safetensor wanted = {.name = name};
    return file->count ? bsearch(&wanted, file->list, (size_t)file->count, sizeof wanted, compare_name) : NULL;
}

const char *fv_safetensors_metadata(const fv_safetensors *file, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file->metadata, key));
}
