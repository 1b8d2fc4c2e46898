#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "fovea/base/rng.h"

static void generator_follows_its_definition(void **state) {
    (void)state;
    static const struct {
        uint64_t seed, epoch, sample;
        fv_purpose purpose;
        uint64_t draws[4];
    } cases[] = {
        {0, 0, 0, FV_PURPOSE_INIT, {0xba3184ef0b4b247c, 0x2c00ae747db1ce69, 0xf7068cc9edb39792, 0x4adcc9ea8972788a}},
        {42,
         3,
         17,
         FV_PURPOSE_AUGMENT,
         {0x86b07bcf0d35d1ee, 0xc4863e12fcc9e9d6, 0xc7fa29c4a7244624, 0xc32443a5a3ff12b0}},
        {UINT64_MAX,
         UINT64_MAX,
         UINT64_MAX,
         FV_PURPOSE_TEST,
         {0x612c9c4c4eb227e0, 0x8c59f9b1ca78c2bf, 0x6e3adb14121173dd, 0xfade1925fb9d35b4}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fv_rng rng = fv_rng_make(cases[i].seed, cases[i].epoch, cases[i].sample, cases[i].purpose);
        for (int j = 0; j < 4; j++) assert_int_equal(fv_rng_next(&rng), cases[i].draws[j]);
    }
    fv_rng published = {{1, 2, 3, 4}};
    static const uint64_t first[4] = {11520, 0, 1509978240, 1215971899390074240};
    for (int j = 0; j < 4; j++) assert_int_equal(fv_rng_next(&published), first[j]);
}

static void derived_draws_have_fixed_values(void **state) {
    (void)state;
    fv_rng rng = fv_rng_make(42, 3, 17, FV_PURPOSE_AUGMENT);
    assert_true(fv_rng_uniform(&rng) == 0.5261304264542652);
    assert_true(fabs(fv_rng_normal(&rng) - 0.33238828027663053) < 1e-14);
}

static void every_word_matters(void **state) {
    (void)state;
    const fv_rng all[] = {fv_rng_make(1, 0, 0, FV_PURPOSE_INIT), fv_rng_make(0, 1, 0, FV_PURPOSE_INIT),
                          fv_rng_make(0, 0, 1, FV_PURPOSE_INIT), fv_rng_make(0, 0, 0, FV_PURPOSE_INIT),
                          fv_rng_make(0, 0, 0, FV_PURPOSE_SHUFFLE)};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < i; j++)
            for (int word = 0; word < 4; word++) assert_int_not_equal(all[i].s[word], all[j].s[word]);
}

static void uniform_is_uniform(void **state) {
    (void)state;
    enum { draws = 200000, bins = 20 };
    int histogram[bins] = {0};
    double sum = 0;
    fv_rng rng = fv_rng_make(7, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < draws; i++) {
        double u = fv_rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
        histogram[(int)(u * bins)]++;
        sum += u;
    }
    double chi_square = 0, expected = (double)draws / bins;
    for (int i = 0; i < bins; i++) chi_square += (histogram[i] - expected) * (histogram[i] - expected) / expected;
    assert_true(chi_square < 43.8); /* 99.9 % quantile for 19 degrees of freedom */
    assert_true(fabs(sum / draws - 0.5) < 0.0025);
}

static void normal_has_unit_moments(void **state) {
    (void)state;
    enum { draws = 200000 };
    double sum = 0, squares = 0, fourth = 0;
    fv_rng rng = fv_rng_make(8, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < draws; i++) {
        double x = fv_rng_normal(&rng);
        assert_true(isfinite(x));
        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
    }
    assert_true(fabs(sum / draws) < 0.01);
    assert_true(fabs(squares / draws - 1) < 0.015);
    assert_true(fabs(fourth / draws - 3) < 0.12);
}

static void range_stays_inside(void **state) {
    (void)state;
    fv_rng rng = fv_rng_make(9, 0, 0, FV_PURPOSE_TEST);
    double next_of_one = nextafter(1, 2);
    for (int i = 0; i < 10000; i++) {
        double x = fv_rng_range(&rng, -3, 5);
        assert_true(x >= -3 && x < 5);
        assert_true(fv_rng_range(&rng, 1, next_of_one) == 1); /* half of the draws round up to the open end */
    }
    assert_true(fv_rng_range(&rng, 2, 2) == 2);
}

static void below_is_unbiased(void **state) {
    (void)state;
    enum { draws = 90000 };
    int histogram[3] = {0};
    fv_rng rng = fv_rng_make(10, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < draws; i++) {
        uint32_t x = fv_rng_below(&rng, 3);
        assert_true(x < 3);
        histogram[x]++;
        assert_int_equal(fv_rng_below(&rng, 1), 0);
        assert_true(fv_rng_below(&rng, 0xc0000000u) < 0xc0000000u);
    }
    for (int i = 0; i < 3; i++) assert_in_range(histogram[i], draws / 3 - 600, draws / 3 + 600);
}

static void shuffle_is_a_permutation(void **state) {
    (void)state;
    enum { count = 1000 };
    uint32_t items[count], again[count];
    uint8_t seen[count] = {0};
    for (uint32_t i = 0; i < count; i++) items[i] = again[i] = i;
    fv_rng rng = fv_rng_make(11, 2, 0, FV_PURPOSE_SHUFFLE), twin = rng;
    fv_rng_shuffle(&rng, items, count);
    fv_rng_shuffle(&twin, again, count);
    assert_memory_equal(items, again, sizeof items);
    int fixed = 0;
    for (uint32_t i = 0; i < count; i++) {
        assert_true(items[i] < count);
        seen[items[i]]++;
        fixed += items[i] == i;
    }
    for (uint32_t i = 0; i < count; i++) assert_int_equal(seen[i], 1);
    assert_true(fixed < 10); /* one is expected */
    fv_rng_shuffle(&rng, items, 0);
}

static void shuffle_reaches_all_orders_equally(void **state) {
    (void)state;
    enum { draws = 60000 };
    int histogram[27] = {0};
    fv_rng rng = fv_rng_make(12, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < draws; i++) {
        uint32_t items[3] = {0, 1, 2};
        fv_rng_shuffle(&rng, items, 3);
        histogram[items[0] * 9 + items[1] * 3 + items[2]]++;
    }
    static const int orders[6] = {5, 7, 11, 15, 19, 21};
    for (int i = 0; i < 6; i++) assert_in_range(histogram[orders[i]], draws / 6 - 400, draws / 6 + 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generator_follows_its_definition),
        cmocka_unit_test(derived_draws_have_fixed_values),
        cmocka_unit_test(every_word_matters),
        cmocka_unit_test(uniform_is_uniform),
        cmocka_unit_test(normal_has_unit_moments),
        cmocka_unit_test(range_stays_inside),
        cmocka_unit_test(below_is_unbiased),
        cmocka_unit_test(shuffle_is_a_permutation),
        cmocka_unit_test(shuffle_reaches_all_orders_equally),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
