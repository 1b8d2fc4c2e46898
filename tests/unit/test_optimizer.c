#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fovea/base/threads.h"
#include "fovea/train/optimizer.h"
#include "fovea/train/schedule.h"

#define COUNT 50000 /* several tasks of the optimiser */

/* An encoder kernel, a decoder kernel, a decoder bias and a running mean, with simple values and gradients. */
static void params_make(fv_params *params) {
    int index;
    fv_params_init(params);
    fv_shape kernel = {1, 1, COUNT / 10, 10}, vector = {1, 1, 1, 7};
    fv_params_declare(params, "encoder.w", (fv_shape){3, 1, 1, 5}, FV_INIT_ZERO, 1, 1, true, &index);
    fv_params_declare(params, "decoder.w", kernel, FV_INIT_ZERO, 1, 1, true, &index);
    fv_params_declare(params, "decoder.bias", vector, FV_INIT_ZERO, 1, 1, true, &index);
    fv_params_declare(params, "decoder.mean", vector, FV_INIT_ZERO, 1, 1, false, &index);
    assert_int_equal(fv_params_allocate(params, 1), FV_OK);
    assert_int_equal(fv_params_allocate_gradients(params), FV_OK);
    for (int p = 0; p < params->count; p++)
        for (size_t i = 0; i < params->list[p].count; i++) {
            params->values[params->list[p].offset + i] = (float)(0.5 + 0.001 * (double)(i % 100));
            params->gradients[params->list[p].offset + i] = (float)(0.01 * (double)(i % 13) - 0.05);
        }
}

static float *values_of(fv_params *params, const char *name) {
    return params->values + params->list[fv_params_find(params, name)].offset;
}

/* One parameter by the paper's formulas in double. */
static double adam_reference(double w, double g, double rate, double decay, bool decoupled, int steps) {
    double m = 0, v = 0;
    for (int t = 1; t <= steps; t++) {
        double gradient = g + (decoupled ? 0 : decay * w);
        m = 0.9 * m + 0.1 * gradient;
        v = 0.999 * v + 0.001 * gradient * gradient;
        if (decoupled) w -= rate * decay * w;
        w -= rate * (m / (1 - pow(0.9, t))) / (sqrt(v / (1 - pow(0.999, t))) + 1e-8);
    }
    return w;
}

static fv_optimizer_settings settings_make(fv_optimizer_kind kind, double decay) {
    return (fv_optimizer_settings){.kind = kind,
                                   .rate = 1e-2,
                                   .encoder_rate = 1e-3,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .epsilon = 1e-8,
                                   .weight_decay = decay};
}

static void check_kind(fv_optimizer_kind kind) {
    fv_params params;
    fv_optimizer optimizer;
    fv_optimizer_settings settings = settings_make(kind, 0.1);
    params_make(&params);
    assert_int_equal(fv_optimizer_make(&settings, &params, &optimizer), FV_OK);
    for (int t = 0; t < 5; t++) fv_optimizer_step(&optimizer, 1);
    for (int i = 0; i < 15; i++) {
        double w = 0.5 + 0.001 * i, g = 0.01 * (i % 13) - 0.05;
        assert_float_equal(values_of(&params, "encoder.w")[i], adam_reference(w, g, 1e-3, 0.1, kind == FV_ADAMW, 5),
                           2e-6);
        assert_float_equal(values_of(&params, "decoder.w")[i], adam_reference(w, g, 1e-2, 0.1, kind == FV_ADAMW, 5),
                           2e-6);
    }
    for (int i = 0; i < 7; i++) { /* no decay on a bias, no change of a statistic */
        double w = 0.5 + 0.001 * i, g = 0.01 * i - 0.05;
        assert_float_equal(values_of(&params, "decoder.bias")[i], adam_reference(w, g, 1e-2, 0, false, 5), 2e-6);
        assert_float_equal(values_of(&params, "decoder.mean")[i], (float)w, 0);
    }
    fv_optimizer_free(&optimizer);
    fv_params_free(&params);
}

static void adam_and_adamw_follow_the_papers(void **state) {
    (void)state;
    check_kind(FV_ADAM);
    check_kind(FV_ADAMW);
}

