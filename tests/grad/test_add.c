#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

static fv_gradcheck make_check(fv_shape shape, fv_activation activation) {
    fv_gradcheck check = {FV_GRADCHECK_OP(add), .inputs = 2, .attributes.activation = activation};
    check.in[0] = (fv_gradcheck_input){.shape = shape, .low = -4, .high = 6};
    check.in[1] = (fv_gradcheck_input){.shape = shape, .low = -3, .high = 4};
    return check;
}

static void gradients(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{1, 1, 1, 1}, {2, 5, 3, 7}, {1, 3, 2, 33}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int activation = 0; activation < 3; activation++) {
            fv_gradcheck check = make_check(shapes[i], (fv_activation)activation);
            check.seed = i;
            fv_gradcheck_run(&check);
        }
    }
    fv_gradcheck check = make_check((fv_shape){2, 60, 47, 9}, FV_ACT_NONE); /* more than one task */
    fv_gradcheck_run(&check);
}

static void follows_formula(void **state) {
    (void)state;
    for (int activation = 0; activation < 3; activation++) {
        fv_gradcheck check = make_check((fv_shape){2, 5, 3, 7}, (fv_activation)activation);
        fv_op_run run;
        fv_op_run_start(&run, &check);
        fv_op_run_forward(&run);
        for (int i = 0; i < 210; i++) {
            double y = run.call.in[0][i] + run.call.in[1][i];
            if (activation != FV_ACT_NONE) y = fmax(y, 0);
            if (activation == FV_ACT_RELU6) y = fmin(y, 6);
            FV_EXPECT_NEAR(run.call.out[i], y, 0);
        }
        fv_op_run_end(&run);
    }
}

/* x + x as the planner runs it: one gradient buffer, written by input 0 and added to by input 1. */
static void same_input_twice(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){1, 2, 3, 4}, FV_ACT_NONE);
    fv_op_run run;
    fv_op_run_start(&run, &check);
    fv_op_run_forward(&run);
    run.call.d_in[1] = run.call.d_in[0];
    run.call.add[1] = true;
    fv_op_run_backward(&run);
    for (int i = 0; i < 24; i++) FV_EXPECT_NEAR(run.call.d_in[0][i], 2 * run.call.d_out[i], 0);
    fv_op_run_end(&run);
}

static void wrong_inputs(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){1, 2, 3, 4}, FV_ACT_NONE);
    check.in[1].shape.c = 5;
    fv_gradcheck_refused(&check, "second input of layer decoder.layer is 1x2x3x5, expected 1x2x3x4");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(follows_formula),
        cmocka_unit_test(same_input_twice),
        cmocka_unit_test(wrong_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
