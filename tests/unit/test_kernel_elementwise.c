/* The float kernels of element-wise ops, normalisation and loss: AVX2 against plain C over awkward sizes with guard
   bands, both against formulas in double. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fovea/base/rng.h"
#include "fovea/kernel/elementwise.h"
#include "fovea/kernel/loss.h"
#include "fovea/kernel/norm.h"

#define GUARD 16
#define GUARD_VALUE (-12345.5f)

static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 100};
#define SIZES (sizeof sizes / sizeof sizes[0])

/* Floats between guard bands, at an address that is no multiple of a vector. */
static float *make_array(size_t count) {
    float *block = malloc((count + 2 * GUARD + 1) * sizeof *block);
    assert_non_null(block);
    for (size_t i = 0; i < count + 2 * GUARD + 1; i++) block[i] = GUARD_VALUE;
    return block + GUARD + 1;
}

static float *make_random(size_t count, double low, double high, uint64_t seed) {
    float *array = make_array(count);
    fv_rng rng = fv_rng_make(seed, count, 0, FV_PURPOSE_TEST);
    for (size_t i = 0; i < count; i++) array[i] = (float)fv_rng_range(&rng, low, high);
    return array;
}

static void free_array(float *array, size_t count) {
    for (int i = 1; i <= GUARD; i++) {
        assert_true(array[-i] == GUARD_VALUE);
        assert_true(array[count + (size_t)i - 1] == GUARD_VALUE);
    }
    free(array - GUARD - 1);
}

static void expect_near(double found, double expected, double tolerance) {
    if (fabs(found - expected) <= tolerance) return;
    print_error("found %.9g, expected %.9g within %g\n", found, expected, tolerance);
    fail();
}

static void expect_close(const float *found, const float *expected, size_t count, double tolerance) {
    for (size_t i = 0; i < count; i++)
        expect_near((double)found[i], (double)expected[i], tolerance * fmax(1, fabs((double)expected[i])));
}

static bool has_avx2(void **state) {
    (void)state;
    if (fv_cpu() >= FV_CPU_AVX2) return true;
    print_message("skip: this processor, or FOVEA_CPU, has no AVX2\n");
    return false;
}

/* ---- streams ---- */

static void compare_stream(fv_stream_kernel *plain, fv_stream_kernel *vector, size_t count, bool add) {
    float *a = make_random(count, -9, 9, 1), *b = make_random(count, -2, 8, 2);
    float *y = make_random(count, -1, 1, 3), *z = make_random(count, -1, 1, 3);
    fv_stream stream = {.a = a, .b = b, .y = y, .low = 0, .high = 6, .add = add};
    plain(&stream, 0, count);
    stream.y = z;
    vector(&stream, 0, count);
    expect_close(z, y, count, 1e-6);
    if (!add) {
        stream.y = a;
        vector(&stream, 0, count);
        assert_memory_equal(a, z, count * sizeof *a); /* in place */
    }
    free_array(a, count);
    free_array(b, count);
    free_array(y, count);
    free_array(z, count);
}

static void streams_agree(void **state) {
    if (!has_avx2(state)) skip();
    const fv_elementwise *p = &fv_elementwise_scalar, *v = &fv_elementwise_avx2;
    for (size_t i = 0; i < SIZES; i++) {
        for (int add = 0; add < 2; add++) {
            compare_stream(p->clamp_gradient, v->clamp_gradient, sizes[i], add);
            compare_stream(p->copy, v->copy, sizes[i], add);
            compare_stream(p->multiply, v->multiply, sizes[i], add);
            compare_stream(p->sigmoid_gradient, v->sigmoid_gradient, sizes[i], add);
        }
        compare_stream(p->clamp, v->clamp, sizes[i], false);
        compare_stream(p->add, v->add, sizes[i], false);
        compare_stream(p->sigmoid, v->sigmoid, sizes[i], false);
    }
}