/* lambda times the sum of squares has the slope 2 lambda w: the rule of a decay of 2 lambda, in AdamW too. */
static void check_l2(fv_optimizer_kind kind, const char *layers, double encoder, double decoder) {
    fv_params params;
    fv_optimizer optimizer;
    fv_optimizer_settings settings = settings_make(kind, 0);
    settings.l2 = 0.05;
    strcpy(settings.l2_layers, layers);
    params_make(&params);
    assert_int_equal(fv_optimizer_make(&settings, &params, &optimizer), FV_OK);
    for (int t = 0; t < 5; t++) fv_optimizer_step(&optimizer, 1);
    for (int i = 0; i < 15; i++) {
        double w = 0.5 + 0.001 * i, g = 0.01 * (i % 13) - 0.05;
        assert_float_equal(values_of(&params, "encoder.w")[i], adam_reference(w, g, 1e-3, 2 * encoder, false, 5), 2e-6);
        assert_float_equal(values_of(&params, "decoder.w")[i], adam_reference(w, g, 1e-2, 2 * decoder, false, 5), 2e-6);
    }
    for (int i = 0; i < 7; i++)
        assert_float_equal(values_of(&params, "decoder.bias")[i],
                           adam_reference(0.5 + 0.001 * i, 0.01 * i - 0.05, 1e-2, 0, false, 5), 2e-6);
    fv_optimizer_free(&optimizer);
    fv_params_free(&params);
}

static void l2_pulls_the_chosen_kernels(void **state) {
    (void)state;
    check_l2(FV_ADAM, "all", 0.05, 0.05);
    check_l2(FV_ADAM, "decoder", 0, 0.05);
    check_l2(FV_ADAMW, "encoder", 0.05, 0);
    check_l2(FV_ADAM, "encoder.w, decoder decoder.w", 0.05, 0.05);
}

static void l2_refuses_unknown_layers(void **state) {
    (void)state;
    static const char *const wrong[] = {"decoder.v", "encoder.", "decoder.bias", "decoder.mean", "encode"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fv_params params;
        fv_optimizer optimizer;
        fv_optimizer_settings settings = settings_make(FV_ADAM, 0);
        settings.l2 = 1e-4;
        snprintf(settings.l2_layers, sizeof settings.l2_layers, "all %s", wrong[i]);
        params_make(&params);
        assert_int_equal(fv_optimizer_make(&settings, &params, &optimizer), FV_BAD_INPUT);
        assert_non_null(strstr(fv_error(), wrong[i]));
        assert_null(optimizer.chunks);
        fv_params_free(&params);
    }
}

static void factor_scales_the_step(void **state) {
    (void)state;
    fv_params params;
    fv_optimizer optimizer;
    fv_optimizer_settings settings = settings_make(FV_ADAM, 0);
    params_make(&params);
    assert_int_equal(fv_optimizer_make(&settings, &params, &optimizer), FV_OK);
    fv_optimizer_step(&optimizer, 0.25);
    assert_float_equal(values_of(&params, "decoder.w")[0], 0.5 + 0.25e-2, 1e-6); /* the first step is rate * sign(-g) */
    fv_optimizer_free(&optimizer);
    fv_params_free(&params);
}

static void clipping_bounds_the_norm(void **state) {
    (void)state;
    fv_params params;
    fv_optimizer optimizer;
    fv_optimizer_settings settings = settings_make(FV_ADAM, 0);
    settings.clip_norm = 1e-3;
    params_make(&params);
    assert_int_equal(fv_optimizer_make(&settings, &params, &optimizer), FV_OK);
    double sum = 0;
    for (int p = 0; p < 3; p++)
        for (size_t i = 0; i < params.list[p].count; i++)
            sum += pow((double)params.gradients[params.list[p].offset + i], 2);
    double norm = fv_optimizer_step(&optimizer, 1);
    assert_float_equal(norm, sqrt(sum), 1e-4 * sqrt(sum));
    float m = optimizer.moment1[params.list[1].offset]; /* 0.1 of the clipped gradient */
    assert_float_equal(m, 0.1 * -0.05 * 1e-3 / norm, 1e-3 * 0.005 * 1e-3 / norm);
    fv_optimizer_free(&optimizer);
    fv_params_free(&params);
}

static void nonfinite_gradient_changes_nothing(void **state) {
    (void)state;
    fv_params params;
    fv_optimizer optimizer;
    fv_optimizer_settings settings = settings_make(FV_ADAM, 0);
    params_make(&params);
    assert_int_equal(fv_optimizer_make(&settings, &params, &optimizer), FV_OK);
    params.gradients[params.list[1].offset + 3] = NAN;
    assert_false(isfinite(fv_optimizer_step(&optimizer, 1)));
    assert_float_equal(values_of(&params, "encoder.w")[0], 0.5, 0);
    assert_int_equal(optimizer.step, 0);
    fv_optimizer_free(&optimizer);
    fv_params_free(&params);
}

