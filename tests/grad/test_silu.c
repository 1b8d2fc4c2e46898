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
        fv_gradcheck check = {FV_GRADCHECK_OP(silu), .inputs = 1, .seed = i};
        check.in[0] = (fv_gradcheck_input){.shape = shapes[i], .low = -5, .high = 5};
        fv_gradcheck_run(&check);
    }
}

/* x, result and slope of torch.nn.functional.silu in float64 (PyTorch 2.13.0); the fourth is where the slope is 0. */
static void values_are_pytorchs(void **state) {
    (void)state;
    static const double golden[10][3] = {
        {-800.0, -0.0, -0.0},
        {-30.0, -2.8072868906517896e-12, -2.713710660963134e-12},
        {-5.0, -0.03346425462142428, -0.026547432429665917},
        {-1.278464542761074, -0.2784645427610738, -1.0343664635514482e-17},
        {-1.0, -0.2689414213699951, 0.07232948812851325},
        {0.0, 0.0, 0.5},
        {0.5, 0.3112296656009273, 0.7399611873026519},
        {2.0, 1.7615941559557646, 1.0907842487848955},
        {30.0, 29.999999999997197, 1.000000000002711},
        {800.0, 800.0, 1.0},
    };
    fv_gradcheck check = {FV_GRADCHECK_OP(silu), .inputs = 1, .in[0].shape = {1, 1, 1, 10}};
    fv_op_run run;
    fv_op_run_start(&run, &check);
    double *d_out = run.d_out.data;
    for (int i = 0; i < 10; i++) {
        run.call.in[0][i] = golden[i][0];
        d_out[i] = 1;
    }
    fv_op_run_forward(&run);
    for (int i = 0; i < 10; i++) FV_EXPECT_NEAR(run.call.out[i], golden[i][1], 1e-15);
    fv_op_run_backward(&run);
    for (int i = 0; i < 10; i++) FV_EXPECT_NEAR(run.call.d_in[0][i], golden[i][2], 1e-14);
    fv_op_run_end(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients), cmocka_unit_test(values_are_pytorchs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