static void channels_agree(void **state) {
    if (!has_avx2(state)) skip();
    for (size_t i = 0; i < SIZES; i++) {
        size_t channels = sizes[i], count = 5 * channels;
        float *a = make_random(count, -1, 1, 1), *b = make_random(count, -1, 1, 2);
        for (int add = 0; add < 2; add++) {
            float *y = make_random(count, -1, 1, 3), *z = make_random(count, -1, 1, 3);
            fv_elementwise_scalar.scale_channels(5, channels, a, b, y, add);
            fv_elementwise_avx2.scale_channels(5, channels, a, b, z, add);
            expect_close(z, y, count, 1e-6);
            free_array(y, count);
            free_array(z, count);
        }
        double sums[100], other[100];
        fv_elementwise_scalar.dot_channels(5, channels, channels, a, b, sums);
        fv_elementwise_avx2.dot_channels(5, channels, channels, a, b, other);
        for (size_t c = 0; c < channels; c++) expect_near(other[c], sums[c], 1e-14);
        fv_elementwise_avx2.dot_channels(5, channels, channels, a, NULL, other);
        expect_near(other[0],
                    (double)a[0] + (double)a[channels] + (double)a[2 * channels] + (double)a[3 * channels] +
                        (double)a[4 * channels],
                    1e-14);
        free_array(a, count);
        free_array(b, count);
    }
}

static void sigmoid_is_accurate(fv_stream_kernel *kernel) {
    enum { COUNT = 40001 };
    float *x = make_array(COUNT), *y = make_array(COUNT);
    for (int i = 0; i < COUNT; i++) x[i] = (float)(i - 20000) * 0.004f;
    fv_stream stream = {.a = x, .y = y};
    kernel(&stream, 0, COUNT);
    for (int i = 0; i < COUNT; i++) {
        double expected = 1 / (1 + exp(-(double)x[i]));
        expect_near((double)y[i], expected, 4e-7 * expected);
    }
    x[0] = -INFINITY;
    x[1] = INFINITY;
    x[2] = NAN;
    kernel(&stream, 0, 3);
    expect_near((double)y[0], 0, 1e-37);
    expect_near((double)y[1], 1, 0);
    assert_true(isnan(y[2]));
    free_array(x, COUNT);
    free_array(y, COUNT);
}

static void sigmoids_are_accurate(void **state) {
    sigmoid_is_accurate(fv_elementwise_scalar.sigmoid);
    if (has_avx2(state)) sigmoid_is_accurate(fv_elementwise_avx2.sigmoid);
}

static void clamps_let_nan_through(void **state) {
    bool vector = has_avx2(state);
    for (int k = 0; k < 1 + vector; k++) {
        float x[9] = {NAN, -1, 0, 3, NAN, 7, 6, -INFINITY, INFINITY}, y[9];
        static const float expected[9] = {0, 0, 0, 3, 0, 6, 6, 0, 6};
        fv_stream stream = {.a = x, .y = y, .low = 0, .high = 6};
        (k ? fv_elementwise_avx2 : fv_elementwise_scalar).clamp(&stream, 0, 9);
        for (int i = 0; i < 9; i++) assert_true(isnan(x[i]) ? isnan(y[i]) : y[i] == expected[i]);
    }
}

/* ---- normalisation ---- */

typedef struct norm_data {
    size_t rows, width;
    float *x, *d, *coefficients[5];
    fv_norm_coefficients k;
} norm_data;

static norm_data make_norm(size_t rows, size_t width) {
    norm_data data = {.rows = rows, .width = width};
    data.x = make_random(rows * width, -2, 5, 1);
    data.d = make_random(rows * width, -1, 1, 2);
    for (uint64_t i = 0; i < 5; i++) data.coefficients[i] = make_random(width, -1, 2, 3 + i);
    float **c = data.coefficients;
    data.k = (fv_norm_coefficients){c[0], c[1], c[2], c[3], c[4], 0, 6};
    return data;
}

static void free_norm(norm_data *data) {
    free_array(data->x, data->rows * data->width);
    free_array(data->d, data->rows * data->width);
    for (int i = 0; i < 5; i++) free_array(data->coefficients[i], data->width);
}

