#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fovea/base/file.h"
#include "fovea/tensor/safetensors.h"
#include "temporary.h"

static const float weights[2][3] = {{1, -2, 3.5f}, {0, 1e-30f, -1e30f}};
static const int64_t steps[1] = {-9007199254740993};
static const uint8_t flags[5] = {1, 0, 255, 7, 9};
static const double rate[1] = {0.1};

static void write_sample(const char *path) {
    fv_safetensors_writer *writer;
    assert_int_equal(fv_safetensors_writer_make(&writer), FV_OK);
    assert_int_equal(fv_safetensors_add(writer, "flags", "U8", 1, (int64_t[]){5}, flags), FV_OK);
    assert_int_equal(fv_safetensors_add(writer, "encoder.weight", "F32", 2, (int64_t[]){2, 3}, weights), FV_OK);
    assert_int_equal(fv_safetensors_add(writer, "steps", "I64", 1, (int64_t[]){1}, steps), FV_OK);
    assert_int_equal(fv_safetensors_add(writer, "rate", "F64", 0, NULL, rate), FV_OK);
    assert_int_equal(fv_safetensors_add(writer, "nothing", "F32", 3, (int64_t[]){4, 0, 2}, NULL), FV_OK);
    assert_int_equal(fv_safetensors_add_metadata(writer, "config", "[train]\nname = \"\xc3\xa4\"\t\\ \x01\n"), FV_OK);
    assert_int_equal(fv_safetensors_add_metadata(writer, "format", "old"), FV_OK);
    assert_int_equal(fv_safetensors_add_metadata(writer, "path", "caf\xe9 \xed\xa0\x80"), FV_OK);
    assert_int_equal(fv_safetensors_add_metadata(writer, "format", "fovea"), FV_OK);
    assert_int_equal(fv_safetensors_write(writer, path), FV_OK);
}

static void assert_tensor(const fv_safetensors *file, const char *name, const char *dtype, int dims, const void *data,
                          size_t bytes) {
    const fv_safetensor *tensor = fv_safetensors_find(file, name);
    assert_non_null(tensor);
    assert_string_equal(tensor->name, name);
    assert_string_equal(tensor->dtype, dtype);
    assert_int_equal(tensor->dims, dims);
    assert_int_equal(tensor->bytes, bytes);
    if (bytes) assert_memory_equal(tensor->data, data, bytes);
}

static void written_file_reads_back(void **state) {
    (void)state;
    const char *path = temporary_path("a.safetensors");
    write_sample(path);
    fv_safetensors file;
    assert_int_equal(fv_safetensors_read(path, &file), FV_OK);
    assert_int_equal(file.count, 5);
    assert_tensor(&file, "encoder.weight", "F32", 2, weights, sizeof weights);
    assert_tensor(&file, "steps", "I64", 1, steps, sizeof steps);
    assert_tensor(&file, "flags", "U8", 1, flags, sizeof flags);
    assert_tensor(&file, "rate", "F64", 0, rate, sizeof rate);
    assert_tensor(&file, "nothing", "F32", 3, NULL, 0);
    assert_int_equal(fv_safetensors_find(&file, "encoder.weight")->shape[0], 2);
    assert_int_equal(fv_safetensors_find(&file, "encoder.weight")->shape[1], 3);
    assert_int_equal(fv_safetensors_find(&file, "nothing")->shape[1], 0);
    assert_null(fv_safetensors_find(&file, "encoder"));
    assert_string_equal(fv_safetensors_metadata(&file, "config"), "[train]\nname = \"\xc3\xa4\"\t\\ \x01\n");
    assert_string_equal(fv_safetensors_metadata(&file, "format"), "fovea");
    assert_string_equal(fv_safetensors_metadata(&file, "path"), "caf? ???");
    assert_null(fv_safetensors_metadata(&file, "Format"));
    fv_safetensors_free(&file);
    fv_safetensors_free(&file);
    unlink(path);
}

