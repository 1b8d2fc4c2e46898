/* The AVX2 and AVX-512 kernels against plain C over awkward shapes, with guard bands round every result. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fovea/base/cpu.h"
#include "fovea/base/rng.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/depthwise.h"
#include "fovea/op/op.h"

#define GUARD_COUNT 64
#define GUARD 7.5e33f

extern const fv_op fv_op_depthwise;

static const fv_depthwise *tested; /* against plain C */

/* A result between guard bands. */
typedef struct guarded {
    float *block, *data;
    size_t count;
} guarded;

static guarded guarded_make(size_t count, float value) {
    guarded g = {.block = malloc((count + 2 * GUARD_COUNT) * sizeof(float)), .count = count};
    assert_non_null(g.block);
    g.data = g.block + GUARD_COUNT;
    for (size_t i = 0; i < count + 2 * GUARD_COUNT; i++) g.block[i] = GUARD;
    for (size_t i = 0; i < count; i++) g.data[i] = value;
    return g;
}

static bool guards_hold(const guarded *g) {
    for (size_t i = 0; i < GUARD_COUNT; i++) {
        if (g->block[i] != GUARD || g->data[g->count + i] != GUARD) return false;
    }
    return true;
}

static float *random_numbers(uint64_t seed, size_t count) {
    float *a = malloc((count + 1) * sizeof *a);
    assert_non_null(a);
    fv_rng rng = fv_rng_make(seed, 0, 0, FV_PURPOSE_TEST);
    for (size_t i = 0; i < count; i++) a[i] = (float)fv_rng_range(&rng, -1, 1);
    return a;
}

typedef struct shape_case {
    fv_window window;
    int channels, row, row_end; /* rows of the result */
    bool add;
} shape_case;

static void compare(const char *what, const shape_case *s, const guarded *plain, const guarded *quick, double allowed) {
    const fv_window *w = &s->window;
    bool held = guards_hold(plain) && guards_hold(quick);
    size_t e = 0;
    /* Equal bits, NaN among them, where a kernel had nothing to write. */
    while (e < plain->count && (memcmp(&plain->data[e], &quick->data[e], sizeof(float)) == 0 ||
                                fabs((double)plain->data[e] - (double)quick->data[e]) <= allowed)) {
        e++;
    }
    if (held && e == plain->count) return;
    fail_msg("%s, %s, in %dx%d, out %dx%d, stride %d, top %d, left %d, %d channels, rows %d to %d, add %d: guards %s; "
             "element %zu "
             "of %zu is %.9g, plain C says %.9g",
             tested->name, what, w->in_h, w->in_w, w->out_h, w->out_w, w->stride, w->top, w->left, s->channels, s->row,
             s->row_end, s->add, held ? "hold" : "overwritten", e, plain->count,
             e < plain->count ? (double)quick->data[e] : 0, e < plain->count ? (double)plain->data[e] : 0);
}

#if defined(__x86_64__)
static const fv_depthwise *const plain_c = &fv_depthwise_direct_scalar, *const avx2 = &fv_depthwise_3x3_avx2;
static const fv_depthwise *const avx512 = &fv_depthwise_3x3_avx512;

typedef struct operands {
    float *x, *y, *w;
    size_t x_count, y_count, w_count;
} operands;

static void compare_forward(const shape_case *s, const operands *o) {
    guarded plain = guarded_make(o->y_count, NAN), quick = guarded_make(o->y_count, NAN);
    plain_c->forward(&s->window, s->channels, o->x, o->w, s->row, s->row_end, plain.data);
    tested->forward(&s->window, s->channels, o->x, o->w, s->row, s->row_end, quick.data);
    compare("forward", s, &plain, &quick, 2e-6);
    free(plain.block);
    free(quick.block);
}

static void compare_data(const shape_case *s, const operands *o) {
    float before = s->add ? 0.5f : NAN;
    guarded plain = guarded_make(o->x_count, before), quick = guarded_make(o->x_count, before);
    plain_c->data(&s->window, s->channels, o->y, o->w, s->row, s->row_end, s->add, plain.data);
    tested->data(&s->window, s->channels, o->y, o->w, s->row, s->row_end, s->add, quick.data);
    compare("data gradient", s, &plain, &quick, 2e-6);
    free(plain.block);
    free(quick.block);
}

static void compare_weight(const shape_case *s, const operands *o) {
    guarded plain = guarded_make(o->w_count, 0.5f), quick = guarded_make(o->w_count, 0.5f);
    plain_c->weight(&s->window, s->channels, o->x, o->y, s->row, s->row_end, plain.data);
    tested->weight(&s->window, s->channels, o->x, o->y, s->row, s->row_end, quick.data);
    compare("weight gradient", s, &plain, &quick, 2e-5);
    free(plain.block);
    free(quick.block);
}

/* All rows, and a range in the middle, of one geometry. */
static void compare_all(const fv_window *w, int channels) {
    operands o = {.x_count = (size_t)w->in_h * w->in_w * channels,
                  .y_count = (size_t)w->out_h * w->out_w * channels,
                  .w_count = 9 * (size_t)channels};
    o.x = random_numbers(1, o.x_count);
    o.y = random_numbers(2, o.y_count);
    o.w = random_numbers(3, o.w_count);
    assert_true(tested->accepts(w, channels));
    for (int part = 0; part < 2; part++) {
        shape_case s = {*w, channels, part * (w->out_h / 3), part ? (w->out_h + 1) / 2 : w->out_h, false};
        compare_forward(&s, &o);
        compare_weight(&s, &o);
        s.row = part * (w->in_h / 3);
        s.row_end = part ? (w->in_h + 1) / 2 : w->in_h;
        s.add = part;
        compare_data(&s, &o);
        s.add = !part;
        compare_data(&s, &o);
    }
    free(o.x);
    free(o.y);
    free(o.w);
}

