/* The variants of kernel/norm.h, and what it makes of them: moments, strides, segments. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/norm.h"
#include "kernel_check.h"
#include "kernel_norm_case.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const size_t awkward[] = {1, 2, 3, 7, 8, 15, 16, 17, 24, 33, 64, 100};

static void compare_apply(norm_case *t) {
    check_array expected = make_result(t, false);
    for (size_t r = 0; r < t->rows; r++)
        for (size_t c = 0; c < t->width; c++)
            expected.data[r * t->block.y_stride + c] =
                (float)fmin(fmax(mapped(t, r, c) + (t->block.residual ? beside_of(t, r, c) : 0), 0), 6);
    for (const fv_norm_kernels *const *v = fv_norm_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array y = make_result(t, false);
        t->block.y = y.data;
        (*v)->apply(&t->block, &t->coefficients);
        expect_same("apply", &y, &expected, 1e-6);
        check_free(&y);
    }
    check_free(&expected);
}

static void compare_gradient_apply(norm_case *t) {
    check_array expected = make_result(t, t->add);
    const fv_norm_coefficients *k = &t->coefficients;
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->width; c++) {
            float *d_x = &expected.data[r * t->block.y_stride + c];
            double value = (double)k->scale[c] * passed(t, r, c) + (double)k->slope[c] * distance_of(t, r, c) +
                           (double)k->constant[c];
            *d_x = (float)((t->add ? (double)*d_x : 0) + value);
        }
    }
    for (const fv_norm_kernels *const *v = fv_norm_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array d_x = make_result(t, t->add);
        t->block.y = d_x.data;
        (*v)->gradient_apply(&t->block, k);
        expect_same("gradient_apply", &d_x, &expected, 1e-6);
        check_free(&d_x);
    }
    check_free(&expected);
}

/* With what forward gave, the sums come with d, here written apart and over d_out. */
static void compare_kept(norm_case *t, const fv_norm_kernels *kernels, const check_array *sums) {
    check_array again = check_unset(2 * t->width), kept = make_result(t, false), expected = make_result(t, false);
    for (size_t r = 0; r < t->rows; r++)
        for (size_t c = 0; c < t->width; c++) expected.data[r * t->block.y_stride + c] = (float)passed(t, r, c);
    t->block.y = kept.data;
    kernels->block_gradient_sums(&t->block, &t->coefficients, again.data, again.data + t->width);
    expect_bits("d", &kept, &expected);
    expect_bits("sums beside d", &again, sums);
    check_array over = check_copy(&t->d);
    fv_norm_block block = t->block;
    block.d_out = block.y = over.data;
    block.y_stride = block.d_out_stride;
    kernels->block_gradient_sums(&block, &t->coefficients, again.data, again.data + t->width);
    expect_bits("sums with d over d_out", &again, sums);
    for (size_t r = 0; r < t->rows; r++)
        for (size_t c = 0; c < t->width; c++) assert_true((double)over.data[r * block.y_stride + c] == passed(t, r, c));
    t->block.y = NULL;
    check_array *all[] = {&again, &kept, &expected, &over};
    for (size_t i = 0; i < COUNT(all); i++) check_free(all[i]);
}

static void compare_sums(norm_case *t) {
    check_array expected = check_unset(2 * t->width);
    for (size_t c = 0; c < t->width; c++) {
        double sum = 0, sum_x = 0;
        for (size_t r = 0; r < t->rows; r++) {
            sum += passed(t, r, c);
            sum_x += passed(t, r, c) * distance_of(t, r, c);
        }
        expected.data[c] = (float)sum;
        expected.data[t->width + c] = (float)sum_x;
    }
    for (const fv_norm_kernels *const *v = fv_norm_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array sums = check_unset(2 * t->width);
        t->block.y = NULL;
        (*v)->block_gradient_sums(&t->block, &t->coefficients, sums.data, sums.data + t->width);
        expect_same("block_gradient_sums", &sums, &expected, 3e-6);
        if (t->block.out) compare_kept(t, *v, &sums);
        check_free(&sums);
    }
    check_free(&expected);
}

