#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

static fv_gradcheck make_check(fv_shape shape, double bce, double dice, bool over_batch, uint64_t seed) {
    fv_gradcheck check = {FV_GRADCHECK_OP(segmentation_loss), .inputs = 3, .seed = seed};
    check.in[0] = (fv_gradcheck_input){.shape = shape, .low = -4, .high = 4};
    check.in[1] = (fv_gradcheck_input){.shape = shape, .low = 0, .high = 1, .fixed = true};
    check.in[2] = (fv_gradcheck_input){.shape = {shape.n, 1, 1, shape.c}, .fill = FV_FILL_BINARY, .fixed = true};
    check.attributes.weight_bce = bce;
    check.attributes.weight_dice = dice;
    check.attributes.dice_over_batch = over_batch;
    return check;
}

static void gradients(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{1, 1, 1, 1},  {2, 5, 3, 2}, {3, 4, 3, 3},
                                      {2, 3, 2, 33}, {1, 7, 9, 1}, {2, 140, 131, 2}};
    static const double weights[][2] = {{1, 0}, {0, 1}, {0.5, 0.7}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int k = fv_shape_count(shapes[i]) < 1000 ? 0 : 5; k < 6; k++) {
            fv_gradcheck check =
                make_check(shapes[i], weights[k / 2][0], weights[k / 2][1], k % 2, i * 7 + (uint64_t)k);
            if (k >= 4) check.attributes.smooth = 1e-3;
            fv_gradcheck_run(&check);
        }
    }
}

/* The formula of op_list.h, term by term. */
static double loss_of(const fv_op_run *run, double smooth) {
    fv_shape s = run->spec.in[0];
    const fv_attributes *a = &run->spec.attributes;
    int pixels = s.h * s.w, columns = 0, regions = 0;
    double bce = 0, dice = 0;
    for (int c = 0; c < s.c; c++) {
        double overlap = 0, both = 0;
        int valid = 0;
        for (int n = 0; n < s.n; n++) {
            if (run->call.in[2][n * s.c + c] == 0) continue;
            columns++;
            valid++;
            for (int p = 0; p < pixels; p++) {
                double z = run->call.in[0][(n * pixels + p) * s.c + c], t = run->call.in[1][(n * pixels + p) * s.c + c];
                double probability = 1 / (1 + exp(-z));
                bce -= t * log(probability) + (1 - t) * log(1 - probability);
                overlap += probability * t;
                both += probability + t;
            }
            if (a->dice_over_batch) continue;
            regions++;
            dice += 1 - (2 * overlap + smooth) / (both + smooth);
            overlap = both = 0;
        }
        if (!a->dice_over_batch || valid == 0) continue;
        regions++;
        dice += 1 - (2 * overlap + smooth) / (both + smooth);
    }
    if (columns == 0) return 0;
    return a->weight_bce * bce / columns / pixels + a->weight_dice * dice / regions;
}

static void follows_formula(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{1, 1, 1, 1}, {4, 5, 3, 2}, {3, 4, 3, 5}, {2, 140, 131, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int k = 0; k < 4; k++) {
            fv_gradcheck check = make_check(shapes[i], 0.4, 0.6, k % 2, i * 4 + (uint64_t)k);
            check.attributes.smooth = k / 2 * 3.5;
            fv_op_run run;
            fv_op_run_start(&run, &check);
            fv_op_run_forward(&run);
            FV_EXPECT_NEAR(run.call.out[0], loss_of(&run, k / 2 ? 3.5 : 1), 1e-12);
            fv_op_run_end(&run);
        }
    }
}

static void nothing_annotated(void **state) {
    (void)state;
    for (int over_batch = 0; over_batch < 2; over_batch++) {
        fv_gradcheck check = make_check((fv_shape){2, 3, 3, 2}, 1, 1, over_batch, 1);
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
    fv_gradcheck check = make_check((fv_shape){2, 3, 3, 2}, 1, 1, false, 1);
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

/* Logits far out neither overflow nor lose the loss: BCE(z, t) grows like |z|. */
static void extreme_logits(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){1, 1, 2, 1}, 1, 0, false, 1);
    fv_op_run run;
    fv_op_run_start(&run, &check);
    run.call.in[0][0] = 500;
    run.call.in[0][1] = -700;
    run.call.in[1][0] = 0;
    run.call.in[1][1] = 1;
    run.call.in[2][0] = 1;
    fv_op_run_forward(&run);
    FV_EXPECT_NEAR(run.call.out[0], 600, 1e-12);
    fv_op_run_end(&run);
}

static void wrong_inputs(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 3, 4, 5}, 1, 1, false, 0);
    check.in[1].shape.h = 4;
    fv_gradcheck_refused(&check, "target of layer decoder.layer is 2x4x4x5, expected 2x3x4x5");
    check.in[1].shape.h = 3;
    check.in[2].shape.c = 1;
    fv_gradcheck_refused(&check, "valid of layer decoder.layer is 2x1x1x1, expected 2x1x1x5");
    check.in[2].shape.c = 5;
    check.attributes.weight_dice = -1;
    fv_gradcheck_refused(&check, "weights of layer decoder.layer are 1 (cross entropy) and -1 (Dice)");
    check.attributes.weight_dice = 1;
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
