/* train/loss.h against PyTorch: tests/golden/make_loss_golden.py. */
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
#include "fovea/base/threads.h"
#include "fovea/train/loss.h"
#include "golden.h"

enum { N = 2, H = 24, W = 20, C = 2, COUNT = N * H * W * C };

/* PyTorch's own float32 is within 4.1e-7 of these gradients, and 6.2e-8 of these losses. */
#define LOSS_TOLERANCE 3e-7
#define GRADIENT_TOLERANCE 2e-6

typedef struct golden_case {
    const char *name;
    fv_loss_settings settings;
} golden_case;

static const golden_case cases[] = {
    {"bce", {.bce = 1}},
    {"dice", {.dice = 1, .smooth = 1}},
    {"dice_batch", {.dice = 1, .smooth = 1e-6, .dice_over_batch = true}},
    {"focal", {.focal = 1, .focal_alpha = 0.25, .focal_gamma = 2}},
    {"focal_root", {.focal = 1, .focal_alpha = 0.7, .focal_gamma = 0.5}},
    {"tversky", {.tversky = 1, .tversky_alpha = 0.3, .tversky_beta = 0.7, .smooth = 1}},
    {"tversky_batch",
     {.tversky = 1, .tversky_alpha = 0.3, .tversky_beta = 0.7, .smooth = 1e-6, .dice_over_batch = true}},
    {"cldice", {.cldice = 1, .cldice_iterations = 3, .smooth = 1}},
    {"cldice_batch", {.cldice = 1, .cldice_iterations = 5, .smooth = 1, .dice_over_batch = true}},
    {"resunet",
     {.dice = 0.5,
      .bce = 0.3,
      .focal = 0.2,
      .focal_alpha = 0.25,
      .focal_gamma = 2,
      .smooth = 1e-6,
      .dice_over_batch = true}},
    {"all",
     {.bce = 0.4,
      .dice = 0.3,
      .focal = 0.2,
      .tversky = 0.6,
      .cldice = 0.5,
      .focal_alpha = 0.25,
      .focal_gamma = 2,
      .tversky_alpha = 0.3,
      .tversky_beta = 0.7,
      .cldice_iterations = 3,
      .smooth = 1}},
};

enum { CASES = sizeof cases / sizeof cases[0] };

/* 0 .. 20: the distance of element i from slanting lines. */
static int ridge(int i) {
    int c = i % C, x = i / C % W, y = i / C / W % H, n = i / C / W / H;
    return abs((3 * x + 5 * y + 7 * n + 11 * c) % 40 - 20);
}

static void fill(float *logits, float *target, float *valid, bool soft) {
    for (int i = 0; i < COUNT; i++) {
        logits[i] = (float)(3.0 - 0.4 * ridge(i) + golden_noise("logits", (uint64_t)i));
        target[i] = soft ? (float)((20 - ridge(i)) / 20.0) : ridge(i) < 7;
    }
    for (int i = 0; i < N * C; i++) valid[i] = i != 2; /* class 0 of sample 1 is not annotated */
}

/* A loss with the gradient of its logits. */
typedef struct bench {
    fv_params params;
    fv_graph graph;
    fv_plan *plan;
    fv_value logits, target, valid, loss;
} bench;

static void bench_make(bench *b, const fv_loss_settings *settings, bool soft) {
    fv_shape shape = {N, H, W, C};
    fv_params_init(&b->params);
    fv_graph_init(&b->graph, &b->params);
    b->logits = fv_graph_input(&b->graph, "logits", shape, true);
    b->target = fv_graph_input(&b->graph, "target", shape, false);
    b->valid = fv_graph_input(&b->graph, "valid", (fv_shape){N, 1, 1, C}, false);
    b->loss = fv_loss_add(&b->graph, "loss", settings, 1, b->logits, b->target, b->valid);
    assert_int_equal(fv_params_allocate(&b->params, 0), FV_OK);
    assert_int_equal(fv_plan_make(&b->graph, FV_PLAN_TRAIN, NULL, 0, b->loss, &b->plan), FV_OK);
    fill(fv_plan_data(b->plan, b->logits), fv_plan_data(b->plan, b->target), fv_plan_data(b->plan, b->valid), soft);
}