/* Mean and squares, put together from the block's three sums. */
static void compare_moments(const norm_case *t) {
    for (const fv_norm_kernels *const *v = fv_norm_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array found = check_unset(3 * t->width);
        float *shift = found.data, *sum = shift + t->width, *squares = sum + t->width;
        (*v)->block_moments(&t->block, shift, sum, squares);
        for (size_t c = 0; c < t->width; c++) {
            double total = 0, first = 0, rest = 0, rows = (double)t->rows, eight = fmin(rows, 8);
            for (size_t r = 0; r < t->rows; r++) {
                total += distance_of(t, r, c) - ((double)shift[c] - (double)t->coefficients.center[c]);
                if (r < 8) first += (double)t->x.data[r * t->block.x_stride + c] / eight;
            }
            for (size_t r = 0; r < t->rows; r++)
                rest += pow((double)t->x.data[r * t->block.x_stride + c] - (double)shift[c], 2);
            expect_near("shift", (double)shift[c], first, 2e-6);
            expect_near("sum", (double)sum[c], total, 4e-6 * rows);
            expect_near("squares", (double)squares[c], rest, 2e-6 * rest + 1e-12);
        }
        check_free(&found);
    }
}

static void blocks(void **state) {
    (void)state;
    static const size_t rows[] = {1, 2, 5, 8, 13, FV_BLOCK_ROWS};
    for (size_t i = 0; i < COUNT(rows) * COUNT(awkward) * 8; i++) {
        norm_case t = make_case(rows[i / 8 % COUNT(rows)], awkward[i / 8 / COUNT(rows)], i % 2, i / 2 % 2, i / 4 % 2);
        compare_gradient_apply(&t);
        if (!t.add) {
            compare_apply(&t);
            compare_sums(&t);
            compare_moments(&t);
        }
        free_case(&t);
    }
}

/* In place, and a NaN that passes the limits. */
static void in_place(void **state) {
    (void)state;
    for (const fv_norm_kernels *const *v = fv_norm_variants; *v; v++) {
        norm_case t = make_case(6, 33, false, false, false);
        if (check_variant((*v)->level)) {
            check_array y = make_result(&t, false);
            t.x.data[40] = (float)NAN;
            t.block.y = y.data;
            (*v)->apply(&t.block, &t.coefficients);
            assert_true(isnan(y.data[40]));
            t.block.y = t.x.data;
            (*v)->apply(&t.block, &t.coefficients);
            expect_bits("apply in place", &t.x, &y);
            check_free(&y);
        }
        free_case(&t);
    }
}

/* Values on the limits pass no gradient, as those beyond. */
static void limits_stop_gradients(void **state) {
    (void)state;
    enum { WIDTH = 21 };
    for (const fv_norm_kernels *const *v = fv_norm_variants; *v; v++) {
        check_case("values on the limits");
        if (!check_variant((*v)->level)) continue;
        check_array x = check_unset(WIDTH), d = check_filled(WIDTH, 1), d_x = check_unset(WIDTH),
                    sums = check_unset(2 * WIDTH);
        check_array zero = check_filled(WIDTH, 0), one = check_filled(WIDTH, 1), expected = check_unset(WIDTH);
        for (size_t c = 0; c < WIDTH; c++) {
            x.data[c] = (float[]){0, 3, 6}[c % 3];
            expected.data[c] = c % 3 == 1;
        }
        fv_norm_coefficients k = {zero.data, one.data, zero.data, zero.data, zero.data, 0, 6};
        fv_norm_block block = {.rows = 1, .width = WIDTH, .x = x.data, .d_out = d.data, .y = d_x.data};
        (*v)->gradient_apply(&block, &k);
        expect_bits("d_x", &d_x, &expected);
        (*v)->block_gradient_sums(&block, &k, sums.data, sums.data + WIDTH);
        sums.count = WIDTH;
        expect_bits("sums", &sums, &expected);
        sums.count = 2 * WIDTH;
        check_array *all[] = {&x, &d, &d_x, &sums, &zero, &one, &expected};
        for (size_t i = 0; i < COUNT(all); i++) check_free(all[i]);
    }
}

