#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <math.h>
#include <cmocka.h>

#include "gradcheck.h"

/* Probabilities are all different, so that a small step moves no minimum or maximum from pixel to pixel. */
static fv_gradcheck make_check(fv_shape shape, int iterations, bool over_batch, uint64_t seed) {
    fv_gradcheck check = {FV_GRADCHECK_OP(cldice_loss), .inputs = 3, .seed = seed};
    check.in[0] = (fv_gradcheck_input){.shape = shape, .fill = FV_FILL_DISTINCT, .low = -4, .high = 4};
    check.in[1] = (fv_gradcheck_input){.shape = shape, .low = 0, .high = 1, .fixed = true};
    check.in[2] = (fv_gradcheck_input){.shape = {shape.n, 1, 1, shape.c}, .fill = FV_FILL_BINARY, .fixed = true};
    check.attributes.weight_cldice = 0.8;
    check.attributes.cldice_iterations = iterations;
    check.attributes.dice_over_batch = over_batch;
    check.attributes.smooth = 0.5;
    return check;
}

static void gradients(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{1, 1, 1, 1}, {1, 1, 7, 2}, {2, 6, 1, 3},    {1, 12, 11, 1},
                                      {2, 7, 9, 2}, {3, 5, 6, 3}, {2, 19, 300, 1}, {1, 4, 3, 130}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int k = 0; k < 4; k++) {
            fv_gradcheck check = make_check(shapes[i], 1 + 2 * (k / 2), k % 2, 10 * i + (uint64_t)k);
            if (k % 3 == 1) check.in[1].fill = FV_FILL_BINARY;
            fv_gradcheck_run(&check);
        }
    }
}

/* ---- the authors' formulas, step by step, on one class of one sample ---- */

enum { MOST = 400 };

typedef struct plane {
    int h, w;
    double at[MOST];
} plane;

static double extreme_of(const plane *p, int y, int x, int reach_y, int reach_x, double sign) {
    double best = -INFINITY;
    for (int v = y - reach_y; v <= y + reach_y; v++)
        for (int u = x - reach_x; u <= x + reach_x; u++)
            if (v >= 0 && u >= 0 && v < p->h && u < p->w) best = fmax(best, sign * p->at[v * p->w + u]);
    return sign * best;
}

static plane soft_erode(const plane *p) {
    plane out = *p;
    for (int i = 0; i < p->h * p->w; i++)
        out.at[i] = fmin(extreme_of(p, i / p->w, i % p->w, 1, 0, -1), extreme_of(p, i / p->w, i % p->w, 0, 1, -1));
    return out;
}

static plane soft_open(const plane *p) {
    plane eroded = soft_erode(p), out = *p;
    for (int i = 0; i < p->h * p->w; i++) out.at[i] = extreme_of(&eroded, i / p->w, i % p->w, 1, 1, 1);
    return out;
}

static plane soft_skeleton(plane p, int iterations) {
    plane opened = soft_open(&p), skeleton = p;
    for (int i = 0; i < p.h * p.w; i++) skeleton.at[i] = fmax(p.at[i] - opened.at[i], 0);
    for (int k = 0; k < iterations; k++) {
        p = soft_erode(&p);
        opened = soft_open(&p);
        for (int i = 0; i < p.h * p.w; i++) {
            double delta = fmax(p.at[i] - opened.at[i], 0);
            skeleton.at[i] += fmax(delta - skeleton.at[i] * delta, 0);
        }
    }
    return skeleton;
}

/* Adds the four sums of column (n, c). */
static void add_sums(const fv_op_run *run, int n, int c, double sums[4]) {
    fv_shape s = run->spec.in[0];
    plane p = {.h = s.h, .w = s.w}, t = p;
    for (int i = 0; i < s.h * s.w; i++) {
        p.at[i] = 1 / (1 + exp(-run->call.in[0][(n * s.h * s.w + i) * s.c + c]));
        t.at[i] = run->call.in[1][(n * s.h * s.w + i) * s.c + c];
    }
    plane skeleton = soft_skeleton(p, run->spec.attributes.cldice_iterations);
    plane truth = soft_skeleton(t, run->spec.attributes.cldice_iterations);
    for (int i = 0; i < s.h * s.w; i++) {
        sums[0] += skeleton.at[i] * t.at[i];
        sums[1] += skeleton.at[i];
        sums[2] += truth.at[i] * p.at[i];
        sums[3] += truth.at[i];
    }
}

static double region_loss(const double sums[4], double smooth) {
    double precision = (sums[0] + smooth) / (sums[1] + smooth), sensitivity = (sums[2] + smooth) / (sums[3] + smooth);
    return 1 - 2 * precision * sensitivity / (precision + sensitivity);
}

