/* fovea export --tflite as a user runs it. What the files compute: test_tflite.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/exchange/tflite_flatbuffer.h"
#include "command.h"

/* The folder that tiny.ini trains into. */
#define RUN "runs/tiny"

static int setup(void **state) {
    if (command_setup(state) != 0) return -1;
    command_write_tiny_ini();
    command_expect_good(FOVEA("train", "tiny.ini", "--quiet"));
    return 0;
}

static size_t expect_file(const char *name) {
    size_t bytes;
    char *data = command_file(name, &bytes);
    assert_true(tflite_file_verify(data, bytes));
    assert_non_null(memmem(data, bytes, "fovea.model", strlen("fovea.model")));
    free(data);
    return bytes;
}

static void test_precisions(void **state) {
    (void)state;
    const command_result *result = FOVEA("export", RUN, "--tflite", "--out", "whole.tflite");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "whole.tflite: tflite, float32"));
    assert_non_null(strstr(result->out, "Dice"));
    command_expect_good(FOVEA("export", RUN, "--tflite", "--fp16", "--photos", "0", "--out", "half.tflite"));
    command_expect_good(FOVEA("export", RUN, "--tflite", "--int8", "--photos", "0", "--out", "byte.tflite"));
    command_expect_good(FOVEA("export", RUN, "--tflite", "--int8", "--int8-io", "--photos", "0", "--out", "io.tflite"));
    size_t whole = expect_file("whole.tflite"), half = expect_file("half.tflite"), byte = expect_file("byte.tflite");
    assert_true(half < whole && byte < half);
    assert_true(expect_file("io.tflite") < byte); /* no operators at the ends */
}

static void test_another_size(void **state) {
    (void)state;
    command_expect_good(FOVEA("export", RUN, "--tflite", "--size", "64", "--photos", "0", "--out", "larger.tflite"));
    expect_file("larger.tflite");
    EXPECT_COMPLAINT(FOVEA("export", RUN, "--tflite", "--size", "65", "--out", "odd.tflite"), 2, "--size 65", "96");
    assert_false(command_exists("odd.tflite"));
}

static void test_what_does_not_go(void **state) {
    (void)state;
    EXPECT_COMPLAINT(FOVEA("export", RUN, "--tflite", "--dynamic-size", "--out", "a.tflite"), 2, "--dynamic-size");
    EXPECT_COMPLAINT(FOVEA("export", RUN, "--tflite", "--int8-io", "--out", "a.tflite"), 2, "--int8-io", "--int8 too");
    EXPECT_COMPLAINT(FOVEA("export", RUN, "--onnx", "--int8", "--int8-io", "--out", "a.onnx"), 2, "--onnx");
    EXPECT_COMPLAINT(FOVEA("export", RUN, "--tflite", "--with-preprocessing", "--out", "a.tflite"), 2,
                     "--with-preprocessing", "one size");
    EXPECT_COMPLAINT(FOVEA("export", RUN, "--tflite", "--out", "nowhere/a.tflite"), 2, "nowhere");
    assert_false(command_exists("a.tflite"));
    assert_false(command_exists("a.onnx"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precisions),
        cmocka_unit_test(test_another_size),
        cmocka_unit_test(test_what_does_not_go),
    };
    return cmocka_run_group_tests(tests, setup, command_teardown);
}
