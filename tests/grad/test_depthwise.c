#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

typedef struct depthwise_case {
    const char *name;
    fv_shape x;
    int kernel_h, kernel_w, stride, dilation;
    fv_padding padding;
} depthwise_case;

#define SAME                                                                                                           \
    { .mode = FV_PAD_SAME }
#define PAD(t, l, b, r)                                                                                                \
    { FV_PAD_EXPLICIT, t, l, b, r }

static const depthwise_case cases[] = {
    {"3x3", {2, 5, 7, 3}, 3, 3, 0, 0, SAME},
    {"3x3 one channel", {1, 4, 3, 1}, 3, 3, 1, 1, SAME},
    {"3x3 valid", {1, 5, 4, 7}, 3, 3, 1, 1, PAD(0, 0, 0, 0)},
    {"3x3 wide", {1, 3, 4, 17}, 3, 3, 1, 1, SAME},
    {"3x3 stride 2, odd", {2, 7, 5, 8}, 3, 3, 2, 1, SAME},
    {"3x3 stride 2, even", {1, 8, 6, 2}, 3, 3, 2, 1, SAME},
    {"3x3 stride 2, torch's padding", {1, 8, 6, 2}, 3, 3, 2, 1, PAD(1, 1, 1, 1)},
    {"3x3 stride 2, zeros after", {1, 6, 8, 3}, 3, 3, 2, 1, PAD(0, 0, 1, 1)},
    {"3x3 stride 3", {1, 8, 7, 2}, 3, 3, 3, 1, SAME},
    {"3x3 dilation 2", {1, 7, 8, 3}, 3, 3, 1, 2, SAME},
    {"3x3 dilation 2, stride 2", {1, 9, 8, 2}, 3, 3, 2, 2, SAME},
    {"2x2 stride 2", {1, 5, 4, 7}, 2, 2, 2, 1, SAME},
    {"5x5", {2, 6, 7, 2}, 5, 5, 1, 1, SAME},
    {"5x5 stride 2, asymmetric", {1, 7, 6, 3}, 5, 5, 2, 1, PAD(4, 0, 1, 3)},
    {"7x7", {1, 5, 4, 2}, 7, 7, 1, 1, SAME},
    {"1x3", {1, 4, 5, 3}, 1, 3, 1, 1, SAME},
    {"1x1", {2, 3, 2, 3}, 1, 1, 1, 1, SAME},
    {"1x1 stride 2: pixels that no window meets", {1, 4, 5, 3}, 1, 1, 2, 1, SAME},
    {"picture smaller than the kernel", {2, 1, 2, 3}, 3, 3, 1, 1, SAME},
    {"one pixel, stride 2", {1, 1, 1, 8}, 3, 3, 2, 1, SAME},
    {"windows wholly in the padding", {1, 2, 2, 3}, 3, 3, 1, 1, PAD(5, 4, 4, 3)},
    {"large, in bands and chunks", {3, 37, 41, 3}, 3, 3, 1, 1, SAME},
    {"large, stride 2", {2, 67, 41, 3}, 3, 3, 2, 1, SAME},
};

static fv_gradcheck make_check(const depthwise_case *c, uint64_t seed) {
    fv_gradcheck check = {FV_GRADCHECK_OP(depthwise), .name = c->name, .inputs = 2, .seed = seed};
    check.in[0].shape = c->x;
    check.in[1].shape = (fv_shape){c->kernel_h, c->kernel_w, 1, c->x.c};
    check.attributes.stride = c->stride;
    check.attributes.dilation = c->dilation;
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

/* The sum of op_list.h as it stands there. */
static double formula(const fv_op_run *run, int n, int i, int j, int c) {
    const fv_attributes *a = &run->spec.attributes;
    fv_shape x = run->spec.in[0], w = run->spec.in[1];
    double sum = 0;
    for (int u = 0; u < w.n; u++) {
        for (int v = 0; v < w.h; v++) {
            int row = i * a->stride + u * a->dilation - a->padding.top;
            int column = j * a->stride + v * a->dilation - a->padding.left;
            if (row < 0 || row >= x.h || column < 0 || column >= x.w) continue;
            sum +=
                run->call.in[0][((n * x.h + row) * x.w + column) * x.c + c] * run->call.in[1][(u * w.h + v) * w.c + c];
        }
    }
    return sum;
}

static void forward_follows_formula(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        fv_gradcheck check = make_check(&cases[k], k);
        fv_op_run run;
        fv_op_run_start(&run, &check);
        fv_op_run_forward(&run);
        fv_shape y = run.spec.out;
        for (size_t e = 0; e < fv_shape_count(y); e++) {
            int c = (int)(e % (size_t)y.c), j = (int)(e / (size_t)y.c % (size_t)y.w);
            int i = (int)(e / (size_t)y.c / (size_t)y.w % (size_t)y.h),
                n = (int)(e / (size_t)y.c / (size_t)y.w / (size_t)y.h);
            double expected = formula(&run, n, i, j, c);
            if (!(fabs(run.call.out[e] - expected) <= 1e-12)) {
                fail_msg("%s: out[%d,%d,%d,%d] is %.15g, expected %.15g", check.name, n, i, j, c,
                         (double)run.call.out[e], expected);
            }
        }
        fv_op_run_end(&run);
    }
}

static void shape_and_cost(void **state) {
    (void)state;
    fv_op_spec spec = {.kind = FV_OP_depthwise, .inputs = 2, .in = {{8, 128, 128, 96}, {3, 3, 1, 96}}};
    spec.attributes.stride = 2;
    spec.attributes.padding.mode = FV_PAD_SAME;
    assert_int_equal(fv_op_depthwise.infer(&spec, "layer"), FV_OK);
    assert_true(fv_shape_equal(spec.out, (fv_shape){8, 64, 64, 96}));
    assert_true(fv_op_depthwise.macs(&spec) == 8.0 * 64 * 64 * 96 * 9);
}

static void refusals(void **state) {
    (void)state;
    const depthwise_case sound = {"refused", {1, 8, 8, 6}, 3, 3, 1, 1, SAME};
    fv_gradcheck check = make_check(&sound, 0);
    check.in[1].shape.c = 5;
    fv_gradcheck_refused(&check, "the weight of depthwise has the shape 3x3x1x5, expected 3x3x1x6");
    check = make_check(&sound, 0);
    check.in[1].shape.w = 6;
    fv_gradcheck_refused(&check, "3x3x6x6");
    check = make_check(&sound, 0);
    check.attributes.dilation = 5000;
    fv_gradcheck_refused(&check, "dilation 5000, expected 1 to 4096");
    check = make_check(&sound, 0);
    check.attributes.padding = (fv_padding)PAD(0, 0, 0, 0);
    check.attributes.dilation = 4;
    fv_gradcheck_refused(&check, "covers 9x9 pixels, more than the input of 8x8");
    check.inputs = 3;
    check.in[2].shape = (fv_shape){1, 1, 1, 6};
    fv_gradcheck_refused(&check, "has 3 inputs, expected 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(forward_follows_formula),
        cmocka_unit_test(shape_and_cost),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
