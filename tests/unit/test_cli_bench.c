/* fovea bench: figures that fit together, and wrong words told in one sentence. */
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
#include "fovea/base/cpu.h"
#include "fovea/kernel/limit.h"
#include "fovea/model/model.h"
#include "temporary.h"

#define BRIEF "--seconds", "0.05", "--quiet", "--threads", "1"

static cJSON *read_json(const char *name) {
    char *text = command_file(name, &(size_t){0});
    cJSON *json = cJSON_Parse(text);
    free(text);
    if (!json) fail_msg("%s is no JSON", name);
    return json;
}

static double number(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item)) fail_msg("there is no number \"%s\"", key);
    return item->valuedouble;
}

static const char *text(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsString(item)) fail_msg("there is no text \"%s\"", key);
    return item->valuestring;
}

static void expect_machine(const cJSON *object) {
    assert_true(strlen(text(object, "cpu")) > 0);
    assert_true(strlen(text(object, "cpu_level")) > 0);
    assert_true(strlen(text(object, "version")) > 0);
    assert_int_equal((int)number(object, "threads"), 1);
    assert_true(number(object, "fma_gflops") > 0.1);
    assert_true(number(object, "triad_gbs") > 0.1);
    assert_true(number(object, "triad_l1_gbs") > number(object, "triad_gbs") * 0.5);
}

/* One network's figures: `factor` operations a multiply-accumulate and image. */
static void expect_figures(const cJSON *row, const char *mode, int batch, double factor) {
    double median = number(row, "median_s"), best = number(row, "best_s");
    assert_string_equal(text(row, "mode"), mode);
    assert_int_equal((int)number(row, "batch"), batch);
    assert_true(best > 0);
    assert_true(median >= best);
    assert_true(number(row, "runs") >= 3);
    assert_true(number(row, "macs") > 1e6);
    assert_true(fabs(number(row, "gflops") * 1e9 * median / (factor * number(row, "macs") * batch) - 1) < 1e-6);
    assert_true(fabs(number(row, "images_per_s") * median / batch - 1) < 1e-6);
    assert_true(fabs(number(row, "fma_percent") / (100 * number(row, "gflops") / number(row, "fma_gflops")) - 1) <
                1e-6);
    assert_true(number(row, "plan_mib") > 0.1);
    assert_true(number(row, "peak_mib") >= number(row, "plan_mib"));
    assert_true(number(row, "weights_mib") > 1);
    expect_machine(row);
}

static void one_mode_gives_one_object(void **state) {
    (void)state;
    const command_result *result =
        FOVEA("bench", "--model", "mobilenetv2_unet", "--mode", "infer", "--size", "64", "--json", "infer.json", BRIEF);
    command_expect_good(result);
    assert_non_null(strstr(result->out, "mobilenetv2_unet"));
    assert_non_null(strstr(result->out, "GFLOP/s"));
    cJSON *row = read_json("infer.json");
    assert_string_equal(text(row, "model"), "mobilenetv2_unet");
    assert_int_equal((int)number(row, "size"), 64);
    assert_true(number(row, "runs") >= 5);
    expect_figures(row, "infer", 1, 2);
    cJSON_Delete(row);
}

static void without_a_mode_both_are_measured(void **state) {
    (void)state;
    command_expect_good(
        FOVEA("bench", "--model", "resunet16", "--size", "32", "--batch", "2", "--json", "both.json", BRIEF));
    cJSON *rows = read_json("both.json");
    assert_int_equal(cJSON_GetArraySize(rows), 2);
    expect_figures(cJSON_GetArrayItem(rows, 0), "train", 2, 6);
    expect_figures(cJSON_GetArrayItem(rows, 1), "infer", 2, 2);
    /* to train takes more of everything */
    assert_true(number(cJSON_GetArrayItem(rows, 0), "plan_mib") > number(cJSON_GetArrayItem(rows, 1), "plan_mib"));
    assert_true(number(cJSON_GetArrayItem(rows, 0), "best_s") > number(cJSON_GetArrayItem(rows, 1), "best_s"));
    cJSON_Delete(rows);
}

