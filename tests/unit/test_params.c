#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/rng.h"
#include "fovea/tensor/params.h"

static int declare(fv_params *params, const char *name, fv_shape shape, fv_init init, int fan_in, int fan_out) {
    int index;
    assert_int_equal(fv_params_declare(params, name, shape, init, fan_in, fan_out, init != FV_INIT_ONE, &index), FV_OK);
    return index;
}

static void shapes_read_well(void **state) {
    (void)state;
    char text[FV_SHAPE_TEXT];
    assert_string_equal(fv_shape_text((fv_shape){8, 256, 256, 3}, text), "8x256x256x3");
    fv_shape_text((fv_shape){INT_MIN, INT_MIN, INT_MIN, INT_MIN}, text);
    assert_int_equal(strlen(text), FV_SHAPE_TEXT - 1);
    assert_int_equal(fv_shape_count((fv_shape){1 << 15, 1 << 15, 2, 2}), (size_t)1 << 32);
}

static void offsets_are_aligned_and_disjoint(void **state) {
    (void)state;
    fv_params params;
    fv_params_init(&params);
    size_t end = 0;
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer%d.weight", i);
        assert_int_equal(declare(&params, name, (fv_shape){1, 1, 1, i + 1}, FV_INIT_ZERO, 1, 1), i);
    }
    for (int i = 0; i < 200; i++) {
        const fv_param *param = &params.list[i];
        assert_int_equal(param->offset % 16, 0);
        assert_true(param->offset >= end && param->offset < end + 16);
        assert_int_equal(param->count, i + 1);
        end = param->offset + param->count;
    }
    assert_true(params.total >= end && params.total % 16 == 0);
    assert_int_equal(fv_params_count_values(&params, false), 200 * 201 / 2);
    assert_int_equal(fv_params_find(&params, "layer77.weight"), 77);
    assert_int_equal(fv_params_find(&params, "layer77"), -1);
    fv_params_free(&params);
    assert_int_equal(params.count, 0);
    fv_params_free(&params);
}

static void second_declaration_must_agree(void **state) {
    (void)state;
    fv_params params;
    fv_params_init(&params);
    int index;
    declare(&params, "a", (fv_shape){1, 1, 1, 4}, FV_INIT_ONE, 0, 0);
    assert_int_equal(declare(&params, "b", (fv_shape){3, 3, 2, 4}, FV_INIT_HE_NORMAL, 18, 36), 1);
    assert_int_equal(declare(&params, "a", (fv_shape){1, 1, 1, 4}, FV_INIT_ONE, 0, 0), 0);
    assert_int_equal(params.count, 2);
    assert_int_equal(fv_params_declare(&params, "b", (fv_shape){3, 3, 4, 2}, FV_INIT_ZERO, 1, 1, true, &index),
                     FV_BAD_INPUT);
    assert_int_equal(index, -1);
    assert_string_equal(fv_error(), "parameter b is declared with shape 3x3x2x4 and again with shape 3x3x4x2");
    assert_int_equal(fv_params_count_values(&params, true), 72);
    assert_int_equal(fv_params_count_values(&params, false), 76);
    assert_int_equal(fv_params_allocate(&params, 1), FV_OK);
    assert_int_equal(declare(&params, "a", (fv_shape){1, 1, 1, 4}, FV_INIT_ONE, 0, 0), 0);
    assert_int_equal(fv_params_declare(&params, "c", (fv_shape){1, 1, 1, 4}, FV_INIT_ZERO, 1, 1, true, &index),
                     FV_BAD_INPUT);
    assert_int_equal(fv_params_allocate(&params, 1), FV_BAD_INPUT);
    fv_params_free(&params);
}

