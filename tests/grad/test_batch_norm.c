#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

static fv_gradcheck make_check(fv_shape x, fv_activation activation, bool training, uint64_t seed) {
    fv_shape columns = {1, 1, 1, x.c};
    fv_gradcheck check = {FV_GRADCHECK_OP(batch_norm), .inputs = 5, .training = training, .seed = seed};
    check.attributes.activation = activation;
    check.in[0] = (fv_gradcheck_input){.shape = x, .low = -4, .high = 7};
    check.in[1] = (fv_gradcheck_input){.shape = columns, .low = 0.5, .high = 4};
    check.in[2] = (fv_gradcheck_input){.shape = columns, .low = -1, .high = 3};
    check.in[3] = (fv_gradcheck_input){.shape = columns, .fixed = true, .updated = true};
    check.in[4] = (fv_gradcheck_input){.shape = columns, .low = 0.1, .high = 2, .fixed = true, .updated = true};
    return check;
}

/* With a residual that as often as not decides whether the sum is inside the activation's limits. */
static fv_gradcheck make_residual_check(fv_shape x, fv_activation activation, bool training, uint64_t seed) {
    fv_gradcheck check = make_check(x, activation, training, seed);
    check.inputs = 6;
    check.in[5] = (fv_gradcheck_input){.shape = x, .low = -4, .high = 5};
    check.name = "residual";
    return check;
}

static void gradients(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{1, 1, 1, 5}, {2, 1, 1, 3},  {1, 3, 5, 1}, {2, 5, 3, 7},
                                      {3, 7, 1, 9}, {2, 3, 5, 33}, {1, 5, 4, 70}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int k = 0; k < 6; k++) {
            fv_gradcheck check = make_check(shapes[i], (fv_activation)(k / 2), k % 2, i * 10 + (uint64_t)k);
            check.name = "table";
            fv_gradcheck_run(&check);
            check = make_residual_check(shapes[i], (fv_activation)(k / 2), k % 2, i * 10 + (uint64_t)k);
            fv_gradcheck_run(&check);
        }
    }
}

/* Large enough for several chunks and blocks, folded (3 and 16 channels) and not. */
static void gradients_in_chunks(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{3, 61, 97, 3}, {2, 41, 43, 16}, {1, 23, 29, 80}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        fv_gradcheck check = make_check(shapes[i], FV_ACT_NONE, true, i);
        check.name = "chunks";
        fv_gradcheck_run(&check);
        check = make_residual_check(shapes[i], FV_ACT_NONE, true, i);
        fv_gradcheck_run(&check);
    }
}

static double column_mean(const fv_real *x, size_t rows, size_t channels, size_t c) {
    double sum = 0;
    for (size_t r = 0; r < rows; r++) sum += x[r * channels + c];
    return sum / (double)rows;
}

static double column_squares(const fv_real *x, size_t rows, size_t channels, size_t c, double mean) {
    double sum = 0;
    for (size_t r = 0; r < rows; r++) sum += (x[r * channels + c] - mean) * (x[r * channels + c] - mean);
    return sum;
}

static void compare_with_formula(fv_shape shape, double momentum, double epsilon, fv_activation activation,
                                 bool residual) {
    fv_gradcheck check = (residual ? make_residual_check : make_check)(shape, activation, true, 77);
    check.attributes.momentum = momentum;
    check.attributes.epsilon = epsilon;
    fv_op_run run;
    fv_op_run_start(&run, &check);
    size_t channels = (size_t)shape.c, rows = fv_shape_count(shape) / channels;
    double running_mean[64], running_variance[64];
    assert_true(channels <= 64);
    for (size_t c = 0; c < channels; c++) {
        running_mean[c] = run.call.in[3][c];
        running_variance[c] = run.call.in[4][c];
    }
    fv_op_run_forward(&run);
    if (momentum == 0) momentum = 0.1;
    if (epsilon == 0) epsilon = 1e-3;
    for (size_t c = 0; c < channels; c++) {
        double mean = column_mean(run.call.in[0], rows, channels, c);
        double squares = column_squares(run.call.in[0], rows, channels, c, mean);
        double unbiased = rows > 1 ? squares / (double)(rows - 1) : 0, sd = sqrt(squares / (double)rows + epsilon);
        FV_EXPECT_NEAR(run.call.in[3][c], (1 - momentum) * running_mean[c] + momentum * mean, 1e-13);
        FV_EXPECT_NEAR(run.call.in[4][c], (1 - momentum) * running_variance[c] + momentum * unbiased, 1e-12);
        for (size_t r = 0; r < rows; r++) {
            double y = run.call.in[1][c] * (run.call.in[0][r * channels + c] - mean) / sd + run.call.in[2][c];
            if (residual) y += run.call.in[5][r * channels + c];
            if (activation != FV_ACT_NONE) y = fmax(y, 0);
            if (activation == FV_ACT_RELU6) y = fmin(y, 6);
            FV_EXPECT_NEAR(run.call.out[r * channels + c], y, 1e-12);
        }
    }
    fv_op_run_end(&run);
}

