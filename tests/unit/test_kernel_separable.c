/* kernel/separable.h: the bits of a depthwise convolution and a pointwise one, one after the other. */
#include <math.h>
#include <string.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/depthwise.h"
#include "fovea/kernel/separable.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef struct separable_case {
    int n, h, w, channels, filters, stride, gap;
    bool finish;
} separable_case;

static fv_window window_of(const separable_case *t) {
    int pad = t->stride == 1;
    return (fv_window){
        t->n, t->h, t->w, (t->h + t->stride - 1) / t->stride, (t->w + t->stride - 1) / t->stride, 3, 3, t->stride,
        1,    pad,  pad};
}

typedef struct separable_data {
    fv_window window;
    int in_stride;
    check_array in, taps, weight, scale, offset, bias;
    fv_channel_epilogue finish;
} separable_data;

static separable_data data_of(const separable_case *t) {
    separable_data d = {.window = window_of(t), .in_stride = t->channels + t->gap};
    d.in = check_random((size_t)(fv_window_in_pixels(&d.window) * d.in_stride), -1, 1, 1);
    d.taps = check_random(9 * (size_t)t->channels, -1, 1, 2);
    d.weight = check_random((size_t)(t->channels * t->filters), -1, 1, 3);
    d.scale = check_random((size_t)t->channels, 0.5, 1.5, 4);
    d.offset = check_random((size_t)t->channels, -1, 1, 5);
    d.bias = check_random((size_t)t->filters, -1, 1, 6);
    d.finish = (fv_channel_epilogue){.scale = d.scale.data, .offset = d.offset.data, .low = 0, .high = 6};
    return d;
}

static void free_data(separable_data *d) {
    check_array *arrays[] = {&d->in, &d->taps, &d->weight, &d->scale, &d->offset, &d->bias};
    for (size_t i = 0; i < COUNT(arrays); i++) check_free(arrays[i]);
}

static fv_gemm_result result_to(const separable_case *t, const separable_data *d, check_array *to) {
    return (fv_gemm_result){
        .c = to->data, .ld = t->filters, .finish = true, .offset = d->bias.data, .low = -1, .high = INFINITY};
}

static void run_together(const separable_case *t, separable_data *d, int threads, check_array *result) {
    fv_threads_set(threads);
    check_array work = bench_random(fv_separable_work(&d->window, t->channels) / sizeof(float), NAN, NAN, 1);
    fv_separable_run(&(fv_separable){.window = d->window,
                                     .channels = t->channels,
                                     .filters = t->filters,
                                     .in = d->in.data,
                                     .in_stride = d->in_stride,
                                     .taps = d->taps.data,
                                     .finish = t->finish ? &d->finish : NULL,
                                     .weight = d->weight.data,
                                     .result = result_to(t, d, result),
                                     .work = work.data});
    check_free(&work);
    fv_threads_set(0);
}

static void run_apart(const separable_case *t, separable_data *d, check_array *result) {
    const fv_window *w = &d->window;
    int64_t pixels = fv_window_out_pixels(w);
    check_array between = check_unset((size_t)(pixels * t->channels));
    const fv_depthwise *depthwise = fv_depthwise_choose(w, t->channels);
    for (int n = 0; n < t->n; n++)
        depthwise->forward(w, t->channels, d->in.data + (int64_t)n * w->in_h * w->in_w * d->in_stride, d->in_stride,
                           d->taps.data, 0, w->out_h, t->finish ? &d->finish : NULL,
                           between.data + pixels / t->n * n * t->channels);
    const fv_gemm_tiles *tiles = fv_gemm_tiles_choose();
    fv_gemm_left a = {between.data, t->channels, 1, false};
    fv_gemm_right b = {d->weight.data, t->filters, tiles->panel};
    fv_gemm_result to = result_to(t, d, result);
    tiles->multiply(pixels, t->filters, t->channels, &a, &b, &to);
    check_free(&between);
}

static void equals_one_after_the_other(void **state) {
    (void)state;
    static const separable_case cases[] = {
        {1, 16, 16, 33, 17, 1, 0, true},   {2, 19, 23, 64, 24, 1, 0, false},  {1, 37, 29, 48, 33, 2, 0, true},
        {3, 9, 40, 17, 8, 1, 7, true},     {1, 128, 60, 160, 32, 1, 0, true}, {2, 50, 64, 96, 24, 2, 16, true},
        {1, 13, 300, 144, 7, 1, 0, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const separable_case *t = &cases[i];
        check_case("%d x %dx%dx%d, %d filters, stride %d, gap %d, finish %d", t->n, t->h, t->w, t->channels, t->filters,
                   t->stride, t->gap, t->finish);
        separable_data d = data_of(t);
        size_t count = (size_t)(fv_window_out_pixels(&d.window) * t->filters);
        for (size_t v = 0; fv_gemm_tiles_variants[v]; v++) {
            if (!check_variant(fv_gemm_tiles_variants[v]->level)) continue;
            fv_cpu_limit(fv_gemm_tiles_variants[v]->level);
            check_array apart = check_unset(count), together = check_unset(count), again = check_unset(count);
            run_apart(t, &d, &apart);
            run_together(t, &d, 1, &together);
            run_together(t, &d, 3, &again);
            if (fv_gemm_tiles_choose() == &fv_gemm_tiles_openblas)
                expect_same("result", &together, &apart, 1e-5); /* its bits depend on the number of rows */
            else
                expect_bits("result", &together, &apart);
            expect_bits("result with three threads", &again, &together);
            check_free(&apart);
            check_free(&together);
            check_free(&again);
        }
        fv_cpu_limit(fv_gemm_tiles_variants[0]->level);
        free_data(&d);
    }
}

static void pays_for_large_layers_only(void **state) {
    (void)state;
    fv_window large = window_of(&(separable_case){.n = 1, .h = 128, .w = 128, .stride = 1});
    fv_window small = window_of(&(separable_case){.n = 1, .h = 16, .w = 16, .stride = 1});
    assert_true(fv_separable_pays(&large, 160, 32));
    assert_false(fv_separable_pays(&small, 160, 32));
    assert_false(fv_separable_pays(&large, 1856, 256));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_one_after_the_other),
        cmocka_unit_test(pays_for_large_layers_only),
    };
    return check_main(argc, argv, tests, COUNT(tests), NULL);
}