static void same_calls_write_same_bytes(void **state) {
    (void)state;
    const char *paths[2] = {temporary_path("a.safetensors"), temporary_path("b.safetensors")};
    void *content[2];
    size_t bytes[2];
    for (int i = 0; i < 2; i++) {
        write_sample(paths[i]);
        assert_int_equal(fv_file_read(paths[i], 1 << 20, &content[i], &bytes[i]), FV_OK);
        unlink(paths[i]);
    }
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(content[0], content[1], bytes[0]);
    uint64_t length;
    memcpy(&length, content[0], 8);
    assert_int_equal(length % 8, 0);
    assert_int_equal(8 + length + sizeof weights + sizeof steps + sizeof flags + sizeof rate, bytes[0]);
    free(content[0]);
    free(content[1]);
}

static void file_without_tensors_is_fine(void **state) {
    (void)state;
    const char *path = temporary_path("e.safetensors");
    fv_safetensors_writer *writer;
    fv_safetensors file;
    assert_int_equal(fv_safetensors_writer_make(&writer), FV_OK);
    assert_int_equal(fv_safetensors_write(writer, path), FV_OK);
    assert_int_equal(fv_safetensors_read(path, &file), FV_OK);
    assert_int_equal(file.count, 0);
    assert_null(fv_safetensors_find(&file, "x"));
    assert_null(fv_safetensors_metadata(&file, "x"));
    fv_safetensors_free(&file);
    unlink(path);
}

static void writer_refuses_what_cannot_be_written(void **state) {
    (void)state;
    fv_safetensors_writer *writer;
    assert_int_equal(fv_safetensors_writer_make(&writer), FV_OK);
    const int64_t one[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, negative[1] = {-1};
    const int64_t huge[8] = {1 << 30, 1 << 30, 1 << 30, 1 << 30, 1, 1, 1, 1};
    assert_int_equal(fv_safetensors_add(writer, "a", "F32", 8, one, weights), FV_OK);
    assert_int_equal(fv_safetensors_add(writer, "a", "F32", 8, one, weights), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "tensor a is added twice");
    assert_int_equal(fv_safetensors_add(writer, "b", "F8_E4M3", 1, one, weights), FV_BAD_INPUT);
    assert_int_equal(fv_safetensors_add(writer, "b", "F32", 9, one, weights), FV_BAD_INPUT);
    assert_int_equal(fv_safetensors_add(writer, "b", "F32", -1, one, weights), FV_BAD_INPUT);
    assert_int_equal(fv_safetensors_add(writer, "b", "F32", 1, negative, weights), FV_BAD_INPUT);
    assert_int_equal(fv_safetensors_add(writer, "b", "F32", 8, huge, weights), FV_BAD_INPUT);
    assert_int_equal(fv_safetensors_add(writer, "__metadata__", "F32", 1, one, weights), FV_BAD_INPUT);
    assert_int_equal(fv_safetensors_add(writer, "", "F32", 1, one, weights), FV_BAD_INPUT);
    assert_int_equal(fv_safetensors_add(writer, "\xff", "F32", 1, one, weights), FV_BAD_INPUT);
    assert_int_equal(fv_safetensors_write(writer, temporary_path("none/a.safetensors")), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "none does not exist"));
    assert_int_equal(fv_safetensors_writer_make(&writer), FV_OK);
    fv_safetensors_writer_free(writer);
    fv_safetensors_writer_free(NULL);
}

/* ---- damaged files ---- */

/* Parses a copy of exactly these bytes, so that the sanitizer sees any step beyond. */
static fv_status parse_exactly(const void *data, size_t bytes) {
    fv_safetensors file;
    fv_status status = fv_safetensors_parse(data, bytes, "a.st", &file);
    if (status != FV_OK) {
        assert_null(file.list);
        assert_null(file.file);
        assert_null(file.header);
        assert_int_equal(file.count, 0);
    }
    fv_safetensors_free(&file);
    return status;
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    const char *path = temporary_path("t.safetensors");
    write_sample(path);
    void *content;
    size_t bytes;
    assert_int_equal(fv_file_read(path, 1 << 20, &content, &bytes), FV_OK);
    unlink(path);
    assert_int_equal(parse_exactly(content, bytes), FV_OK);
    for (size_t cut = 0; cut < bytes; cut++) assert_int_equal(parse_exactly(content, cut), FV_BAD_INPUT);
    free(content);
}

