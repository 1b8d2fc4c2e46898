#include "kernel_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/rng.h"

#define GUARD_COUNT 64
#define ALIGNMENT 64

static const uint32_t guard_bits = 0x7fc0dea1u, unset_bits = 0x7fc0feedu; /* both NaN */

static char case_text[300];
static fv_cpu_level current_level;

/* Arrays ----------------------------------------------------------------------------------------------- */

static void fill_bits(float *array, size_t count, uint32_t bits) {
    for (size_t i = 0; i < count; i++) memcpy(&array[i], &bits, sizeof bits);
}

/* `shift` floats behind an aligned address. */
static check_array make_unset(size_t count, size_t shift) {
    size_t bytes = ((count + 2 * GUARD_COUNT + 1) * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    check_array array = {.count = count, .block = aligned_alloc(ALIGNMENT, bytes)};
    assert_non_null(array.block);
    array.data = (float *)array.block + GUARD_COUNT + shift;
    fill_bits(array.block, bytes / sizeof(float), guard_bits);
    fill_bits(array.data, count, unset_bits);
    return array;
}

check_array check_unset(size_t count) {
    return make_unset(count, 1);
}

check_array check_filled(size_t count, float value) {
    check_array array = check_unset(count);
    for (size_t i = 0; i < count; i++) array.data[i] = value;
    return array;
}

static void fill_random(const check_array *array, double low, double high, uint64_t seed) {
    fv_rng rng = fv_rng_make(seed, array->count, 0, FV_PURPOSE_TEST);
    for (size_t i = 0; i < array->count; i++) array->data[i] = (float)fv_rng_range(&rng, low, high);
}

check_array check_random(size_t count, double low, double high, uint64_t seed) {
    check_array array = check_unset(count);
    fill_random(&array, low, high, seed);
    return array;
}

check_array bench_random(size_t count, double low, double high, uint64_t seed) {
    check_array array = make_unset(count, 0);
    fill_random(&array, low, high, seed);
    return array;
}

check_array check_copy(const check_array *array) {
    check_array copy = check_unset(array->count);
    memcpy(copy.data, array->data, array->count * sizeof(float));
    return copy;
}

static bool guards_hold(const check_array *array) {
    const float *before = array->data - GUARD_COUNT, *behind = array->data + array->count;
    for (size_t i = 0; i < GUARD_COUNT; i++) {
        if (memcmp(&before[i], &guard_bits, sizeof(float)) || memcmp(&behind[i], &guard_bits, sizeof(float)))
            return false;
    }
    return true;
}

void check_free(check_array *array) {
    if (!guards_hold(array))
        fail_msg("%s, %s: the bands round an array of %zu numbers are overwritten", fv_cpu_name(current_level),
                 case_text, array->count);
    free(array->block);
    *array = (check_array){0};
}

/* Comparison ------------------------------------------------------------------------------------------- */

void check_case(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(case_text, sizeof case_text, format, arguments);
    va_end(arguments);
}

bool check_variant(fv_cpu_level level) {
    current_level = level;
    return level <= fv_cpu();
}

static bool same_bits(const float *a, const float *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

static bool is_unset(const float *a) {
    return memcmp(a, &unset_bits, sizeof *a) == 0;
}

static double root_mean_square(const check_array *array) {
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < array->count; i++) {
        if (!isfinite(array->data[i])) continue;
        sum += (double)array->data[i] * (double)array->data[i];
        count++;
    }
    return count ? sqrt(sum / (double)count) : 0;
}

static bool close_enough(const float *found, const float *expected, double tolerance, double scale) {
    if (same_bits(found, expected)) return true;
    if (is_unset(found) || is_unset(expected)) return false;
    if (isnan(*expected)) return isnan(*found);
    double difference = fabs((double)*found - (double)*expected);
    return difference <= tolerance * (fabs((double)*expected) + scale);
}

static void fail_element(const char *what, const check_array *found, const check_array *expected, size_t i) {
    fail_msg("%s, %s, %s: element %zu of %zu is %.9g, expected %.9g; scale %.3g", fv_cpu_name(current_level), case_text,
             what, i, found->count, (double)found->data[i], (double)expected->data[i], root_mean_square(expected));
}

void expect_same(const char *what, const check_array *found, const check_array *expected, double tolerance) {
    assert_int_equal(found->count, expected->count);
    double scale = root_mean_square(expected);
    for (size_t i = 0; i < found->count; i++) {
        if (!close_enough(&found->data[i], &expected->data[i], tolerance, scale))
            fail_element(what, found, expected, i);
    }
}

void expect_near(const char *what, double found, double expected, double allowed) {
    if (!(fabs(found - expected) <= allowed))
        fail_msg("%s, %s, %s: %.17g, expected %.17g within %.3g", fv_cpu_name(current_level), case_text, what, found,
                 expected, allowed);
}

void expect_bits(const char *what, const check_array *found, const check_array *expected) {
    assert_int_equal(found->count, expected->count);
    for (size_t i = 0; i < found->count; i++) {
        if (!same_bits(&found->data[i], &expected->data[i])) fail_element(what, found, expected, i);
    }
}

/* main() ----------------------------------------------------------------------------------------------- */

static const char *bench_word = "";

bool bench_wanted(const char *label) {
    return strstr(label, bench_word) != NULL;
}

int check_main(int argc, char **argv, const struct CMUnitTest *tests, size_t count, void (*bench)(void)) {
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        if (argc > 2) bench_word = argv[2];
        if (bench) bench();
        return 0;
    }
    return _cmocka_run_group_tests(argv[0], tests, count, NULL, NULL);
}