static void compare_norm(size_t rows, size_t width) {
    norm_data data = make_norm(rows, width);
    float *y[2], *sums[2];
    for (int k = 0; k < 2; k++) {
        const fv_norm_kernels *kernels = k ? &fv_norm_avx2 : &fv_norm_scalar;
        size_t count = rows * width;
        y[k] = make_random(3 * count, -1, 1, 9);
        sums[k] = make_array(5 * width);
        fv_norm_block block = {rows, width, data.x, data.d, y[k], width, width, width, false};
        kernels->apply(&block, &data.k);
        block.y += count;
        kernels->gradient_apply(&block, &data.k);
        block.y += count;
        block.add = true;
        kernels->gradient_apply(&block, &data.k);
        kernels->block_moments(&block, sums[k], sums[k] + width, sums[k] + 2 * width);
        kernels->block_gradient_sums(&block, &data.k, sums[k] + 3 * width, sums[k] + 4 * width);
    }
    expect_close(y[1], y[0], 3 * rows * width, 3e-6);
    expect_close(sums[1], sums[0], 5 * width, 2e-5); /* sums over up to 64 rows, where signs cancel */
    for (int k = 0; k < 2; k++) {
        free_array(y[k], 3 * rows * width);
        free_array(sums[k], 5 * width);
    }
    free_norm(&data);
}

static void norms_agree(void **state) {
    if (!has_avx2(state)) skip();
    for (size_t i = 0; i < SIZES; i++) {
        compare_norm(1, sizes[i]);
        compare_norm(6, sizes[i]);
        compare_norm(FV_BLOCK_ROWS, sizes[i]);
    }
}

/* Two segments of rows x channels: all four functions on tensors whose rows lie apart, against the same numbers with
   their rows side by side. */
enum { STRIDES = 4 };

static float *spread_rows(const float *array, size_t rows, size_t channels, size_t stride) {
    float *spread = make_array(rows * stride);
    for (size_t r = 0; r < rows; r++) memcpy(spread + r * stride, array + r * channels, channels * sizeof *array);
    return spread;
}

static void expect_rows(const float *found, size_t stride, const float *expected, size_t rows, size_t channels) {
    for (size_t r = 0; r < rows; r++) {
        expect_close(found + r * stride, expected + r * channels, channels, 1e-6);
        for (size_t c = channels; c < stride; c++) assert_true(found[r * stride + c] == GUARD_VALUE);
    }
}

static void compare_strided(size_t rows, size_t channels) {
    fv_columns whole = {.segments = 2, .rows = rows, .channels = channels}, apart = whole;
    size_t stride[STRIDES] = {channels + 5, channels + 16, channels, channels + 1}, all = 2 * rows;
    apart.x_stride = stride[0], apart.y_stride = stride[1], apart.d_x_stride = stride[3]; /* d_out side by side */
    norm_data data = make_norm(all, channels), columns = make_norm(1, 2 * channels);
    float **k = columns.coefficients, *x = spread_rows(data.x, all, channels, stride[0]), *d = data.d;
    float *y = make_array(all * channels), *z = make_array(all * stride[1]), *w = make_array(all * stride[3]);
    fv_norm_map map = {k[0], k[1], k[2], 0, 6};
    double *sums[2] = {calloc(8 * channels, sizeof(double)), calloc(8 * channels, sizeof(double))};
    void *work = aligned_alloc(64, fv_norm_work_bytes(whole));
    assert_true(sums[0] && sums[1] && work);
    fv_norm_apply(whole, &map, data.x, y, work);
    fv_norm_apply(apart, &map, x, z, work);
    expect_rows(z, stride[1], y, all, channels);
    fv_norm_gradient_apply(whole, &map, k[3], k[4], data.x, d, y, false, work);
    fv_norm_gradient_apply(apart, &map, k[3], k[4], x, d, w, false, work);
    expect_rows(w, stride[3], y, all, channels);
    fv_norm_moments(whole, data.x, sums[0], sums[0] + 2 * channels, work);
    fv_norm_moments(apart, x, sums[1], sums[1] + 2 * channels, work);
    fv_norm_gradient_sums(whole, &map, data.x, d, sums[0] + 4 * channels, sums[0] + 6 * channels, work);
    fv_norm_gradient_sums(apart, &map, x, d, sums[1] + 4 * channels, sums[1] + 6 * channels, work);
    for (size_t c = 0; c < 8 * channels; c++) expect_near(sums[1][c], sums[0][c], 1e-6 * (double)rows);
    free(sums[0]);
    free(sums[1]);
    free(work);
    free_array(x, all * stride[0]);
    free_array(y, all * channels);
    free_array(z, all * stride[1]);
    free_array(w, all * stride[3]);
    free_norm(&data);
    free_norm(&columns);
}