static void json_alone_on_standard_output(void **state) {
    (void)state;
    const command_result *result =
        FOVEA("bench", "--model", "unet", "--mode", "infer", "--size", "32", "--json", "-", BRIEF);
    command_expect_good(result);
    cJSON *row = cJSON_Parse(result->out);
    assert_non_null(row);
    expect_figures(row, "infer", 1, 2);
    assert_non_null(strstr(result->err, "images/s")); /* the table has gone to standard error */
    cJSON_Delete(row);
}

static void a_model_file_keeps_its_size(void **state) {
    (void)state;
    fv_model_spec spec = {.network = "unet",
                          .width = 1,
                          .base = 8,
                          .classes = 1,
                          .class_names = {"vessel"},
                          .thresholds = {0.5},
                          .preprocess = {.size = 48, .work_size = 48, .enhance = fv_enhance_standard()}};
    fv_model *model;
    assert_int_equal(fv_model_make(&spec, 1, &model), FV_OK);
    assert_int_equal(fv_model_save(model, temporary_path("small.safetensors")), FV_OK);
    fv_model_free(model);
    command_expect_good(
        FOVEA("bench", "--model", "small.safetensors", "--mode", "infer", "--json", "file.json", BRIEF));
    cJSON *row = read_json("file.json");
    assert_int_equal((int)number(row, "size"), 48);
    assert_string_equal(text(row, "model"), "small.safetensors");
    cJSON_Delete(row);
    EXPECT_COMPLAINT(FOVEA("bench", "--model", "small.safetensors", "--size", "100", "--mode", "infer", BRIEF), 2,
                     "multiple of 16");
}

/* The layers of a step, with optimiser, make up the step. */
static void profile_accounts_for_the_step(void **state) {
    (void)state;
    const command_result *result = FOVEA("bench", "--model", "mobilenetv2_unet", "--profile", "--size", "64", "--batch",
                                         "2", "--json", "profile.json", BRIEF);
    command_expect_good(result);
    assert_non_null(strstr(result->out, "encoder.b1.dw"));
    cJSON *profile = read_json("profile.json"), *layers = cJSON_GetObjectItem(profile, "layers");
    double sum = 0, last = INFINITY;
    int backward = 0;
    for (int i = 0; i < cJSON_GetArraySize(layers); i++) {
        const cJSON *layer = cJSON_GetArrayItem(layers, i);
        double seconds = number(layer, "seconds");
        assert_true(seconds > 0 && seconds <= last); /* the slowest first */
        assert_true(number(layer, "gbs") > 0);
        backward += strcmp(text(layer, "pass"), "backward") == 0;
        sum += seconds;
        last = seconds;
    }
    assert_true(backward > 50);
    assert_true(fabs(sum / number(profile, "layers_s") - 1) < 1e-9);
    double accounted = sum + number(profile, "optimizer_s"), step = number(profile, "step_s");
    if (accounted < 0.8 * step || accounted > 1.001 * step)
        fail_msg("layers and optimiser take %g s of a step of %g s", accounted, step);
    expect_machine(profile);
    cJSON_Delete(profile);
}

static void a_kernel_has_its_passes(void **state) {
    (void)state;
    command_expect_good(
        FOVEA("bench", "--kernels", "--only", "s", "--seconds", "0", "--json", "kernels.json", "--quiet"));
    cJSON *root = read_json("kernels.json"), *rows = cJSON_GetObjectItem(root, "kernels");
    int convolutions[3] = {0}, others = 0;
    for (int i = 0; i < cJSON_GetArraySize(rows); i++) {
        const cJSON *row = cJSON_GetArrayItem(rows, i);
        const char *pass = text(row, "pass");
        assert_true(number(row, "best_s") > 0 && number(row, "median_s") >= number(row, "best_s"));
        assert_true(number(row, "gbs") > 0 && number(row, "limit_percent") > 0);
        if (strcmp(text(row, "op"), "conv2d") != 0)
            others++;
        else
            convolutions[strcmp(pass, "forward") == 0 ? 0 : strcmp(pass, "data") == 0 ? 1 : 2]++;
    }
    assert_int_equal(convolutions[0], 3); /* two stems, one with strides */
    assert_int_equal(convolutions[0], convolutions[1]);
    assert_int_equal(convolutions[0], convolutions[2]);
    assert_int_equal(others, 6); /* the sigmoid and two SiLUs, both ways */
    expect_machine(root);        /* one thread unless asked for more */
    cJSON_Delete(root);
}

