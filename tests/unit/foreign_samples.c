#include "foreign_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <zip.h>

void sample_append(sample_bytes *bytes, const void *data, size_t count) {
    bytes->data = realloc(bytes->data, bytes->count + count + 1);
    assert_non_null(bytes->data);
    if (count) memcpy(bytes->data + bytes->count, data, count);
    bytes->count += count;
}

void sample_append_text(sample_bytes *bytes, const char *text) {
    sample_append(bytes, text, strlen(text));
}

/* ---- zip ---- */

static void add_entry(zip_t *archive, const sample_entry *entry, int deflate) {
    zip_source_t *source = zip_source_buffer(archive, entry->data, entry->count, 0);
    zip_int64_t index = zip_file_add(archive, entry->name, source, ZIP_FL_OVERWRITE);
    assert_true(index >= 0);
    zip_set_file_compression(archive, (zip_uint64_t)index, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
}

sample_bytes sample_zip(const sample_entry *entries, int count, int deflate) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *file = zip_source_buffer_create(NULL, 0, 0, &error);
    zip_source_keep(file);
    zip_t *archive = zip_open_from_source(file, ZIP_TRUNCATE, &error);
    assert_non_null(archive);
    for (int i = 0; i < count; i++) add_entry(archive, &entries[i], deflate);
    assert_int_equal(zip_close(archive), 0);
    zip_stat_t about;
    assert_int_equal(zip_source_stat(file, &about), 0);
    sample_bytes bytes = {malloc(about.size + 1), about.size};
    assert_int_equal(zip_source_open(file), 0);
    assert_int_equal(zip_source_read(file, bytes.data, about.size), about.size);
    zip_source_close(file);
    zip_source_free(file);
    zip_error_fini(&error);
    return bytes;
}

/* ---- pickles ---- */

void sample_pickle_text(sample_bytes *pickle, const char *text) {
    uint32_t length = (uint32_t)strlen(text);
    sample_append(pickle, "X", 1);
    sample_append(pickle, &length, 4);
    sample_append(pickle, text, length);
}

void sample_pickle_number(sample_bytes *pickle, int64_t number) {
    sample_append(pickle, "\x8a\x08", 2);
    sample_append(pickle, &number, 8);
}

static void pickle_numbers(sample_bytes *pickle, int count, const int64_t *numbers) {
    sample_append_text(pickle, "(");
    for (int i = 0; i < count; i++) sample_pickle_number(pickle, numbers[i]);
    sample_append_text(pickle, "t");
}

void sample_pickle_tensor(sample_bytes *pickle, const sample_tensor *tensor) {
    sample_pickle_text(pickle, tensor->name);
    sample_append_text(pickle, "ctorch._utils\n_rebuild_tensor_v2\n((");
    sample_pickle_text(pickle, "storage");
    sample_append_text(pickle, "ctorch\n");
    sample_append_text(pickle, tensor->storage);
    sample_append_text(pickle, "\n");
    sample_pickle_text(pickle, tensor->key);
    sample_pickle_text(pickle, "cpu");
    sample_pickle_number(pickle, tensor->numbers);
    sample_append_text(pickle, "tQ");
    sample_pickle_number(pickle, tensor->offset);
    pickle_numbers(pickle, tensor->dims, tensor->sizes);
    pickle_numbers(pickle, tensor->dims, tensor->strides);
    sample_append_text(pickle, "\x89"
                               "ccollections\nOrderedDict\n)RtR");
}

sample_bytes sample_state_dict(const sample_tensor *tensors, int count) {
    sample_bytes pickle = {0};
    sample_append_text(&pickle, "\x80\x02"
                                "ccollections\nOrderedDict\n)R(");
    for (int i = 0; i < count; i++) sample_pickle_tensor(&pickle, &tensors[i]);
    sample_append_text(&pickle, "u}");
    sample_pickle_text(&pickle, "_metadata");
    sample_append_text(&pickle, "ccollections\nOrderedDict\n)Rsb.");
    return pickle;
}

sample_bytes sample_torch(const sample_bytes *pickle, const void *storage, size_t bytes) {
    const sample_entry entries[] = {{"archive/data.pkl", pickle->data, pickle->count},
                                    {"archive/byteorder", "little", 6},
                                    {"archive/data/0", storage, bytes}};
    return sample_zip(entries, 3, 0);
}

/* ---- expecting ---- */

void sample_expect_refused(const void *data, size_t bytes, const char *text, const char *more) {
    fv_foreign file;
    assert_int_equal(fv_foreign_parse(data, bytes, "the.file", &file), FV_BAD_INPUT);
    assert_null(file.list);
    if (!strstr(fv_error(), "the.file")) fail_msg("the file is not named: %s", fv_error());
    if (text && !strstr(fv_error(), text)) fail_msg("\"%s\" is missing in: %s", text, fv_error());
    if (more && !strstr(fv_error(), more)) fail_msg("\"%s\" is missing in: %s", more, fv_error());
}

void sample_expect_cuts_refused(const sample_bytes *bytes, size_t step) {
    for (size_t count = 0; count < bytes->count; count += step) {
        unsigned char *beginning = malloc(count + 1); /* of its own, so that a sanitizer sees a read behind it */
        memcpy(beginning, bytes->data, count);
        sample_expect_refused(beginning, count, NULL, NULL);
        free(beginning);
    }
}
