/* A reader in a process of its own: what it reads arrives whole, what it breaks stays there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/exchange/isolated.h"
#include "temporary.h"

#define MANY 300000 /* floats: more than a pipe holds */

static fv_status good_reader(const void *data, size_t bytes, fv_foreign *file) {
    const int64_t shape[2] = {3, MANY / 3};
    fv_foreign_tensor *tensor;
    FV_TRY(fv_foreign_add(file, "many", 2, shape, &tensor));
    for (int i = 0; i < MANY; i++) tensor->values[i] = (float)i;
    FV_TRY(fv_foreign_add(file, "empty", 0, NULL, &tensor));
    tensor->values[0] = (float)bytes + *(const char *)data;
    file->passed = 4;
    return FV_OK;
}

static fv_status refusing_reader(const void *data, size_t bytes, fv_foreign *file) {
    (void)data;
    return fv_fail(FV_BAD_INPUT, "%s has %zu bytes of nonsense", file->path, bytes);
}

static fv_status crashing_reader(const void *data, size_t bytes, fv_foreign *file) {
    (void)data, (void)bytes, (void)file;
    raise(SIGSEGV);
    return FV_OK;
}

static fv_status leaving_reader(const void *data, size_t bytes, fv_foreign *file) {
    (void)data, (void)bytes, (void)file;
    _exit(9);
}

static fv_status endless_reader(const void *data, size_t bytes, fv_foreign *file) {
    volatile bool on = true;
    (void)data, (void)bytes, (void)file;
    while (on) {
    }
    return FV_OK;
}

/* Succeeds if it gets a gigabyte for a file of a few bytes. */
static fv_status greedy_reader(const void *data, size_t bytes, fv_foreign *file) {
    (void)data, (void)bytes;
    void *much = mmap(NULL, (size_t)1 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return much != MAP_FAILED ? good_reader("", 0, file) : fv_fail(FV_BAD_INPUT, "no gigabyte can be had");
}

/* Succeeds if it gets at a file. */
static fv_status curious_reader(const void *data, size_t bytes, fv_foreign *file) {
    (void)bytes;
    bool opened = open(data, O_RDONLY) >= 0 || open(data, O_WRONLY | O_CREAT, 0666) >= 0;
    return opened ? good_reader("", 0, file) : fv_fail(FV_BAD_INPUT, "no file can be opened");
}

static fv_status isolate(fv_foreign_reader reader, const char *data, fv_foreign *file) {
    *file = (fv_foreign){.path = "the.file"};
    return fv_foreign_isolate(reader, "libtest", data, strlen(data), file);
}

static void tensors_arrive_whole(void **state) {
    (void)state;
    fv_foreign file;
    assert_int_equal(isolate(good_reader, "A", &file), FV_OK);
    assert_int_equal(file.count, 2);
    assert_int_equal(file.passed, 4);
    assert_string_equal(file.list[0].name, "many");
    assert_true(file.list[0].dims == 2 && file.list[0].shape[1] == MANY / 3);
    for (int i = 0; i < MANY; i++)
        if (file.list[0].values[i] != (float)i) fail_msg("value %d is %g", i, (double)file.list[0].values[i]);
    assert_true(file.list[1].dims == 0 && file.list[1].values[0] == 1 + 'A');
    fv_foreign_free(&file);
}

static void expect_sentence(fv_foreign_reader reader, const char *data, const char *text) {
    fv_foreign file;
    assert_int_equal(isolate(reader, data, &file), FV_BAD_INPUT);
    if (!strstr(fv_error(), text)) fail_msg("\"%s\" is missing in: %s", text, fv_error());
    fv_foreign_free(&file);
}

static void failures_stay_there(void **state) {
    (void)state;
    expect_sentence(refusing_reader, "xyz", "the.file has 3 bytes of nonsense");
    expect_sentence(crashing_reader, "", "the.file is damaged, and libtest broke down over it (signal 11)");
    expect_sentence(leaving_reader, "", "libtest broke down over it (code 9)");
    expect_sentence(endless_reader, "", "libtest broke down over it (signal 24)"); /* SIGXCPU, two seconds later */
}

static void memory_goes_by_the_file(void **state) {
    (void)state;
    expect_sentence(greedy_reader, "few", "no gigabyte can be had");
}

static void no_file_can_be_opened(void **state) {
    (void)state;
    expect_sentence(curious_reader, "/dev/null", "no file can be opened");
    expect_sentence(curious_reader, temporary_path("new"), "no file can be opened");
    assert_int_equal(temporary_count(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_arrive_whole),
        cmocka_unit_test(failures_stay_there),
        cmocka_unit_test(memory_goes_by_the_file),
        cmocka_unit_test(no_file_can_be_opened),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