static void strides_are_honoured(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        compare_strided(1, sizes[i]);
        compare_strided(301, sizes[i]);
    }
    compare_strided(3000, 24);
}

/* A stream over rows that lie apart does what it does row by row. */
static void streams_take_strides(void **state) {
    (void)state;
    enum { ROWS = 37 };
    for (size_t i = 0; i < SIZES; i++) {
        size_t channels = sizes[i], count = ROWS * channels, stride = channels + 3;
        float *a = make_random(count, -9, 9, 1), *b = make_random(count, -2, 8, 2), *y = make_array(count);
        float *apart = spread_rows(a, ROWS, channels, stride), *z = make_array(ROWS * stride);
        fv_stream stream = {.a = a, .b = b, .y = y, .low = 0, .high = 6};
        fv_stream_run_rows(fv_elementwise_kernels()->add, &stream, ROWS, channels);
        stream = (fv_stream){.a = apart, .b = b, .y = z, .low = 0, .high = 6, .a_stride = stride, .y_stride = stride};
        fv_stream_run_rows(fv_elementwise_kernels()->add, &stream, ROWS, channels);
        expect_rows(z, stride, y, ROWS, channels);
        free_array(a, count);
        free_array(b, count);
        free_array(y, count);
        free_array(apart, ROWS * stride);
        free_array(z, ROWS * stride);
    }
}

/* Moments of columns with a mean far above the spread, against sums in double of the same floats. */
static void compare_moments(size_t rows, size_t channels, double mean, double spread) {
    fv_columns columns = {.segments = 1, .rows = rows, .channels = channels};
    float *x = make_random(rows * channels, mean - spread, mean + spread, 4);
    double *found = calloc(2 * channels, sizeof *found);
    void *work = aligned_alloc(64, fv_norm_work_bytes(columns));
    assert_true(found && work);
    fv_norm_moments(columns, x, found, found + channels, work);
    for (size_t c = 0; c < channels; c++) {
        double sum = 0, squares = 0;
        for (size_t r = 0; r < rows; r++) sum += (double)x[r * channels + c];
        double average = sum / (double)rows;
        for (size_t r = 0; r < rows; r++) squares += pow((double)x[r * channels + c] - average, 2);
        expect_near(found[c], average, 1e-6 * spread);
        expect_near(found[channels + c], squares, 1e-6 * squares);
    }
    free_array(x, rows * channels);
    free(found);
    free(work);
}

static void moments_are_accurate(void **state) {
    (void)state;
    static const fv_cpu_level levels[] = {FV_CPU_AVX2, FV_CPU_SCALAR};
    fv_cpu_level before = fv_cpu();
    for (int k = 0; k < 2; k++) {
        fv_cpu_limit(levels[k]);
        compare_moments(20011, 3, 0, 1);
        compare_moments(20011, 3, 1e4, 1);
        compare_moments(4999, 40, 1e4, 1);
        compare_moments(70, 100, 1e4, 1);
        compare_moments(70001, 1, -1e6, 100);
        compare_moments(1, 7, 1e4, 1);
    }
    fv_cpu_limit(before);
}

/* A column that starts with zeros and goes on far away: the shift of the first block is then a bad guess of its mean.
 */
static void moments_survive_a_jump(void **state) {
    (void)state;
    enum { ROWS = 5000, ZEROS = 9 };
    fv_columns columns = {.segments = 1, .rows = ROWS, .channels = 32};
    float *x = make_random(ROWS * 32, 9999, 10001, 4);
    memset(x, 0, ZEROS * 32 * sizeof *x);
    double mean[32], squares[32], sum = 0, expected = 0;
    void *work = aligned_alloc(64, fv_norm_work_bytes(columns));
    assert_non_null(work);
    fv_norm_moments(columns, x, mean, squares, work);
    for (int r = 0; r < ROWS; r++) sum += (double)x[r * 32];
    for (int r = 0; r < ROWS; r++) expected += pow((double)x[r * 32] - sum / ROWS, 2);
    expect_near(mean[0], sum / ROWS, 1e-3); /* of a standard deviation of 424 */
    expect_near(squares[0], expected, 1e-6 * expected);
    free_array(x, ROWS * 32);
    free(work);
}

