/* What the harnesses of foreign files share. */
#ifndef TESTS_FUZZ_FUZZ_FOREIGN_H
#define TESTS_FUZZ_FUZZ_FOREIGN_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "../../src/exchange/foreign_layers.h"
#include "fovea/exchange/foreign.h"

/* Reads a file; what is accepted must be readable to its last number, and must go together to layers or not. */
static inline void fuzz_foreign(const void *data, size_t size) {
    fv_foreign file;
    fv_foreign_layers layers;
    if (fv_foreign_parse(data, size, "fuzz", &file) != FV_OK) {
        if (file.list || !*fv_error()) abort();
        return;
    }
    volatile float sum = 0;
    for (int i = 0; i < file.count; i++)
        for (size_t k = 0; k < file.list[i].count; k++) sum = sum + file.list[i].values[k];
    if (fv_foreign_layers_make(&file, &layers) == FV_OK) fv_foreign_layers_free(&layers);
    fv_foreign_free(&file);
}

#define FUZZ_MOST_CHANGES 64

/* A copy of a good file with changes, four bytes each: the offset (two bytes), the value, and how it is put in. free().
 */
static inline uint8_t *fuzz_changed(const void *good, size_t good_size, const uint8_t *data, size_t size) {
    uint8_t *changed = malloc(good_size);
    memcpy(changed, good, good_size);
    for (size_t i = 0; i + 4 <= size && i < 4 * FUZZ_MOST_CHANGES; i += 4) {
        uint8_t *at = &changed[(data[i] | (size_t)data[i + 1] << 8) % good_size];
        *at = data[i + 3] & 1 ? (uint8_t)(*at + data[i + 2]) : data[i + 2];
    }
    return changed;
}

/* A zip archive around the bytes, with right checksums, which no fuzzer guesses. `storage` may be NULL. */
static inline void fuzz_zipped(const char *name, const uint8_t *data, size_t size, const void *storage,
                               size_t storage_size) {
    zip_error_t error;
    zip_stat_t about;
    zip_error_init(&error);
    zip_source_t *file = zip_source_buffer_create(NULL, 0, 0, &error);
    zip_source_keep(file);
    zip_t *archive = zip_open_from_source(file, ZIP_TRUNCATE, &error);
    zip_int64_t i = zip_file_add(archive, name, zip_source_buffer(archive, data, size, 0), 0);
    zip_set_file_compression(archive, (zip_uint64_t)i, ZIP_CM_STORE, 0);
    if (storage) {
        i = zip_file_add(archive, "a/data/0", zip_source_buffer(archive, storage, storage_size, 0), 0);
        zip_set_file_compression(archive, (zip_uint64_t)i, ZIP_CM_STORE, 0);
    }
    if (zip_close(archive) != 0 || zip_source_stat(file, &about) != 0 || zip_source_open(file) != 0) abort();
    void *bytes = malloc(about.size);
    zip_source_read(file, bytes, about.size);
    zip_source_close(file);
    zip_source_free(file);
    fuzz_foreign(bytes, about.size);
    free(bytes);
}

#endif
