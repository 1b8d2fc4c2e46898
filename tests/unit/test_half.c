#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fovea/tensor/half.h"

#define HALVES 65536
#define INFINITE_HALF 0x7C00u

static uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The definition: (-1)^sign 2^(e - 15) 1.fraction, and 2^-14 0.fraction where e = 0. */
static double half_value(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    if (exponent == 31) size = fraction ? NAN : INFINITY;
    return half & 0x8000 ? -size : size;
}

static void every_half_has_its_value(void **state) {
    (void)state;
    for (uint32_t h = 0; h < HALVES; h++) {
        float found = fv_half_to_float((uint16_t)h);
        double expected = half_value((uint16_t)h);
        assert_int_equal(signbit(found) != 0, h >> 15);
        if (isnan(expected))
            assert_int_equal(float_bits(found), (h & 0x8000u) << 16 | 0x7FC00000u | (h & 1023u) << 13);
        else
            assert_true((double)found == expected);
    }
}

static void every_half_comes_back(void **state) {
    (void)state;
    for (uint32_t h = 0; h < HALVES; h++) {
        uint32_t quiet = (h & 0x7FFFu) > INFINITE_HALF ? 0x200u : 0;
        assert_int_equal(fv_half_from_float(fv_half_to_float((uint16_t)h)), h | quiet);
    }
}

static void expect_both_signs(float value, uint32_t half) {
    assert_int_equal(fv_half_from_float(value), half);
    assert_int_equal(fv_half_from_float(-value), half | 0x8000u);
}

/* Between every two neighbours, 65504 and what would be 65536 included: the middle goes to the even one, the floats
   beside the middle to the nearer one. */
static void ties_go_to_even(void **state) {
    (void)state;
    for (uint32_t h = 0; h < INFINITE_HALF; h++) {
        double above = h + 1 == INFINITE_HALF ? 65536 : half_value((uint16_t)(h + 1));
        float middle = (float)((half_value((uint16_t)h) + above) / 2);
        expect_both_signs(middle, h + (h & 1));
        expect_both_signs(nextafterf(middle, 0), h);
        expect_both_signs(nextafterf(middle, INFINITY), h + 1);
    }
}

static void extremes_of_floats(void **state) {
    (void)state;
    static const struct {
        float value;
        uint32_t half;
    } cases[] = {
        {0, 0},          {0x1p-149f, 0},    {0x1p-126f, 0},     {0x1p-25f, 0},         {0x1.000002p-25f, 1},
        {0x1p-24f, 1},   {0x1p-14f, 0x400}, {1, 0x3C00},        {FV_HALF_MAX, 0x7BFF}, {65519.996f, 0x7BFF},
        {65520, 0x7C00}, {65536, 0x7C00},   {0x1p127f, 0x7C00}, {INFINITY, 0x7C00},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) expect_both_signs(cases[i].value, cases[i].half);
    /* A NaN whose payload lies below what a half holds must not become infinite. */
    assert_int_equal(fv_half_from_float(bits_float(0x7F800001u)), 0x7E00);
    assert_int_equal(fv_half_from_float(bits_float(0xFFC02000u)), 0xFE01);
}

static void every_bfloat16_is_the_upper_half(void **state) {
    (void)state;
    for (uint32_t b = 0; b < HALVES; b++) assert_int_equal(float_bits(fv_bfloat16_to_float((uint16_t)b)), b << 16);
}

/* At odd addresses, and of counts that leave a rest behind vectors. */
static void arrays_equal_single_numbers(void **state) {
    (void)state;
    enum { count = HALVES - 3 };
    unsigned char *bytes = test_malloc(1 + 2 * HALVES);
    float *values = test_malloc(sizeof(float) * HALVES);
    for (uint32_t h = 0; h < count; h++) memcpy(bytes + 1 + 2 * h, &(uint16_t){(uint16_t)h}, 2);
    fv_halves_to_floats(count, bytes + 1, values);
    for (uint32_t h = 0; h < count; h++)
        assert_int_equal(float_bits(values[h]), float_bits(fv_half_to_float((uint16_t)h)));
    fv_bfloat16s_to_floats(count, bytes + 1, values);
    for (uint32_t h = 0; h < count; h++) assert_int_equal(float_bits(values[h]), h << 16);
    for (uint32_t h = 0; h < count; h++) values[h] = bits_float(h * 65537u + 12345u);
    memset(bytes, 0xA5, 1 + 2 * HALVES);
    fv_halves_from_floats(count, values, bytes + 1);
    for (uint32_t h = 0; h < count; h++) {
        uint16_t found;
        memcpy(&found, bytes + 1 + 2 * h, sizeof found);
        assert_int_equal(found, fv_half_from_float(values[h]));
    }
    assert_int_equal(bytes[1 + 2 * count], 0xA5);
    test_free(values);
    test_free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_has_its_value),
        cmocka_unit_test(every_half_comes_back),
        cmocka_unit_test(ties_go_to_even),
        cmocka_unit_test(extremes_of_floats),
        cmocka_unit_test(every_bfloat16_is_the_upper_half),
        cmocka_unit_test(arrays_equal_single_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
