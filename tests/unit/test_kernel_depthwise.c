/* The variants of kernel/depthwise.h. */
#include <math.h>
#include <stdio.h>

#include "fovea/kernel/depthwise.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* One geometry, and the rows of the result that are asked for. */
typedef struct depthwise_case {
    fv_window window;
    int channels, row, row_end;
    int64_t x_stride;
    bool add;
    size_t x_count, y_count, w_count;
    check_array x, y, w; /* y: gradients of the result */
} depthwise_case;

static void describe(const depthwise_case *t) {
    const fv_window *w = &t->window;
    check_case(
        "in %dx%d, out %dx%d, kernel %dx%d, stride %d, dilation %d, top %d, left %d, %d channels, rows %d to %d, "
        "pixels of x %d apart, add %d",
        w->in_h, w->in_w, w->out_h, w->out_w, w->kernel_h, w->kernel_w, w->stride, w->dilation, w->top, w->left,
        t->channels, t->row, t->row_end, (int)t->x_stride, t->add);
}

/* The formula of the header ---------------------------------------------------------------------------- */

/* Calls `visit` for every position, tap and pixel that meet, channel by channel, with element numbers. */
static void visit_all(const depthwise_case *t, void (*visit)(void *context, size_t x, size_t w, size_t y),
                      void *context) {
    const fv_window *g = &t->window;
    for (int i = 0; i < g->out_h; i++)
        for (int j = 0; j < g->out_w; j++)
            for (int u = 0; u < g->kernel_h; u++)
                for (int v = 0; v < g->kernel_w; v++) {
                    int y = i * g->stride + u * g->dilation - g->top, x = j * g->stride + v * g->dilation - g->left;
                    if (y < 0 || y >= g->in_h || x < 0 || x >= g->in_w) continue;
                    for (int c = 0; c < t->channels; c++)
                        visit(context, ((size_t)y * (size_t)g->in_w + (size_t)x) * (size_t)t->x_stride + (size_t)c,
                              (size_t)(u * g->kernel_w + v) * (size_t)t->channels + (size_t)c,
                              ((size_t)i * (size_t)g->out_w + (size_t)j) * (size_t)t->channels + (size_t)c);
                }
}

typedef struct formula {
    const depthwise_case *t;
    double *sums;
} formula;

static void add_forward(void *context, size_t x, size_t w, size_t y) {
    formula *f = context;
    f->sums[y] += (double)f->t->x.data[x] * (double)f->t->w.data[w];
}

static void add_data(void *context, size_t x, size_t w, size_t y) {
    formula *f = context;
    f->sums[x] += (double)f->t->y.data[y] * (double)f->t->w.data[w];
}

static void add_weight(void *context, size_t x, size_t w, size_t y) {
    formula *f = context;
    size_t row = y / ((size_t)f->t->window.out_w * (size_t)f->t->channels);
    if (row < (size_t)f->t->row || row >= (size_t)f->t->row_end) return;
    f->sums[w] += (double)f->t->x.data[x] * (double)f->t->y.data[y];
}

static double *sums_of(const depthwise_case *t, size_t count,
                       void (*visit)(void *context, size_t x, size_t w, size_t y)) {
    formula f = {t, test_calloc(count, sizeof(double))};
    visit_all(t, visit, &f);
    return f.sums;
}

/* Rows row .. row_end - 1 of `width` numbers, on top of what `result` holds with add; what lies between the pixels,
   which stand `stride` numbers apart, stays. */
static void write_rows(const depthwise_case *t, const double *sums, size_t width, size_t stride, bool add,
                       check_array *result) {
    for (size_t e = (size_t)t->row * width; e < (size_t)t->row_end * width; e++)
        if (e % stride < (size_t)t->channels) result->data[e] = (float)((add ? (double)result->data[e] : 0) + sums[e]);
}

/* Comparisons ------------------------------------------------------------------------------------------ */

