#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

static fv_gradcheck make_check(fv_shape x, int groups, fv_activation activation, uint64_t seed) {
    fv_shape columns = {1, 1, 1, x.c};
    fv_gradcheck check = {FV_GRADCHECK_OP(group_norm), .inputs = 3, .seed = seed};
    check.attributes.groups = groups;
    check.attributes.activation = activation;
    check.in[0] = (fv_gradcheck_input){.shape = x, .low = -4, .high = 7};
    check.in[1] = (fv_gradcheck_input){.shape = columns, .low = 0.5, .high = 4};
    check.in[2] = (fv_gradcheck_input){.shape = columns, .low = -1, .high = 3};
    return check;
}

static void gradients(void **state) {
    (void)state;
    static const struct {
        fv_shape shape;
        int groups;
    } cases[] = {{{2, 5, 3, 6}, 0},  {{2, 5, 3, 6}, 3},   {{1, 3, 5, 7}, 7}, {{3, 4, 3, 8}, 2},
                 {{2, 2, 3, 33}, 3}, {{1, 3, 4, 70}, 10}, {{1, 1, 2, 6}, 2}, {{2, 41, 43, 24}, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool small = fv_shape_count(cases[i].shape) < 1000;
        for (int activation = 0; activation < (small ? 3 : 1); activation++) {
            fv_gradcheck check = make_check(cases[i].shape, cases[i].groups, (fv_activation)activation, i);
            fv_gradcheck_run(&check);
        }
    }
}

static void follows_formula(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 3, 5, 12}, 4, FV_ACT_RELU, 3);
    fv_op_run run;
    fv_op_run_start(&run, &check);
    fv_op_run_forward(&run);
    const fv_real *x = run.call.in[0];
    for (int n = 0; n < 2; n++) {
        for (int g = 0; g < 4; g++) {
            double sum = 0, squares = 0;
            for (int i = 0; i < 45; i++) sum += x[(n * 15 + i / 3) * 12 + g * 3 + i % 3];
            for (int i = 0; i < 45; i++) squares += pow(x[(n * 15 + i / 3) * 12 + g * 3 + i % 3] - sum / 45, 2);
            for (int i = 0; i < 45; i++) {
                int c = g * 3 + i % 3, at = (n * 15 + i / 3) * 12 + c;
                double y = run.call.in[1][c] * (x[at] - sum / 45) / sqrt(squares / 45 + 1e-5) + run.call.in[2][c];
                FV_EXPECT_NEAR(run.call.out[at], fmax(y, 0), 1e-12);
            }
        }
    }
    fv_op_run_end(&run);
}

static void wrong_inputs(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 3, 4, 6}, 4, FV_ACT_NONE, 0);
    fv_gradcheck_refused(&check, "6 channels in 4 groups");
    check = make_check((fv_shape){2, 3, 4, 6}, 3, FV_ACT_NONE, 0);
    check.in[2].shape.c = 3;
    fv_gradcheck_refused(&check, "beta of layer decoder.layer is 1x1x1x3, expected 1x1x1x6");
    check.in[2].shape.c = 6;
    check.attributes.epsilon = NAN;
    fv_gradcheck_refused(&check, "epsilon");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(follows_formula),
        cmocka_unit_test(wrong_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