static void impossible_declarations_are_refused(void **state) {
    (void)state;
    fv_params params;
    fv_params_init(&params);
    char name[FV_NAME_MAX + 1];
    memset(name, 'n', FV_NAME_MAX);
    name[FV_NAME_MAX] = 0;
    const struct {
        const char *name;
        fv_shape shape;
        fv_init init;
        int fan_in, fan_out;
    } cases[] = {{"a", {0, 1, 1, 1}, FV_INIT_ZERO, 1, 1},
                 {"a", {1, 1, -1, 1}, FV_INIT_ZERO, 1, 1},
                 {"a", {INT_MAX, INT_MAX, INT_MAX, INT_MAX}, FV_INIT_ZERO, 1, 1},
                 {"a", {1 << 16, 1 << 16, 1, 1}, FV_INIT_ZERO, 1, 1},
                 {"a", {1, 1, 1, 1}, FV_INIT_HE_NORMAL, 0, 1},
                 {"a", {1, 1, 1, 1}, FV_INIT_GLOROT_UNIFORM, 0, 0},
                 {"a", {1, 1, 1, 1}, FV_INIT_LECUN_UNIFORM, -1, 3},
                 {"", {1, 1, 1, 1}, FV_INIT_ZERO, 1, 1},
                 {name, {1, 1, 1, 1}, FV_INIT_ZERO, 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int index;
        assert_int_equal(fv_params_declare(&params, cases[i].name, cases[i].shape, cases[i].init, cases[i].fan_in,
                                           cases[i].fan_out, true, &index),
                         FV_BAD_INPUT);
        assert_int_equal(index, -1);
    }
    assert_int_equal(params.count, 0);
    name[FV_NAME_MAX - 1] = 0;
    declare(&params, name, (fv_shape){1, 1, 1, 1}, FV_INIT_ZERO, 1, 1);
    fv_params_free(&params);
}

typedef struct moments {
    double mean, variance, low, high;
} moments;

static moments measure(const fv_params *params, int index) {
    const fv_param *param = &params->list[index];
    const fv_real *values = params->values + param->offset;
    moments m = {.low = INFINITY, .high = -INFINITY};
    for (size_t i = 0; i < param->count; i++) {
        m.mean += (double)values[i] / (double)param->count;
        m.variance += (double)values[i] * (double)values[i] / (double)param->count;
        m.low = fmin(m.low, (double)values[i]);
        m.high = fmax(m.high, (double)values[i]);
    }
    return m;
}

static void initial_values_have_their_distribution(void **state) {
    (void)state;
    fv_params params;
    fv_params_init(&params);
    const fv_shape shape = {3, 3, 64, 64};
    int zero = declare(&params, "zero", shape, FV_INIT_ZERO, 0, 0);
    int one = declare(&params, "one", shape, FV_INIT_ONE, 0, 0);
    int he = declare(&params, "he", shape, FV_INIT_HE_NORMAL, 576, 576);
    int glorot = declare(&params, "glorot", shape, FV_INIT_GLOROT_UNIFORM, 576, 288);
    int lecun = declare(&params, "lecun", shape, FV_INIT_LECUN_UNIFORM, 576, 576);
    assert_int_equal(fv_params_allocate(&params, 5), FV_OK);
    moments m = measure(&params, zero);
    assert_true(m.low == 0 && m.high == 0);
    m = measure(&params, one);
    assert_true(m.low == 1 && m.high == 1);
    m = measure(&params, he);
    assert_true(fabs(m.mean) < 0.001);
    assert_true(fabs(m.variance / (2.0 / 576) - 1) < 0.03);
    assert_true(m.high > 3.5 * sqrt(2.0 / 576)); /* not cut off */
    m = measure(&params, glorot);
    double bound = sqrt(6.0 / 864);
    assert_true(m.low >= -bound && m.low < -0.999 * bound && m.high <= bound && m.high > 0.999 * bound);
    assert_true(fabs(m.variance / (bound * bound / 3) - 1) < 0.03);
    m = measure(&params, lecun);
    bound = 1.0 / 24;
    assert_true(m.low >= -bound && m.low < -0.999 * bound && m.high <= bound && m.high > 0.999 * bound);
    assert_int_equal((uintptr_t)params.values % FV_ALIGNMENT, 0);
    fv_params_free(&params);
}

/* Inference shall not pay for them. */
static void gradients_are_there_when_asked_for(void **state) {
    (void)state;
    fv_params params;
    fv_params_init(&params);
    declare(&params, "weight", (fv_shape){3, 3, 8, 8}, FV_INIT_HE_NORMAL, 72, 72);
    assert_int_equal(fv_params_allocate(&params, 5), FV_OK);
    assert_null(params.gradients);
    assert_int_equal(fv_params_allocate_gradients(&params), FV_OK);
    fv_real *gradients = params.gradients;
    for (size_t i = 0; i < params.total; i++) assert_true(gradients[i] == 0);
    assert_int_equal((uintptr_t)gradients % FV_ALIGNMENT, 0);
    gradients[0] = 1;
    assert_int_equal(fv_params_allocate_gradients(&params), FV_OK); /* again: nothing changes */
    assert_ptr_equal(params.gradients, gradients);
    assert_true(gradients[0] == 1);
    fv_params_free(&params);
}

static void values_depend_on_seed_and_place_only(void **state) {
    (void)state;
    fv_params one, two;
    fv_params_init(&one);
    fv_params_init(&two);
    const fv_shape small = {1, 1, 1, 3}, large = {1, 1, 1, 100}, weight = {1, 1, 8, 8};
    declare(&one, "first", small, FV_INIT_HE_NORMAL, 8, 8);
    declare(&one, "second", weight, FV_INIT_HE_NORMAL, 8, 8);
    declare(&two, "other", large, FV_INIT_HE_NORMAL, 8, 8);
    declare(&two, "second", weight, FV_INIT_HE_NORMAL, 8, 8);
    assert_int_equal(fv_params_allocate(&one, 9), FV_OK);
    assert_int_equal(fv_params_allocate(&two, 9), FV_OK);
    const fv_real *in_one = one.values + one.list[1].offset, *in_two = two.values + two.list[1].offset;
    assert_memory_equal(in_one, in_two, 64 * sizeof(fv_real));
    fv_rng rng = fv_rng_make(9, 0, 1, FV_PURPOSE_INIT);
    for (int i = 0; i < 64; i++) assert_true(in_one[i] == (fv_real)(0.5 * fv_rng_normal(&rng)));
    fv_params_free(&one);
    fv_params_free(&two);
}

static void empty_network_can_be_allocated(void **state) {
    (void)state;
    fv_params params;
    fv_params_init(&params);
    assert_int_equal(fv_params_allocate(&params, 1), FV_OK);
    assert_int_equal(fv_params_count_values(&params, false), 0);
    fv_params_free(&params);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_read_well),
        cmocka_unit_test(offsets_are_aligned_and_disjoint),
        cmocka_unit_test(second_declaration_must_agree),
        cmocka_unit_test(impossible_declarations_are_refused),
        cmocka_unit_test(initial_values_have_their_distribution),
        cmocka_unit_test(gradients_are_there_when_asked_for),
        cmocka_unit_test(values_depend_on_seed_and_place_only),
        cmocka_unit_test(empty_network_can_be_allocated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
