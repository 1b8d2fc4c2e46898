#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

typedef struct conv_case {
    const char *name;
    fv_shape x;
    int kernel_h, kernel_w, filters;
    int stride, dilation, groups;
    fv_padding padding;
    bool bias;
} conv_case;

#define SAME                                                                                                           \
    { .mode = FV_PAD_SAME }
#define NONE                                                                                                           \
    { .mode = FV_PAD_EXPLICIT }
#define PAD(t, l, b, r)                                                                                                \
    { FV_PAD_EXPLICIT, t, l, b, r }

static const conv_case cases[] = {
    {"pointwise", {2, 3, 5, 7}, 1, 1, 3, 0, 0, 0, NONE, true},
    {"pointwise, one channel", {1, 1, 1, 1}, 1, 1, 1, 1, 1, 1, SAME, false},
    {"pointwise, wide", {3, 3, 3, 17}, 1, 1, 17, 1, 1, 1, SAME, true},
    {"pointwise, stride 2", {2, 5, 7, 8}, 1, 1, 3, 2, 1, 1, SAME, true},
    {"pointwise, stride 2, even", {1, 6, 4, 3}, 1, 1, 2, 2, 1, 1, NONE, false},
    {"pointwise, padded", {1, 3, 2, 3}, 1, 1, 2, 1, 1, 1, PAD(1, 0, 0, 2), true},
    {"pointwise, groups", {2, 3, 3, 8}, 1, 1, 6, 1, 1, 2, NONE, true},
    {"3x3", {2, 5, 7, 3}, 3, 3, 7, 1, 1, 1, SAME, true},
    {"3x3 valid", {1, 5, 6, 2}, 3, 3, 3, 1, 1, 1, NONE, false},
    {"3x3 stride 2, odd", {2, 7, 5, 3}, 3, 3, 8, 2, 1, 1, SAME, true},
    {"3x3 stride 2, even", {1, 8, 6, 2}, 3, 3, 3, 2, 1, 1, SAME, false},
    {"3x3 stride 2, torch's padding", {1, 8, 6, 2}, 3, 3, 3, 2, 1, 1, PAD(1, 1, 1, 1), false},
    {"3x3 dilation 2", {1, 7, 9, 3}, 3, 3, 2, 1, 2, 1, SAME, true},
    {"3x3 dilation 2, stride 2", {1, 9, 8, 2}, 3, 3, 3, 2, 2, 1, SAME, true},
    {"3x3 dilation 3, stride 2", {1, 9, 8, 2}, 3, 3, 3, 2, 3, 1, SAME, false},
    {"3x3 stride 3", {1, 8, 7, 2}, 3, 3, 3, 3, 1, 1, SAME, true},
    {"2x2", {1, 4, 5, 3}, 2, 2, 2, 1, 1, 1, SAME, true},
    {"2x2 stride 2", {2, 5, 4, 3}, 2, 2, 7, 2, 1, 1, SAME, false},
    {"5x5", {1, 7, 6, 2}, 5, 5, 3, 1, 1, 1, SAME, true},
    {"5x5 stride 2, asymmetric", {1, 7, 6, 2}, 5, 5, 3, 2, 1, 1, PAD(3, 0, 1, 4), true},
    {"7x7 stride 2", {1, 9, 8, 3}, 7, 7, 2, 2, 1, 1, PAD(3, 3, 3, 3), false},
    {"picture smaller than the kernel", {2, 2, 1, 3}, 5, 7, 2, 1, 1, 1, SAME, true},
    {"picture smaller than the kernel, stride 2", {1, 1, 1, 8}, 3, 3, 7, 2, 1, 1, SAME, true},
    {"3x1", {1, 5, 4, 2}, 3, 1, 3, 1, 1, 1, SAME, false},
    {"1x7 stride 2", {1, 3, 9, 2}, 1, 7, 3, 2, 1, 1, SAME, true},
    {"windows wholly in the padding", {1, 2, 2, 2}, 2, 2, 3, 1, 1, 1, PAD(4, 3, 3, 4), true},
    {"rows that no window meets", {1, 9, 9, 2}, 2, 2, 3, 4, 1, 1, NONE, true},
    {"3x3 groups", {2, 5, 4, 6}, 3, 3, 9, 1, 1, 3, SAME, true},
    {"3x3 groups of one channel, stride 2", {1, 5, 4, 3}, 3, 3, 6, 2, 1, 3, SAME, true},
    {"3x3 wide", {1, 3, 3, 17}, 3, 3, 17, 1, 1, 1, SAME, true},
    {"many channels, in blocks of taps", {1, 3, 4, 130}, 3, 3, 3, 1, 1, 1, SAME, true},
    {"many filters, in blocks of columns", {1, 3, 2, 3}, 3, 3, 350, 1, 1, 1, SAME, true},
    {"large, in tiles and chunks", {2, 37, 41, 3}, 3, 3, 5, 1, 2, 1, SAME, true},
    {"few channels, in bands", {2, 37, 8, 3}, 3, 3, 5, 1, 1, 1, SAME, true},
    {"few channels, results in groups", {1, 5, 16, 4}, 3, 3, 8, 1, 1, 1, SAME, false},
    {"few channels, many filters", {1, 4, 9, 2}, 3, 3, 18, 1, 1, 1, PAD(2, 0, 1, 1), true},
    {"one filter, in bands", {2, 37, 8, 12}, 3, 3, 1, 1, 1, 1, SAME, true},
    {"one filter, stride 2", {1, 9, 7, 17}, 3, 3, 1, 2, 1, 1, SAME, false},
    {"large, stride 2", {2, 67, 41, 3}, 3, 3, 5, 2, 1, 1, SAME, true},
    {"large, groups", {2, 33, 35, 4}, 3, 3, 6, 1, 1, 2, SAME, false},
    {"large pointwise", {3, 33, 35, 7}, 1, 1, 5, 1, 1, 1, SAME, true},
    {"many channels and pixels, in tiles of a chunk", {1, 16, 17, 1040}, 2, 1, 2, 1, 1, 1, SAME, false},
    {"short pointwise, in blocks of the weight", {1, 3, 3, 330}, 1, 1, 340, 1, 1, 1, SAME, true},
};