static void flipped_bytes_do_no_harm(void **state) {
    (void)state;
    const char *path = temporary_path("f.safetensors");
    write_sample(path);
    void *content;
    size_t bytes;
    assert_int_equal(fv_file_read(path, 1 << 20, &content, &bytes), FV_OK);
    unlink(path);
    unsigned char *at = content;
    for (size_t i = 0; i < bytes; i++)
        for (int bit = 0; bit < 8; bit++) {
            at[i] ^= (unsigned char)(1 << bit);
            fv_status status = parse_exactly(content, bytes);
            assert_true(status == FV_OK || status == FV_BAD_INPUT);
            at[i] ^= (unsigned char)(1 << bit);
        }
    free(content);
}

/* Puts the header's length in front of `json` and `data_bytes` zeros behind it. */
static fv_status parse_json(const char *json, size_t data_bytes) {
    uint64_t length = strlen(json);
    unsigned char *content = calloc(8 + length + data_bytes, 1);
    assert_non_null(content);
    memcpy(content, &length, 8);
    memcpy(content + 8, json, length);
    fv_status status = parse_exactly(content, 8 + length + data_bytes);
    free(content);
    return status;
}

#define TENSOR(name, dtype, shape, offsets)                                                                            \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"
#define CUT "; the file is cut off"
#define DAMAGED "; the file is damaged"

