/* Products split over threads: compared with sums in double, and the split must leave the bits alone. The tiles that
   they are made of have a test of their own, test_kernel_gemm.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fovea/base/memory.h"
#include "fovea/base/rng.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/gemm.h"

#define GUARD 7.5e33f

static float *random_matrix(uint64_t seed, size_t count) {
    float *a = malloc((count + 1) * sizeof *a);
    assert_non_null(a);
    fv_rng rng = fv_rng_make(seed, 0, 0, FV_PURPOSE_TEST);
    for (size_t i = 0; i < count; i++) a[i] = (float)fv_rng_range(&rng, -1, 1);
    return a;
}

static float *filled_matrix(float value, size_t count) {
    float *a = malloc((count + 1) * sizeof *a);
    assert_non_null(a);
    for (size_t i = 0; i < count; i++) a[i] = value;
    return a;
}

/* What the rounding of k products of numbers up to 1 may come to; a wrong kernel is off by about 1. */
static double tolerance(int k) {
    return 2e-7 * (16 + k);
}

/* Which of the factors are transposed. */
typedef struct product {
    bool ta, tb;
    int k;
} product;

static double element(const product *p, const float *a, int lda, const float *b, int ldb, int i, int j) {
    double sum = 0;
    for (int q = 0; q < p->k; q++) {
        sum += (double)(p->ta ? a[(size_t)q * lda + i] : a[(size_t)i * lda + q]) *
               (double)(p->tb ? b[(size_t)j * ldb + q] : b[(size_t)q * ldb + j]);
    }
    return sum;
}

static void tiling_covers(void **state) {
    (void)state;
    static const int64_t rows[] = {1, 2, 63, 96, 100, 512, 4096, 8192, 32768, 131072, 524288};
    static const int sizes[] = {1, 3, 16, 24, 96, 144, 320, 960, 1856};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int j = 0; j < 81; j++) {
            int n = sizes[j / 9], k = sizes[j % 9], limit = j % 2 ? 64 : 1024;
            fv_tiling t = fv_gemm_tiling(rows[i], n, k, limit);
            assert_true(t.rows >= 1 && t.rows <= limit && t.rows <= rows[i] && t.columns >= 1 &&
                        t.columns % FV_GEMM_PANEL_MAX == 0);
            assert_true(t.row_tiles * t.rows >= rows[i] && (t.row_tiles - 1) * t.rows < rows[i]);
            assert_true(t.column_tiles * t.columns >= n && (t.column_tiles - 1) * t.columns < n);
        }
    }
    fv_tiling large = fv_gemm_tiling(131072, 96, 16, 1024);
    assert_true(large.row_tiles >= 32 && large.rows >= 112);
    fv_tiling shallow = fv_gemm_tiling(512, 320, 960, 1024);
    assert_true(shallow.row_tiles * shallow.column_tiles >= 12 && shallow.rows >= 112);
}

typedef struct split_case {
    int64_t m;
    int n, k;
    bool transpose_b, add, bias;
} split_case;

/* {m,k} {k,n}; the weight gradient of the same case is {m,k}^T {m,n}. */
static const split_case splits[] = {
    {1, 1, 1, false, false, false},      {1000, 24, 33, false, false, true},  {1000, 24, 33, true, true, false},
    {515, 330, 130, false, false, true}, {515, 330, 130, true, false, false}, {7, 1000, 65, false, true, true},
    {9000, 3, 2, false, false, false},   {2500, 96, 16, true, true, true},    {300, 170, 340, false, false, false},
    {600, 96, 100, false, true, false},
};

static void run_rows(const split_case *s, int threads, const float *x, const float *b, float *y, double *moments) {
    fv_threads_set(threads);
    void *work;
    size_t work_bytes = fv_gemm_rows_work(s->m, s->n, s->k);
    assert_int_equal(fv_block_allocate(work_bytes, "work", &work), FV_OK);
    memset(work, 0xff, work_bytes);
    float *bias = random_matrix(9, (size_t)s->n);
    for (int64_t i = 0; i < s->m * s->n; i++) y[i] = s->add ? 0.25f : NAN;
    y[s->m * s->n] = GUARD;
    fv_gemm_rows task = {.m = s->m,
                         .n = s->n,
                         .k = s->k,
                         .x = x,
                         .x_stride = s->k,
                         .b = b,
                         .transpose_b = s->transpose_b,
                         .result = {.c = y, .ld = s->n, .add = s->add, .finish = s->bias, .low = -INFINITY},
                         .moments = moments,
                         .work = work};
    task.result.high = INFINITY;
    task.result.offset = bias;
    fv_gemm_rows_run(&task);
    assert_true(y[s->m * s->n] == GUARD);
    fv_block_free(work);
    free(bias);
}

/* Means and squared differences of the columns of what was written. */
static void check_moments(const split_case *s, const float *y, const double *moments) {
    for (int j = 0; j < s->n; j++) {
        double mean = 0, squares = 0;
        for (int64_t i = 0; i < s->m; i++) mean += (double)y[i * s->n + j] / (double)s->m;
        for (int64_t i = 0; i < s->m; i++) squares += pow((double)y[i * s->n + j] - mean, 2);
        assert_true(fabs(moments[j] - mean) <= 1e-6 * (1 + fabs(mean)));
        assert_true(fabs(moments[s->n + j] - squares) <= 1e-5 * (1 + squares));
    }
}

