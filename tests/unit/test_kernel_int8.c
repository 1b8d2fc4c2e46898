/* The variants of kernel/int8.h against the formulas of its header, byte by byte. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/rng.h"
#include "fovea/kernel/int8.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define BEHIND 16 /* bytes that may be read behind x */
#define GUARD 64  /* bytes behind y that nobody may write */
#define GUARD_BYTE 0xA5

/* A layer of one variant's layout, with its plain weights {taps, filters}. */
typedef struct sample {
    fv_int8_layer layer;
    int taps;
    int8_t *plain, *packed;
    float *scale, *offset;
    uint8_t *x, *y, *outside;
    size_t x_count, y_count;
} sample;

static fv_rng numbers(uint64_t seed) {
    return fv_rng_make(seed, 0, 0, FV_PURPOSE_TEST);
}

static void fill_bytes(uint8_t *bytes, size_t count, uint64_t seed) {
    fv_rng rng = numbers(seed);
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)fv_rng_next(&rng);
}

/* Extreme weights now and then: their products with 255 fill 16 bits. Sums reach beyond 0 .. 255 on either side. */
static void fill_filters(sample *s, int lanes, bool depthwise) {
    fv_rng rng = numbers(2);
    size_t padded = fv_int8_padded(lanes, s->layer.filters);
    int channels = depthwise ? FV_INT8_DEPTHWISE : s->layer.channels;
    s->plain = test_calloc((size_t)s->taps * (size_t)s->layer.filters, 1);
    s->packed = test_calloc(padded * (size_t)channels, 1);
    s->scale = test_calloc(padded, sizeof(float));
    s->offset = test_calloc(padded, sizeof(float));
    for (int f = 0; f < s->layer.filters; f++) {
        for (int k = 0; k < s->taps; k++) {
            int value = f % 5 == 0 ? FV_INT8_MOST_WEIGHT * (f % 2 ? 1 : -1) : (int)(fv_rng_next(&rng) % 127) - 63;
            int place = depthwise ? k % 3 * 4 + k / 3 : k;
            s->plain[k * s->layer.filters + f] = (int8_t)value;
            s->packed[fv_int8_place(lanes, channels, place, f)] = (int8_t)value;
        }
        s->scale[f] = (float)(fv_rng_range(&rng, 0.5, 2) / (60 * sqrt(s->taps)));
        s->offset[f] = (float)fv_rng_range(&rng, 0, 200);
    }
    s->layer.weight = s->packed;
    s->layer.scale = s->scale;
    s->layer.offset = s->offset;
}

static void fill_tensors(sample *s) {
    s->x = test_malloc(s->x_count + BEHIND);
    s->y = test_malloc(s->y_count + GUARD);
    s->outside = test_malloc((size_t)s->layer.channels + BEHIND);
    fill_bytes(s->x, s->x_count + BEHIND, 1);
    memset(s->y, GUARD_BYTE, s->y_count + GUARD);
    memset(s->outside, s->layer.zero, (size_t)s->layer.channels + BEHIND);
}

static void free_sample(sample *s) {
    for (size_t i = s->y_count; i < s->y_count + GUARD; i++) assert_int_equal(s->y[i], GUARD_BYTE);
    test_free(s->plain);
    test_free(s->packed);
    test_free(s->scale);
    test_free(s->offset);
    test_free(s->x);
    test_free(s->y);
    test_free(s->outside);
}

static void expect_byte(const char *what, size_t at, uint8_t found, float value) {
    long limited = lrintf(fminf(fmaxf(value, 0), 255));
    if (found != limited) fail_msg("%s %zu is %d, expected %ld, of %.9g", what, at, found, limited, (double)value);
}

/* Offset of a filter whose `sum` so comes to lie next to a half: who does not fuse rounds some of them the other way.
 */
static void move_to_half(sample *s, int f, int32_t sum) {
    s->offset[f] = (float)(f % 200 + 0.5 - (double)s->scale[f] * sum);
}