static void bench_free(bench *b) {
    fv_plan_free(b->plan);
    fv_graph_free(&b->graph);
    fv_params_free(&b->params);
}

static double bench_run(bench *b) {
    fv_plan_forward(b->plan, true, 0, 0);
    double loss = (double)*fv_plan_data(b->plan, b->loss);
    fv_plan_backward(b->plan);
    return loss;
}

static void compare(const fv_safetensors *golden, const golden_case *k, bool soft) {
    bench b;
    char name[64];
    snprintf(name, sizeof name, "%s.%s", k->name, soft ? "soft" : "hard");
    bench_make(&b, &k->settings, soft);
    double loss = bench_run(&b), expected = golden_double(golden_find(golden, name, ".loss"), 0), distance, norm;
    if (!(fabs(loss - expected) <= LOSS_TOLERANCE)) fail_msg("%s: loss %.9f, expected %.9f", name, loss, expected);
    const float *gradient = fv_plan_gradient(b.plan, b.logits);
    golden_distance(golden_find(golden, name, ".gradient"), gradient, COUNT, &distance, &norm);
    if (!(distance <= GRADIENT_TOLERANCE * norm)) fail_msg("%s: gradient is %g off, of %g", name, distance, norm);
    double whole = golden_double(golden_find(golden, name, ".norm"), 0);
    assert_float_equal(golden_norm(gradient, COUNT), whole, GRADIENT_TOLERANCE * whole);
    for (int i = 0; i < H * W; i++) assert_true(gradient[(H * W + i) * C] == 0);
    bench_free(&b);
}

static void agrees_with_pytorch(void **state) {
    (void)state;
    fv_safetensors golden;
    assert_int_equal(fv_safetensors_read("tests/golden/losses.safetensors", &golden), FV_OK);
    fv_cpu_level most = fv_cpu();
    for (int level = FV_CPU_SCALAR; level <= (int)most; level++) {
        fv_cpu_limit((fv_cpu_level)level);
        for (int i = 0; i < 2 * CASES; i++) compare(&golden, &cases[i / 2], i % 2);
        fv_cpu_limit(most);
    }
    fv_safetensors_free(&golden);
}

static void threads_do_not_change_bits(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        float first[COUNT];
        double loss = 0;
        for (int threads = 1; threads <= 3; threads++) {
            bench b;
            fv_threads_set(threads);
            bench_make(&b, &cases[i].settings, true);
            double found = bench_run(&b);
            const float *gradient = fv_plan_gradient(b.plan, b.logits);
            if (threads == 1) {
                loss = found;
                memcpy(first, gradient, sizeof first);
            }
            assert_true(found == loss);
            assert_memory_equal(gradient, first, sizeof first);
            bench_free(&b);
        }
    }
    fv_threads_set(0);
}

/* Validation begins with probabilities and ends in the same loss. */
static void meter_measures_the_same(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        bench b;
        fv_loss_meter meter;
        float p[COUNT], target[COUNT], valid[N * C];
        bench_make(&b, &cases[i].settings, false);
        fill(p, target, valid, false);
        for (int k = 0; k < COUNT; k++) p[k] = (float)(1 / (1 + exp(-(double)p[k])));
        assert_int_equal(fv_loss_meter_make(&cases[i].settings, (fv_shape){N, H, W, C}, &meter), FV_OK);
        assert_float_equal(fv_loss_meter_run(&meter, p, target, valid), bench_run(&b), 1e-6);
        p[0] = 0; /* certain and wrong, or right: finite */
        p[2] = 1;
        assert_true(isfinite(fv_loss_meter_run(&meter, p, target, valid)));
        fv_loss_meter_free(&meter);
        bench_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_pytorch),
        cmocka_unit_test(threads_do_not_change_bits),
        cmocka_unit_test(meter_measures_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
