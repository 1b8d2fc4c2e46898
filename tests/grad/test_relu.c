#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gradcheck.h"

static const fv_shape shapes[] = {{1, 1, 1, 1}, {2, 5, 3, 7}, {1, 3, 2, 33}, {3, 40, 37, 16}};

static void gradients(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        fv_gradcheck check = {FV_GRADCHECK_OP(relu), .inputs = 1, .seed = i};
        check.in[0] = (fv_gradcheck_input){.shape = shapes[i], .fill = FV_FILL_OFF_CORNERS, .low = -4, .high = 9};
        fv_gradcheck_run(&check);
    }
}

static void values_and_corner(void **state) {
    (void)state;
    fv_gradcheck check = {FV_GRADCHECK_OP(relu), .inputs = 1, .in[0].shape = {1, 1, 1, 5}};
    fv_op_run run;
    fv_op_run_start(&run, &check);
    static const double x[5] = {-2, 0, 0.5, 6, 7.25}, y[5] = {0, 0, 0.5, 6, 7.25}, slope[5] = {0, 0, 1, 1, 1};
    for (int i = 0; i < 5; i++) run.call.in[0][i] = x[i];
    fv_op_run_forward(&run);
    fv_op_run_backward(&run);
    for (int i = 0; i < 5; i++) {
        FV_EXPECT_NEAR(run.call.out[i], y[i], 0);
        FV_EXPECT_NEAR(run.call.d_in[0][i], slope[i] * run.call.d_out[i], 0);
    }
    fv_op_run_end(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients), cmocka_unit_test(values_and_corner)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