static void equals_plain_c(fv_cpu_level level, const fv_depthwise *kernel) {
    if (fv_cpu() < level) {
        print_message("skip: this processor has no %s, or FOVEA_CPU forbids it\n", fv_cpu_name(level));
        skip();
    }
    tested = kernel;
    static const int channels[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 40};
    static const int sizes[][2] = {{1, 1}, {1, 2}, {2, 1},  {2, 2},  {3, 3},  {4, 5},  {5, 4},
                                   {3, 9}, {8, 8}, {7, 11}, {6, 16}, {2, 19}, {9, 20}, {4, 35}};
    static const int paddings[][4] = {{1, 1, 1, 1}, {0, 0, 1, 1}, {0, 0, 0, 0}, {2, 0, 0, 2},
                                      {0, 2, 1, 0}, {4, 5, 3, 4}, {1, 3, 3, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t p = 0; p < sizeof paddings / sizeof paddings[0]; p++) {
            for (int stride = 1; stride <= 2; stride++) {
                int room_h = sizes[i][0] + paddings[p][0] + paddings[p][2] - 3;
                int room_w = sizes[i][1] + paddings[p][1] + paddings[p][3] - 3;
                if (room_h < 0 || room_w < 0) continue;
                fv_window w = {1, sizes[i][0], sizes[i][1], room_h / stride + 1, room_w / stride + 1, 3,
                               3, stride,      1,           paddings[p][0],      paddings[p][1]};
                for (size_t c = 0; c < sizeof channels / sizeof channels[0]; c++) compare_all(&w, channels[c]);
            }
        }
    }
}

static void avx2_equals_plain_c(void **state) {
    (void)state;
    equals_plain_c(FV_CPU_AVX2, avx2);
}

static void avx512_equals_plain_c(void **state) {
    (void)state;
    equals_plain_c(FV_CPU_AVX512, avx512);
}

static void dispatch_follows_the_limit(void **state) {
    (void)state;
    fv_window w = {1, 8, 8, 8, 8, 3, 3, 1, 1, 1, 1}, five = w, dilated = w;
    five.kernel_w = 5;
    dilated.dilation = 2;
    if (fv_cpu() >= FV_CPU_AVX512) assert_ptr_equal(fv_depthwise_choose(&w, 16), avx512);
    assert_ptr_equal(fv_depthwise_choose(&five, 16), plain_c);
    assert_ptr_equal(fv_depthwise_choose(&dilated, 16), plain_c);
    fv_cpu_limit(FV_CPU_AVX2); /* for the rest of the process: this test is the last */
    if (fv_cpu() == FV_CPU_AVX2) assert_ptr_equal(fv_depthwise_choose(&w, 16), avx2);
    fv_cpu_limit(FV_CPU_SCALAR);
    assert_ptr_equal(fv_depthwise_choose(&w, 16), plain_c);
}
#endif

/* Runs the op forwards and backwards; results are y, dx, dw behind each other. */
static float *run_op(const fv_op_spec *spec, int threads, float *x, float *w, const float *d_out, size_t *count) {
    fv_threads_set(threads);
    size_t x_count = fv_shape_count(spec->in[0]), w_count = fv_shape_count(spec->in[1]),
           y_count = fv_shape_count(spec->out);
    *count = x_count + w_count + y_count;
    float *results = malloc(*count * sizeof *results);
    void *work = malloc(fv_op_depthwise.work_bytes(spec, true));
    assert_true(results && work);
    fv_op_call call = {.spec = spec, .in = {x, w}, .out = results, .d_out = d_out, .work = work};
    call.d_in[0] = results + y_count;
    call.d_in[1] = results + y_count + x_count;
    fv_op_depthwise.forward(&call);
    fv_op_depthwise.backward(&call);
    free(work);
    return results;
}

static void threads_leave_the_bits(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{3, 37, 41, 12}, {1, 70, 9, 33}, {5, 8, 8, 40}, {2, 3, 130, 5}};
    for (int k = 0; k < 8; k++) {
        fv_op_spec spec = {.kind = FV_OP_depthwise, .inputs = 2, .in = {shapes[k / 2], {3, 3, 1, shapes[k / 2].c}}};
        spec.attributes.stride = k % 2 + 1;
        spec.attributes.padding.mode = FV_PAD_SAME;
        assert_int_equal(fv_op_depthwise.infer(&spec, "layer"), FV_OK);
        float *x = random_numbers(4, fv_shape_count(spec.in[0])), *w = random_numbers(5, fv_shape_count(spec.in[1]));
        float *d_out = random_numbers(6, fv_shape_count(spec.out));
        size_t count;
        float *one = run_op(&spec, 1, x, w, d_out, &count);
        for (int threads = 2; threads <= 3; threads++) {
            float *more = run_op(&spec, threads, x, w, d_out, &count);
            assert_memory_equal(one, more, count * sizeof *one);
            free(more);
        }
        free(one);
        free(x);
        free(w);
        free(d_out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_leave_the_bits),
#if defined(__x86_64__)
        cmocka_unit_test(avx2_equals_plain_c),
        cmocka_unit_test(avx512_equals_plain_c),
        cmocka_unit_test(dispatch_follows_the_limit),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
