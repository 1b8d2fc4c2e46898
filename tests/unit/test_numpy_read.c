/* .npz archives: versions, types, orders of .npy files, and damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foreign_samples.h"

/* A .npy file with this header text. */
static sample_bytes npy(int version, const char *header, const void *numbers, size_t bytes) {
    sample_bytes file = {0};
    uint32_t length = (uint32_t)strlen(header);
    const unsigned char start[8] = {0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)version, 0};
    sample_append(&file, start, 8);
    sample_append(&file, &length, version == 1 ? 2 : 4);
    sample_append_text(&file, header);
    sample_append(&file, numbers, bytes);
    return file;
}

#define HEADER(descr, fortran, shape)                                                                                  \
    "{'descr': '" descr "', 'fortran_order': " fortran ", 'shape': (" shape "), }         \n"

static void types_versions_and_orders(void **state) {
    (void)state;
    const float single[6] = {1, 2, 3, 4, 5, 6};
    const double wide[2] = {0.5, -7};
    const uint16_t half[1] = {0x3800}; /* 0.5 */
    const int64_t whole[1] = {9};
    sample_bytes files[] = {npy(1, HEADER("<f4", "False", "2, 3"), single, sizeof single),
                            npy(2, HEADER("<f4", "True", "2, 3"), single, sizeof single),
                            npy(3, HEADER("<f8", "False", "2,"), wide, sizeof wide),
                            npy(1, HEADER("<f2", "False", ""), half, sizeof half),
                            npy(1, HEADER("<i8", "False", "1,"), whole, sizeof whole),
                            npy(1, HEADER("<f4", "False", "0, 5"), NULL, 0)};
    const char *const names[] = {"c.npy", "fortran.npy", "wide.npy", "half.npy", "counter.npy", "empty.npy"};
    sample_entry entries[6];
    for (int i = 0; i < 6; i++) entries[i] = (sample_entry){names[i], files[i].data, files[i].count};
    for (int deflate = 0; deflate < 2; deflate++) {
        fv_foreign file;
        sample_bytes zip = sample_zip(entries, 6, deflate);
        if (fv_foreign_parse(zip.data, zip.count, "the.file", &file) != FV_OK) fail_msg("%s", fv_error());
        assert_int_equal(file.kind, FV_FOREIGN_NUMPY);
        assert_int_equal(file.count, 5);
        assert_int_equal(file.passed, 1);
        assert_string_equal(file.list[0].name, "c");
        assert_memory_equal(file.list[0].values, single, sizeof single);
        const float reordered[6] = {1, 3, 5, 2, 4, 6};
        assert_memory_equal(file.list[1].values, reordered, sizeof reordered);
        assert_true(file.list[2].values[1] == -7 && file.list[3].values[0] == 0.5f && file.list[3].dims == 0);
        assert_true(file.list[4].dims == 2 && file.list[4].count == 0);
        fv_foreign_free(&file);
        free(zip.data);
    }
    for (int i = 0; i < 6; i++) free(files[i].data);
}

static void expect_refused(sample_bytes file, const char *text) {
    const sample_entry entry = {"a.npy", file.data, file.count};
    sample_bytes zip = sample_zip(&entry, 1, 0);
    sample_expect_refused(zip.data, zip.count, text, NULL);
    free(zip.data);
    free(file.data);
}

static void damaged_arrays(void **state) {
    (void)state;
    const float x[4] = {0};
    const size_t n = sizeof x;
    expect_refused(npy(1, HEADER(">f4", "False", "4,"), x, n), "of type '>f4'");
    expect_refused(npy(1, HEADER("|O", "False", "4,"), x, n), "of type '|O'");
    expect_refused(npy(1, HEADER("<c8", "False", "2,"), x, n), "expected little-endian floating point numbers");
    expect_refused(npy(1, HEADER("<f4", "False", "5,"), x, n), "16 bytes of numbers, which do not fit");
    expect_refused(npy(1, HEADER("<f4", "False", "4611686018427387905,"), x, n), "do not fit its shape");
    expect_refused(npy(1, HEADER("<f4", "False", "4294967296, 4294967296, 4"), x, n), "do not fit its shape");
    expect_refused(npy(1, HEADER("<f4", "False", "99999999999999999999999,"), x, n), "do not fit its shape");
    expect_refused(npy(1, HEADER("<f4", "False", "-4,"), x, n), "its shape is no tuple");
    expect_refused(npy(1, HEADER("<f4", "False", "1,1,1,1,1,1,1,1,4"), x, n), "its shape is no tuple of at most 8");
    expect_refused(npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4, ", x, 0), "its shape does not end");
    expect_refused(npy(1, "{'descr': '<f4', 'shape': (4,)}", x, n), "lacks descr, fortran_order or shape");
    expect_refused(npy(1, "{'fortran_order': False, 'shape': (4,), 'descr': '", x, 0), "is of type '");
    expect_refused(npy(4, HEADER("<f4", "False", "4,"), x, n), "no .npy file of version 1 to 3");
    sample_bytes cut = npy(1, HEADER("<f4", "False", "4,"), x, n);
    cut.count = 40;
    expect_refused(cut, "its header is longer than the file");
    sample_bytes whole = npy(1, HEADER("<f4", "False", "4,"), x, n);
    const sample_entry entry = {"a.npy", whole.data, whole.count};
    sample_bytes zip = sample_zip(&entry, 1, 1);
    sample_expect_cuts_refused(&zip, 1);
    free(zip.data);
    free(whole.data);
}

/* An archive whose directory claims more than deflate can have packed. */
static void bomb_in_the_directory(void **state) {
    (void)state;
    sample_bytes whole = npy(1, HEADER("<f4", "False", "4,"), "0123456789abcdef", 16);
    const sample_entry entry = {"a.npy", whole.data, whole.count};
    sample_bytes zip = sample_zip(&entry, 1, 1);
    const uint32_t claimed = 0x7fffffff;
    unsigned char *directory = memmem(zip.data, zip.count, "PK\001\002", 4);
    assert_non_null(directory);
    memcpy(zip.data + 22, &claimed, 4);  /* size in the entry's own header, */
    memcpy(directory + 24, &claimed, 4); /* and in the directory */
    sample_expect_refused(zip.data, zip.count, NULL, NULL);
    free(zip.data);
    free(whole.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_versions_and_orders),
        cmocka_unit_test(damaged_arrays),
        cmocka_unit_test(bomb_in_the_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
