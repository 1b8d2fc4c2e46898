/* The variants of kernel/elementwise.h. */
#include <math.h>
#include <stdio.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/elementwise.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 33, 63, 65, 100};

/* The formulas of the header -------------------------------------------------------------------------- */

static double clamp_of(double a, double b) {
    (void)b;
    return fmin(fmax(a, 0), 6);
}
static double clamp_gradient_of(double a, double b) {
    return b > 0 && b < 6 ? a : 0;
}
static double add_of(double a, double b) {
    return fmin(fmax(a + b, 0), 6);
}
static double copy_of(double a, double b) {
    (void)b;
    return a;
}
static double multiply_of(double a, double b) {
    return a * b;
}
static double sigmoid_of(double a, double b) {
    (void)b;
    return 1 / (1 + exp(-a));
}
static double sigmoid_gradient_of(double a, double b) {
    return a * b * (1 - b);
}

static double silu_of(double a, double b) {
    (void)b;
    return a / (1 + exp(-a));
}
static double silu_gradient_of(double a, double b) {
    double s = 1 / (1 + exp(-b));
    return a * s * (1 + b * (1 - s));
}

typedef struct stream_case {
    const char *name;
    size_t kernel; /* where it stands in fv_elementwise */
    double (*formula)(double a, double b);
    bool adds;
    int reads; /* arrays */
} stream_case;

#define KERNEL(name) #name, offsetof(fv_elementwise, name)

static const stream_case streams[] = {
    {KERNEL(clamp), clamp_of, false, 1},
    {KERNEL(clamp_gradient), clamp_gradient_of, true, 2},
    {KERNEL(add), add_of, false, 2},
    {KERNEL(copy), copy_of, true, 1},
    {KERNEL(multiply), multiply_of, true, 2},
    {KERNEL(sigmoid), sigmoid_of, false, 1},
    {KERNEL(sigmoid_gradient), sigmoid_gradient_of, true, 2},
    {KERNEL(silu), silu_of, false, 1},
    {KERNEL(silu_gradient), silu_gradient_of, true, 2},
};

static fv_stream_kernel *kernel_of(const fv_elementwise *family, const stream_case *t) {
    return *(fv_stream_kernel *const *)(const void *)((const char *)family + t->kernel);
}

/* Elements begin .. count - 1, into y or into a. */
static void compare_stream(const stream_case *t, size_t begin, size_t count, bool add) {
    check_case("%s, elements %zu to %zu, add %d", t->name, begin, count, add);
    check_array a = check_random(count, -9, 9, 1), b = check_random(count, -2, 8, 2);
    check_array before = add ? check_random(count, -1, 1, 3) : check_unset(count), expected = check_copy(&before);
    for (size_t i = begin; i < count; i++)
        expected.data[i] =
            (float)((add ? (double)before.data[i] : 0) + t->formula((double)a.data[i], (double)b.data[i]));
    for (const fv_elementwise *const *v = fv_elementwise_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array y = check_copy(&before), in_place = check_copy(&a);
        fv_stream stream = {.a = a.data, .b = b.data, .y = y.data, .low = 0, .high = 6, .add = add};
        kernel_of(*v, t)(&stream, begin, count);
        expect_same("y", &y, &expected, 1e-6);
        stream.a = stream.y = in_place.data;
        if (!add && begin == 0) {
            kernel_of(*v, t)(&stream, 0, count);
            expect_bits("in place", &in_place, &y);
        }
        check_free(&y);
        check_free(&in_place);
    }
    check_free(&a);
    check_free(&b);
    check_free(&before);
    check_free(&expected);
}

static void streams_follow_their_formulas(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(sizes) * COUNT(streams); i++) {
        const stream_case *t = &streams[i % COUNT(streams)];
        size_t size = sizes[i / COUNT(streams)];
        for (int add = 0; add <= t->adds; add++) {
            compare_stream(t, 0, size, add);
            compare_stream(t, size / 3, size, add);
        }
    }
}

/* Rows that lie apart: what is between them stays. */
static void compare_rows(const stream_case *t, size_t rows, size_t channels) {
    size_t a_stride = channels + 3, y_stride = channels + 5;
    check_case("%s, %zu rows of %zu channels, strides %zu and %zu", t->name, rows, channels, a_stride, y_stride);
    check_array a = check_random(rows * a_stride, -9, 9, 1), b = check_random(rows * channels, -2, 8, 2);
    check_array y = check_unset(rows * y_stride), expected = check_unset(rows * y_stride);
    for (size_t i = 0; i < rows * channels; i++) {
        size_t r = i / channels, c = i % channels;
        expected.data[r * y_stride + c] = (float)t->formula((double)a.data[r * a_stride + c], (double)b.data[i]);
    }
    fv_stream stream = {.a = a.data, .b = b.data, .y = y.data, .low = 0, .high = 6};
    stream.a_stride = a_stride;
    stream.y_stride = y_stride;
    fv_stream_run_rows(kernel_of(fv_elementwise_kernels(), t), &stream, rows, channels);
    expect_same("y", &y, &expected, 1e-6);
    check_free(&a);
    check_free(&b);
    check_free(&y);
    check_free(&expected);
}

