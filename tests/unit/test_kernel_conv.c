/* kernel/conv.h: the three products of gathered windows, with every variant of the tiles, against sums in double. */
#include <math.h>
#include <string.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/conv.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ROUNDING 5e-6 /* of the results' root mean square: up to some thousand products a sum */

typedef struct conv_case {
    int n, in_h, in_w, kernel_h, kernel_w, stride, dilation, top, left;
    int wide, narrow; /* channels of the side with more pixels, and of the other */
    int gap;          /* between the pixels of all tensors */
    bool add;
} conv_case;

/* As many positions as fit with the same padding behind. */
static int positions(int size, int kernel, int stride, int dilation, int padding) {
    return (size + 2 * padding - (kernel - 1) * dilation - 1) / stride + 1;
}

static fv_window window_of(const conv_case *t) {
    return (fv_window){.n = t->n,
                       .in_h = t->in_h,
                       .in_w = t->in_w,
                       .out_h = positions(t->in_h, t->kernel_h, t->stride, t->dilation, t->top),
                       .out_w = positions(t->in_w, t->kernel_w, t->stride, t->dilation, t->left),
                       .kernel_h = t->kernel_h,
                       .kernel_w = t->kernel_w,
                       .stride = t->stride,
                       .dilation = t->dilation,
                       .top = t->top,
                       .left = t->left};
}

static void describe(const char *what, const conv_case *t) {
    check_case(
        "%s, %d x %dx%d, kernel %dx%d, stride %d, dilation %d, top %d, left %d, %d and %d channels, gap %d, add %d",
        what, t->n, t->in_h, t->in_w, t->kernel_h, t->kernel_w, t->stride, t->dilation, t->top, t->left, t->wide,
        t->narrow, t->gap, t->add);
}

/* Both sides and the weight {taps, wide, narrow}; the sides' pixels stand `gap` elements further apart. */
typedef struct conv_data {
    fv_window window;
    int taps, wide_stride, narrow_stride;
    check_array wide, narrow, weight;
} conv_data;

static conv_data data_of(const conv_case *t) {
    conv_data d = {.window = window_of(t),
                   .taps = t->kernel_h * t->kernel_w,
                   .wide_stride = t->wide + t->gap,
                   .narrow_stride = t->narrow + t->gap};
    d.wide = check_random((size_t)(fv_window_in_pixels(&d.window) * d.wide_stride), -1, 1, 1);
    d.narrow = check_random((size_t)(fv_window_out_pixels(&d.window) * d.narrow_stride), -1, 1, 2);
    d.weight = check_random((size_t)(d.taps * t->wide * t->narrow), -1, 1, 3);
    return d;
}

static void free_data(conv_data *d) {
    check_free(&d->wide);
    check_free(&d->narrow);
    check_free(&d->weight);
}

typedef enum direction { DIRECT, TRANSPOSED, WEIGHT } direction;

/* The sums of the header: over all window positions p, taps t and in-pixels q that meet. */
static double *sums_of(const conv_case *t, const conv_data *d, direction which, size_t count) {
    const fv_window *w = &d->window;
    double *sums = test_calloc(count, sizeof *sums);
    for (int64_t p = 0; p < fv_window_out_pixels(w); p++)
        for (int tap = 0; tap < d->taps; tap++) {
            int64_t image = p / w->out_w / w->out_h;
            int y = (int)(p / w->out_w % w->out_h) * w->stride + tap / w->kernel_w * w->dilation - w->top;
            int x = (int)(p % w->out_w) * w->stride + tap % w->kernel_w * w->dilation - w->left;
            if (y < 0 || y >= w->in_h || x < 0 || x >= w->in_w) continue;
            int64_t q = (image * w->in_h + y) * w->in_w + x;
            for (int a = 0; a < t->wide; a++)
                for (int b = 0; b < t->narrow; b++) {
                    int64_t at = ((int64_t)tap * t->wide + a) * t->narrow + b;
                    double in = (double)d->wide.data[q * d->wide_stride + a];
                    double out = (double)d->narrow.data[p * d->narrow_stride + b];
                    double weight = (double)d->weight.data[at];
                    if (which == DIRECT) sums[p * t->narrow + b] += in * weight;
                    if (which == TRANSPOSED) sums[q * t->wide + a] += out * weight;
                    if (which == WEIGHT) sums[at] += in * out;
                }
        }
    return sums;
}

/* Rows of `channels` sums, `stride` apart, over what was there. */
static check_array expected_of(const check_array *before, const double *sums, int64_t rows, int channels, int stride,
                               bool add) {
    check_array expected = check_copy(before);
    for (int64_t r = 0; r < rows; r++)
        for (int c = 0; c < channels; c++) {
            float *at = &expected.data[r * stride + c];
            *at = (float)(sums[r * channels + c] + (add ? (double)*at : 0));
        }
    return expected;
}

