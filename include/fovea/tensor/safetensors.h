/* safetensors files: an 8-byte little-endian header length, a JSON header {name: {dtype, shape, data_offsets},
   "__metadata__": {key: text}}, then the data. Format: huggingface/safetensors, README "Format". */
#ifndef FOVEA_TENSOR_SAFETENSORS_H
#define FOVEA_TENSOR_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "fovea/base/status.h"

#define FV_SAFETENSORS_MAX_DIMS 8

typedef struct fv_safetensor {
    const char *name;
    char dtype[8]; /* "F32", "F64", "F16", "BF16", "I64", "I32", "I16", "I8", "U8" or "BOOL" */
    int dims;
    int64_t shape[FV_SAFETENSORS_MAX_DIMS];
    const void *data; /* aligned or not: read by memcpy where the type needs it */
    size_t bytes;
} fv_safetensor;

/* A file read whole. */
typedef struct fv_safetensors {
    fv_safetensor *list; /* sorted by name */
    int count;
    void *file;     /* the bytes */
    void *metadata; /* cJSON object of strings, or NULL */
    void *header;   /* cJSON: owns the names */
    char path[256]; /* for messages, cut */
} fv_safetensors;

/* Reads and checks everything before use: header length against the file's size and 100 MB, JSON, dtype, shape times
   element size equal to the offsets, names given once, data that cover the rest of the file without gap or overlap (as
   the reference implementation wants it). FV_BAD_INPUT with one sentence otherwise; the file is limited to 4 GiB. */
fv_status fv_safetensors_read(const char *path, fv_safetensors *file);
/* The same from memory, which is copied; `name` stands in messages. */
fv_status fv_safetensors_parse(const void *data, size_t bytes, const char *name, fv_safetensors *file);
/* Accepts a zeroed struct. */
void fv_safetensors_free(fv_safetensors *file);
/* NULL when there is none of that name. */
const fv_safetensor *fv_safetensors_find(const fv_safetensors *file, const char *name);
/* Metadata text of `key`, NULL when absent. */
const char *fv_safetensors_metadata(const fv_safetensors *file, const char *key);

/* Writing: collect, then write once, atomically (fv_file). Names and metadata are copied, data is not: it must stay
   until fv_safetensors_write(). The same calls give the same bytes. */
typedef struct fv_safetensors_writer fv_safetensors_writer;
fv_status fv_safetensors_writer_make(fv_safetensors_writer **writer);
/* dtype one of those above, dims 0 .. 8, `name` UTF-8 and given once; FV_BAD_INPUT otherwise. */
fv_status fv_safetensors_add(fv_safetensors_writer *writer, const char *name, const char *dtype, int dims,
                             const int64_t *shape, const void *data);
/* Bytes of `text` that are not UTF-8 (an old path, say) are written as '?'. A key given again gets the new text. */
fv_status fv_safetensors_add_metadata(fv_safetensors_writer *writer, const char *key, const char *text);
/* Writes and frees the writer, whatever the result. Tensors of wide elements come first, else in the order of adding:
   so each begins at a multiple of its element's size without a gap, which the format forbids. */
fv_status fv_safetensors_write(fv_safetensors_writer *writer, const char *path);
/* Accepts NULL. */
void fv_safetensors_writer_free(fv_safetensors_writer *writer);

#endif