static void average_follows_the_weights(void **state) {
    (void)state;
    fv_params params;
    fv_optimizer optimizer;
    fv_optimizer_settings settings = settings_make(FV_ADAM, 0);
    settings.average_decay = 0.9;
    params_make(&params);
    assert_int_equal(fv_optimizer_make(&settings, &params, &optimizer), FV_OK);
    double average = 0.5;
    for (int t = 1; t <= 200; t++) {
        fv_optimizer_step(&optimizer, 1);
        double keep = fmin(0.9, (1.0 + t) / (10.0 + t));
        average = keep * average + (1 - keep) * (double)values_of(&params, "decoder.w")[0];
    }
    assert_float_equal(fv_optimizer_weights(&optimizer)[params.list[1].offset], average, 1e-4);
    assert_true(fabs(average - (double)values_of(&params, "decoder.w")[0]) > 1e-3); /* it lags behind */
    fv_optimizer_free(&optimizer);
    fv_params_free(&params);
}

static void threads_do_not_change_bits(void **state) {
    (void)state;
    fv_params params[2];
    for (int i = 0; i < 2; i++) {
        fv_optimizer optimizer;
        fv_optimizer_settings settings = settings_make(FV_ADAMW, 0.01);
        settings.clip_norm = 0.5;
        settings.average_decay = 0.9;
        fv_threads_set(1 + 2 * i);
        params_make(&params[i]);
        assert_int_equal(fv_optimizer_make(&settings, &params[i], &optimizer), FV_OK);
        for (int t = 0; t < 3; t++) fv_optimizer_step(&optimizer, 1);
        fv_optimizer_free(&optimizer);
    }
    assert_memory_equal(params[0].values, params[1].values, params[0].total * sizeof(float));
    fv_params_free(&params[0]);
    fv_params_free(&params[1]);
    fv_threads_set(0);
}

/* ---- schedules: total 100 steps, 10 an epoch ---- */

static double factor_at(fv_schedule schedule, int64_t step) {
    fv_plateau plateau = {.best = INFINITY, .factor = 1};
    return fv_schedule_factor(&schedule, &plateau, step, 100, 10);
}

static void warm_up_is_linear(void **state) {
    (void)state;
    fv_schedule s = {.kind = FV_SCHEDULE_CONSTANT, .warmup_steps = 4};
    assert_float_equal(factor_at(s, 0), 0.25, 1e-12);
    assert_float_equal(factor_at(s, 2), 0.75, 1e-12);
    assert_float_equal(factor_at(s, 4), 1, 1e-12);
    assert_float_equal(factor_at(s, 99), 1, 1e-12);
}

static void step_halves_every_n_epochs(void **state) {
    (void)state;
    fv_schedule s = {.kind = FV_SCHEDULE_STEP, .every = 3, .factor = 0.5};
    assert_float_equal(factor_at(s, 29), 1, 1e-12);
    assert_float_equal(factor_at(s, 30), 0.5, 1e-12);
    assert_float_equal(factor_at(s, 99), 0.125, 1e-12);
}

static void cosine_falls_to_its_floor(void **state) {
    (void)state;
    fv_schedule s = {.kind = FV_SCHEDULE_COSINE, .warmup_steps = 20, .floor = 0.01};
    assert_float_equal(factor_at(s, 20), 1, 1e-12);
    assert_float_equal(factor_at(s, 60), 0.5, 1e-12);
    assert_float_equal(factor_at(s, 40), 0.5 * (1 + cos(acos(-1.0) / 4)), 1e-12);
    assert_float_equal(factor_at(s, 100), 0.01, 1e-12);
}

static void plateau_waits_and_halves(void **state) {
    (void)state;
    fv_schedule s = {.kind = FV_SCHEDULE_PLATEAU, .every = 2, .factor = 0.5, .floor = 0.2};
    fv_plateau p = {.best = INFINITY, .factor = 1};
    static const double losses[] = {1.0, 0.9, 0.95, 0.91, 0.92, 0.93, 0.8, 0.9, 0.9, 0.9, 0.9};
    static const double factors[] = {1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2};
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        fv_plateau_update(&s, &p, losses[i]);
        assert_float_equal(fv_schedule_factor(&s, &p, 50, 100, 10), factors[i], 1e-12);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam_and_adamw_follow_the_papers),
        cmocka_unit_test(l2_pulls_the_chosen_kernels),
        cmocka_unit_test(l2_refuses_unknown_layers),
        cmocka_unit_test(factor_scales_the_step),
        cmocka_unit_test(clipping_bounds_the_norm),
        cmocka_unit_test(nonfinite_gradient_changes_nothing),
        cmocka_unit_test(average_follows_the_weights),
        cmocka_unit_test(threads_do_not_change_bits),
        cmocka_unit_test(warm_up_is_linear),
        cmocka_unit_test(step_halves_every_n_epochs),
        cmocka_unit_test(cosine_falls_to_its_floor),
        cmocka_unit_test(plateau_waits_and_halves),
    };
    return cmocka_run_group_tests_name("optimizer", tests, NULL, NULL);
}
