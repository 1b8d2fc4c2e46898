#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

static fv_gradcheck make_check(fv_shape shape, double rate, bool training) {
    fv_gradcheck check = {FV_GRADCHECK_OP(spatial_dropout), .inputs = 1, .training = training, .seed = 9};
    check.in[0] = (fv_gradcheck_input){.shape = shape, .low = 1, .high = 2};
    check.attributes.rate = rate;
    return check;
}

static void gradients(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{1, 1, 1, 1}, {2, 5, 3, 7}, {1, 3, 2, 33}, {2, 60, 47, 9}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int k = 0; k < 4; k++) {
            fv_gradcheck check = make_check(shapes[i], k / 2 ? 0.4 : 0, k % 2);
            fv_gradcheck_run(&check);
        }
    }
}

/* Channels are kept whole or zeroed whole; as many as the rate says, within four standard deviations. */
static void drops_whole_channels(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){4, 3, 2, 500}, 0.25, true);
    fv_op_run run;
    fv_op_run_start(&run, &check);
    fv_op_run_forward(&run);
    int dropped = 0;
    for (int k = 0; k < 2000; k++) {
        int first = k / 500 * 3000 + k % 500;
        bool zero = run.call.out[first] == 0;
        dropped += zero;
        for (int p = first; p < first + 3000; p += 500)
            FV_EXPECT_NEAR(run.call.out[p], zero ? 0 : run.call.in[0][p] / 0.75, 1e-15);
    }
    FV_EXPECT_NEAR(dropped, 500, 4 * sqrt(2000 * 0.25 * 0.75));
    fv_op_run_end(&run);
}

/* Which channels: by seed, step and node, and by nothing else. */
static void draws_depend_on_step_and_node(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 1, 1, 64}, 0.5, true);
    fv_op_run run;
    fv_op_run_start(&run, &check);
    uint64_t seen[4][2] = {{0}};
    for (int k = 0; k < 4; k++) {
        run.call.step = k == 1;
        run.call.node = k == 2;
        fv_op_run_forward(&run);
        for (int c = 0; c < 128; c++) seen[k][c / 64] |= (uint64_t)(run.call.out[c] != 0) << (c % 64);
    }
    assert_true(seen[0][0] == seen[3][0] && seen[0][1] == seen[3][1]);
    assert_true(seen[0][0] != seen[1][0] && seen[0][0] != seen[2][0] && seen[1][0] != seen[2][0]);
    assert_true(seen[0][0] != seen[0][1]);
    fv_op_run_end(&run);
}

static void identity_outside_training(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 3, 4, 5}, 0.9, false);
    fv_op_run run;
    fv_op_run_start(&run, &check);
    fv_op_run_forward(&run);
    for (int i = 0; i < 120; i++) FV_EXPECT_NEAR(run.call.out[i], run.call.in[0][i], 0);
    fv_op_run_end(&run);
}

static void wrong_inputs(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 3, 4, 5}, 1, true);
    fv_gradcheck_refused(&check, "rate of layer decoder.layer is 1, expected 0 or more and less than 1");
    check.attributes.rate = NAN;
    fv_gradcheck_refused(&check, "rate");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(drops_whole_channels),
        cmocka_unit_test(draws_depend_on_step_and_node),
        cmocka_unit_test(identity_outside_training),
        cmocka_unit_test(wrong_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
