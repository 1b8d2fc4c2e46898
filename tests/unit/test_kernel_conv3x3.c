/* kernel/winograd.h and kernel/conv_narrow.h: all three products of both ways, with every variant of their inner loops,
   against convolutions in double. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/conv_narrow.h"
#include "fovea/kernel/winograd.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ERROR 1e-5 /* of the results' root mean square: what the header promises */

typedef struct conv_way {
    const char *name;
    size_t (*work)(const fv_window *window, int c_in, int c_out);
    void (*run)(const fv_conv3x3_product *product);
    size_t (*weight_work)(const fv_window *window, int c_in, int c_out);
    void (*weight_run)(const fv_conv3x3_weight *product);
} conv_way;

static const conv_way winograd = {"Winograd", fv_winograd_work, fv_winograd_run, fv_winograd_weight_work,
                                  fv_winograd_weight_run};
static const conv_way narrow = {"few channels", fv_conv_narrow_work, fv_conv_narrow_run, fv_conv_narrow_weight_work,
                                fv_conv_narrow_weight_run};

typedef struct conv_case {
    const conv_way *way;
    int n, h, w, c_in, c_out, top, left, bottom, right;
    int gap;                                  /* between the pixels of all tensors */
    bool add, finish, residual, own_residual; /* finish: scale, offset and clamp */
    bool mapped;                              /* the input, where it is one of the picture */
} conv_case;

static fv_window window_of(const conv_case *t) {
    return (fv_window){.n = t->n,
                       .in_h = t->h,
                       .in_w = t->w,
                       .out_h = t->h + t->top + t->bottom - 2,
                       .out_w = t->w + t->left + t->right - 2,
                       .kernel_h = 3,
                       .kernel_w = 3,
                       .stride = 1,
                       .dilation = 1,
                       .top = t->top,
                       .left = t->left};
}

static void describe(const char *what, const conv_case *t) {
    check_case(
        "%s (%s) of %d x %dx%d, %d -> %d channels, padding %d %d %d %d (top, left, bottom, right), gap %d, add %d, "
        "finish %d, residual %d (own %d), mapped %d",
        what, t->way->name, t->n, t->h, t->w, t->c_in, t->c_out, t->top, t->left, t->bottom, t->right, t->gap, t->add,
        t->finish, t->residual, t->own_residual, t->mapped);
}

/* The three tensors of a convolution, pixels `gap` elements further apart than they have channels. */
typedef struct conv_data {
    fv_window window;
    int in_stride, out_stride;
    check_array in, out, weight; /* out: results before, or their gradients */
    check_array map;             /* center, scale and offset of each channel of `in` */
} conv_data;

static conv_data data_of(const conv_case *t) {
    conv_data d = {.window = window_of(t), .in_stride = t->c_in + t->gap, .out_stride = t->c_out + t->gap};
    d.in = check_random((size_t)(fv_window_in_pixels(&d.window) * d.in_stride), -1, 1, 1);
    d.out = check_random((size_t)(fv_window_out_pixels(&d.window) * d.out_stride), -1, 1, 2);
    d.weight = check_random(9 * (size_t)(t->c_in * t->c_out), -1, 1, 3);
    d.map = check_random(3 * (size_t)t->c_in, -1, 1, 8);
    return d;
}

static void free_data(conv_data *d) {
    check_free(&d->in);
    check_free(&d->out);
    check_free(&d->weight);
    check_free(&d->map);
}

static fv_norm_map map_of(const conv_case *t, const conv_data *d) {
    return (fv_norm_map){d->map.data, d->map.data + t->c_in, d->map.data + 2 * t->c_in, 0, 6};
}

/* Calls visit(in pixel, tap, out pixel) for all that meet. */
static void visit_all(const conv_data *d, void (*visit)(void *context, int64_t in, int tap, int64_t out),
                      void *context) {
    const fv_window *w = &d->window;
    for (int64_t p = 0; p < fv_window_out_pixels(w); p++)
        for (int tap = 0; tap < 9; tap++) {
            int64_t image = p / w->out_w / w->out_h;
            int y = (int)(p / w->out_w % w->out_h) + tap / 3 - w->top, x = (int)(p % w->out_w) + tap % 3 - w->left;
            if (y >= 0 && y < w->in_h && x >= 0 && x < w->in_w)
                visit(context, (image * w->in_h + y) * w->in_w + x, tap, p);
        }
}

