/* Networks in 8 bits beside themselves in float32. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fovea/base/cpu.h"
#include "fovea/base/rng.h"
#include "fovea/base/threads.h"
#include "fovea/infer/int8_net.h"
#include "fovea/infer/predict.h"
#include "fovea/kernel/int8.h"
#include "fovea/nn/layers.h"

#define SIDE 64
#define CLASSES 2

/* A model, its layers, the ranges of their values on one input, and that input. */
typedef struct rig {
    fv_model *model;
    fv_folded folded;
    fv_ranges ranges;
    float *input;
} rig;

/* Batch norms as of a trained network, and a last layer whose probabilities lie on both sides of 0.5. */
static void liven(fv_model *model) {
    fv_rng rng = fv_rng_make(4, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < model->params.count; i++) {
        const fv_param *param = &model->params.list[i];
        const char *part = strrchr(param->name, '.') + 1;
        bool last = strncmp(param->name, "out.", 4) == 0, shift = strcmp(part, "beta") == 0;
        for (size_t k = 0; k < param->count && (last || shift); k++)
            model->params.values[param->offset + k] = (fv_real)(last ? fv_rng_range(&rng, -1, 1) : 0.5);
        for (size_t k = 0; k < param->count && strcmp(part, "gamma") == 0; k++)
            model->params.values[param->offset + k] = (fv_real)fv_rng_range(&rng, 1, 3);
    }
}

static fv_model *make_model(const char *network) {
    fv_model_spec spec = {.width = 1, .classes = CLASSES, .class_names = {"disc", "cup"}, .thresholds = {0.5, 0.5}};
    spec.preprocess = (fv_preprocess){.size = SIDE, .work_size = SIDE, .fit = FV_FIT_STRETCH};
    spec.preprocess.enhance = fv_enhance_standard();
    spec.preprocess.normalise = FV_NORMALISE_SIGNED;
    strcpy(spec.network, network);
    if (fv_network_has_encoder(network))
        spec.width = 0.5;
    else
        spec.base = 8;
    fv_model *model;
    if (fv_model_make(&spec, 3, &model) != FV_OK) fail_msg("%s", fv_error());
    liven(model);
    return model;
}

static rig make_rig(const char *network) {
    rig r = {.model = make_model(network), .input = test_malloc(SIDE * SIDE * 3 * sizeof(float))};
    fv_rng rng = fv_rng_make(5, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < SIDE * SIDE * 3; i++) r.input[i] = (float)fv_rng_range(&rng, -1, 1);
    if (fv_folded_make(r.model, SIDE, SIDE, false, &r.folded) != FV_OK) fail_msg("%s", fv_error());
    const fv_calibration calibration = {r.input, 1, SIDE, SIDE};
    if (fv_ranges_measure(&r.folded, &calibration, &r.ranges) != FV_OK) fail_msg("%s", fv_error());
    return r;
}

static void free_rig(rig *r) {
    fv_ranges_free(&r->ranges);
    fv_folded_free(&r->folded);
    fv_model_free(r->model);
    test_free(r->input);
}

/* On the kernels of `level`; sigmoids are those of fv_cpu(). */
static float *run_kernels(const rig *r, fv_cpu_level level) {
    float *found = test_malloc(SIDE * SIDE * CLASSES * sizeof *found);
    fv_cpu_level before = fv_cpu();
    fv_int8_net *net;
    fv_cpu_limit(level);
    if (fv_int8_net_make(&r->folded, &r->ranges, &net) != FV_OK) fail_msg("%s", fv_error());
    fv_cpu_limit(before);
    for (int i = 0; i < 2; i++) fv_int8_net_run(net, r->input, found); /* nothing is left over from the first run */
    fv_int8_net_free(net);
    return found;
}

static float *run_bytes(const rig *r) {
    return run_kernels(r, fv_cpu());
}

static float *run_floats(const rig *r) {
    float *found = test_malloc(SIDE * SIDE * CLASSES * sizeof *found);
    fv_graph graph;
    fv_plan *plan;
    fv_graph_init(&graph, &r->model->params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){1, SIDE, SIDE, 3}, false);
    fv_value output = fv_sigmoid(&graph, "probabilities", fv_model_build(r->model, &graph, input, NULL));
    assert_int_equal(fv_plan_make(&graph, FV_PLAN_INFER, &output, 1, FV_NO_VALUE, &plan), FV_OK);
    memcpy(fv_plan_data(plan, input), r->input, SIDE * SIDE * 3 * sizeof *found);
    fv_plan_forward(plan, false, 0, 0);
    memcpy(found, fv_plan_data(plan, output), SIDE * SIDE * CLASSES * sizeof *found);
    fv_plan_free(plan);
    fv_graph_free(&graph);
    return found;
}

