/* kernel/conv_single.h against the formula of a convolution with one filter. */
#include <math.h>
#include <stdio.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/conv_single.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef struct single_case {
    int n, h, w, channels, stride, pad;
    bool finish;
} single_case;

static fv_window window_of(const single_case *t) {
    return (fv_window){t->n,
                       t->h,
                       t->w,
                       (t->h + 2 * t->pad - 3) / t->stride + 1,
                       (t->w + 2 * t->pad - 3) / t->stride + 1,
                       3,
                       3,
                       t->stride,
                       1,
                       t->pad,
                       t->pad};
}

/* At window position (i, j) of image n. */
static double sum_at(const fv_conv_single *p, int n, int i, int j) {
    const fv_window *w = &p->window;
    double sum = 0;
    for (int tap = 0; tap < 9; tap++) {
        int y = i * w->stride + tap / 3 - w->top, x = j * w->stride + tap % 3 - w->left;
        if (y < 0 || y >= w->in_h || x < 0 || x >= w->in_w) continue;
        const float *pixel = p->in + (((int64_t)n * w->in_h + y) * w->in_w + x) * p->in_stride;
        for (int c = 0; c < p->channels; c++) sum += (double)pixel[c] * (double)p->weight[tap * p->channels + c];
    }
    return sum;
}

static void fill_expected(const fv_conv_single *p, check_array *expected) {
    const fv_window *w = &p->window;
    const fv_gemm_result *r = &p->result;
    for (int64_t k = 0; k < fv_window_out_pixels(w); k++) {
        int64_t image = (int64_t)w->out_h * w->out_w;
        double value = sum_at(p, (int)(k / image), (int)(k % image / w->out_w), (int)(k % w->out_w));
        if (r->finish) {
            value = value * (double)r->scale[0] + (double)r->offset[0] + (double)r->residual[k * r->residual_ld];
            value = fmin(fmax(value, (double)r->low), (double)r->high);
        }
        expected->data[k * r->ld] = (float)value;
    }
}

static void compare(const single_case *t, fv_cpu_level level, int threads) {
    check_case("%dx%dx%dx%d stride %d padding %d finish %d, %d threads", t->n, t->h, t->w, t->channels, t->stride,
               t->pad, t->finish, threads);
    if (!check_variant(level)) return;
    fv_cpu_level before = fv_cpu();
    fv_cpu_limit(level);
    fv_threads_set(threads);
    fv_conv_single p = {.window = window_of(t), .channels = t->channels, .in_stride = t->channels + 3};
    size_t pixels = (size_t)fv_window_out_pixels(&p.window);
    check_array in = check_random((size_t)(fv_window_in_pixels(&p.window) * p.in_stride), -1, 1, 1);
    check_array weight = check_random(9 * (size_t)t->channels, -1, 1, 2), ends = check_random(2, 0.5, 1, 3);
    check_array residual = check_random(2 * pixels, -1, 1, 4), found = check_unset(2 * pixels);
    check_array expected = check_unset(2 * pixels), work = check_unset(fv_conv_single_work(&p.window, t->channels) / 4);
    p.in = in.data;
    p.weight = weight.data;
    p.work = work.data;
    p.result = (fv_gemm_result){.c = found.data, .ld = 2, .finish = t->finish, .low = -1, .high = 0.5f};
    p.result.scale = ends.data;
    p.result.offset = ends.data + 1;
    p.result.residual = residual.data;
    p.result.residual_ld = 2;
    fv_conv_single_run(&p);
    fill_expected(&p, &expected);
    expect_same("result", &found, &expected, 3e-6);
    check_array *arrays[] = {&in, &weight, &ends, &residual, &found, &expected, &work};
    for (size_t i = 0; i < COUNT(arrays); i++) check_free(arrays[i]);
    fv_cpu_limit(before);
    fv_threads_set(1);
}

static void results_follow_the_formula(void **state) {
    (void)state;
    static const single_case cases[] = {{1, 3, 3, 9, 1, 0, false},   {1, 1, 1, 16, 1, 1, true},
                                        {2, 37, 19, 12, 1, 1, true}, {1, 20, 64, 32, 1, 1, false},
                                        {1, 9, 8, 17, 2, 1, true},   {1, 40, 300, 16, 1, 1, true}};
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int level = FV_CPU_SCALAR; level <= (int)fv_cpu(); level++)
            for (int threads = 1; threads <= 2; threads++) compare(&cases[i], (fv_cpu_level)level, threads);
}

static void only_one_filter_pays(void **state) {
    (void)state;
    fv_window fits = {1, 8, 8, 8, 8, 3, 3, 1, 1, 1, 1}, dilated = fits, five = fits;
    dilated.dilation = 2;
    five.kernel_h = five.kernel_w = 5;
    assert_true(fv_conv_single_pays(&fits, 16, 1));
    assert_false(fv_conv_single_pays(&fits, 16, 2));
    assert_false(fv_conv_single_pays(&fits, 8, 1)); /* conv_narrow.h's */
    assert_false(fv_conv_single_pays(&dilated, 16, 1));
    assert_false(fv_conv_single_pays(&five, 16, 1));
}

static void run(void *context) {
    fv_conv_single_run(context);
}

static void bench(void) {
    static const int shapes[][2] = {{256, 16}, {256, 32}, {512, 16}};
    for (size_t i = 0; i < COUNT(shapes); i++) {
        const single_case t = {1, shapes[i][0], shapes[i][0], shapes[i][1], 1, 1, false};
        fv_conv_single p = {.window = window_of(&t), .channels = t.channels, .in_stride = t.channels};
        size_t pixels = (size_t)fv_window_out_pixels(&p.window);
        char label[80];
        snprintf(label, sizeof label, "single filter %dx%dx%d", t.h, t.w, t.channels);
        if (!bench_wanted(label) || !check_variant(fv_cpu())) continue;
        check_array in = bench_random(pixels * (size_t)t.channels, -1, 1, 1), out = bench_random(pixels, 0, 1, 2);
        check_array weight = bench_random(9 * (size_t)t.channels, -1, 1, 3);
        check_array work = bench_random(fv_conv_single_work(&p.window, t.channels) / 4, 0, 1, 4);
        p.in = in.data;
        p.weight = weight.data;
        p.work = work.data;
        p.result = (fv_gemm_result){.c = out.data, .ld = 1};
        bench_case c = {
            label, fv_cpu(), pixels * (size_t)t.channels, 1, 0, 0, 18.0 * (double)(pixels * (size_t)t.channels)};
        bench_run(&c, run, &p);
        check_free(&in), check_free(&out), check_free(&weight), check_free(&work);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_follow_the_formula),
        cmocka_unit_test(only_one_filter_pays),
    };
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