typedef struct formula {
    const conv_case *t;
    const conv_data *d;
    double *sums;
} formula;

/* Channel c of a pixel, or its map. */
static double input_of(const formula *f, const float *x, int c) {
    fv_norm_map map = map_of(f->t, f->d);
    if (!f->t->mapped) return (double)x[c];
    double value = ((double)x[c] - (double)map.center[c]) * (double)map.scale[c] + (double)map.offset[c];
    return fmin(fmax(value, 0), 6);
}

static void add_forward(void *context, int64_t in, int tap, int64_t out) {
    const formula *f = context;
    const float *x = f->d->in.data + in * f->d->in_stride;
    const float *w = f->d->weight.data + (int64_t)tap * f->t->c_in * f->t->c_out;
    double *sums = f->sums + out * f->t->c_out;
    for (int c = 0; c < f->t->c_in; c++) {
        double value = input_of(f, x, c);
        for (int k = 0; k < f->t->c_out; k++) sums[k] += value * (double)w[c * f->t->c_out + k];
    }
}

static void add_backward(void *context, int64_t in, int tap, int64_t out) {
    const formula *f = context;
    const float *d_y = f->d->out.data + out * f->d->out_stride;
    const float *w = f->d->weight.data + (int64_t)tap * f->t->c_in * f->t->c_out;
    double *sums = f->sums + in * f->t->c_in;
    for (int c = 0; c < f->t->c_in; c++)
        for (int k = 0; k < f->t->c_out; k++) sums[c] += (double)d_y[k] * (double)w[c * f->t->c_out + k];
}

static void add_weight(void *context, int64_t in, int tap, int64_t out) {
    const formula *f = context;
    const float *x = f->d->in.data + in * f->d->in_stride, *d_y = f->d->out.data + out * f->d->out_stride;
    double *sums = f->sums + (int64_t)tap * f->t->c_in * f->t->c_out;
    for (int c = 0; c < f->t->c_in; c++) {
        double value = input_of(f, x, c);
        for (int k = 0; k < f->t->c_out; k++) sums[c * f->t->c_out + k] += value * (double)d_y[k];
    }
}

static double *sums_of(const conv_case *t, const conv_data *d, size_t count,
                       void (*visit)(void *context, int64_t in, int tap, int64_t out)) {
    formula f = {t, d, test_calloc(count, sizeof(double))};
    visit_all(d, visit, &f);
    return f.sums;
}

/* A result{pixels, channels} with its ending: what a product is given and what it should make of it. */
typedef struct ending {
    check_array before, expected, scale, offset, residual;
    int64_t pixels;
    int channels, stride;
} ending;

static ending ending_of(const conv_case *t, const double *sums, int64_t pixels, int channels, int stride) {
    ending e = {.pixels = pixels, .channels = channels, .stride = stride};
    e.before = check_random((size_t)(pixels * stride), -1, 1, 4);
    e.residual = check_random((size_t)(pixels * stride), -1, 1, 5);
    e.scale = check_random((size_t)channels, 0.5, 1.5, 6);
    e.offset = check_random((size_t)channels, -1, 1, 7);
    e.expected = check_copy(&e.before);
    const float *residual = t->own_residual ? e.before.data : e.residual.data;
    for (int64_t p = 0; p < pixels; p++)
        for (int c = 0; c < channels; c++) {
            double value = sums[p * channels + c] + (t->add ? (double)e.before.data[p * stride + c] : 0);
            if (t->finish) {
                value = value * (double)e.scale.data[c] + (double)e.offset.data[c];
                if (t->residual) value += (double)residual[p * stride + c];
                value = fmin(fmax(value, 0), 6);
            }
            e.expected.data[p * stride + c] = (float)value;
        }
    return e;
}

static void free_ending(ending *e) {
    check_array *arrays[] = {&e->before, &e->expected, &e->scale, &e->offset, &e->residual};
    for (size_t i = 0; i < COUNT(arrays); i++) check_free(arrays[i]);
}

