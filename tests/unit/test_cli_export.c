/* `fovea export`: what it writes and says of a run, and its complaints. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "command.h"
#include "fovea/exchange/onnx_read.h"
#include "temporary.h"

#define PHANTOMS "runs/phantoms_12_1_96"
#define BEST "run/best.safetensors"

static int setup(void **state) {
    if (command_setup(state) != 0) return -1;
    command_write_tiny_ini();
    command_expect_good(FOVEA("train", "tiny.ini", "run.dir=run", "preprocess.size=64", "train.epochs=8", "loss.bce=0",
                              "optimizer.rate=3e-2", "optimizer.average_decay=0", "augment.enabled=no", "--quiet",
                              "--threads", "1"));
    return 0;
}

static double number_at(const char *text, const char *a, const char *b, const char *c) {
    cJSON *root = cJSON_Parse(text);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, a);
    if (b) item = cJSON_GetObjectItemCaseSensitive(item, b);
    if (c) item = cJSON_GetObjectItemCaseSensitive(item, c);
    if (!cJSON_IsNumber(item)) fail_msg("no number at %s %s %s in %s", a, b ? b : "", c ? c : "", text);
    double value = item->valuedouble;
    cJSON_Delete(root);
    return value;
}

/* The figures of an export, which has written as many bytes as it says. */
static const char *exported(const char *option) {
    const command_result *result =
        option ? FOVEA("export", "run", "--onnx", option, "--out", "x.onnx", "--json", "-", "--quiet")
               : FOVEA("export", "run", "--onnx", "--out", "x.onnx", "--json", "-", "--quiet");
    size_t bytes;
    command_expect_good(result);
    free(command_file("x.onnx", &bytes));
    assert_float_equal(number_at(result->out, "bytes", NULL, NULL), (double)bytes, 0);
    return result->out;
}

static void figures_grow_with_fewer_bits(void **state) {
    (void)state;
    static const char *const options[] = {NULL, "--fp16-storage", "--fp16", "--int8"};
    double size = INFINITY, difference = -1;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const char *json = exported(options[i]);
        double before = number_at(json, "dice", "disc", "before"), after = number_at(json, "dice", "disc", "after");
        assert_true(before > 0.5); /* it has learnt something that can be lost */
        assert_true(fabs(after - before) <= (i == 3 ? 0.02 : 0.002));
        assert_true(number_at(json, "difference", NULL, NULL) >= difference);
        assert_true(number_at(json, "bytes", NULL, NULL) < size || i == 2); /* casts take a little room */
        difference = number_at(json, "difference", NULL, NULL);
        size = number_at(json, "bytes", NULL, NULL);
        if (i == 0) assert_true(difference < 1e-5);
        assert_true(i == 0 || difference > 1e-5);
    }
}

static void a_run_says_how_good_it_is(void **state) {
    (void)state;
    size_t bytes;
    exported(NULL);
    char *file = command_file("x.onnx", &bytes);
    static const char *const texts[] = {"fovea.evaluation", "metrics", "disc Dice 0.",
                                        "photographs of the test split)"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_non_null(memmem(file, bytes, texts[i], strlen(texts[i])));
    free(file);
}

/* A file alone: nothing to measure on, and photographs to calibrate on by name. */
static void a_model_file_alone(void **state) {
    (void)state;
    const command_result *result = FOVEA("export", BEST, "--onnx", "--out", "alone.onnx");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "not measured: name photographs with masks by --manifest TABLE.csv"));
    EXPECT_COMPLAINT(FOVEA("export", BEST, "--onnx", "--int8", "--out", "bytes.onnx"), 2, "--int8 needs photographs",
                     "--calibrate");
    assert_false(command_exists("bytes.onnx"));
    result = FOVEA("export", BEST, "--onnx", "--int8", "--out", "bytes.onnx", "--calibrate", PHANTOMS "/index.csv",
                   "--manifest", PHANTOMS "/index.csv", "--photos", "3", "--samples", "4");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "on 3 photographs"));
    assert_non_null(strstr(result->err, "ranges of the layers' values on 4 photographs"));
}

/* What fovea reads as a model it can also export: a file of its own. */
static void an_onnx_file_can_be_exported_again(void **state) {
    (void)state;
    command_expect_good(FOVEA("export", BEST, "--onnx", "--out", "once.onnx", "--photos", "0", "--quiet"));
    command_expect_good(FOVEA("export", "once.onnx", "--onnx", "--out", "twice.onnx", "--photos", "0", "--quiet"));
    assert_true(command_exists("twice.onnx"));
    EXPECT_COMPLAINT(FOVEA("export", "once.onnx", "--fovea", "--fp16", "--out", "half.safetensors"), 2,
                     "once.onnx is an ONNX network", "fovea import --as model");
}

static void expect_in_file(const char *name, const char *text, bool there) {
    size_t bytes;
    char *file = command_file(name, &bytes);
    bool found = memmem(file, bytes, text, strlen(text)) != NULL;
    free(file);
    if (found != there) fail_msg("\"%s\" is %s %s", text, there ? "not in" : "in", name);
}

static void the_model_is_never_overwritten(void **state) {
    (void)state;
    command_copy(BEST, "kept");
    EXPECT_COMPLAINT(FOVEA("export", BEST, "--onnx", "--photos", "0", "--out", "run/../" BEST), 2,
                     "is the model that is exported");
    EXPECT_COMPLAINT(FOVEA("export", "run", "--fovea", "--fp16", "--photos", "0", "--out", BEST), 2,
                     "is the model that is exported");
    command_expect_same_file(BEST, "kept");
}