/* Whole tensors, at every level ----------------------------------------------------------------------- */

typedef void level_test(void);

static void at_every_level(level_test *test) {
    fv_cpu_level before = fv_cpu();
    for (const fv_norm_kernels *const *v = fv_norm_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        fv_cpu_limit((*v)->level);
        test();
        fv_cpu_limit(before);
    }
}

static void *make_work(fv_columns columns) {
    void *work = aligned_alloc(64, fv_norm_work_bytes(columns));
    assert_non_null(work);
    return work;
}

/* Moments of columns whose mean may lie far above the spread. */
static void check_moments(size_t rows, size_t channels, double mean, double spread) {
    fv_columns columns = {.segments = 1, .rows = rows, .channels = channels};
    check_case("%zu rows of %zu channels round %g", rows, channels, mean);
    check_array x = check_random(rows * channels, mean - spread, mean + spread, 4);
    double *found = test_calloc(2 * channels, sizeof *found);
    void *work = make_work(columns);
    fv_norm_moments(columns, x.data, found, found + channels, work);
    for (size_t c = 0; c < channels; c++) {
        double sum = 0, squares = 0;
        for (size_t r = 0; r < rows; r++) sum += (double)x.data[r * channels + c];
        double average = sum / (double)rows;
        for (size_t r = 0; r < rows; r++) squares += pow((double)x.data[r * channels + c] - average, 2);
        expect_near("mean", found[c], average, 1e-6 * spread);
        expect_near("squares", found[channels + c], squares, 1e-6 * squares);
    }
    check_free(&x);
    test_free(found);
    free(work);
}

static void check_all_moments(void) {
    check_moments(20011, 3, 0, 1);
    check_moments(20011, 3, 1e4, 1);
    check_moments(4999, 40, 1e4, 1);
    check_moments(70, 100, 1e4, 1);
    check_moments(70001, 1, -1e6, 100);
    check_moments(1, 7, 1e4, 1);
}

static void moments_are_accurate(void **state) {
    (void)state;
    at_every_level(check_all_moments);
}

/* A column that starts with zeros and goes on far away: the shift of the first block is then a bad guess of its mean.
 */
static void check_jump(void) {
    enum { ROWS = 5000, ZEROS = 9 };
    fv_columns columns = {.segments = 1, .rows = ROWS, .channels = 32};
    check_case("a column that jumps");
    check_array x = check_random(ROWS * 32, 9999, 10001, 4);
    memset(x.data, 0, ZEROS * 32 * sizeof(float));
    double mean[32], squares[32], sum = 0, expected = 0;
    void *work = make_work(columns);
    fv_norm_moments(columns, x.data, mean, squares, work);
    for (int r = 0; r < ROWS; r++) sum += (double)x.data[r * 32];
    for (int r = 0; r < ROWS; r++) expected += pow((double)x.data[r * 32] - sum / ROWS, 2);
    expect_near("mean", mean[0], sum / ROWS, 1e-3); /* of a standard deviation of 424 */
    expect_near("squares", squares[0], expected, 1e-6 * expected);
    check_free(&x);
    free(work);
}

static void moments_survive_a_jump(void **state) {
    (void)state;
    at_every_level(check_jump);
}

/* The tensor with its rows `stride` apart. */
static check_array spread_rows(const check_array *array, size_t channels, size_t stride) {
    size_t rows = array->count / channels;
    check_array spread = check_unset(rows * stride);
    for (size_t r = 0; r < rows; r++)
        memcpy(spread.data + r * stride, array->data + r * channels, channels * sizeof(float));
    return spread;
}

typedef struct whole_case {
    fv_columns columns;
    fv_norm_map map;
    const float *slope, *constant;
    void *work;
} whole_case;