static void run_product(const conv_case *t, const conv_data *d, const ending *e, bool backward, int threads,
                        check_array *result, double *moments) {
    fv_threads_set(threads);
    fv_norm_map map = map_of(t, d);
    fv_window window = backward ? fv_conv3x3_backward_window(&d->window) : d->window;
    fv_conv3x3_product product = {.window = window,
                                  .c_in = backward ? t->c_out : t->c_in,
                                  .c_out = e->channels,
                                  .in = backward ? d->out.data : d->in.data,
                                  .in_stride = backward ? d->out_stride : d->in_stride,
                                  .in_map = t->mapped && !backward ? &map : NULL,
                                  .weight = d->weight.data,
                                  .backward = backward,
                                  .moments = moments};
    check_array work = bench_random(t->way->work(&window, product.c_in, product.c_out) / sizeof(float), NAN, NAN, 1);
    product.work = work.data;
    product.result = (fv_gemm_result){.c = result->data,
                                      .ld = e->stride,
                                      .add = t->add,
                                      .finish = t->finish,
                                      .scale = e->scale.data,
                                      .offset = e->offset.data,
                                      .residual = !t->residual      ? NULL
                                                  : t->own_residual ? result->data
                                                                    : e->residual.data,
                                      .residual_ld = e->stride,
                                      .low = 0,
                                      .high = 6};
    t->way->run(&product);
    check_free(&work);
    fv_threads_set(0);
}

/* To what the error of results of this size allows. */
static void expect_moments(const ending *e, const double *moments) {
    double size = 0;
    for (int64_t p = 0; p < e->pixels; p++)
        for (int c = 0; c < e->channels; c++) size += pow((double)e->expected.data[p * e->stride + c], 2);
    size = sqrt(size / (double)(e->pixels * e->channels));
    for (int c = 0; c < e->channels; c++) {
        double mean = 0, squares = 0;
        for (int64_t p = 0; p < e->pixels; p++) mean += (double)e->expected.data[p * e->stride + c];
        mean /= (double)e->pixels;
        for (int64_t p = 0; p < e->pixels; p++) {
            double distance = (double)e->expected.data[p * e->stride + c] - mean;
            squares += distance * distance;
        }
        double deviation = sqrt(squares / (double)e->pixels), allowed = 2 * ERROR * (deviation + size);
        expect_near("mean", moments[c], mean, allowed);
        expect_near("squares", moments[e->channels + c], squares,
                    (double)e->pixels * allowed * (2 * deviation + allowed));
    }
}

/* Every variant, and the same bits with 1, 2 and 3 threads. */
static void check_product(const conv_case *t, bool backward) {
    describe(backward ? "input gradient" : "convolution", t);
    conv_data d = data_of(t);
    int channels = backward ? t->c_in : t->c_out;
    int64_t pixels = backward ? fv_window_in_pixels(&d.window) : fv_window_out_pixels(&d.window);
    double *sums = sums_of(t, &d, (size_t)(pixels * channels), backward ? add_backward : add_forward);
    ending e = ending_of(t, sums, pixels, channels, channels + t->gap);
    for (size_t v = 0; fv_winograd_variants[v]; v++) {
        if (!check_variant(fv_winograd_variants[v]->level)) continue;
        fv_cpu_limit(fv_winograd_variants[v]->level);
        check_array result = check_copy(&e.before), again = check_copy(&e.before);
        double *moments = backward ? NULL : test_calloc(2 * (size_t)channels, sizeof *moments);
        run_product(t, &d, &e, backward, 1, &result, moments);
        expect_same("result", &result, &e.expected, ERROR);
        if (moments) expect_moments(&e, moments);
        double *again_moments = moments ? test_calloc(2 * (size_t)channels, sizeof *moments) : NULL;
        run_product(t, &d, &e, backward, 3, &again, again_moments);
        expect_bits("result with three threads", &again, &result);
        if (moments) assert_memory_equal(moments, again_moments, 2 * (size_t)channels * sizeof *moments);
        test_free(again_moments);
        check_free(&result);
        check_free(&again);
        test_free(moments);
    }
    fv_cpu_limit(fv_winograd_variants[0]->level);
    free_ending(&e);
    test_free(sums);
    free_data(&d);
}

