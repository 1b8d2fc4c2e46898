#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gradcheck.h"

typedef struct transpose_case {
    const char *name;
    fv_shape x;
    int kernel, filters;
    fv_padding padding;
    bool bias;
} transpose_case;

#define SAME                                                                                                           \
    { .mode = FV_PAD_SAME }
#define PAD(t, l, b, r)                                                                                                \
    { FV_PAD_EXPLICIT, t, l, b, r }

static const transpose_case cases[] = {
    {"kernel 2", {2, 3, 5, 7}, 2, 3, SAME, true},
    {"kernel 2, no bias", {1, 4, 3, 2}, 2, 8, PAD(0, 0, 0, 0), false},
    {"kernel 2, one pixel", {1, 1, 1, 1}, 2, 1, SAME, true},
    {"kernel 2, wide", {1, 2, 3, 17}, 2, 17, SAME, true},
    {"kernel 3", {2, 3, 5, 3}, 3, 7, SAME, true},
    {"kernel 3, no bias", {1, 4, 3, 8}, 3, 2, SAME, false},
    {"kernel 3, one pixel", {2, 1, 1, 3}, 3, 2, SAME, true},
    {"kernel 3, one row", {1, 1, 4, 1}, 3, 1, SAME, true},
    {"kernel 3, cut at the end", {1, 3, 4, 2}, 3, 3, PAD(0, 0, 1, 1), true},
    {"kernel 3, torch's padding", {1, 3, 2, 2}, 3, 3, PAD(1, 1, 0, 0), false},
    {"kernel 3, cut at both", {1, 3, 2, 2}, 3, 3, PAD(1, 0, 0, 1), true},
    {"kernel 3, wide", {1, 2, 2, 17}, 3, 17, SAME, true},
    {"many filters, in blocks", {1, 2, 2, 3}, 3, 350, SAME, true},
    {"kernel 2, large", {2, 31, 33, 3}, 2, 5, SAME, true},
    {"kernel 3, large", {2, 31, 33, 3}, 3, 2, SAME, true},
};

static fv_gradcheck make_check(const transpose_case *c, uint64_t seed) {
    fv_gradcheck check = {FV_GRADCHECK_OP(conv_transpose), .name = c->name, .inputs = c->bias ? 3 : 2, .seed = seed};
    check.in[0].shape = c->x;
    check.in[1].shape = (fv_shape){c->kernel, c->kernel, c->x.c, c->filters};
    check.in[2].shape = (fv_shape){1, 1, 1, c->filters};
    check.attributes.stride = 2;
    check.attributes.padding = c->padding;
    return check;
}

static void gradients(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fv_gradcheck check = make_check(&cases[i], i);
        fv_gradcheck_run(&check);
    }
}

/* The sum of op_list.h as it stands there: every input pixel adds its patch to `y`. */
static void formula(const fv_op_run *run, double *y) {
    fv_shape x = run->spec.in[0], w = run->spec.in[1], out = run->spec.out;
    const fv_padding *p = &run->spec.attributes.padding;
    for (size_t e = 0; e < fv_shape_count(out); e++) {
        y[e] = run->spec.inputs > 2 ? run->call.in[2][e % (size_t)out.c] : 0;
    }
    for (size_t e = 0; e < fv_shape_count(x); e++) {
        int c = (int)(e % (size_t)x.c), j = (int)(e / (size_t)x.c % (size_t)x.w);
        int i = (int)(e / (size_t)x.c / (size_t)x.w % (size_t)x.h),
            n = (int)(e / (size_t)x.c / (size_t)x.w / (size_t)x.h);
        for (int t = 0; t < w.n * w.h; t++) {
            int row = 2 * i + t / w.h - p->top, column = 2 * j + t % w.h - p->left;
            if (row < 0 || row >= out.h || column < 0 || column >= out.w) continue;
            for (int f = 0; f < w.c; f++) {
                y[((n * out.h + row) * out.w + column) * out.c + f] +=
                    run->call.in[0][e] * run->call.in[1][(t * w.w + c) * w.c + f];
            }
        }
    }
}

static void forward_follows_formula(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        fv_gradcheck check = make_check(&cases[k], k);
        fv_op_run run;
        fv_op_run_start(&run, &check);
        fv_op_run_forward(&run);
        size_t count = fv_shape_count(run.spec.out);
        assert_true(fv_shape_equal(run.spec.out,
                                   (fv_shape){cases[k].x.n, 2 * cases[k].x.h, 2 * cases[k].x.w, cases[k].filters}));
        double *expected = calloc(count, sizeof *expected);
        assert_non_null(expected);
        formula(&run, expected);
        for (size_t e = 0; e < count; e++) {
            if (!(fabs(run.call.out[e] - expected[e]) <= 1e-12)) {
                fail_msg("%s: out[%zu] is %.15g, expected %.15g", check.name, e, (double)run.call.out[e], expected[e]);
            }
        }
        free(expected);
        fv_op_run_end(&run);
    }
}

/* FV_PAD_SAME of kernel 3 is torch.nn.ConvTranspose2d(3, 2, 1, output_padding=1): of one input pixel of value 1, the
   kernel's middle stands at (0, 0). */
static void same_is_torch(void **state) {
    (void)state;
    fv_gradcheck check = make_check(&(transpose_case){"torch", {1, 1, 1, 1}, 3, 1, SAME, false}, 0);
    fv_op_run run;
    fv_op_run_start(&run, &check);
    run.call.in[0][0] = 1;
    for (int t = 0; t < 9; t++) run.call.in[1][t] = t;
    fv_op_run_forward(&run);
    assert_true(run.call.out[0] == 4 && run.call.out[1] == 5 && run.call.out[2] == 7 && run.call.out[3] == 8);
    assert_int_equal(run.spec.attributes.padding.top, 1);
    assert_int_equal(run.spec.attributes.padding.left, 1);
    assert_true(fv_op_conv_transpose.macs(&run.spec) == 9);
    fv_op_run_end(&run);
}

static void refusals(void **state) {
    (void)state;
    const transpose_case sound = {"refused", {1, 4, 4, 6}, 3, 5, SAME, true};
    fv_gradcheck check = make_check(&sound, 0);
    check.in[1].shape.w = 5;
    fv_gradcheck_refused(&check, "the weight of conv_transpose has the shape 3x3x5x5, expected 3x3x6x5");
    check = make_check(&sound, 0);
    check.in[2].shape.c = 6;
    fv_gradcheck_refused(&check, "the bias of conv_transpose has the shape 1x1x1x6, expected 1x1x1x5");
    check = make_check(&sound, 0);
    check.attributes.stride = 3;
    fv_gradcheck_refused(&check, "knows kernel 2 or 3 with stride 2 and dilation 1, found kernel 3x3, stride 3");
    check = make_check(&sound, 0);
    check.in[1].shape.n = check.in[1].shape.h = 4;
    fv_gradcheck_refused(&check, "found kernel 4x4");
    check = make_check(&sound, 0);
    check.attributes.padding = (fv_padding)PAD(1, 1, 1, 1);
    fv_gradcheck_refused(&check, "kernel 3 needs top + bottom = left + right = 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(forward_follows_formula),
        cmocka_unit_test(same_is_torch),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
