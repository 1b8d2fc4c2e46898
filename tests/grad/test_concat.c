#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

static fv_gradcheck make_check(int inputs, const int *channels, fv_shape shape) {
    fv_gradcheck check = {FV_GRADCHECK_OP(concat), .inputs = inputs};
    for (int i = 0; i < inputs; i++) {
        check.in[i].shape = shape;
        check.in[i].shape.c = channels[i];
    }
    return check;
}

static void gradients(void **state) {
    (void)state;
    static const int channels[6] = {3, 1, 7, 16, 2, 5};
    for (int inputs = 2; inputs <= 6; inputs++) {
        fv_gradcheck check = make_check(inputs, channels, (fv_shape){2, 5, 3, 0});
        fv_gradcheck_run(&check);
    }
    fv_gradcheck check = make_check(2, channels, (fv_shape){2, 37, 29, 0}); /* more than one task */
    fv_gradcheck_run(&check);
}

static void follows_formula(void **state) {
    (void)state;
    static const int channels[3] = {3, 1, 7};
    fv_gradcheck check = make_check(3, channels, (fv_shape){2, 37, 29, 0});
    fv_op_run run;
    fv_op_run_start(&run, &check);
    fv_op_run_forward(&run);
    assert_true(fv_shape_equal(run.spec.out, (fv_shape){2, 37, 29, 11}));
    for (int p = 0; p < 2 * 37 * 29; p++)
        for (int i = 0, at = p * 11; i < 3; i++)
            for (int c = 0; c < channels[i]; c++, at++)
                FV_EXPECT_NEAR(run.call.out[at], run.call.in[i][p * channels[i] + c], 0);
    fv_op_run_end(&run);
}

static void wrong_inputs(void **state) {
    (void)state;
    static const int channels[2] = {3, 4};
    fv_gradcheck check = make_check(2, channels, (fv_shape){2, 5, 3, 0});
    check.in[1].shape.w = 4;
    fv_gradcheck_refused(&check, "input 1 of layer decoder.layer is 2x5x4x4, expected the N, H, W");
    check.inputs = 1;
    fv_gradcheck_refused(&check, "has 1 inputs, expected 2 to 6");
    check = make_check(2, channels, (fv_shape){2, 5, 3, 0});
    check.in[0].shape.c = INT32_MAX;
    fv_gradcheck_refused(&check, "too many channels");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(follows_formula),
        cmocka_unit_test(wrong_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