/* Correlation and mean difference of maps of so many pixels. */
static void compare(const float *a, const float *b, int pixels, double *correlation, double *mean) {
    double n = pixels * CLASSES, sa = 0, sb = 0, aa = 0, bb = 0, ab = 0, difference = 0;
    for (int i = 0; i < pixels * CLASSES; i++) {
        double x = (double)a[i], y = (double)b[i];
        sa += x, sb += y, aa += x * x, bb += y * y, ab += x * y;
        difference += fabs(x - y);
    }
    *correlation = (ab - sa * sb / n) / sqrt((aa - sa * sa / n) * (bb - sb * sb / n));
    *mean = difference / n;
}

static void bytes_follow_floats(void **state) {
    (void)state;
    rig r = make_rig("mobilenetv2_unet");
    float *floats = run_floats(&r);
    double correlation, mean;
    fv_cpu_level before = fv_cpu();
    for (const fv_int8_kernels *const *v = fv_int8_variants; *v; v++) {
        if (!fv_int8_runs(*v)) continue;
        fv_cpu_limit((*v)->level);
        float *bytes = run_bytes(&r);
        compare(bytes, floats, SIDE * SIDE, &correlation, &mean);
        if (!(correlation > 0.999 && mean < 0.006))
            fail_msg("%s: correlation %g, mean difference %g", (*v)->name, correlation, mean);
        test_free(bytes);
        fv_cpu_limit(before);
    }
    test_free(floats);
    free_rig(&r);
}

static void kernels_change_no_bit(void **state) {
    (void)state;
    rig r = make_rig("mobilenetv2_unet");
    float *plain = run_kernels(&r, FV_CPU_SCALAR);
    for (const fv_int8_kernels *const *v = fv_int8_variants; *v; v++) {
        if (!fv_int8_runs(*v)) continue;
        float *found = run_kernels(&r, (*v)->level);
        if (memcmp(plain, found, SIDE * SIDE * CLASSES * sizeof *found) != 0) fail_msg("%s", (*v)->name);
        test_free(found);
    }
    test_free(plain);
    free_rig(&r);
}

static void threads_change_no_bit(void **state) {
    (void)state;
    rig r = make_rig("mobilenetv2_unet");
    fv_threads_set(1);
    float *one = run_bytes(&r);
    for (int threads = 2; threads <= 3; threads++) {
        fv_threads_set(threads);
        float *more = run_bytes(&r);
        assert_memory_equal(one, more, SIDE * SIDE * CLASSES * sizeof *one);
        test_free(more);
    }
    fv_threads_set(0);
    test_free(one);
    free_rig(&r);
}

static void other_layers_are_named(void **state) {
    (void)state;
    static const char *const networks[][2] = {{"resunet", "no 8-bit form"}, {"mobilenetv2_se_unet", "no 8-bit form"}};
    for (int i = 0; i < 2; i++) {
        rig r = make_rig(networks[i][0]);
        fv_int8_net *net;
        assert_int_equal(fv_int8_net_make(&r.folded, &r.ranges, &net), FV_BAD_INPUT);
        assert_null(net);
        if (!strstr(fv_error(), networks[i][1])) fail_msg("%s", fv_error());
        free_rig(&r);
    }
}

/* ---- what stands before the last sigmoid ---- */

typedef fv_value make_head(fv_graph *graph, fv_value x);

static fv_value head_plain(fv_graph *graph, fv_value x) {
    return fv_pointwise(graph, "head", x, CLASSES, true);
}

static fv_value head_with_relu(fv_graph *graph, fv_value x) {
    return fv_relu(graph, "relu", fv_pointwise(graph, "head", x, CLASSES, true));
}

static fv_value head_upsampled(fv_graph *graph, fv_value x) {
    return fv_upsample_nearest(graph, "head", fv_pointwise(graph, "small", x, 8, true), 2);
}

static fv_value head_added(fv_graph *graph, fv_value x) {
    return fv_add(graph, "head", fv_pointwise(graph, "a", x, 8, true), fv_pointwise(graph, "b", x, 8, true),
                  FV_ACT_NONE);
}

static fv_value head_joined(fv_graph *graph, fv_value x) {
    return fv_concat(graph, "head", fv_pointwise(graph, "a", x, 8, true), fv_pointwise(graph, "b", x, 8, true));
}