static void run_direct(const conv_case *t, const conv_data *d, bool packed, check_array *result) {
    size_t count = fv_gemm_packed_count(t->narrow, (int64_t)d->taps * t->wide) + 1;
    check_array panels = check_unset(count);
    check_array scratch = bench_random(
        (size_t)fv_threads() * fv_conv_direct_scratch(&d->window, t->wide, t->narrow) / sizeof(float) + 1, NAN, NAN, 1);
    fv_conv_taps taps = {d->weight.data, t->wide, t->narrow, t->narrow, false};
    if (packed) fv_conv_direct_pack(&d->window, &taps, panels.data);
    fv_conv_direct(&(fv_conv_product){.window = d->window,
                                      .c_in = t->wide,
                                      .c_out = t->narrow,
                                      .in = d->wide.data,
                                      .in_stride = d->wide_stride,
                                      .weight = packed ? panels.data : d->weight.data,
                                      .weight_stride = packed ? 0 : t->narrow,
                                      .result = {.c = result->data, .ld = d->narrow_stride, .add = t->add},
                                      .scratch = scratch.data});
    check_free(&panels);
    check_free(&scratch);
}

/* The weight as it is has rows of narrow channels: transposed, what is read is narrow and what is written wide. */
static void run_transposed(const conv_case *t, const conv_data *d, check_array *result) {
    check_array panels = check_unset(fv_gemm_packed_count(t->wide, (int64_t)d->taps * t->narrow) + 1);
    check_array scratch = bench_random(
        (size_t)fv_threads() * fv_conv_transposed_scratch(&d->window, t->narrow, t->wide) / sizeof(float) + 1, NAN, NAN,
        1);
    fv_conv_taps taps = {d->weight.data, t->wide, t->narrow, t->narrow, true};
    fv_conv_transposed_pack(&d->window, &taps, panels.data);
    fv_conv_transposed(&(fv_conv_product){.window = d->window,
                                          .c_in = t->narrow,
                                          .c_out = t->wide,
                                          .in = d->narrow.data,
                                          .in_stride = d->narrow_stride,
                                          .weight = panels.data,
                                          .result = {.c = result->data, .ld = d->wide_stride, .add = t->add},
                                          .scratch = scratch.data});
    check_free(&panels);
    check_free(&scratch);
}

static void run_weight(const conv_case *t, const conv_data *d, check_array *result) {
    check_array scratch = bench_random(
        (size_t)fv_threads() * fv_conv_weight_scratch(&d->window, t->wide, t->narrow) / sizeof(float) + 1, NAN, NAN, 1);
    check_array parts =
        bench_random(fv_conv_weight_parts(&d->window, t->wide, t->narrow) / sizeof(float) + 1, NAN, NAN, 1);
    fv_conv_weight_run(&(fv_conv_weight){.window = d->window,
                                         .wide = d->wide.data,
                                         .wide_stride = d->wide_stride,
                                         .wide_channels = t->wide,
                                         .narrow = d->narrow.data,
                                         .narrow_stride = d->narrow_stride,
                                         .narrow_channels = t->narrow,
                                         .add = t->add,
                                         .dw = result->data,
                                         .dw_stride = t->narrow,
                                         .scratch = scratch.data,
                                         .parts = parts.data});
    check_free(&scratch);
    check_free(&parts);
}

static void run(const conv_case *t, const conv_data *d, direction which, int threads, check_array *result) {
    fv_threads_set(threads);
    if (which == DIRECT) run_direct(t, d, threads > 1, result);
    if (which == TRANSPOSED) run_transposed(t, d, result);
    if (which == WEIGHT) run_weight(t, d, result);
    fv_threads_set(0);
}

/* With one thread and the weight as it is, with three and packed: the same bits. */
static void check_direction(const conv_case *t, direction which) {
    static const char *const names[] = {"direct", "transposed", "weight"};
    describe(names[which], t);
    conv_data d = data_of(t);
    int64_t rows = which == DIRECT       ? fv_window_out_pixels(&d.window)
                   : which == TRANSPOSED ? fv_window_in_pixels(&d.window)
                                         : (int64_t)d.taps * t->wide;
    int channels = which == TRANSPOSED ? t->wide : t->narrow, stride = channels + (which == WEIGHT ? 0 : t->gap);
    double *sums = sums_of(t, &d, which, (size_t)(rows * channels));
    check_array before = check_random((size_t)(rows * stride), -1, 1, 4);
    check_array expected = expected_of(&before, sums, rows, channels, stride, t->add);
    for (size_t v = 0; fv_gemm_tiles_variants[v]; v++) {
        if (!check_variant(fv_gemm_tiles_variants[v]->level)) continue;
        fv_cpu_limit(fv_gemm_tiles_variants[v]->level);
        check_array result = check_copy(&before), again = check_copy(&before);
        run(t, &d, which, 1, &result);
        expect_same("result", &result, &expected, ROUNDING);
        run(t, &d, which, 3, &again);
        if (fv_gemm_tiles_choose() == &fv_gemm_tiles_openblas)
            expect_same("result with three threads", &again, &expected, ROUNDING); /* packed B is another call there */
        else
            expect_bits("result with three threads", &again, &result);
        check_free(&result);
        check_free(&again);
    }
    fv_cpu_limit(fv_gemm_tiles_variants[0]->level);
    check_free(&before);
    check_free(&expected);
    test_free(sums);
    free_data(&d);
}