static fv_gradcheck make_check(const conv_case *c, uint64_t seed) {
    int groups = c->groups ? c->groups : 1;
    fv_gradcheck check = {FV_GRADCHECK_OP(conv2d), .name = c->name, .inputs = c->bias ? 3 : 2, .seed = seed};
    check.in[0].shape = c->x;
    check.in[1].shape = (fv_shape){c->kernel_h, c->kernel_w, c->x.c / groups, c->filters};
    check.in[2].shape = (fv_shape){1, 1, 1, c->filters};
    check.attributes.stride = c->stride;
    check.attributes.dilation = c->dilation;
    check.attributes.groups = c->groups;
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
static double formula(const fv_op_run *run, int n, int i, int j, int f) {
    const fv_attributes *a = &run->spec.attributes;
    fv_shape x = run->spec.in[0], w = run->spec.in[1];
    int group = f / (w.c / a->groups);
    double sum = run->spec.inputs > 2 ? run->call.in[2][f] : 0;
    for (int u = 0; u < w.n; u++) {
        for (int v = 0; v < w.h; v++) {
            int row = i * a->stride + u * a->dilation - a->padding.top;
            int column = j * a->stride + v * a->dilation - a->padding.left;
            if (row < 0 || row >= x.h || column < 0 || column >= x.w) continue;
            for (int c = 0; c < w.w; c++) {
                sum += run->call.in[0][((n * x.h + row) * x.w + column) * x.c + group * w.w + c] *
                       run->call.in[1][((u * w.h + v) * w.w + c) * w.c + f];
            }
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
            int f = (int)(e % (size_t)y.c), j = (int)(e / (size_t)y.c % (size_t)y.w);
            int i = (int)(e / (size_t)y.c / (size_t)y.w % (size_t)y.h),
                n = (int)(e / (size_t)y.c / (size_t)y.w / (size_t)y.h);
            double expected = formula(&run, n, i, j, f);
            if (!(fabs(run.call.out[e] - expected) <= 1e-11)) {
                fail_msg("%s: out[%d,%d,%d,%d] is %.15g, expected %.15g", check.name, n, i, j, f,
                         (double)run.call.out[e], expected);
            }
        }
        fv_op_run_end(&run);
    }
}

static fv_op_spec inferred(fv_shape x, int kernel, int filters, int stride, int dilation, fv_padding padding) {
    fv_op_spec spec = {.kind = FV_OP_conv2d, .inputs = 2, .in = {x, {kernel, kernel, x.c, filters}}};
    spec.attributes.stride = stride;
    spec.attributes.dilation = dilation;
    spec.attributes.padding = padding;
    assert_int_equal(fv_op_conv2d.infer(&spec, "layer"), FV_OK);
    return spec;
}

static void shapes_and_cost(void **state) {
    (void)state;
    fv_op_spec spec = inferred((fv_shape){8, 256, 256, 3}, 3, 32, 2, 1, (fv_padding)SAME);
    assert_true(fv_shape_equal(spec.out, (fv_shape){8, 128, 128, 32}));
    assert_int_equal(spec.attributes.padding.top, 0);
    assert_int_equal(spec.attributes.padding.bottom, 1);
    assert_int_equal(spec.attributes.padding.left, 0);
    assert_int_equal(spec.attributes.padding.right, 1);
    assert_true(fv_op_conv2d.macs(&spec) == 8.0 * 128 * 128 * 32 * 27);
    spec = inferred((fv_shape){1, 15, 16, 4}, 5, 6, 2, 2, (fv_padding)SAME);
    assert_true(fv_shape_equal(spec.out, (fv_shape){1, 8, 8, 6}));
    assert_int_equal(spec.attributes.padding.top, 4);
    assert_int_equal(spec.attributes.padding.bottom, 4);
    assert_int_equal(spec.attributes.padding.left, 3);
    assert_int_equal(spec.attributes.padding.right, 4);
    spec = inferred((fv_shape){2, 10, 9, 4}, 3, 6, 1, 2, (fv_padding)PAD(1, 0, 2, 3));
    assert_true(fv_shape_equal(spec.out, (fv_shape){2, 9, 8, 6}));
    assert_int_equal(spec.attributes.kernel_h, 3);
    assert_int_equal(spec.attributes.groups, 1);
}

static void refusals(void **state) {
    (void)state;
    const conv_case sound = {"refused", {1, 8, 8, 6}, 3, 3, 4, 1, 1, 1, SAME, true};
    fv_gradcheck check = make_check(&sound, 0);
    check.in[1].shape.w = 5;
    fv_gradcheck_refused(&check, "the weight of conv2d has the shape 3x3x5x4, expected 3x3x6x4");
    check = make_check(&sound, 0);
    check.attributes.groups = 4;
    fv_gradcheck_refused(&check, "can't split 6 channels and 4 filters into 4 equal groups");
    check = make_check(&sound, 0);
    check.in[2].shape.c = 6;
    fv_gradcheck_refused(&check, "the bias of conv2d has the shape 1x1x1x6, expected 1x1x1x4");
    check = make_check(&sound, 0);
    check.attributes.kernel_h = 5;
    fv_gradcheck_refused(&check, "asked for a kernel of 5x0, but its weight is one of 3x3");
    check = make_check(&sound, 0);
    check.attributes.stride = -1;
    fv_gradcheck_refused(&check, "stride -1");
    check = make_check(&sound, 0);
    check.attributes.padding = (fv_padding)PAD(0, -1, 0, 0);
    fv_gradcheck_refused(&check, "padding of 0, -1, 0, 0");
    check.attributes.padding = (fv_padding)NONE;
    check.in[0].shape.h = 2;
    fv_gradcheck_refused(&check, "covers 3x3 pixels, more than the input of 2x8");
    check = make_check(&sound, 0);
    check.in[0].shape.n = 0;
    fv_gradcheck_refused(&check, "0x8x8x6");
    check = make_check(&sound, 0);
    check.inputs = 1;
    fv_gradcheck_refused(&check, "has 1 inputs, expected 2 to 3");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(forward_follows_formula),
        cmocka_unit_test(shapes_and_cost),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
