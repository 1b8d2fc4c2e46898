/* Files of other frameworks, put together byte by byte for the tests of their readers: zip archives and pickles. */
#ifndef TESTS_UNIT_FOREIGN_SAMPLES_H
#define TESTS_UNIT_FOREIGN_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "fovea/exchange/foreign.h"

/* Bytes that grow; free(bytes->data). */
typedef struct sample_bytes {
    unsigned char *data;
    size_t count;
} sample_bytes;

void sample_append(sample_bytes *bytes, const void *data, size_t count);
void sample_append_text(sample_bytes *bytes, const char *text);

/* One entry of a zip archive. */
typedef struct sample_entry {
    const char *name;
    const void *data;
    size_t count;
} sample_entry;

/* An archive of these entries; `deflate`: packed, else as they are. */
sample_bytes sample_zip(const sample_entry *entries, int count, int deflate);

/* ---- pickles, as torch.save writes them ---- */

typedef struct sample_tensor {
    const char *name, *storage; /* "FloatStorage" */
    const char *key;            /* of the storage's entry: "0" */
    int64_t numbers;            /* that the storage has */
    int64_t offset;
    int dims;
    int64_t sizes[4], strides[4];
} sample_tensor;

void sample_pickle_text(sample_bytes *pickle, const char *text);
void sample_pickle_number(sample_bytes *pickle, int64_t number);
/* One item of a dict: name and tensor. */
void sample_pickle_tensor(sample_bytes *pickle, const sample_tensor *tensor);
/* A whole state_dict with its `_metadata`. */
sample_bytes sample_state_dict(const sample_tensor *tensors, int count);
/* torch.save's archive with this pickle and one storage, "0". */
sample_bytes sample_torch(const sample_bytes *pickle, const void *storage, size_t bytes);

/* ---- expecting ---- */

/* The file is refused with a sentence that has both texts (NULL: any), and nothing is left. */
void sample_expect_refused(const void *data, size_t bytes, const char *text, const char *more);
/* No beginning of the file is accepted, or breaks the reader. */
void sample_expect_cuts_refused(const sample_bytes *bytes, size_t step);

#endif