static void rows_split(void **state) {
    (void)state;
    for (size_t c = 0; c < sizeof splits / sizeof splits[0]; c++) {
        const split_case *s = &splits[c];
        size_t count = (size_t)s->m * s->n;
        float *x = random_matrix(1, (size_t)s->m * s->k), *b = random_matrix(2, (size_t)s->n * s->k);
        float *bias = random_matrix(9, (size_t)s->n), *y = filled_matrix(0, count), *again = filled_matrix(0, count);
        double *moments = malloc(2 * (size_t)s->n * sizeof *moments);
        assert_non_null(moments);
        run_rows(s, 1, x, b, y, moments);
        check_moments(s, y, moments);
        product p = {.tb = s->transpose_b, .k = s->k};
        for (size_t e = 0; e < count; e++) {
            int i = (int)(e / s->n), j = (int)(e % s->n);
            double expected = element(&p, x, s->k, b, s->transpose_b ? s->k : s->n, i, j);
            expected += (s->bias ? bias[j] : 0) + (s->add ? 0.25 : 0);
            if (!(fabs(y[e] - expected) <= tolerance(s->k))) {
                fail_msg("case %zu: Y[%d,%d] is %.9g, expected %.9g", c, i, j, (double)y[e], expected);
            }
        }
        for (int threads = 2; threads <= 3; threads++) {
            double *again_moments = malloc(2 * (size_t)s->n * sizeof *again_moments);
            assert_non_null(again_moments);
            run_rows(s, threads, x, b, again, again_moments);
            assert_memory_equal(y, again, count * sizeof *y);
            assert_memory_equal(moments, again_moments, 2 * (size_t)s->n * sizeof *moments);
            free(again_moments);
        }
        free(x);
        free(b);
        free(bias);
        free(y);
        free(again);
        free(moments);
    }
}

static void run_weight(const split_case *s, int threads, const float *x, const float *dy, float *dw) {
    fv_threads_set(threads);
    size_t count = (size_t)s->k * s->n, work_count = fv_gemm_weight_work(s->m, s->k, s->n) / sizeof(float);
    float *work = filled_matrix(NAN, work_count);
    work[work_count] = GUARD; /* there is always one more */
    for (size_t i = 0; i < count; i++) dw[i] = s->add ? 0.25f : NAN;
    dw[count] = GUARD;
    fv_gemm_weight task = {s->m, s->k, s->n, x, dy, s->k, s->n, s->add, dw, work};
    fv_gemm_weight_run(&task);
    assert_true(dw[count] == GUARD && work[work_count] == GUARD);
    free(work);
}

static void weight_split(void **state) {
    (void)state;
    for (size_t c = 0; c < sizeof splits / sizeof splits[0]; c++) {
        const split_case *s = &splits[c];
        size_t count = (size_t)s->k * s->n;
        float *x = random_matrix(1, (size_t)s->m * s->k), *dy = random_matrix(2, (size_t)s->m * s->n);
        float *dw = filled_matrix(0, count), *again = filled_matrix(0, count);
        run_weight(s, 1, x, dy, dw);
        product p = {.ta = true, .k = (int)s->m};
        for (size_t e = 0; e < count; e++) {
            int i = (int)(e / s->n), j = (int)(e % s->n);
            double expected = element(&p, x, s->k, dy, s->n, i, j) + (s->add ? 0.25 : 0);
            if (!(fabs(dw[e] - expected) <= tolerance((int)s->m))) {
                fail_msg("case %zu: dW[%d,%d] is %.9g, expected %.9g", c, i, j, (double)dw[e], expected);
            }
        }
        for (int threads = 2; threads <= 3; threads++) {
            run_weight(s, threads, x, dy, again);
            assert_memory_equal(dw, again, count * sizeof *dw);
        }
        free(x);
        free(dy);
        free(dw);
        free(again);
    }
}

static void column_sums(void **state) {
    (void)state;
    static const int shapes[][2] = {{1, 1}, {3, 5}, {511, 7}, {513, 3}, {40000, 2}, {20, 9000}};
    for (size_t c = 0; c < sizeof shapes / sizeof shapes[0]; c++) {
        int m = shapes[c][0], n = shapes[c][1];
        float *a = random_matrix(3, (size_t)m * n),
              *work = filled_matrix(NAN, fv_column_sums_work(m, n) / sizeof(float));
        float *sums = filled_matrix(NAN, (size_t)n), *added = filled_matrix(0.5f, (size_t)n);
        fv_threads_set(1);
        fv_column_sums(m, n, a, n, false, sums, work);
        fv_threads_set(3);
        fv_column_sums(m, n, a, n, true, added, work);
        for (int j = 0; j < n; j++) {
            double expected = 0;
            for (int i = 0; i < m; i++) expected += a[(size_t)i * n + j];
            assert_true(fabs(sums[j] - expected) <= tolerance(m));
            assert_true(fabs(added[j] - expected - 0.5) <= tolerance(m));
        }
        free(a);
        free(work);
        free(sums);
        free(added);
    }
}

/* Parts are added in order, into rows that stand apart. */
static void parts_in_order(void **state) {
    (void)state;
    const float parts[] = {1e8f, 1, 2, 3, 1, 1, 1, 1, -1e8f, 1, 1, 1};
    float out[5] = {10, 10, GUARD, 10, 10};
    fv_parts p = {.parts = parts, .count = 3, .rows = 2, .columns = 2, .add = true, .out = out, .ld = 3};
    fv_parts_sum(&p);
    float first = 10;
    for (int i = 0; i < 3; i++) first += parts[4 * i];
    assert_true(out[0] == first && out[1] == 13 && out[2] == GUARD && out[3] == 14 && out[4] == 15);
    p.add = false;
    fv_parts_sum(&p);
    assert_true(out[1] == 3 && out[3] == 4 && out[4] == 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiling_covers), cmocka_unit_test(rows_split),     cmocka_unit_test(weight_split),
        cmocka_unit_test(column_sums),   cmocka_unit_test(parts_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