/* ---- products ---- */

static int32_t product_sum(const sample *s, size_t pixel, int f) {
    int32_t sum = 0;
    for (int k = 0; k < s->taps; k++)
        sum += s->x[pixel * (size_t)s->taps + (size_t)k] * s->plain[k * s->layer.filters + f];
    return sum;
}

static void compare_product(const fv_int8_kernels *kernels, int pixels, int channels, int filters) {
    check_case("product of %d pixels, %d channels, %d filters", pixels, channels, filters);
    sample s = {.taps = channels, .layer = {.channels = channels, .filters = filters}};
    s.x_count = (size_t)(pixels * channels);
    s.y_count = (size_t)(pixels * filters);
    fill_filters(&s, kernels->lanes, false);
    fill_tensors(&s);
    int begin = pixels / 3, end = pixels - pixels / 5;
    for (int f = 0; f < filters; f++) move_to_half(&s, f, product_sum(&s, (size_t)begin, f));
    kernels->product(&s.layer, begin, end, s.x, s.y);
    for (size_t i = 0; i < s.y_count; i++) {
        size_t pixel = i / (size_t)filters;
        int f = (int)(i % (size_t)filters);
        bool wanted = (int)pixel >= begin && (int)pixel < end;
        if (!wanted) assert_int_equal(s.y[i], GUARD_BYTE);
        if (wanted) expect_byte("y", i, s.y[i], fmaf((float)product_sum(&s, pixel, f), s.scale[f], s.offset[f]));
    }
    free_sample(&s);
}

static void products(void **state) {
    (void)state;
    static const int sizes[][3] = {{1, 4, 8},     {5, 16, 8},     {7, 28, 32},  {9, 24, 24},   {30, 48, 40},
                                   {33, 144, 24}, {16, 960, 160}, {64, 96, 16}, {300, 600, 72}};
    for (const fv_int8_kernels *const *v = fv_int8_variants; *v; v++)
        for (size_t i = 0; i < COUNT(sizes); i++)
            if (fv_int8_runs(*v) && check_variant((*v)->level))
                compare_product(*v, sizes[i][0], sizes[i][1], sizes[i][2]);
}

/* ---- depthwise ---- */

static int32_t window_sum(const sample *s, int i, int j, int c) {
    const fv_window *w = &s->layer.window;
    int32_t sum = 0;
    for (int tap = 0; tap < 9; tap++) {
        int row = i * w->stride + tap / 3 - w->top, column = j * w->stride + tap % 3 - w->left;
        bool inside = row >= 0 && row < w->in_h && column >= 0 && column < w->in_w;
        int value = inside ? s->x[(row * w->in_w + column) * s->layer.channels + c] : s->layer.zero;
        sum += value * s->plain[tap * s->layer.channels + c];
    }
    return sum;
}

static void compare_depthwise(const fv_int8_kernels *kernels, const fv_window *w, int channels, uint8_t zero) {
    check_case("depthwise of %dx%dx%d, stride %d, padding %d %d, zero %d", w->in_h, w->in_w, channels, w->stride,
               w->top, w->left, zero);
    sample s = {.taps = 9, .layer = {.window = *w, .channels = channels, .filters = channels, .zero = zero}};
    s.x_count = (size_t)(w->in_h * w->in_w * channels);
    s.y_count = (size_t)(w->out_h * w->out_w * channels);
    fill_filters(&s, kernels->lanes, true);
    fill_tensors(&s);
    int begin = w->out_h / 3;
    for (int c = 0; c < channels; c++) move_to_half(&s, c, window_sum(&s, begin, 0, c));
    kernels->depthwise(&s.layer, begin, w->out_h, s.x, s.outside, s.y);
    for (size_t at = 0; at < s.y_count; at++) {
        int c = (int)at % channels, pixel = (int)at / channels, i = pixel / w->out_w, j = pixel % w->out_w;
        if (i < begin) assert_int_equal(s.y[at], GUARD_BYTE);
        if (i >= begin) expect_byte("y", at, s.y[at], fmaf((float)window_sum(&s, i, j, c), s.scale[c], s.offset[c]));
    }
    free_sample(&s);
}