/* The four functions on two segments whose rows lie apart; results as rows side by side. */
static void compare_maps(const whole_case *t, const check_array *x, const check_array *d) {
    size_t channels = t->columns.channels, y_stride = channels + 16, d_x_stride = channels + 1;
    fv_columns apart = t->columns;
    apart.x_stride = channels + 5;
    apart.y_stride = y_stride;
    apart.d_x_stride = d_x_stride;
    apart.residual_stride = channels + 2;
    check_array residual = spread_rows(d, channels, channels + 2);
    check_array y = check_unset(x->count), far = spread_rows(x, channels, apart.x_stride);
    check_array z = check_unset(x->count / channels * y_stride), w = check_unset(x->count / channels * d_x_stride);
    check_array expected;
    for (int with = 0; with < 2; with++) {
        fv_norm_apply(t->columns, &t->map, x->data, with ? d->data : NULL, y.data, t->work);
        fv_norm_apply(apart, &t->map, far.data, with ? residual.data : NULL, z.data, t->work);
        expected = spread_rows(&y, channels, y_stride);
        expect_same("apply", &z, &expected, 1e-6);
        check_free(&expected);
    }
    check_free(&residual);
    fv_norm_gradient_apply(t->columns, &t->map, t->slope, t->constant, x->data, NULL, d->data, y.data, false, t->work);
    fv_norm_gradient_apply(apart, &t->map, t->slope, t->constant, far.data, NULL, d->data, w.data, false, t->work);
    expected = spread_rows(&y, channels, d_x_stride);
    expect_same("gradient_apply", &w, &expected, 1e-6);
    check_free(&expected);
    check_free(&y);
    check_free(&z);
    check_free(&w);
    check_free(&far);
}

static void compare_whole_sums(const whole_case *t, const check_array *x, const check_array *d) {
    size_t channels = t->columns.channels, columns = 2 * channels;
    fv_columns apart = t->columns;
    apart.x_stride = channels + 5;
    apart.d_out_stride = channels + 2;
    check_array far_x = spread_rows(x, channels, apart.x_stride), far_d = spread_rows(d, channels, apart.d_out_stride);
    double *sums = test_calloc(8 * columns, sizeof *sums), *found = sums + 4 * columns;
    fv_norm_moments(t->columns, x->data, sums, sums + columns, t->work);
    fv_norm_moments(apart, far_x.data, found, found + columns, t->work);
    fv_norm_gradient_sums(t->columns, &t->map, x->data, NULL, d->data, NULL, sums + 2 * columns, sums + 3 * columns,
                          t->work);
    fv_norm_gradient_sums(apart, &t->map, far_x.data, NULL, far_d.data, NULL, found + 2 * columns, found + 3 * columns,
                          t->work);
    for (size_t c = 0; c < 4 * columns; c++) expect_near("sums", found[c], sums[c], 1e-6 * (double)t->columns.rows);
    test_free(sums);
    check_free(&far_x);
    check_free(&far_d);
}

static void compare_strided(size_t rows, size_t channels) {
    check_case("two segments of %zu rows of %zu channels", rows, channels);
    whole_case t = {.columns = {.segments = 2, .rows = rows, .channels = channels}};
    check_array x = check_random(2 * rows * channels, -2, 5, 1), d = check_random(2 * rows * channels, -1, 1, 2);
    check_array k = check_random(10 * channels, -1, 2, 3);
    t.map = (fv_norm_map){k.data, k.data + 2 * channels, k.data + 4 * channels, 0, 6};
    t.slope = k.data + 6 * channels;
    t.constant = k.data + 8 * channels;
    t.work = make_work(t.columns);
    compare_maps(&t, &x, &d);
    compare_whole_sums(&t, &x, &d);
    free(t.work);
    check_free(&x);
    check_free(&d);
    check_free(&k);
}

static void check_strides(void) {
    for (size_t i = 0; i < COUNT(awkward); i++) {
        compare_strided(1, awkward[i]);
        compare_strided(301, awkward[i]);
    }
    compare_strided(3000, 24);
}

static void strides_are_honoured(void **state) {
    (void)state;
    at_every_level(check_strides);
}

/* Bench ------------------------------------------------------------------------------------------------ */

typedef struct bench_job {
    fv_columns columns;
    fv_norm_map map;
    const float *slope, *constant, *x, *d;
    float *y;
    double *sums;
    void *work;
} bench_job;