/* Before photographs are run through the network, and so before those are missed. */
static void what_cannot_be_is_refused_at_once(void **state) {
    (void)state;
    EXPECT_COMPLAINT(FOVEA("export", BEST, "--onnx", "--int8", "--split", "some", "--out", "y"), 2, "--split some");
    EXPECT_COMPLAINT(FOVEA("export", BEST, "--onnx", "--int8", "--manifest", "nix.csv", "--out", "y"), 2, "nix.csv");
    EXPECT_COMPLAINT(FOVEA("export", BEST, "--tflite", "--int8", "--with-preprocessing", "--out", "y"), 2, "one size");
    EXPECT_COMPLAINT(FOVEA("export", BEST, "--fovea", "--int8", "--logits", "--out", "y"), 2, "--logits");
    assert_false(command_exists("y"));
}

/* Dice before is that of the file's weights in float32. */
static void a_model_of_8_bits_is_compared_with_its_weights(void **state) {
    (void)state;
    command_expect_good(FOVEA("export", BEST, "--fovea", "--int8", "--calibrate", PHANTOMS "/index.csv", "--samples",
                              "4", "--out", "bytes.safetensors", "--quiet"));
    const command_result *result = FOVEA("export", "bytes.safetensors", "--onnx", "--manifest", PHANTOMS "/index.csv",
                                         "--photos", "2", "--out", "x.onnx", "--json", "-", "--quiet");
    command_expect_good(result);
    assert_true(number_at(result->out, "difference", NULL, NULL) < 1e-5);
}

/* The last test: it makes up an evaluation of the run. */
static void a_class_that_nobody_marked_has_no_metrics(void **state) {
    (void)state;
    command_write_text("run/test/evaluation.json", "{\"classes\": {\"cup\": {\"dice\": {\"mean\": null, \"n\": 0}}, "
                                                   "\"disc\": {\"dice\": {\"mean\": 0.75, \"n\": 4}}}}");
    command_expect_good(FOVEA("export", "run", "--onnx", "--photos", "0", "--out", "x.onnx"));
    expect_in_file("x.onnx", "disc Dice 0.750 (4 photographs of the test split)", true);
    expect_in_file("x.onnx", "cup Dice", false);
}

static void sizes(void **state) {
    (void)state;
    EXPECT_COMPLAINT(FOVEA("export", BEST, "--onnx", "--out", "x.onnx", "--size", "100"), 2,
                     "must be a multiple of 32, for example 128");
    const command_result *result = FOVEA("export", BEST, "--onnx", "--out", "x.onnx", "--size", "128", "--photos", "0");
    command_expect_good(result);
    assert_non_null(strstr(result->out, "not measured\n"));
    expect_in_file("x.onnx", "128 x 128 px (height x width)", true);
    expect_in_file("x.onnx", "sampled to 128 x 128 px", true);
    EXPECT_COMPLAINT(FOVEA("export", BEST, "--onnx", "--out", "x.onnx", "--dynamic-size", "--with-preprocessing"), 2,
                     "--dynamic-size", "own 64 px");
    EXPECT_COMPLAINT(FOVEA("export", BEST, "--fovea", "--fp16", "--out", "x", "--size", "128"), 2, "--size", "--fovea");
    EXPECT_COMPLAINT(FOVEA("export", BEST, "--onnx", "--out", "x.onnx", "--size", "128", "--with-preprocessing"), 2,
                     "own 64 px");
    EXPECT_COMPLAINT(FOVEA("export", BEST, "--onnx", "--out", "x.onnx", "--size", "128", "--dynamic-size"), 2,
                     "--dynamic-size", "--size");
}

static void complaints(void **state) {
    (void)state;
    EXPECT_COMPLAINT(FOVEA("export", "run", "--out", "y.onnx"), 2, "say in which format: --onnx, --tflite, --fovea");
    EXPECT_COMPLAINT(FOVEA("export", "run", "--onnx"), 2, "--out FILE");
    EXPECT_COMPLAINT(FOVEA("export", "--onnx", "--out", "y.onnx"), 2, "give one run folder or model file");
    EXPECT_COMPLAINT(FOVEA("export", "run", "--onnx", "--fp16", "--int8", "--out", "y.onnx"), 2, "--fp16", "--int8");
    EXPECT_COMPLAINT(FOVEA("export", "run", "--onnx", "--calibrate", "run", "--out", "y.onnx"), 2, "--calibrate",
                     "--int8");
    EXPECT_COMPLAINT(FOVEA("export", "run", "--onnx", "--out", "nowhere/y.onnx"), 2, "nowhere");
    EXPECT_COMPLAINT(FOVEA("export", "missing.safetensors", "--onnx", "--out", "y.onnx"), 2, "missing.safetensors");
    EXPECT_COMPLAINT(FOVEA("export", "run", "--onnx", "--split", "some", "--out", "z.onnx", "--quiet"), 2,
                     "--split some: expected train, val or test");
    assert_false(command_exists("y.onnx"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_grow_with_fewer_bits),
        cmocka_unit_test(a_run_says_how_good_it_is),
        cmocka_unit_test(a_model_file_alone),
        cmocka_unit_test(an_onnx_file_can_be_exported_again),
        cmocka_unit_test(sizes),
        cmocka_unit_test(complaints),
        cmocka_unit_test(the_model_is_never_overwritten),
        cmocka_unit_test(what_cannot_be_is_refused_at_once),
        cmocka_unit_test(a_model_of_8_bits_is_compared_with_its_weights),
        cmocka_unit_test(a_class_that_nobody_marked_has_no_metrics),
    };
    return cmocka_run_group_tests(tests, setup, command_teardown);
}