enum { NO_EPILOGUE, SCALE, RESIDUAL, ALL, IN_PLACE, EPILOGUES };

static fv_channel_epilogue make_epilogue(const depthwise_case *t, int kind, const check_array *scale,
                                         const check_array *residual) {
    fv_channel_epilogue e = {.low = kind == RESIDUAL ? -INFINITY : -0.25f, .high = kind == SCALE ? 0.5f : INFINITY};
    if (kind != RESIDUAL) e.scale = scale->data, e.offset = scale->data + t->channels;
    if (kind != SCALE) e.residual = residual->data, e.residual_stride = t->channels + (kind == IN_PLACE ? 0 : 3);
    return e;
}

/* What the epilogue makes of the sums; the residual of a pixel is that of its number. */
static void finish_sums(const depthwise_case *t, const fv_channel_epilogue *e, double *sums) {
    for (size_t k = 0; k < t->y_count; k++) {
        size_t pixel = k / (size_t)t->channels, c = k % (size_t)t->channels;
        if (e->scale) sums[k] = sums[k] * (double)e->scale[c] + (double)e->offset[c];
        if (e->residual) sums[k] += (double)e->residual[pixel * (size_t)e->residual_stride + c];
        sums[k] = fmin(fmax(sums[k], (double)e->low), (double)e->high);
    }
}

static void compare_forward(const depthwise_case *t, int kind) {
    size_t channels = (size_t)t->channels, pixels = t->y_count / channels;
    check_array scale = check_random(2 * channels, -1, 1, 7), expected = check_unset(t->y_count);
    check_array residual = check_random(pixels * (channels + (kind == IN_PLACE ? 0 : 3)), -1, 1, 8);
    fv_channel_epilogue e = make_epilogue(t, kind, &scale, &residual);
    double *sums = sums_of(t, t->y_count, add_forward);
    if (kind != NO_EPILOGUE) finish_sums(t, &e, sums);
    if (kind == IN_PLACE) {
        check_free(&expected);
        expected = check_copy(&residual);
    }
    write_rows(t, sums, t->y_count / (size_t)t->window.out_h, channels, false, &expected);
    for (const fv_depthwise *const *v = fv_depthwise_variants; *v; v++) {
        if (!check_variant((*v)->level) || !(*v)->accepts(&t->window, t->channels)) continue;
        check_array y = kind == IN_PLACE ? check_copy(&residual) : check_unset(t->y_count);
        if (kind == IN_PLACE) e.residual = y.data;
        (*v)->forward(&t->window, t->channels, t->x.data, t->x_stride, t->w.data, t->row, t->row_end, kind ? &e : NULL,
                      y.data);
        expect_same("forward", &y, &expected, 2e-6);
        check_free(&y);
    }
    test_free(sums);
    check_free(&scale);
    check_free(&expected);
    check_free(&residual);
}

static void compare_data(const depthwise_case *t) {
    double *sums = sums_of(t, t->x_count, add_data);
    check_array expected = t->add ? check_filled(t->x_count, 0.5f) : check_unset(t->x_count);
    write_rows(t, sums, t->x_count / (size_t)t->window.in_h, (size_t)t->x_stride, t->add, &expected);
    for (const fv_depthwise *const *v = fv_depthwise_variants; *v; v++) {
        if (!check_variant((*v)->level) || !(*v)->accepts(&t->window, t->channels)) continue;
        check_array dx = t->add ? check_filled(t->x_count, 0.5f) : check_unset(t->x_count);
        (*v)->data(&t->window, t->channels, t->y.data, t->w.data, t->row, t->row_end, t->add, dx.data, t->x_stride);
        expect_same("data gradient", &dx, &expected, 2e-6);
        check_free(&dx);
    }
    test_free(sums);
    check_free(&expected);
}