static void windows_of_every_kind(void **state) {
    (void)state;
    static const int channels[] = {1, 2, 3, 7, 8, 16, 17, 33};
    static const int kernels[][2] = {{1, 1}, {2, 2}, {3, 3}, {3, 1}, {5, 4}, {7, 7}};
    for (unsigned i = 0; i < 240; i++) {
        conv_case t = {.n = 1 + (int)(i % 2),
                       .in_h = 8 + (int)(i % 5),
                       .in_w = 7 + (int)(i % 9),
                       .kernel_h = kernels[i % COUNT(kernels)][0],
                       .kernel_w = kernels[i % COUNT(kernels)][1],
                       .stride = 1 + (int)(i / 3 % 3),
                       .dilation = i % COUNT(kernels) == 5 ? 1 : 1 + (int)(i / 2 % 2),
                       .wide = channels[i / 7 % COUNT(channels)],
                       .narrow = channels[i / 5 % COUNT(channels)],
                       .gap = i % 4 == 3 ? 5 : 0,
                       .add = i % 3 == 2};
        t.top = (int)(i / 11 % 2) * (t.kernel_h / 2);
        t.left = (int)(i / 13 % 2) * (t.kernel_w / 2);
        bool fits = positions(t.in_h, t.kernel_h, t.stride, t.dilation, t.top) > 0 &&
                    positions(t.in_w, t.kernel_w, t.stride, t.dilation, t.left) > 0;
        if (!fits) t.dilation = 1;
        for (int which = DIRECT; which <= WEIGHT; which++) check_direction(&t, (direction)which);
    }
}

/* Long enough to be cut into several tiles and chunks of pixels. */
static void many_pixels(void **state) {
    (void)state;
    static const conv_case cases[] = {
        {.n = 2,
         .in_h = 60,
         .in_w = 62,
         .kernel_h = 3,
         .kernel_w = 3,
         .stride = 2,
         .dilation = 1,
         .wide = 3,
         .narrow = 32},
        {.n = 1,
         .in_h = 64,
         .in_w = 64,
         .kernel_h = 2,
         .kernel_w = 2,
         .stride = 2,
         .dilation = 1,
         .wide = 24,
         .narrow = 48},
        {.n = 1,
         .in_h = 40,
         .in_w = 41,
         .kernel_h = 7,
         .kernel_w = 7,
         .stride = 1,
         .dilation = 1,
         .top = 3,
         .left = 3,
         .wide = 3,
         .narrow = 16},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int which = DIRECT; which <= WEIGHT; which++) check_direction(&cases[i], (direction)which);
}

/* A result of more than FV_STREAM_BYTES goes past the caches, row by row of a phase. */
static void large_results_are_streamed(void **state) {
    (void)state;
    conv_case t = {.n = 1,
                   .in_h = 400,
                   .in_w = 400,
                   .kernel_h = 2,
                   .kernel_w = 2,
                   .stride = 2,
                   .dilation = 1,
                   .wide = 16,
                   .narrow = 4};
    conv_data d = data_of(&t);
    size_t count = (size_t)(fv_window_in_pixels(&d.window) * t.wide);
    check_array result = bench_random(count, -1, 1, 4);
    fv_gemm_result to = {.c = result.data, .ld = t.wide};
    assert_true(fv_gemm_streams(&to, fv_window_in_pixels(&d.window), t.wide));
    double *sums = sums_of(&t, &d, TRANSPOSED, count);
    check_array expected = expected_of(&result, sums, fv_window_in_pixels(&d.window), t.wide, t.wide, false);
    for (size_t v = 0; fv_gemm_tiles_variants[v]; v++) {
        describe("transposed, streamed", &t);
        if (!check_variant(fv_gemm_tiles_variants[v]->level)) continue;
        fv_cpu_limit(fv_gemm_tiles_variants[v]->level);
        run(&t, &d, TRANSPOSED, 2, &result);
        expect_same("result", &result, &expected, ROUNDING);
    }
    fv_cpu_limit(fv_gemm_tiles_variants[0]->level);
    check_free(&result);
    check_free(&expected);
    test_free(sums);
    free_data(&d);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_of_every_kind),
        cmocka_unit_test(many_pixels),
        cmocka_unit_test(large_results_are_streamed),
    };
    return check_main(argc, argv, tests, COUNT(tests), NULL);
}
