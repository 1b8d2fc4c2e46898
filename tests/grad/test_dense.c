#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

typedef struct dense_case {
    const char *name;
    fv_shape x;
    int units;
    bool bias;
} dense_case;

static const dense_case cases[] = {
    {"one number", {1, 1, 1, 1}, 1, true},
    {"one sample", {1, 1, 1, 7}, 3, true},
    {"a picture", {3, 2, 3, 5}, 8, true},
    {"no bias", {2, 1, 1, 17}, 7, false},
    {"one unit", {7, 1, 1, 8}, 1, true},
    {"many units, in blocks", {2, 1, 1, 3}, 500, true},
    {"many numbers, in blocks", {3, 5, 7, 17}, 5, true},
    {"many samples, in chunks", {1100, 1, 1, 3}, 2, true},
};

static fv_gradcheck make_check(const dense_case *c, uint64_t seed) {
    fv_gradcheck check = {FV_GRADCHECK_OP(dense), .name = c->name, .inputs = c->bias ? 3 : 2, .seed = seed};
    check.in[0].shape = c->x;
    check.in[1].shape = (fv_shape){1, 1, c->x.h * c->x.w * c->x.c, c->units};
    check.in[2].shape = (fv_shape){1, 1, 1, c->units};
    return check;
}

static void gradients(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fv_gradcheck check = make_check(&cases[i], i);
        fv_gradcheck_run(&check);
    }
}

static void forward_follows_formula(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        fv_gradcheck check = make_check(&cases[k], k);
        fv_op_run run;
        fv_op_run_start(&run, &check);
        fv_op_run_forward(&run);
        int features = run.spec.in[1].w, units = cases[k].units;
        assert_true(fv_shape_equal(run.spec.out, (fv_shape){cases[k].x.n, 1, 1, units}));
        assert_true(fv_op_dense.macs(&run.spec) == (double)cases[k].x.n * features * units);
        for (int e = 0; e < cases[k].x.n * units; e++) {
            double sum = cases[k].bias ? run.call.in[2][e % units] : 0;
            for (int i = 0; i < features; i++) {
                sum += run.call.in[0][e / units * features + i] * run.call.in[1][i * units + e % units];
            }
            if (!(fabs(run.call.out[e] - sum) <= 1e-12)) {
                fail_msg("%s: out[%d,%d] is %.15g, expected %.15g", check.name, e / units, e % units,
                         (double)run.call.out[e], sum);
            }
        }
        fv_op_run_end(&run);
    }
}

static void refusals(void **state) {
    (void)state;
    const dense_case sound = {"refused", {2, 3, 4, 5}, 7, true};
    fv_gradcheck check = make_check(&sound, 0);
    check.in[1].shape.w = 5;
    fv_gradcheck_refused(&check, "the weight of dense has the shape 1x1x5x7, expected 1x1x60x7");
    check = make_check(&sound, 0);
    check.in[1].shape.n = 3;
    fv_gradcheck_refused(&check, "3x1x60x7");
    check = make_check(&sound, 0);
    check.in[2].shape.c = 5;
    fv_gradcheck_refused(&check, "the bias of dense has the shape 1x1x1x5, expected 1x1x1x7");
    check = make_check(&sound, 0);
    check.in[0].shape.h = 0;
    fv_gradcheck_refused(&check, "2x0x4x5");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(forward_follows_formula),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