static void compare_weight(const depthwise_case *t) {
    double *sums = sums_of(t, t->w_count, add_weight);
    check_array expected = check_filled(t->w_count, 0.5f);
    for (size_t k = 0; k < t->w_count; k++) expected.data[k] = (float)(0.5 + sums[k]);
    for (const fv_depthwise *const *v = fv_depthwise_variants; *v; v++) {
        if (!check_variant((*v)->level) || !(*v)->accepts(&t->window, t->channels)) continue;
        check_array dw = check_filled(t->w_count, 0.5f);
        (*v)->weight(&t->window, t->channels, t->x.data, t->x_stride, t->y.data, t->row, t->row_end, dw.data);
        expect_same("weight gradient", &dw, &expected, 5e-6);
        check_free(&dw);
    }
    test_free(sums);
    check_free(&expected);
}

/* All rows, and a range in the middle. */
static void compare_all(const fv_window *w, int channels) {
    depthwise_case t = {.window = *w, .channels = channels, .x_stride = channels % 2 ? channels + 5 : channels};
    t.x_count = (size_t)(w->in_h * w->in_w) * (size_t)t.x_stride;
    t.y_count = (size_t)(w->out_h * w->out_w * channels);
    t.w_count = (size_t)(w->kernel_h * w->kernel_w * channels);
    t.x = check_random(t.x_count, -1, 1, 1);
    t.y = check_random(t.y_count, -1, 1, 2);
    t.w = check_random(t.w_count, -1, 1, 3);
    for (int part = 0; part < 2; part++) {
        t.row = part * (w->out_h / 3);
        t.row_end = part ? (w->out_h + 1) / 2 : w->out_h;
        t.add = false;
        describe(&t);
        for (int kind = part; kind < EPILOGUES; kind += 1 + part) compare_forward(&t, kind);
        compare_weight(&t);
        t.row = part * (w->in_h / 3);
        t.row_end = part ? (w->in_h + 1) / 2 : w->in_h;
        for (t.add = false;; t.add = true) {
            describe(&t);
            compare_data(&t);
            if (t.add) break;
        }
    }
    check_free(&t.x);
    check_free(&t.y);
    check_free(&t.w);
}

static const int awkward[] = {1, 2, 3, 7, 8, 15, 16, 17, 24, 33};

static void compare_side(int side) {
    static const int sizes[][2] = {{1, 1}, {1, 2}, {2, 1},  {2, 2},  {3, 3},  {4, 5},  {5, 4},
                                   {3, 9}, {8, 8}, {7, 11}, {6, 16}, {2, 19}, {9, 20}, {4, 35}};
    static const int paddings[][4] = {{1, 1, 1, 1}, {0, 0, 1, 1}, {0, 0, 0, 0}, {2, 0, 0, 2},
                                      {0, 2, 1, 0}, {4, 5, 3, 4}, {1, 3, 3, 1}};
    for (size_t i = 0; i < COUNT(sizes) * COUNT(paddings) * 2; i++) {
        const int *size = sizes[i / 2 / COUNT(paddings)], *padding = paddings[i / 2 % COUNT(paddings)];
        int stride = 1 + (int)(i % 2);
        int room_h = size[0] + padding[0] + padding[2] - side, room_w = size[1] + padding[1] + padding[3] - side;
        if (room_h < 0 || room_w < 0) continue;
        fv_window w = {1,    size[0], size[1], room_h / stride + 1, room_w / stride + 1, side,
                       side, stride,  1,       padding[0],          padding[1]};
        for (size_t c = 0; c < COUNT(awkward); c++) compare_all(&w, awkward[c]);
    }
}

static void kernels_of_3x3(void **state) {
    (void)state;
    compare_side(3);
}

static void kernels_of_5x5(void **state) {
    (void)state;
    compare_side(5);
}

