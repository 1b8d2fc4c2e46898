#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

/* The four losses apart and together, with exponents and weights of all kinds. */
static const fv_attributes mixtures[] = {
    {.weight_bce = 1},
    {.weight_dice = 1},
    {.weight_focal = 1, .focal_alpha = 0.25, .focal_gamma = 2},
    {.weight_focal = 2, .focal_alpha = 0.7, .focal_gamma = 0.5},
    {.weight_focal = 1, .focal_alpha = 1},
    {.weight_tversky = 1, .tversky_alpha = 0.3, .tversky_beta = 0.7},
    {.weight_tversky = 1, .tversky_alpha = 1.5, .smooth = 0.2},
    {.weight_bce = 0.3, .weight_dice = 0.5, .weight_focal = 0.2, .focal_alpha = 0.25, .focal_gamma = 2, .smooth = 1e-6},
    {.weight_bce = 0.4,
     .weight_dice = 0.6,
     .weight_focal = 2,
     .weight_tversky = 0.9,
     .focal_alpha = 0.6,
     .focal_gamma = 3,
     .tversky_alpha = 0.2,
     .tversky_beta = 0.6,
     .smooth = 3.5},
};

enum { MIXTURES = sizeof mixtures / sizeof mixtures[0] };

static fv_gradcheck make_check(fv_shape shape, const fv_attributes *attributes, bool over_batch, uint64_t seed) {
    fv_gradcheck check = {FV_GRADCHECK_OP(segmentation_loss), .inputs = 3, .seed = seed, .attributes = *attributes};
    check.in[0] = (fv_gradcheck_input){.shape = shape, .low = -4, .high = 4};
    check.in[1] = (fv_gradcheck_input){.shape = shape, .low = 0, .high = 1, .fixed = true};
    check.in[2] = (fv_gradcheck_input){.shape = {shape.n, 1, 1, shape.c}, .fill = FV_FILL_BINARY, .fixed = true};
    check.attributes.dice_over_batch = over_batch;
    return check;
}

static void gradients(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{1, 1, 1, 1},  {2, 5, 3, 2}, {3, 4, 3, 3},
                                      {2, 3, 2, 33}, {1, 7, 9, 1}, {2, 140, 131, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int k = fv_shape_count(shapes[i]) < 1000 ? 0 : 2 * MIXTURES - 1; k < 2 * MIXTURES; k++) {
            fv_gradcheck check = make_check(shapes[i], &mixtures[k / 2], k % 2, i * 31 + (uint64_t)k);
            if (k % 3 == 2) check.in[1].fill = FV_FILL_BINARY;
            fv_gradcheck_run(&check);
        }
    }
}

/* The parts of op_list.h's formula for class c, the sums taken over the samples begin .. end - 1. */
static double region_loss(const fv_op_run *run, int c, int begin, int end, double *pixel_loss) {
    fv_shape s = run->spec.in[0];
    const fv_attributes *a = &run->spec.attributes;
    int pixels = s.h * s.w;
    double smooth = a->smooth ? a->smooth : 1, true_positive = 0, false_positive = 0, false_negative = 0;
    for (int n = begin; n < end; n++) {
        for (int k = 0; k < pixels && run->call.in[2][n * s.c + c] != 0; k++) {
            double z = run->call.in[0][(n * pixels + k) * s.c + c], t = run->call.in[1][(n * pixels + k) * s.c + c];
            double p = 1 / (1 + exp(-z)), bce = -t * log(p) - (1 - t) * log(1 - p), hit = p * t + (1 - p) * (1 - t);
            *pixel_loss += a->weight_bce * bce + a->weight_focal * a->focal_alpha * pow(1 - hit, a->focal_gamma) * bce;
            true_positive += p * t;
            false_positive += p * (1 - t);
            false_negative += (1 - p) * t;
        }
    }
    double wrong = false_positive + false_negative,
           dice = (2 * true_positive + smooth) / (2 * true_positive + wrong + smooth);
    double weighed = a->tversky_alpha * false_positive + a->tversky_beta * false_negative;
    double tversky = (true_positive + smooth) / (true_positive + weighed + smooth);
    return a->weight_dice * (1 - dice) + a->weight_tversky * (1 - tversky);
}

static double loss_of(const fv_op_run *run) {
    fv_shape s = run->spec.in[0];
    bool over_batch = run->spec.attributes.dice_over_batch;
    int columns = 0, regions = 0;
    double pixel_loss = 0, regional = 0;
    for (int c = 0; c < s.c; c++) {
        int valid = 0;
        for (int n = 0; n < s.n; n++) {
            if (run->call.in[2][n * s.c + c] == 0) continue;
            valid++;
            if (!over_batch) regional += region_loss(run, c, n, n + 1, &pixel_loss);
        }
        columns += valid;
        regions += over_batch ? valid > 0 : valid;
        if (over_batch && valid) regional += region_loss(run, c, 0, s.n, &pixel_loss);
    }
    return columns ? pixel_loss / columns / (s.h * s.w) + regional / regions : 0;
}