static void streams_take_strides(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(sizes) * COUNT(streams); i++)
        compare_rows(&streams[i % COUNT(streams)], 37, sizes[i / COUNT(streams)]);
    compare_rows(&streams[2], 3000, 24);
}

/* Matrices --------------------------------------------------------------------------------------------- */

static void compare_scale(size_t rows, size_t channels, bool add) {
    check_case("scale_channels, %zu rows of %zu channels, add %d", rows, channels, add);
    check_array a = check_random(rows * channels, -1, 1, 1), factor = check_random(channels, -1, 1, 2);
    check_array before = add ? check_random(a.count, -1, 1, 3) : check_unset(a.count), expected = check_copy(&before);
    for (size_t i = 0; i < a.count; i++)
        expected.data[i] =
            (float)((add ? (double)before.data[i] : 0) + (double)a.data[i] * (double)factor.data[i % channels]);
    for (const fv_elementwise *const *v = fv_elementwise_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array y = check_copy(&before);
        (*v)->scale_channels(rows, channels, a.data, factor.data, y.data, add);
        expect_same("y", &y, &expected, 1e-6);
        check_free(&y);
    }
    check_free(&a);
    check_free(&factor);
    check_free(&before);
    check_free(&expected);
}

static void compare_dot(size_t rows, size_t channels, size_t stride, bool two) {
    check_case("dot_channels, %zu rows of %zu channels, stride %zu, %d arrays", rows, channels, stride, 1 + two);
    check_array a = check_random(rows * stride, -1, 1, 1), b = check_random(rows * stride, -1, 1, 2);
    double *sums = test_calloc(channels, sizeof *sums);
    for (const fv_elementwise *const *v = fv_elementwise_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        (*v)->dot_channels(rows, stride, channels, a.data, two ? b.data : NULL, sums);
        for (size_t c = 0; c < channels; c++) {
            double expected = 0;
            for (size_t r = 0; r < rows; r++)
                expected += (double)a.data[r * stride + c] * (two ? (double)b.data[r * stride + c] : 1);
            expect_near("sum", sums[c], expected, 1e-14 * (double)rows);
        }
    }
    test_free(sums);
    check_free(&a);
    check_free(&b);
}

static void matrices(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int k = 0; k < 2; k++) {
            compare_scale(5, sizes[i], k);
            compare_dot(5, sizes[i], sizes[i], k);
            compare_dot(70, sizes[i], sizes[i] + 3, k);
        }
    }
}

/* Accuracy and special values -------------------------------------------------------------------------- */

static void sigmoids_are_accurate(void **state) {
    (void)state;
    enum { VALUES = 40001 };
    check_case("sigmoid of -80 to 80");
    check_array x = check_unset(VALUES), y = check_unset(VALUES);
    for (const fv_elementwise *const *v = fv_elementwise_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        for (int i = 0; i < VALUES; i++) x.data[i] = (float)(i - 20000) * 0.004f;
        fv_stream stream = {.a = x.data, .y = y.data};
        (*v)->sigmoid(&stream, 0, VALUES);
        for (int i = 0; i < VALUES; i++) {
            double expected = sigmoid_of((double)x.data[i], 0);
            expect_near("sigmoid", (double)y.data[i], expected, 4e-7 * expected);
        }
        x.data[0] = -INFINITY;
        x.data[1] = INFINITY;
        x.data[2] = (float)NAN;
        (*v)->sigmoid(&stream, 0, 3);
        expect_near("of minus infinity", (double)y.data[0], 0, 1e-37);
        expect_near("of infinity", (double)y.data[1], 1, 0);
        assert_true(isnan(y.data[2]));
    }
    check_free(&x);
    check_free(&y);
}

static void silus_are_accurate(void **state) {
    (void)state;
    enum { VALUES = 40001 };
    check_case("silu and its slope of -80 to 80");
    check_array x = check_unset(VALUES), one = check_filled(VALUES, 1), y = check_unset(VALUES);
    for (int i = 0; i < VALUES; i++) x.data[i] = (float)(i - 20000) * 0.004f;
    for (const fv_elementwise *const *v = fv_elementwise_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        (*v)->silu(&(fv_stream){.a = x.data, .y = y.data}, 0, VALUES);
        for (int i = 0; i < VALUES; i++) {
            double expected = silu_of((double)x.data[i], 0);
            expect_near("silu", (double)y.data[i], expected, 5e-7 * fabs(expected));
        }
        (*v)->silu_gradient(&(fv_stream){.a = one.data, .b = x.data, .y = y.data}, 0, VALUES);
        for (int i = 0; i < VALUES; i++)
            expect_near("slope", (double)y.data[i], silu_gradient_of(1, (double)x.data[i]), 5e-7);
    }
    check_free(&x);
    check_free(&one);
    check_free(&y);
}