/* Of a network that is one convolution, the head and a sigmoid. */
static fv_status make_with_head(make_head *head) {
    enum { SMALL = 8 };
    static const float input[SMALL * SMALL * 3] = {-1, 1};
    fv_params params;
    fv_graph graph;
    fv_folded folded;
    fv_ranges ranges;
    fv_int8_net *net;
    fv_params_init(&params);
    fv_graph_init(&graph, &params);
    fv_value x = fv_graph_input(&graph, "input", (fv_shape){1, SMALL, SMALL, 3}, false);
    fv_value output = fv_sigmoid(&graph, "probabilities", head(&graph, fv_pointwise(&graph, "first", x, 16, true)));
    assert_int_equal(fv_params_allocate(&params, 1), FV_OK);
    if (fv_folded_from_graph(&graph, x, output, &folded) != FV_OK) fail_msg("%s", fv_error());
    const fv_calibration calibration = {input, 1, SMALL, SMALL};
    if (fv_ranges_measure(&folded, &calibration, &ranges) != FV_OK) fail_msg("%s", fv_error());
    fv_status status = fv_int8_net_make(&folded, &ranges, &net);
    fv_int8_net_free(net);
    fv_ranges_free(&ranges);
    fv_folded_free(&folded);
    fv_graph_free(&graph);
    fv_params_free(&params);
    return status;
}

static void last_layers_are_plain_convolutions(void **state) {
    (void)state;
    static make_head *const wrong[] = {head_with_relu, head_upsampled, head_added, head_joined};
    assert_int_equal(make_with_head(head_plain), FV_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(make_with_head(wrong[i]), FV_BAD_INPUT);
        assert_string_equal(fv_error(), "layer head: the last layer before the sigmoid of an 8-bit network is a 1x1 "
                                        "convolution without activation");
    }
}

/* ---- ranges ---- */

/* A ReLU leaves nothing of -1 .. 0. */
static void ranges_without_room_are_refused(void **state) {
    (void)state;
    rig r = make_rig("mobilenetv2_unet");
    fv_int8_net *net;
    int i = 0;
    while (r.folded.layers[i].attributes.activation == FV_ACT_NONE) i++;
    r.ranges.layers[i] = (fv_range){-1, 0};
    assert_int_equal(fv_int8_net_make(&r.folded, &r.ranges, &net), FV_BAD_INPUT);
    assert_null(net);
    if (!strstr(fv_error(), r.folded.layers[i].name) || !strstr(fv_error(), "no room")) fail_msg("%s", fv_error());
    free_rig(&r);
}

static void ranges_travel_as_text(void **state) {
    (void)state;
    rig r = make_rig("mobilenetv2_unet");
    char *text = fv_ranges_to_json(&r.folded, &r.ranges);
    fv_ranges read;
    if (fv_ranges_from_json(text, "here", &r.folded, &read) != FV_OK) fail_msg("%s", fv_error());
    assert_memory_equal(read.layers, r.ranges.layers, (size_t)read.count * sizeof *read.layers);
    assert_memory_equal(&read.input, &r.ranges.input, sizeof read.input);
    fv_ranges_free(&read);
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{\"input\":[1,2],\"layers\":{}}",
                                      "{\"input\":[-1,1],\"layers\":{}}",
                                      "{\"input\":[0,1e999]}",
                                      "{\"input\":[0,0]}",
                                      "{\"input\":[\"a\",1]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(fv_ranges_from_json(bad[i], "here", &r.folded, &read), FV_BAD_INPUT);
        assert_ptr_equal(strstr(fv_error(), "here: no range of"), fv_error());
        assert_null(read.layers);
    }
    free(text);
    free_rig(&r);
}

/* A model that carries ranges is predicted with in 8 bits. */
static void models_with_ranges_predict_in_bytes(void **state) {
    (void)state;
    rig r = make_rig("mobilenetv2_unet");
    fv_image photo = {0};
    fv_probability_map map;
    fv_predictor *predictor;
    assert_int_equal(fv_image_make(SIDE, SIDE, 3, &photo), FV_OK);
    for (int i = 0; i < SIDE * SIDE * 3; i++) photo.data[i] = (uint8_t)(i * 37 % 251);
    size_t bytes[2];
    float *found[2] = {NULL};
    for (int i = 0; i < 2; i++) {
        if (i == 1) r.model->ranges = fv_ranges_to_json(&r.folded, &r.ranges);
        assert_int_equal(fv_predictor_make(r.model, &predictor), FV_OK);
        if (fv_predict_photo(predictor, &photo, NULL, &map) != FV_OK) fail_msg("%s", fv_error());
        bytes[i] = fv_predictor_bytes(predictor);
        found[i] = test_malloc(SIDE * SIDE * CLASSES * sizeof(float));
        memcpy(found[i], map.data, SIDE * SIDE * CLASSES * sizeof(float));
        fv_predictor_free(predictor);
    }
    double correlation, mean;
    compare(found[0], found[1], SIDE * SIDE, &correlation, &mean);
    assert_true(mean > 0 && mean < 0.1);
    assert_true(bytes[1] < bytes[0] / 2);
    test_free(found[0]);
    test_free(found[1]);
    fv_image_free(&photo);
    free_rig(&r);
}