static void follows_formula(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{1, 1, 1, 1}, {4, 5, 3, 2}, {3, 4, 3, 5}, {2, 140, 131, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int k = 0; k < 2 * MIXTURES; k++) {
            fv_gradcheck check = make_check(shapes[i], &mixtures[k / 2], k % 2, i * 31 + (uint64_t)k);
            fv_op_run run;
            fv_op_run_start(&run, &check);
            fv_op_run_forward(&run);
            FV_EXPECT_NEAR(run.call.out[0], loss_of(&run), 1e-12);
            fv_op_run_end(&run);
        }
    }
}

static void nothing_annotated(void **state) {
    (void)state;
    for (int over_batch = 0; over_batch < 2; over_batch++) {
        fv_gradcheck check = make_check((fv_shape){2, 3, 3, 2}, &mixtures[MIXTURES - 1], over_batch, 1);
        fv_op_run run;
        fv_op_run_start(&run, &check);
        for (int i = 0; i < 4; i++) run.call.in[2][i] = 0;
        fv_op_run_forward(&run);
        fv_op_run_backward(&run);
        FV_EXPECT_NEAR(run.call.out[0], 0, 0);
        for (int i = 0; i < 36; i++) FV_EXPECT_NEAR(run.call.d_in[0][i], 0, 0);
        fv_op_run_end(&run);
    }
}

/* What is not annotated has no influence and no gradient. */
static void ignores_invalid(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 3, 3, 2}, &mixtures[MIXTURES - 1], false, 1);
    fv_op_run run;
    fv_op_run_start(&run, &check);
    for (int i = 0; i < 4; i++) run.call.in[2][i] = i != 2;
    fv_op_run_forward(&run);
    double loss = run.call.out[0];
    for (int p = 0; p < 9; p++) run.call.in[1][18 + 2 * p] = 1 - run.call.in[1][18 + 2 * p];
    fv_op_run_forward(&run);
    FV_EXPECT_NEAR(run.call.out[0], loss, 0);
    fv_op_run_backward(&run);
    for (int p = 0; p < 9; p++) FV_EXPECT_NEAR(run.call.d_in[0][18 + 2 * p], 0, 0);
    assert_true(run.call.d_in[0][19] != 0);
    fv_op_run_end(&run);
}

/* Logits far out neither overflow nor lose the loss: BCE(z, t) grows like |z|, and so does a focal loss that is missed.
 */
static void extreme_logits(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){1, 1, 2, 1}, &mixtures[2], false, 1);
    check.attributes.weight_bce = 1;
    fv_op_run run;
    fv_op_run_start(&run, &check);
    run.call.in[0][0] = 500;
    run.call.in[0][1] = -800;
    run.call.in[1][0] = 0;
    run.call.in[1][1] = 1;
    run.call.in[2][0] = 1;
    fv_op_run_forward(&run);
    FV_EXPECT_NEAR(run.call.out[0], 650 * 1.25, 1e-9);
    fv_op_run_backward(&run);
    FV_EXPECT_NEAR(run.call.d_in[0][0], run.call.d_out[0] / 2 * 1.25, 1e-12);
    FV_EXPECT_NEAR(run.call.d_in[0][1], run.call.d_out[0] / 2 * -1.25, 1e-12);
    run.call.in[1][0] = 1; /* now all is right */
    run.call.in[1][1] = 0;
    fv_op_run_forward(&run);
    fv_op_run_backward(&run);
    for (int i = 0; i < 2; i++) FV_EXPECT_NEAR(run.call.d_in[0][i], 0, 1e-12);
    FV_EXPECT_NEAR(run.call.out[0], 0, 1e-12);
    fv_op_run_end(&run);
}

static void wrong_inputs(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 3, 4, 5}, &mixtures[0], false, 0);
    check.in[1].shape.h = 4;
    fv_gradcheck_refused(&check, "target of layer decoder.layer is 2x4x4x5, expected 2x3x4x5");
    check.in[1].shape.h = 3;
    check.in[2].shape.c = 1;
    fv_gradcheck_refused(&check, "valid of layer decoder.layer is 2x1x1x1, expected 2x1x1x5");
    check.in[2].shape.c = 5;
    check.attributes.weight_dice = -1;
    fv_gradcheck_refused(&check, "weight of Dice of layer decoder.layer is -1, expected 0 or more");
    check.attributes.weight_dice = 1;
    check.attributes.focal_gamma = NAN;
    fv_gradcheck_refused(&check, "focal gamma of layer decoder.layer is nan");
    check.attributes.focal_gamma = 2;
    check.attributes.tversky_beta = -0.1;
    fv_gradcheck_refused(&check, "Tversky's beta of layer decoder.layer is -0.1");
    check.attributes.tversky_beta = 0;
    check.attributes.smooth = -1;
    fv_gradcheck_refused(&check, "smooth");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),       cmocka_unit_test(follows_formula), cmocka_unit_test(nothing_annotated),
        cmocka_unit_test(ignores_invalid), cmocka_unit_test(extreme_logits),  cmocka_unit_test(wrong_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
