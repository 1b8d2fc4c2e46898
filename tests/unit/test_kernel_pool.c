/* The variants of kernel/pool.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/kernel/pool.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define GUARD 64
#define GUARD_BYTE 0xA5

static const size_t awkward[] = {1, 2, 3, 7, 8, 15, 16, 17, 24, 33, 64, 100};

/* Two rows of pixels: the upper one, then the lower. */
typedef struct pool_case {
    fv_pool_row row;
    size_t line, count; /* numbers of a row of pixels, and of the result */
    check_array x, y;
    uint8_t *tap; /* between guard bands */
} pool_case;

static pool_case make_case(size_t positions, size_t channels, size_t stride) {
    check_case("%zu windows of %zu channels, stride %zu", positions, channels, stride);
    pool_case t = {.row = {positions, channels, stride}, .line = 2 * positions * stride, .count = positions * channels};
    t.x = check_random(2 * t.line, -1, 1, 1);
    for (size_t i = 0; i < t.x.count; i += 3) t.x.data[i] = 0.5f; /* equals */
    for (size_t i = 5; i < t.x.count; i += 11) t.x.data[i] = (float)NAN;
    for (size_t i = 8; i < t.x.count; i += 13) t.x.data[i] = -INFINITY;
    t.tap = malloc(t.count + 2 * GUARD);
    assert_non_null(t.tap);
    memset(t.tap, GUARD_BYTE, t.count + 2 * GUARD);
    return t;
}

/* Where pixel k of window j is. */
static size_t place(const pool_case *t, size_t j, size_t k, size_t c) {
    return (k / 2) * t->line + (2 * j + k % 2) * t->row.stride + c;
}

static size_t largest_of(const pool_case *t, size_t j, size_t c) {
    size_t best = 0;
    for (size_t k = 1; k < 4; k++) {
        float x = t->x.data[place(t, j, k, c)];
        if (isnan(x) || x > t->x.data[place(t, j, best, c)]) best = k;
    }
    return best;
}

static void compare_largest(pool_case *t) {
    check_array expected = check_unset(t->count);
    for (size_t i = 0; i < t->count; i++) {
        size_t j = i / t->row.channels, c = i % t->row.channels;
        expected.data[i] = t->x.data[place(t, j, largest_of(t, j, c), c)];
    }
    for (const fv_pool_kernels *const *v = fv_pool_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array y = check_unset(t->count);
        memset(t->tap, GUARD_BYTE, t->count + 2 * GUARD);
        (*v)->largest(&t->row, t->x.data, t->x.data + t->line, y.data, t->tap + GUARD);
        expect_bits("y", &y, &expected);
        for (size_t i = 0; i < t->count; i++)
            expect_near("tap", t->tap[GUARD + i], (double)largest_of(t, i / t->row.channels, i % t->row.channels), 0);
        for (size_t i = 0; i < GUARD; i++)
            assert_true(t->tap[i] == GUARD_BYTE && t->tap[GUARD + t->count + i] == GUARD_BYTE);
        check_free(&y);
    }
    check_free(&expected);
}

/* Behind compare_largest(), which leaves the taps. */
static void compare_gradient(const pool_case *t, bool add) {
    check_array d = check_random(t->count, -1, 1, 2);
    check_array before = add ? check_random(2 * t->line, -1, 1, 3) : check_unset(2 * t->line);
    check_array expected = check_copy(&before);
    for (size_t i = 0; i < 4 * t->count; i++) {
        size_t j = i / 4 / t->row.channels, c = i / 4 % t->row.channels, k = i % 4;
        float *d_x = &expected.data[place(t, j, k, c)], value = t->tap[GUARD + i / 4] == k ? d.data[i / 4] : 0;
        *d_x = add ? *d_x + value : value;
    }
    for (const fv_pool_kernels *const *v = fv_pool_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array d_x = check_copy(&before);
        (*v)->largest_gradient(&t->row, d.data, t->tap + GUARD, add, d_x.data, d_x.data + t->line);
        expect_bits("d_x", &d_x, &expected);
        check_free(&d_x);
    }
    check_free(&d);
    check_free(&before);
    check_free(&expected);
}

static void rows_of_windows(void **state) {
    (void)state;
    static const size_t positions[] = {1, 2, 5};
    for (size_t i = 0; i < COUNT(awkward) * COUNT(positions) * 2; i++) {
        size_t channels = awkward[i / 2 / COUNT(positions)];
        pool_case t = make_case(positions[i / 2 % COUNT(positions)], channels, channels + i % 2 * 5);
        compare_largest(&t);
        compare_gradient(&t, false);
        compare_gradient(&t, true);
        check_free(&t.x);
        free(t.tap);
    }
}

/* Bench ------------------------------------------------------------------------------------------------ */

typedef struct bench_job {
    const fv_pool_kernels *kernels;
    fv_pool_row row;
    size_t rows; /* of windows */
    float *x, *y;
    uint8_t *tap;
} bench_job;

static void run_largest(void *context) {
    bench_job *b = context;
    size_t line = 2 * b->row.positions * b->row.stride, out = b->row.positions * b->row.channels;
    for (size_t r = 0; r < b->rows; r++) {
        const float *x = b->x + 2 * r * line;
        b->kernels->largest(&b->row, x, x + line, b->y + r * out, b->tap + r * out);
    }
}

static void run_gradient(void *context) {
    bench_job *b = context;
    size_t line = 2 * b->row.positions * b->row.stride, out = b->row.positions * b->row.channels;
    for (size_t r = 0; r < b->rows; r++) {
        float *x = b->x + 2 * r * line;
        b->kernels->largest_gradient(&b->row, b->y + r * out, b->tap + r * out, false, x, x + line);
    }
}

static void bench_shape(size_t rows, size_t positions, size_t channels) {
    size_t count = rows * positions * channels;
    check_array x = bench_random(4 * count, -1, 1, 1), y = bench_random(count, -1, 1, 2);
    uint8_t *tap = calloc(count, 1);
    assert_non_null(tap);
    bench_job job = {NULL, {positions, channels, channels}, rows, x.data, y.data, tap};
    for (int backward = 0; backward < 2; backward++) {
        char label[80];
        snprintf(label, sizeof label, "pool 2x2 %s %zux%zux%zu", backward ? "gradient" : "largest", 2 * rows,
                 2 * positions, channels);
        if (!bench_wanted(label)) continue;
        for (const fv_pool_kernels *const *v = fv_pool_variants; *v; v++) {
            if (!check_variant((*v)->level)) continue;
            job.kernels = *v;
            bench_case c = {label, (*v)->level, count, backward ? 1 : 4, 0, backward ? 4 : 1, 0};
            bench_run(&c, backward ? run_gradient : run_largest, &job);
        }
    }
    check_free(&x);
    check_free(&y);
    free(tap);
}

static void bench(void) {
    bench_shape(32, 32, 64);
    bench_shape(128, 128, 32);
    bench_shape(1024, 128, 32);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_windows),
    };
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