static void run_weight(const conv_case *t, const conv_data *d, int threads, check_array *dw) {
    fv_threads_set(threads);
    size_t count = t->way->weight_work(&d->window, t->c_in, t->c_out) / sizeof(float);
    check_array work = bench_random(count, NAN, NAN, 1);
    fv_norm_map map = map_of(t, d);
    t->way->weight_run(&(fv_conv3x3_weight){.window = d->window,
                                            .c_in = t->c_in,
                                            .c_out = t->c_out,
                                            .in = d->in.data,
                                            .d_out = d->out.data,
                                            .in_stride = d->in_stride,
                                            .d_out_stride = d->out_stride,
                                            .in_map = t->mapped ? &map : NULL,
                                            .add = t->add,
                                            .dw = dw->data,
                                            .work = work.data});
    check_free(&work);
    fv_threads_set(0);
}

static void check_weight(const conv_case *t) {
    describe("weight gradient", t);
    conv_data d = data_of(t);
    size_t count = 9 * (size_t)(t->c_in * t->c_out);
    double *sums = sums_of(t, &d, count, add_weight);
    check_array expected = check_unset(count);
    for (size_t i = 0; i < count; i++) expected.data[i] = (float)(sums[i] + (t->add ? 0.25 : 0));
    for (size_t v = 0; fv_winograd_variants[v]; v++) {
        if (!check_variant(fv_winograd_variants[v]->level)) continue;
        fv_cpu_limit(fv_winograd_variants[v]->level);
        check_array dw = check_filled(count, t->add ? 0.25f : NAN), again = check_copy(&dw);
        run_weight(t, &d, 1, &dw);
        expect_same("dw", &dw, &expected, ERROR);
        run_weight(t, &d, 3, &again);
        expect_bits("dw with three threads", &again, &dw);
        check_free(&dw);
        check_free(&again);
    }
    fv_cpu_limit(fv_winograd_variants[0]->level);
    check_free(&expected);
    test_free(sums);
    free_data(&d);
}

static void check_all(const conv_case *t) {
    check_product(t, false);
    if (!t->own_residual) check_product(t, true);
    if (!t->finish) check_weight(t);
}

/* Pictures round the tiles, every padding that is accepted. */
static void check_shapes(const conv_way *way, const int *channels, unsigned count) {
    static const int sizes[][2] = {{3, 3}, {4, 4}, {5, 9}, {8, 7}, {13, 6}, {35, 16}};
    for (unsigned i = 0; i < count * count * COUNT(sizes); i++) {
        const int *size = sizes[i % COUNT(sizes)];
        conv_case t = {.way = way, .n = 1 + (int)(i % 3), .h = size[0], .w = size[1]};
        t.c_in = channels[i / COUNT(sizes) % count];
        t.c_out = channels[i / COUNT(sizes) / count];
        t.top = (int)(i % 7 % 3);
        t.left = (int)(i % 11 % 3);
        t.bottom = (int)(i % 13 % 3);
        t.right = (int)(i % 5 % 3);
        t.gap = i % 4 == 1 ? 5 : 0;
        t.add = i % 8 >= 4;
        t.mapped = i % 2;
        check_all(&t);
    }
}

/* Channels round the widths of vectors. */
static void awkward_shapes(void **state) {
    (void)state;
    static const int many[] = {8, 15, 16, 17, 24, 33}, few[] = {1, 3, 4, 8, 16, 17};
    check_shapes(&winograd, many, COUNT(many));
    check_shapes(&narrow, few, COUNT(few));
}

static void ends_of_results(void **state) {
    (void)state;
    for (int i = 0; i < 24; i++)
        check_all(&(conv_case){.way = i < 12 ? &winograd : &narrow,
                               .n = 2,
                               .h = 9,
                               .w = 8,
                               .c_in = i < 12 ? 12 : 4,
                               .c_out = i < 12 ? (i % 2 ? 32 : 19) : (i % 2 ? 8 : 4),
                               .top = 1,
                               .left = 1,
                               .bottom = 1,
                               .right = 1,
                               .gap = i % 3,
                               .finish = true,
                               .residual = i % 3 > 0,
                               .own_residual = i % 3 > 1,
                               .add = i % 12 >= 6 && i % 3 < 2});
}