static void wrong_headers_are_refused_with_a_sentence(void **state) {
    (void)state;
    static const struct {
        const char *json;
        size_t data_bytes;
        const char *sentence;
    } cases[] = {
        {"", 0, "a.st: the header does not begin with '{': this is no safetensors file"},
        {" {}", 0, "a.st: the header does not begin with '{': this is no safetensors file"},
        {"[]", 0, "a.st: the header does not begin with '{': this is no safetensors file"},
        {"{\"a\":", 0, "a.st: the header is not JSON near its byte 4" DAMAGED},
        {"{}x", 0, "a.st: the header goes on behind its JSON object at byte 2" DAMAGED},
        {"{}", 1, "a.st: 1 bytes behind the last tensor belong to none" DAMAGED},
        {"{\"a\":3}", 0, "a.st: the entry of tensor a is not an object"},
        {"{\"__metadata__\":[]}", 0, "a.st: __metadata__ is not an object"},
        {"{\"__metadata__\":{\"x\":1}}", 0, "a.st: metadata \"x\" is not a text"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "a.st: __metadata__ is there twice"},
        {"{" TENSOR("a", "F8_E5M2", "1", "0,1") "}", 1,
         "a.st: tensor a: dtype F8_E5M2 is none of F32, F64, F16, BF16, I64, I32, I16, I8, U8, BOOL; convert it"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "a.st: tensor a: dtype (missing) is none of F32, F64, F16, BF16, I64, I32, I16, I8, U8, BOOL; convert it"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "a.st: tensor a has no shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4,
         "a.st: tensor a: data_offsets are not two ascending whole numbers"},
        {"{" TENSOR("a", "F32", "-1", "0,4") "}", 4,
         "a.st: tensor a: size 1 of its shape is not a whole number of at least 0"},
        {"{" TENSOR("a", "F32", "1,1.5", "0,4") "}", 4,
         "a.st: tensor a: size 2 of its shape is not a whole number of at least 0"},
        {"{" TENSOR("a", "F32", "1e999", "0,4") "}", 4,
         "a.st: tensor a: size 1 of its shape is not a whole number of at least 0"},
        {"{" TENSOR("a", "F32", "\"1\"", "0,4") "}", 4,
         "a.st: tensor a: size 1 of its shape is not a whole number of at least 0"},
        {"{" TENSOR("a", "F32", "1,1,1,1,1,1,1,1,1", "0,4") "}", 4, "a.st: tensor a has more than 8 dimensions"},
        {"{" TENSOR("a", "F32", "1", "4,0") "}", 4, "a.st: tensor a: data_offsets are not two ascending whole numbers"},
        {"{" TENSOR("a", "F32", "1", "-4,0") "}", 4,
         "a.st: tensor a: data_offsets are not two ascending whole numbers"},
        {"{" TENSOR("a", "F32", "1", "0,4,8") "}", 8,
         "a.st: tensor a: data_offsets are not two ascending whole numbers"},
        {"{" TENSOR("a", "F32", "2", "0,8") "}", 4,
         "a.st: tensor a ends at byte 8 of the data, but there are only 4" CUT},
        {"{" TENSOR("a", "F32", "2", "0,4") "}", 4,
         "a.st: tensor a has 4 bytes, which do not fit its shape and dtype F32" DAMAGED},
        {"{" TENSOR("a", "F32", "4294967296,4294967296", "0,0") "}", 0,
         "a.st: tensor a has 0 bytes, which do not fit its shape and dtype F32" DAMAGED},
        {"{" TENSOR("a", "F32", "4611686018427387904", "0,0") "}", 0,
         "a.st: tensor a: size 1 of its shape is not a whole number of at least 0"},
        {"{" TENSOR("a", "F32", "1", "0,4") "," TENSOR("b", "F32", "1", "2,6") "}", 6,
         "a.st: tensor b overlaps the one before" DAMAGED},
        {"{" TENSOR("a", "F32", "1", "0,4") "," TENSOR("b", "F32", "1", "0,4") "}", 4,
         "a.st: tensor b overlaps the one before" DAMAGED},
        {"{" TENSOR("a", "F32", "1", "0,4") "," TENSOR("b", "F32", "1", "5,9") "}", 9,
         "a.st: tensor b leaves a gap before it" DAMAGED},
        {"{" TENSOR("a", "U8", "1", "0,1") "," TENSOR("a", "U8", "1", "1,2") "}", 2,
         "a.st: there are two tensors named a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse_json(cases[i].json, cases[i].data_bytes), FV_BAD_INPUT);
        assert_string_equal(fv_error(), cases[i].sentence);
    }
    assert_int_equal(parse_json("{" TENSOR("b", "U8", "1", "1,2") "," TENSOR("a", "U8", "1", "0,1") "}  \n", 2), FV_OK);
}

static void absurd_header_lengths_are_refused(void **state) {
    (void)state;
    static const uint64_t lengths[] = {(uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 7, 100000001, 3};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        unsigned char content[10] = {0};
        memcpy(content, &lengths[i], 8);
        memcpy(content + 8, "{}", 2);
        assert_int_equal(parse_exactly(content, sizeof content), FV_BAD_INPUT);
        assert_non_null(strstr(fv_error(), "bytes is announced, but the file has 10"));
    }
}

/* Nesting must not use up the stack, nor many small values the memory. */
static void deep_and_wide_headers_are_refused(void **state) {
    (void)state;
    size_t length = 3000000;
    char *json = malloc(length + 1);
    assert_non_null(json);
    memcpy(json, "{\"a\":", 5);
    memset(json + 5, '[', length - 5);
    json[100000] = 0;
    assert_int_equal(parse_json(json, 0), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "the header is not JSON near its byte"));
    json[100000] = '[';
    json[length] = 0;
    for (size_t i = 6; i < length; i++) json[i] = i % 2 ? ',' : '1';
    assert_int_equal(parse_json(json, 0), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "a.st: the header has more than 1000000 values");
    free(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_file_reads_back),
        cmocka_unit_test(same_calls_write_same_bytes),
        cmocka_unit_test(file_without_tensors_is_fine),
        cmocka_unit_test(writer_refuses_what_cannot_be_written),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(flipped_bytes_do_no_harm),
        cmocka_unit_test(wrong_headers_are_refused_with_a_sentence),
        cmocka_unit_test(absurd_header_lengths_are_refused),
        cmocka_unit_test(deep_and_wide_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
