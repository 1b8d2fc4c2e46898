#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

static const struct {
    fv_shape a, b;
} cases[] = {
    {{2, 5, 3, 7}, {2, 5, 3, 7}},   {{2, 5, 3, 7}, {2, 1, 1, 7}},   {{1, 1, 1, 1}, {1, 1, 1, 1}},
    {{3, 1, 4, 33}, {3, 1, 1, 33}}, {{1, 3, 2, 70}, {1, 1, 1, 70}}, {{2, 60, 47, 9}, {2, 1, 1, 9}},
};

static fv_gradcheck make_check(size_t i) {
    fv_gradcheck check = {FV_GRADCHECK_OP(multiply), .inputs = 2, .seed = i};
    check.in[0].shape = cases[i].a;
    check.in[1].shape = cases[i].b;
    return check;
}

static void gradients(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fv_gradcheck check = make_check(i);
        fv_gradcheck_run(&check);
    }
}

static void follows_formula(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fv_gradcheck check = make_check(i);
        fv_op_run run;
        fv_op_run_start(&run, &check);
        fv_op_run_forward(&run);
        fv_shape a = cases[i].a;
        bool equal = fv_shape_equal(a, cases[i].b);
        for (int k = 0; k < (int)fv_shape_count(a); k++) {
            int other = equal ? k : k / (a.h * a.w * a.c) * a.c + k % a.c;
            FV_EXPECT_NEAR(run.call.out[k], run.call.in[0][k] * run.call.in[1][other], 0);
        }
        fv_op_run_end(&run);
    }
}

static void wrong_inputs(void **state) {
    (void)state;
    fv_gradcheck check = make_check(1);
    check.in[1].shape.n = 1;
    fv_gradcheck_refused(&check, "second input of layer decoder.layer is 1x1x1x7, expected 2x1x1x7");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(follows_formula),
        cmocka_unit_test(wrong_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