static void wrong_words_are_told(void **state) {
    (void)state;
    EXPECT_COMPLAINT(FOVEA("bench", "--model", "unett"), 2, "no network or model file \"unett\"; did you mean unet?");
    EXPECT_COMPLAINT(FOVEA("bench", "--model", "vgg-nineteen.bin"), 2, "fovea bench --help lists the networks");
    EXPECT_COMPLAINT(FOVEA("bench", "--model", "unet", "--mode", "fast"), 2, "--mode fast: expected train or infer");
    EXPECT_COMPLAINT(FOVEA("bench", "--model", "mobilenetv2_unet", "--size", "48"), 2, "multiple of 32");
    EXPECT_COMPLAINT(FOVEA("bench", "--seconds", "soon"), 2, "--seconds soon: expected a number from 0 to 3600");
    EXPECT_COMPLAINT(FOVEA("bench", "--seconds", "-1"), 2, "--seconds -1: expected a number");
    EXPECT_COMPLAINT(FOVEA("bench", "--profile"), 2, "name it with --model");
    EXPECT_COMPLAINT(FOVEA("bench", "--kernels", "--model", "unet"), 2, "--kernels has shapes of its own");
    EXPECT_COMPLAINT(FOVEA("bench", "--kernels", "--only", "fft"), 2,
                     "no kernel is called so; there are pointwise, conv");
    EXPECT_COMPLAINT(FOVEA("bench", "--model", "unet", "--only", "conv"), 2, "give --kernels too");
    EXPECT_COMPLAINT(FOVEA("bench", "unet"), 2, "a network is named by --model");
}

/* ---- what bounds a piece of work ---- */

static void the_slower_of_two_limits_counts(void **state) {
    (void)state;
    const fv_limits limits = {
        .threads = 1, .flops = 100, .bandwidth = {80, 40, 20, 10}, .capacity = {1000, 2000, 3000, SIZE_MAX}};
    int level;
    assert_int_equal(fv_limit_level(&limits, 1000), FV_LIMIT_L1);
    assert_int_equal(fv_limit_level(&limits, 1001), FV_LIMIT_L2);
    assert_int_equal(fv_limit_level(&limits, 1e9), FV_LIMIT_MEMORY);
    assert_float_equal(fv_limit_seconds(&limits, 100, 4000, &level), 400, 1e-9);
    assert_int_equal(level, FV_LIMIT_MEMORY);
    assert_float_equal(fv_limit_seconds(&limits, 5000, 800, &level), 50, 1e-9);
    assert_int_equal(level, -1);
}

static void triad_of(const fv_limit_kernels *kernels, bool stream) {
    static float a[256] __attribute__((aligned(64))), b[256] __attribute__((aligned(64))),
        c[256] __attribute__((aligned(64)));
    for (int i = 0; i < 256; i++) a[i] = (float)i, b[i] = (float)(i % 7), c[i] = -1;
    kernels->triad(a, b, c, 192, stream);
    for (int i = 0; i < 192; i++) assert_float_equal(c[i], a[i] + 3 * b[i], 0);
    for (int i = 192; i < 256; i++) assert_float_equal(c[i], -1, 0);
    assert_true(isfinite(kernels->multiply_adds(100)) && kernels->multiply_adds(100) > 0);
}

static void every_instruction_set_measures_the_same_loop(void **state) {
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        triad_of(&fv_limit_scalar, stream);
#if defined(__x86_64__)
        if (fv_cpu() >= FV_CPU_AVX2) triad_of(&fv_limit_avx2, stream);
        if (fv_cpu() >= FV_CPU_AVX512) triad_of(&fv_limit_avx512, stream);
#endif
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_mode_gives_one_object),
        cmocka_unit_test(without_a_mode_both_are_measured),
        cmocka_unit_test(json_alone_on_standard_output),
        cmocka_unit_test(a_model_file_keeps_its_size),
        cmocka_unit_test(profile_accounts_for_the_step),
        cmocka_unit_test(a_kernel_has_its_passes),
        cmocka_unit_test(wrong_words_are_told),
        cmocka_unit_test(the_slower_of_two_limits_counts),
        cmocka_unit_test(every_instruction_set_measures_the_same_loop),
    };
    return cmocka_run_group_tests_name("fovea bench", tests, command_setup, command_teardown);
}