/* What only the general variant takes. */
static void kernels_of_other_windows(void **state) {
    (void)state;
    static const fv_window windows[] = {
        {1, 9, 7, 9, 7, 7, 7, 1, 1, 3, 3},   {1, 8, 9, 8, 9, 3, 3, 1, 2, 2, 2}, {1, 11, 10, 4, 4, 3, 3, 3, 1, 1, 1},
        {1, 12, 12, 4, 4, 3, 3, 2, 3, 1, 1}, {1, 6, 5, 6, 4, 1, 2, 1, 1, 0, 0}, {1, 5, 6, 5, 6, 7, 1, 1, 1, 3, 0},
    };
    for (size_t i = 0; i < COUNT(windows); i++)
        for (size_t c = 0; c < COUNT(awkward); c++) compare_all(&windows[i], awkward[c]);
    compare_all(&windows[0], 65);
}

/* A NaN in x reaches every window that it lies in, and the clamp lets it pass. */
static void expect_nan_passes(int side) {
    int reach = side / 2;
    fv_window w = {1, 4, 12, 4, 12, side, side, 1, 1, reach, reach};
    fv_channel_epilogue e = {.low = 0, .high = 6};
    check_array x = check_filled(4 * 12 * 17, 1), weight = check_filled((size_t)(side * side) * 17, 1);
    check_array y = check_unset(x.count);
    for (int c = 0; c < 17; c++) x.data[17 + c] = (float)NAN; /* pixel (0, 1) */
    for (const fv_depthwise *const *v = fv_depthwise_variants; *v; v++) {
        check_case("NaN in %dx%d", side, side);
        if (!check_variant((*v)->level) || !(*v)->accepts(&w, 17)) continue;
        (*v)->forward(&w, 17, x.data, 17, weight.data, 0, 4, &e, y.data);
        for (int k = 0; k < 4 * 12 * 17; k++)
            assert_true((bool)isnan(y.data[k]) == (k / 17 / 12 <= reach && k / 17 % 12 <= 1 + reach));
    }
    check_free(&x);
    check_free(&weight);
    check_free(&y);
}

static void nan_passes(void **state) {
    (void)state;
    expect_nan_passes(3);
    expect_nan_passes(5);
}

static void choice_follows_the_limit(void **state) {
    (void)state;
    fv_cpu_level before = fv_cpu();
    fv_window three = {1, 8, 8, 8, 8, 3, 3, 1, 1, 1, 1}, five = {1, 8, 8, 8, 8, 5, 5, 1, 1, 2, 2};
    fv_window oblong = three, dilated = five;
    oblong.kernel_w = 5;
    dilated.dilation = 2;
    for (const fv_depthwise *const *v = fv_depthwise_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        fv_cpu_limit((*v)->level);
        assert_int_equal(fv_depthwise_choose(&three, 16)->level, (*v)->level);
        assert_int_equal(fv_depthwise_choose(&five, 16)->level, (*v)->level);
        assert_int_equal(fv_depthwise_choose(&oblong, 16)->level, FV_CPU_SCALAR);
        assert_int_equal(fv_depthwise_choose(&dilated, 16)->level, FV_CPU_SCALAR);
        fv_cpu_limit(before);
    }
}

/* Bench ------------------------------------------------------------------------------------------------ */

typedef struct bench_job {
    const fv_depthwise *kernel;
    fv_window window;
    int channels, images;
    float *x, *y, *w, *dw;
    fv_channel_epilogue epilogue;
} bench_job;

static void run_forward(void *context) {
    bench_job *b = context;
    size_t x = (size_t)(b->window.in_h * b->window.in_w * b->channels);
    size_t y = (size_t)(b->window.out_h * b->window.out_w * b->channels);
    for (int n = 0; n < b->images; n++)
        b->kernel->forward(&b->window, b->channels, b->x + (size_t)n * x, b->channels, b->w, 0, b->window.out_h,
                           b->epilogue.scale ? &b->epilogue : NULL, b->y + (size_t)n * y);
}

static void run_finished(void *context) {
    bench_job b = *(bench_job *)context;
    b.epilogue = (fv_channel_epilogue){.scale = b.w, .offset = b.w + b.channels, .low = 0, .high = 6};
    run_forward(&b);
}