/* The ways of many channels, in one stage and in several, with blocks at the end that are not full. */
static void many_channels(void **state) {
    (void)state;
    static const conv_case cases[] = {
        {.way = &winograd,
         .n = 1,
         .h = 10,
         .w = 9,
         .c_in = 130,
         .c_out = 100,
         .top = 1,
         .left = 1,
         .bottom = 1,
         .right = 1},
        {.way = &winograd,
         .n = 2,
         .h = 8,
         .w = 8,
         .c_in = 72,
         .c_out = 300,
         .top = 1,
         .left = 1,
         .bottom = 1,
         .right = 1,
         .gap = 16},
        {.way = &winograd,
         .n = 1,
         .h = 32,
         .w = 31,
         .c_in = 2100,
         .c_out = 8,
         .top = 1,
         .left = 1,
         .bottom = 1,
         .right = 1},
        {.way = &winograd,
         .n = 1,
         .h = 23,
         .w = 24,
         .c_in = 8,
         .c_out = 5500,
         .top = 1,
         .left = 1,
         .bottom = 1,
         .right = 1,
         .add = true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) check_all(&cases[i]);
}

/* What the header says of the error, on the sums of a deep layer. */
static void error_is_small(void **state) {
    (void)state;
    check_all(&(conv_case){.way = &winograd,
                           .n = 2,
                           .h = 16,
                           .w = 16,
                           .c_in = 256,
                           .c_out = 64,
                           .top = 1,
                           .left = 1,
                           .bottom = 1,
                           .right = 1});
}

/* A result of more than FV_STREAM_BYTES goes past the caches: its pixels and channels are aligned as a plan's are. */
static void check_streamed(const conv_way *way, int h, int w, int c_out) {
    conv_case t = {
        .way = way, .n = 1, .h = h, .w = w, .c_in = 8, .c_out = c_out, .top = 1, .left = 1, .bottom = 1, .right = 1};
    conv_data d = data_of(&t);
    int64_t pixels = fv_window_out_pixels(&d.window);
    double *sums = sums_of(&t, &d, (size_t)(pixels * t.c_out), add_forward);
    ending e = ending_of(&t, sums, pixels, t.c_out, t.c_out);
    check_array result = bench_random((size_t)(pixels * t.c_out), -1, 1, 9);
    assert_true((size_t)(pixels * t.c_out) * sizeof(float) > FV_STREAM_BYTES && (uintptr_t)result.data % 64 == 0);
    for (size_t v = 0; fv_winograd_variants[v]; v++) {
        describe("convolution, streamed", &t);
        if (!check_variant(fv_winograd_variants[v]->level)) continue;
        fv_cpu_limit(fv_winograd_variants[v]->level);
        run_product(&t, &d, &e, false, 2, &result, NULL);
        expect_same("result", &result, &e.expected, ERROR);
    }
    fv_cpu_limit(fv_winograd_variants[0]->level);
    check_free(&result);
    free_ending(&e);
    test_free(sums);
    free_data(&d);
}

static void large_results_are_streamed(void **state) {
    (void)state;
    check_streamed(&winograd, 300, 301, 32);
    check_streamed(&narrow, 520, 526, 8);
}

static void refuses_other_windows(void **state) {
    (void)state;
    conv_case t = {.n = 1, .h = 16, .w = 16, .c_in = 32, .c_out = 32, .top = 1, .left = 1, .bottom = 1, .right = 1};
    fv_window fits = window_of(&t);
    assert_true(fv_winograd_accepts(&fits, 32, 32));
    assert_false(fv_winograd_accepts(&fits, 3, 32));
    assert_true(fv_conv_narrow_accepts(&fits, 3, 32));
    assert_true(fv_conv_narrow_accepts(&fits, 8, 8));
    assert_false(fv_conv_narrow_accepts(&fits, 8, 16));
    for (int i = 0; i < 4; i++) {
        fv_window other = fits;
        if (i == 0) other.stride = 2;
        if (i == 1) other.dilation = 2;
        if (i == 2) other.kernel_h = 5;
        if (i == 3) other.top = 3;
        assert_false(fv_winograd_accepts(&other, 32, 32));
        assert_false(fv_conv_narrow_accepts(&other, 8, 8));
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(awkward_shapes),
        cmocka_unit_test(ends_of_results),
        cmocka_unit_test(many_channels),
        cmocka_unit_test(error_is_small),
        cmocka_unit_test(large_results_are_streamed),
        cmocka_unit_test(refuses_other_windows),
    };
    return check_main(argc, argv, tests, COUNT(tests), NULL);
}