static void run_moments(void *context) {
    bench_job *b = context;
    fv_norm_moments(b->columns, b->x, b->sums, b->sums + b->columns.channels, b->work);
}
static void run_apply(void *context) {
    bench_job *b = context;
    fv_norm_apply(b->columns, &b->map, b->x, NULL, b->y, b->work);
}
static void run_in_place(void *context) {
    bench_job *b = context;
    fv_norm_apply(b->columns, &b->map, b->y, NULL, b->y, b->work);
}
static void run_sums(void *context) {
    bench_job *b = context;
    fv_norm_gradient_sums(b->columns, &b->map, b->x, NULL, b->d, NULL, b->sums, b->sums + b->columns.channels, b->work);
}
static void run_gradient(void *context) {
    bench_job *b = context;
    fv_norm_gradient_apply(b->columns, &b->map, b->slope, b->constant, b->x, NULL, b->d, b->y, false, b->work);
}

static const struct {
    const char *name;
    void (*run)(void *context);
    int reads, updates, writes;
} functions[] = {
    {"moments", run_moments, 1, 0, 0},         {"apply", run_apply, 1, 0, 1},
    {"apply in place", run_in_place, 0, 1, 0}, {"gradient sums", run_sums, 2, 0, 0},
    {"gradient apply", run_gradient, 2, 0, 1},
};

static void bench_function(size_t f, size_t channels, bench_job *job) {
    char label[80];
    size_t stride = job->columns.x_stride, rows = job->columns.rows;
    snprintf(label, sizeof label, "norm %s %zux%zu%s", functions[f].name, rows, channels, stride ? " strided" : "");
    if (!bench_wanted(label)) return;
    fv_cpu_level before = fv_cpu();
    for (const fv_norm_kernels *const *v = fv_norm_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        fv_cpu_limit((*v)->level);
        bench_case c = {
            label, (*v)->level, rows * channels, functions[f].reads, functions[f].updates, functions[f].writes, 0};
        bench_run(&c, functions[f].run, job);
        fv_cpu_limit(before);
    }
}

static void bench_shape(size_t rows, size_t channels, size_t stride) {
    size_t count = rows * (stride ? stride : channels);
    check_array x = bench_random(count, -1, 1, 1), d = bench_random(count, -1, 1, 2), y = bench_random(count, -1, 1, 3);
    check_array k = bench_random(5 * channels, -1, 1, 4);
    bench_job job = {.x = x.data, .d = d.data, .y = y.data};
    job.columns = (fv_columns){.segments = 1, .rows = rows, .channels = channels};
    job.columns.x_stride = job.columns.y_stride = job.columns.d_out_stride = job.columns.d_x_stride = stride;
    job.map = (fv_norm_map){k.data, k.data + channels, k.data + 2 * channels, 0, 6};
    job.slope = k.data + 3 * channels;
    job.constant = k.data + 4 * channels;
    job.sums = test_calloc(2 * channels, sizeof(double));
    job.work = make_work(job.columns);
    for (size_t f = 0; f < COUNT(functions); f++) bench_function(f, channels, &job);
    test_free(job.sums);
    free(job.work);
    check_free(&x);
    check_free(&d);
    check_free(&y);
    check_free(&k);
}

/* From second-level cache, from the last, from memory; few channels and many; a part of a wider tensor. */
static void bench(void) {
    fv_threads_set(1);
    bench_shape(256, 576, 0);
    bench_shape(9216, 16, 0);
    bench_shape(9216, 16, 48);
    bench_shape(4096, 24, 96);
    bench_shape(16384, 96, 0);
    bench_shape(16384, 64, 128);
    bench_shape(131072, 96, 0);
    bench_shape(524288, 32, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks),
        cmocka_unit_test(in_place),
        cmocka_unit_test(limits_stop_gradients),
        cmocka_unit_test(moments_are_accurate),
        cmocka_unit_test(moments_survive_a_jump),
        cmocka_unit_test(strides_are_honoured),
    };
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