static void silus_have_limits(void **state) {
    (void)state;
    static const float x[] = {-INFINITY, -3e38f, INFINITY, 3e38f, (float)NAN}, ones[] = {1, 1, 1, 1, 1};
    for (const fv_elementwise *const *v = fv_elementwise_variants; *v; v++) {
        check_case("silu far out");
        if (!check_variant((*v)->level)) continue;
        float y[COUNT(x)], slope[COUNT(x)];
        (*v)->silu(&(fv_stream){.a = x, .y = y}, 0, COUNT(x));
        (*v)->silu_gradient(&(fv_stream){.a = ones, .b = x, .y = slope}, 0, COUNT(x));
        for (int i = 0; i < 4; i++) {
            expect_near("slope", (double)slope[i], i / 2, 1e-35);
            if (i < 2) expect_near("silu", (double)y[i], 0, 1e-35);
            if (i >= 2) assert_true(y[i] == x[i]);
        }
        assert_true(isnan(y[4]) && isnan(slope[4]));
    }
}

static void clamps_let_nan_through(void **state) {
    (void)state;
    static const float x[] = {(float)NAN, -1, 0, 3, (float)NAN, 7, 6, -INFINITY, INFINITY};
    static const float expected[] = {0, 0, 0, 3, 0, 6, 6, 0, 6};
    for (const fv_elementwise *const *v = fv_elementwise_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        float y[COUNT(x)];
        fv_stream stream = {.a = x, .y = y, .low = 0, .high = 6};
        (*v)->clamp(&stream, 0, COUNT(x));
        for (size_t i = 0; i < COUNT(x); i++) assert_true(isnan(x[i]) ? isnan(y[i]) : y[i] == expected[i]);
    }
}

/* Results on the limits pass no gradient. */
static void limits_stop_gradients(void **state) {
    (void)state;
    enum { VALUES = 21 };
    float d_out[VALUES], out[VALUES], d_x[VALUES];
    for (size_t i = 0; i < VALUES; i++) {
        d_out[i] = 1;
        out[i] = (float[]){0, 3, 6}[i % 3];
    }
    for (const fv_elementwise *const *v = fv_elementwise_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        fv_stream stream = {.a = d_out, .b = out, .y = d_x, .low = 0, .high = 6};
        (*v)->clamp_gradient(&stream, 0, VALUES);
        for (size_t i = 0; i < VALUES; i++) assert_true(d_x[i] == (i % 3 == 1));
    }
}

static void choice_follows_the_limit(void **state) {
    (void)state;
    fv_cpu_level before = fv_cpu();
    for (const fv_elementwise *const *v = fv_elementwise_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        fv_cpu_limit((*v)->level);
        assert_ptr_equal(fv_elementwise_kernels(), *v);
        fv_cpu_limit(before);
    }
}

/* Bench ------------------------------------------------------------------------------------------------ */

typedef struct bench_job {
    fv_stream_kernel *kernel;
    fv_stream stream;
    size_t count;
} bench_job;

static void run_stream(void *context) {
    bench_job *job = context;
    fv_stream_run(job->kernel, &job->stream, job->count);
}

static void bench_size(size_t count) {
    check_array a = bench_random(count, -4, 4, 1), b = bench_random(count, 0, 1, 2), y = bench_random(count, 0, 1, 3);
    for (size_t i = 0; i < COUNT(streams); i++) {
        char label[80];
        snprintf(label, sizeof label, "elementwise %s %zu", streams[i].name, count);
        if (!bench_wanted(label)) continue;
        for (const fv_elementwise *const *v = fv_elementwise_variants; *v; v++) {
            if (!check_variant((*v)->level)) continue;
            fv_stream stream = {.a = a.data, .b = b.data, .y = y.data, .low = -INFINITY, .high = INFINITY};
            bench_job job = {kernel_of(*v, &streams[i]), stream, count};
            bench_case c = {label, (*v)->level, count, streams[i].reads, 0, 1, 0};
            bench_run(&c, run_stream, &job);
        }
    }
    check_free(&a);
    check_free(&b);
    check_free(&y);
}

static void bench(void) {
    fv_threads_set(1);
    bench_size(100000);
    bench_size(2000000);
    bench_size(32000000);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_follow_their_formulas),
        cmocka_unit_test(streams_take_strides),
        cmocka_unit_test(matrices),
        cmocka_unit_test(sigmoids_are_accurate),
        cmocka_unit_test(silus_are_accurate),
        cmocka_unit_test(silus_have_limits),
        cmocka_unit_test(limits_stop_gradients),
        cmocka_unit_test(clamps_let_nan_through),
        cmocka_unit_test(choice_follows_the_limit),
    };
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