static void depthwise(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 3}, {2, 2}, {3, 5}, {8, 8}, {7, 10}};
    static const int channels[] = {8, 16, 24, 40};
    for (const fv_int8_kernels *const *v = fv_int8_variants; *v; v++)
        for (size_t i = 0; i < COUNT(sizes) * COUNT(channels) * 4; i++) {
            const int *size = sizes[i / 4 / COUNT(channels)];
            int stride = 1 + (int)(i % 2), pad = (int)(i / 2 % 2);
            int h = (size[0] + 2 * pad - 3) / stride + 1, width = (size[1] + 2 * pad - 3) / stride + 1;
            if (size[0] + 2 * pad < 3 || size[1] + 2 * pad < 3) continue;
            fv_window w = {1, size[0], size[1], h, width, 3, 3, stride, 1, pad, pad};
            if (fv_int8_runs(*v) && check_variant((*v)->level))
                compare_depthwise(*v, &w, channels[i / 4 % COUNT(channels)], i % 3 ? 0 : 77);
        }
}

/* ---- maps ---- */

static void maps(void **state) {
    (void)state;
    enum { N = 517 };
    uint8_t a[N], b[N], y[N + 3 * N];
    float x[N];
    fill_bytes(a, N, 3);
    fill_bytes(b, N, 4);
    for (int i = 0; i < N; i++) x[i] = (float)(i - 200) * 0.011f;
    for (const fv_int8_kernels *const *v = fv_int8_variants; *v; v++) {
        check_case("maps");
        if (!fv_int8_runs(*v) || !check_variant((*v)->level)) continue;
        (*v)->quantise(N, x, 63.75f, 128, y);
        for (size_t i = 0; i < N; i++) expect_byte("quantised", i, y[i], fmaf(x[i], 63.75f, 128));
        (*v)->add(N, a, b, 0.75f, -0.5f, 40, y);
        for (size_t i = 0; i < N; i++) expect_byte("sum", i, y[i], fmaf(a[i], 0.75f, fmaf(b[i], -0.5f, 40)));
        memset(y, GUARD_BYTE, sizeof y);
        (*v)->rescale(47, 11, a, 1.3f, -20, y, 14); /* 47 rows of 11 bytes, 14 apart */
        for (size_t i = 0; i < 47 * 14; i++) {
            if (i % 14 >= 11) assert_int_equal(y[i], GUARD_BYTE);
            if (i % 14 < 11) expect_byte("rescaled", i, y[i], fmaf(a[i / 14 * 11 + i % 14], 1.3f, -20));
        }
    }
}

/* Results far beyond a byte on both sides, and beyond what 32 bits hold. */
static void large_results_are_limited(void **state) {
    (void)state;
    enum { N = 2 * FV_INT8_LANES_MAX };
    static const float sizes[] = {1e3f, 2e9f, 3e9f, 1e20f, 3e38f};
    uint8_t ones[N], y[N];
    memset(ones, 1, N);
    for (const fv_int8_kernels *const *v = fv_int8_variants; *v; v++)
        for (size_t i = 0; i < COUNT(sizes); i++) {
            check_case("results of %g", (double)sizes[i]);
            if (!fv_int8_runs(*v) || !check_variant((*v)->level)) continue;
            (*v)->rescale(1, N, ones, sizes[i], 0, y, N);
            for (int k = 0; k < N; k++) assert_int_equal(y[k], 255);
            (*v)->rescale(1, N, ones, -sizes[i], 0, y, N);
            for (int k = 0; k < N; k++) assert_int_equal(y[k], 0);
        }
}