/* ---- loss ---- */

static void compare_loss(size_t rows, size_t width) {
    size_t count = rows * width;
    float *z = make_random(count, -12, 12, 1), *t = make_random(count, 0, 1, 2), *slopes[3], *d[2], *sums[2];
    for (uint64_t i = 0; i < 3; i++) slopes[i] = make_random(width, 0, 1, 3 + i);
    fv_loss_slopes k = {slopes[0], slopes[1], slopes[2]};
    for (int v = 0; v < 2; v++) {
        const fv_loss_kernels *kernels = v ? &fv_loss_avx2 : &fv_loss_scalar;
        d[v] = make_random(2 * count, -1, 1, 9);
        sums[v] = make_array(4 * width);
        kernels->gradient(z, t, rows, width, &k, d[v], false);
        kernels->gradient(z, t, rows, width, &k, d[v] + count, true);
        kernels->block_sums(z, t, rows, width, sums[v]);
    }
    expect_close(d[1], d[0], 2 * count, 1e-6);
    expect_close(sums[1], sums[0], 4 * width, 3e-6);
    for (int v = 0; v < 2; v++) {
        free_array(d[v], 2 * count);
        free_array(sums[v], 4 * width);
    }
    for (int i = 0; i < 3; i++) free_array(slopes[i], width);
    free_array(z, count);
    free_array(t, count);
}

static void losses_agree(void **state) {
    if (!has_avx2(state)) skip();
    for (size_t i = 0; i < SIZES; i++) {
        compare_loss(1, sizes[i]);
        compare_loss(FV_BLOCK_ROWS, sizes[i]);
    }
}

/* One column and one row: the cross entropy of a single logit, over its whole range. */
static void cross_entropy_is_accurate(void **state) {
    bool vector = has_avx2(state);
    enum { COUNT = 20001 };
    float *z = make_array(COUNT), *t = make_array(COUNT), *sums = make_array(4 * COUNT);
    for (int i = 0; i < COUNT; i++) {
        z[i] = (float)(i - 10000) * 0.008f;
        t[i] = (float)(i % 2);
    }
    for (int v = 0; v < 1 + vector; v++) {
        (v ? fv_loss_avx2 : fv_loss_scalar).block_sums(z, t, 1, COUNT, sums);
        for (int i = 0; i < COUNT; i++) {
            double x = (double)z[i], expected = fmax(x, 0) - x * (double)t[i] + log1p(exp(-fabs(x)));
            expect_near((double)sums[i], expected, 5e-7 * expected + 1e-37);
        }
    }
    free_array(z, COUNT);
    free_array(t, COUNT);
    free_array(sums, 4 * COUNT);
}

static void dispatch_follows_limit(void **state) {
    if (!has_avx2(state)) skip();
    fv_cpu_level before = fv_cpu();
    assert_ptr_equal(fv_elementwise_kernels(), &fv_elementwise_avx2);
    fv_cpu_limit(FV_CPU_SCALAR);
    assert_ptr_equal(fv_elementwise_kernels(), &fv_elementwise_scalar);
    fv_cpu_limit(before);
    assert_int_equal(fv_elementwise_kernels()->level, FV_CPU_AVX2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_agree),
        cmocka_unit_test(channels_agree),
        cmocka_unit_test(sigmoids_are_accurate),
        cmocka_unit_test(clamps_let_nan_through),
        cmocka_unit_test(norms_agree),
        cmocka_unit_test(strides_are_honoured),
        cmocka_unit_test(streams_take_strides),
        cmocka_unit_test(moments_are_accurate),
        cmocka_unit_test(moments_survive_a_jump),
        cmocka_unit_test(losses_agree),
        cmocka_unit_test(cross_entropy_is_accurate),
        cmocka_unit_test(dispatch_follows_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