static void run_data(void *context) {
    bench_job *b = context;
    size_t x = (size_t)(b->window.in_h * b->window.in_w * b->channels);
    size_t y = (size_t)(b->window.out_h * b->window.out_w * b->channels);
    for (int n = 0; n < b->images; n++)
        b->kernel->data(&b->window, b->channels, b->y + (size_t)n * y, b->w, 0, b->window.in_h, false,
                        b->x + (size_t)n * x, b->channels);
}

static void run_weight(void *context) {
    bench_job *b = context;
    size_t x = (size_t)(b->window.in_h * b->window.in_w * b->channels);
    size_t y = (size_t)(b->window.out_h * b->window.out_w * b->channels);
    for (int n = 0; n < b->images; n++)
        b->kernel->weight(&b->window, b->channels, b->x + (size_t)n * x, b->channels, b->y + (size_t)n * y, 0,
                          b->window.out_h, b->dw);
}

static void bench_shape(int side, int size, int channels, int stride, int images) {
    static void (*const runs[])(void *context) = {run_forward, run_finished, run_data, run_weight};
    static const char *const names[] = {"forward", "forward, epilogue", "data", "weight"};
    int out = (size + stride - 1) / stride, pad = (side - stride) / 2;
    fv_window w = {1, size, size, out, out, side, side, stride, 1, pad, pad};
    size_t taps = (size_t)(side * side);
    size_t x_count = (size_t)images * (size_t)(size * size * channels);
    size_t y_count = (size_t)images * (size_t)(out * out * channels);
    check_array x = bench_random(x_count, -1, 1, 1), y = bench_random(y_count, -1, 1, 2);
    check_array weight = bench_random(2 * taps * (size_t)channels, -1, 1, 3);
    for (int k = 0; k < 4; k++) {
        char label[80];
        snprintf(label, sizeof label, "depthwise %dx%d %s %dx%dx%dx%d s%d", side, side, names[k], images, size, size,
                 channels, stride);
        if (!bench_wanted(label)) continue;
        for (const fv_depthwise *const *v = fv_depthwise_variants; *v; v++) {
            if (!check_variant((*v)->level) || !(*v)->accepts(&w, channels)) continue;
            float *dw = weight.data + taps * (size_t)channels;
            bench_job job = {*v, w, channels, images, x.data, y.data, weight.data, dw, {0}};
            int ratio = stride * stride; /* one pixel of y for so many of x */
            bench_case c = {label, (*v)->level, y_count, ratio, 0, 1, 2 * (double)(taps * y_count)};
            if (k == 2) c.reads = 1, c.writes = ratio;
            if (k == 3) c.reads = ratio + 1, c.writes = 0;
            bench_run(&c, runs[k], &job);
        }
    }
    check_free(&x);
    check_free(&y);
    check_free(&weight);
}

/* MobileNetV2 1.0, and the 5x5 of EfficientNet-B0, at 256x256. */
static void bench(void) {
    static const int shapes[][3] = {{128, 32, 1}, {128, 96, 2}, {64, 144, 1}, {64, 144, 2}, {32, 192, 1},
                                    {32, 192, 2}, {16, 384, 1}, {16, 576, 1}, {16, 576, 2}, {8, 960, 1}};
    static const int large[][3] = {{64, 144, 2}, {32, 240, 1}, {16, 480, 1}, {16, 672, 1}, {16, 672, 2}, {8, 1152, 1}};
    for (int images = 1; images <= 8; images += 7)
        for (size_t i = 0; i < COUNT(shapes); i++) bench_shape(3, shapes[i][0], shapes[i][1], shapes[i][2], images);
    for (size_t i = 0; i < COUNT(large); i++) bench_shape(5, large[i][0], large[i][1], large[i][2], 1);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_of_3x3),           cmocka_unit_test(kernels_of_5x5),
        cmocka_unit_test(kernels_of_other_windows), cmocka_unit_test(nan_passes),
        cmocka_unit_test(choice_follows_the_limit),
    };
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
