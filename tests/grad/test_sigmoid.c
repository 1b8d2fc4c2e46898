#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

static void gradients(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{1, 1, 1, 1}, {2, 5, 3, 7}, {1, 3, 2, 33}, {3, 40, 37, 16}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        fv_gradcheck check = {FV_GRADCHECK_OP(sigmoid), .inputs = 1, .seed = i};
        check.in[0] = (fv_gradcheck_input){.shape = shapes[i], .low = -5, .high = 5};
        fv_gradcheck_run(&check);
    }
}

static void values(void **state) {
    (void)state;
    fv_gradcheck check = {FV_GRADCHECK_OP(sigmoid), .inputs = 1, .in[0].shape = {1, 1, 1, 6}};
    fv_op_run run;
    fv_op_run_start(&run, &check);
    static const double x[6] = {-800, -30, -1, 0, 2, 800};
    for (int i = 0; i < 6; i++) run.call.in[0][i] = x[i];
    fv_op_run_forward(&run);
    for (int i = 0; i < 6; i++) FV_EXPECT_NEAR(run.call.out[i], 1 / (1 + exp(-x[i])), 1e-15);
    fv_op_run_end(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients), cmocka_unit_test(values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
