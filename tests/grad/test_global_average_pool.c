#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

static const fv_shape shapes[] = {{1, 1, 1, 1}, {2, 5, 3, 7}, {1, 3, 2, 33}, {2, 9, 11, 70}};

static void gradients(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        fv_gradcheck check = {FV_GRADCHECK_OP(global_average_pool), .inputs = 1, .in[0].shape = shapes[i], .seed = i};
        fv_gradcheck_run(&check);
    }
}

static void follows_formula(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        fv_gradcheck check = {FV_GRADCHECK_OP(global_average_pool), .inputs = 1, .in[0].shape = shapes[i], .seed = i};
        fv_op_run run;
        fv_op_run_start(&run, &check);
        fv_op_run_forward(&run);
        int pixels = shapes[i].h * shapes[i].w, channels = shapes[i].c;
        assert_true(fv_shape_equal(run.spec.out, (fv_shape){shapes[i].n, 1, 1, channels}));
        for (int k = 0; k < shapes[i].n * channels; k++) {
            double sum = 0;
            for (int p = 0; p < pixels; p++)
                sum += run.call.in[0][(k / channels * pixels + p) * channels + k % channels];
            FV_EXPECT_NEAR(run.call.out[k], sum / pixels, 1e-15);
        }
        fv_op_run_end(&run);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients), cmocka_unit_test(follows_formula)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