static void training_follows_formula(void **state) {
    (void)state;
    compare_with_formula((fv_shape){2, 5, 3, 7}, 0, 0, FV_ACT_NONE, false);
    compare_with_formula((fv_shape){2, 50, 31, 3}, 0.01, 1e-5, FV_ACT_RELU, false);
    compare_with_formula((fv_shape){1, 33, 9, 40}, 1, 0.5, FV_ACT_RELU6, false);
    compare_with_formula((fv_shape){1, 33, 9, 40}, 1, 0.5, FV_ACT_RELU6, true);
    compare_with_formula((fv_shape){1, 1, 1, 6}, 0.3, 0, FV_ACT_NONE, false);
}

/* One pixel: variance 0, so y = beta, and the running variance shrinks by the momentum. */
static void single_pixel(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){1, 1, 1, 4}, FV_ACT_NONE, true, 5);
    fv_op_run run;
    fv_op_run_start(&run, &check);
    double variance = run.call.in[4][2];
    fv_op_run_forward(&run);
    fv_op_run_backward(&run);
    FV_EXPECT_NEAR(run.call.out[2], run.call.in[2][2], 1e-15);
    FV_EXPECT_NEAR(run.call.in[4][2], 0.9 * variance, 1e-15);
    FV_EXPECT_NEAR(run.call.d_in[0][2], 0, 1e-15);
    fv_op_run_end(&run);
}

static void inference_uses_running_statistics(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 3, 4, 5}, FV_ACT_RELU, false, 6);
    fv_op_run run;
    fv_op_run_start(&run, &check);
    fv_real *const *in = run.call.in;
    double mean = in[3][1], variance = in[4][1];
    fv_op_run_forward(&run);
    for (size_t r = 0; r < 24; r++) {
        double y = in[1][1] * (in[0][r * 5 + 1] - mean) / sqrt(variance + 1e-3) + in[2][1];
        FV_EXPECT_NEAR(run.call.out[r * 5 + 1], fmax(y, 0), 1e-13);
    }
    FV_EXPECT_NEAR(in[3][1], mean, 0);
    FV_EXPECT_NEAR(in[4][1], variance, 0);
    fv_op_run_end(&run);
}

static void wrong_inputs(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 3, 4, 5}, FV_ACT_RELU, false, 6);
    check.in[1].shape.c = 4;
    fv_gradcheck_refused(&check, "gamma of layer decoder.layer is 1x1x1x4, expected 1x1x1x5");
    check = make_check((fv_shape){2, 3, 4, 5}, FV_ACT_RELU, false, 6);
    check.in[4].shape.h = 2;
    fv_gradcheck_refused(&check, "variance of layer decoder.layer is 1x2x1x5, expected 1x1x1x5");
    check.inputs = 3;
    fv_gradcheck_refused(&check, "3 inputs, expected 5 to 6");
    check = make_residual_check((fv_shape){2, 3, 4, 5}, FV_ACT_RELU, false, 6);
    check.in[5].shape.w = 3;
    fv_gradcheck_refused(&check, "residual of layer decoder.layer is 2x3x3x5, expected 2x3x4x5");
    check = make_check((fv_shape){2, 3, 4, 5}, FV_ACT_RELU, false, 6);
    check.attributes.epsilon = -1;
    fv_gradcheck_refused(&check, "epsilon");
    check.attributes.epsilon = 0;
    check.attributes.momentum = 2;
    fv_gradcheck_refused(&check, "momentum");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(gradients_in_chunks),
        cmocka_unit_test(training_follows_formula),
        cmocka_unit_test(single_pixel),
        cmocka_unit_test(inference_uses_running_statistics),
        cmocka_unit_test(wrong_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