static double loss_of(const fv_op_run *run) {
    fv_shape s = run->spec.in[0];
    const fv_attributes *a = &run->spec.attributes;
    double loss = 0;
    int regions = 0;
    for (int c = 0; c < s.c; c++) {
        double sums[4] = {0};
        int parts = 0;
        for (int n = 0; n < s.n; n++) {
            if (run->call.in[2][n * s.c + c] == 0) continue;
            double own[4] = {0};
            add_sums(run, n, c, a->dice_over_batch ? sums : own);
            parts++;
            if (!a->dice_over_batch) loss += region_loss(own, a->smooth);
        }
        if (a->dice_over_batch && parts) loss += region_loss(sums, a->smooth);
        regions += a->dice_over_batch ? parts > 0 : parts;
    }
    return regions ? a->weight_cldice * loss / regions : 0;
}

static void follows_formula(void **state) {
    (void)state;
    static const fv_shape shapes[] = {{1, 1, 1, 1}, {1, 1, 7, 2}, {2, 6, 1, 3}, {1, 20, 20, 1}, {3, 13, 9, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int k = 0; k < 8; k++) {
            fv_gradcheck check = make_check(shapes[i], 1 + k / 2, k % 2, 10 * i + (uint64_t)k);
            fv_op_run run;
            fv_op_run_start(&run, &check);
            fv_op_run_forward(&run);
            FV_EXPECT_NEAR(run.call.out[0], loss_of(&run), 1e-12);
            fv_op_run_end(&run);
        }
    }
}

/* A line three pixels wide on nothing: its own middle line has no loss, one beside it has nearly all. */
static double line_loss(int middle) {
    fv_gradcheck check = make_check((fv_shape){1, 15, 21, 1}, 3, false, 0);
    check.attributes.smooth = 1e-6;
    fv_op_run run;
    fv_op_run_start(&run, &check);
    run.call.in[2][0] = 1;
    for (int i = 0; i < 15 * 21; i++) {
        run.call.in[1][i] = abs(i / 21 - 7) <= 1;
        run.call.in[0][i] = i / 21 == middle ? 40 : -40;
    }
    fv_op_run_forward(&run);
    double loss = run.call.out[0];
    fv_op_run_end(&run);
    return loss / 0.8;
}

static void measures_the_middle_line(void **state) {
    (void)state;
    FV_EXPECT_NEAR(line_loss(7), 0, 1e-6);
    FV_EXPECT_NEAR(line_loss(2), 1, 1e-6);
}

/* What is not annotated has no influence and no gradient. */
static void ignores_invalid(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 6, 5, 2}, 2, false, 1);
    fv_op_run run;
    fv_op_run_start(&run, &check);
    for (int i = 0; i < 4; i++) run.call.in[2][i] = i != 2;
    fv_op_run_forward(&run);
    double loss = run.call.out[0];
    for (int p = 0; p < 30; p++) run.call.in[1][60 + 2 * p] = 1 - run.call.in[1][60 + 2 * p];
    fv_op_run_forward(&run);
    FV_EXPECT_NEAR(run.call.out[0], loss, 0);
    fv_op_run_backward(&run);
    double moved = 0;
    for (int p = 0; p < 30; p++) {
        FV_EXPECT_NEAR(run.call.d_in[0][60 + 2 * p], 0, 0);
        moved += fabs((double)run.call.d_in[0][61 + 2 * p]);
    }
    assert_true(moved > 0);
    for (int i = 0; i < 4; i++) run.call.in[2][i] = 0;
    fv_op_run_forward(&run);
    fv_op_run_backward(&run);
    FV_EXPECT_NEAR(run.call.out[0], 0, 0);
    for (int i = 0; i < 120; i++) FV_EXPECT_NEAR(run.call.d_in[0][i], 0, 0);
    fv_op_run_end(&run);
}

static void wrong_inputs(void **state) {
    (void)state;
    fv_gradcheck check = make_check((fv_shape){2, 3, 4, 5}, 3, false, 0);
    check.in[1].shape.h = 4;
    fv_gradcheck_refused(&check, "target of layer decoder.layer is 2x4x4x5, expected 2x3x4x5");
    check.in[1].shape.h = 3;
    check.attributes.cldice_iterations = 51;
    fv_gradcheck_refused(&check, "iterations of layer decoder.layer are 51, expected 1 to 50");
    check.attributes.cldice_iterations = 3;
    check.attributes.weight_cldice = -1;
    fv_gradcheck_refused(&check, "weight of clDice of layer decoder.layer is -1");
    check.attributes.weight_cldice = 1;
    check.attributes.smooth = -1;
    fv_gradcheck_refused(&check, "smooth");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients),
        cmocka_unit_test(follows_formula),
        cmocka_unit_test(measures_the_middle_line),
        cmocka_unit_test(ignores_invalid),
        cmocka_unit_test(wrong_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