static void last_layers_are_floats(void **state) {
    (void)state;
    static const int8_t weight[2][3] = {{63, -63, 7}, {1, 2, -3}};
    static const float scale[2] = {0.5f, 0.25f}, offset[2] = {1, -2};
    static const uint8_t x[6] = {255, 0, 10, 1, 2, 3};
    static const float expected[4] = {(63 * 255 + 70) * 0.5f + 1, (255 - 30) * 0.25f - 2, (63 - 126 + 21) * 0.5f + 1,
                                      (1 + 4 - 9) * 0.25f - 2};
    fv_int8_layer layer = {.channels = 3, .filters = 2, .weight = weight[0], .scale = scale, .offset = offset};
    for (const fv_int8_kernels *const *v = fv_int8_variants; *v; v++) {
        float y[4];
        check_case("logits");
        if (!fv_int8_runs(*v) || !check_variant((*v)->level)) continue;
        (*v)->logits(&layer, 0, 2, x, y);
        for (int i = 0; i < 4; i++) assert_true(y[i] == expected[i]);
    }
}

static void choice_follows_the_limit(void **state) {
    (void)state;
    fv_cpu_level before = fv_cpu();
    for (const fv_int8_kernels *const *v = fv_int8_variants; *v; v++) {
        check_case("choice");
        if (!fv_int8_runs(*v) || !check_variant((*v)->level)) continue;
        fv_cpu_limit((*v)->level);
        assert_ptr_equal(fv_int8_kernels_choose(), *v);
        fv_cpu_limit(before);
    }
}

/* ---- bench ---- */

typedef struct bench_job {
    const fv_int8_kernels *kernels;
    sample *s;
} bench_job;

static void run_product(void *context) {
    bench_job *b = context;
    b->kernels->product(&b->s->layer, 0, b->s->layer.window.in_h * b->s->layer.window.in_w, b->s->x, b->s->y);
}

static void run_depthwise(void *context) {
    bench_job *b = context;
    b->kernels->depthwise(&b->s->layer, 0, b->s->layer.window.out_h, b->s->x, b->s->outside, b->s->y);
}

/* filters 0: depthwise */
static void bench_layer(int size, int channels, int filters) {
    char label[80];
    snprintf(label, sizeof label, filters ? "int8 product %dx%dx%d to %d" : "int8 depthwise %dx%dx%d", size, size,
             channels, filters);
    if (!bench_wanted(label)) return;
    for (const fv_int8_kernels *const *v = fv_int8_variants; *v; v++) {
        if (!fv_int8_runs(*v) || !check_variant((*v)->level)) continue;
        sample s = {.taps = filters ? channels : 9};
        s.layer = (fv_int8_layer){.channels = channels, .filters = filters ? filters : channels};
        s.layer.window = (fv_window){1, size, size, size, size, 3, 3, 1, 1, 1, 1};
        s.x_count = (size_t)(size * size * channels);
        s.y_count = (size_t)(size * size * s.layer.filters);
        fill_filters(&s, (*v)->lanes, !filters);
        fill_tensors(&s);
        bench_case c = {label, (*v)->level, s.x_count / sizeof(float), 1, 0, 1, 2 * (double)s.y_count * s.taps};
        bench_run(&c, filters ? run_product : run_depthwise, &(bench_job){*v, &s});
        free_sample(&s);
    }
}

/* MobileNetV2 at 256x256. */
static void bench(void) {
    static const int layers[][3] = {{128, 16, 96},   {64, 144, 24}, {16, 96, 576}, {8, 960, 160},
                                    {16, 1856, 256}, {128, 32, 0},  {32, 192, 0},  {16, 576, 0}};
    for (size_t i = 0; i < COUNT(layers); i++) bench_layer(layers[i][0], layers[i][1], layers[i][2]);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(depthwise),
        cmocka_unit_test(maps),
        cmocka_unit_test(large_results_are_limited),
        cmocka_unit_test(last_layers_are_floats),
        cmocka_unit_test(choice_follows_the_limit),
    };
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