/* ---- windows ---- */

enum { WIDE = 160, HIGH = 96 }; /* px, of an image of 3 x 2 windows of SIDE */

typedef struct found_map {
    float values[WIDE * HIGH * CLASSES];
    size_t bytes; /* of the plan */
} found_map;

static rig make_window_rig(int tile) {
    rig r = make_rig("mobilenetv2_unet");
    r.model->spec.preprocess.windows = true;
    r.model->spec.preprocess.fit = FV_FIT_NATIVE;
    r.model->spec.preprocess.tile = tile;
    return r;
}

/* Of an image of noise, in 8 bits or in floats; to be freed. */
static found_map *predict_windows(const rig *r, bool in_bytes, bool flips, size_t memory) {
    found_map *found = test_malloc(sizeof *found);
    fv_rng rng = fv_rng_make(6, 0, 0, FV_PURPOSE_TEST);
    fv_work work = {.frame = {.source = {0, 0, WIDE, HIGH}, .target = {0, 0, WIDE, HIGH}}};
    fv_probability_map map;
    fv_predictor *predictor;
    assert_int_equal(fv_image_make(WIDE, HIGH, 3, &work.image), FV_OK);
    for (int i = 0; i < WIDE * HIGH * 3; i++) work.image.data[i] = (uint8_t)fv_rng_next(&rng);
    r->model->ranges = in_bytes ? fv_ranges_to_json(&r->folded, &r->ranges) : NULL;
    assert_int_equal(fv_predictor_make(r->model, &predictor), FV_OK);
    fv_predictor_set_flips(predictor, flips);
    fv_predictor_set_memory(predictor, memory);
    if (fv_predict_work(predictor, &work, &map) != FV_OK) fail_msg("%s", fv_error());
    assert_true(map.width == WIDE && map.height == HIGH && map.classes == CLASSES);
    memcpy(found->values, map.data, sizeof found->values);
    found->bytes = fv_predictor_bytes(predictor);
    fv_predictor_free(predictor);
    free(r->model->ranges);
    r->model->ranges = NULL;
    fv_work_free(&work);
    return found;
}

/* The second follows the first, and is something else. */
static void expect_near(const found_map *a, const found_map *b, double least_correlation) {
    double correlation, mean;
    compare(a->values, b->values, WIDE * HIGH, &correlation, &mean);
    if (!(correlation > least_correlation && mean > 0)) fail_msg("correlation %g, difference %g", correlation, mean);
}

static void windows_and_flips_follow_floats(void **state) {
    (void)state;
    rig r = make_window_rig(SIDE);
    found_map *found[2][2]; /* in floats and in bytes, without flips and with them */
    for (int i = 0; i < 4; i++) found[i / 2][i % 2] = predict_windows(&r, i / 2, i % 2, 0);
    expect_near(found[0][0], found[1][0], 0.999);
    expect_near(found[0][1], found[1][1], 0.999);
    double correlation, mean;
    compare(found[1][0]->values, found[1][1]->values, WIDE * HIGH, &correlation, &mean);
    assert_true(correlation < 0.99); /* flips change more than 8 bits do */
    assert_int_equal(found[1][0]->bytes, found[1][1]->bytes);
    for (int i = 0; i < 4; i++) test_free(found[i / 2][i % 2]);
    free_rig(&r);
}

/* What a limit is compared with is the memory of the network in 8 bits. */
static void memory_is_that_of_bytes(void **state) {
    (void)state;
    rig r = make_window_rig(0);
    found_map *floats = predict_windows(&r, false, true, 0), *whole = predict_windows(&r, true, true, 0);
    found_map *enough = predict_windows(&r, true, true, whole->bytes);
    found_map *less = predict_windows(&r, true, true, whole->bytes - 1);
    assert_true(whole->bytes < floats->bytes / 2);
    assert_int_equal(enough->bytes, whole->bytes);
    assert_memory_equal(enough->values, whole->values, sizeof whole->values);
    assert_true(less->bytes < whole->bytes);
    expect_near(floats, whole, 0.999);
    expect_near(whole, less, 0.9); /* windows see less at their rims */
    test_free(floats);
    test_free(whole);
    test_free(enough);
    test_free(less);
    free_rig(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_follow_floats),
        cmocka_unit_test(kernels_change_no_bit),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(other_layers_are_named),
        cmocka_unit_test(last_layers_are_plain_convolutions),
        cmocka_unit_test(ranges_without_room_are_refused),
        cmocka_unit_test(ranges_travel_as_text),
        cmocka_unit_test(models_with_ranges_predict_in_bytes),
        cmocka_unit_test(windows_and_flips_follow_floats),
        cmocka_unit_test(memory_is_that_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
