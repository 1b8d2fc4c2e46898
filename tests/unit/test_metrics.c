#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "fovea/eval/metrics.h"

static uint8_t predicted_px[10] = {255, 255, 255, 255, 0, 0, 0, 0, 0, 1};
static uint8_t truth_px[10] = {255, 255, 255, 0, 255, 255, 0, 0, 0, 0};
static uint8_t region_px[10] = {1, 0, 255, 1, 1, 0, 1, 1, 0, 0};
static const fv_image predicted = {5, 2, 1, predicted_px}, truth = {5, 2, 1, truth_px}, region = {5, 2, 1, region_px};

static void counts(void **state) {
    (void)state;
    fv_confusion c = fv_confusion_count(&predicted, &truth, NULL);
    assert_int_equal(c.true_positive, 3);
    assert_int_equal(c.false_positive, 2);
    assert_int_equal(c.false_negative, 2);
    assert_int_equal(c.true_negative, 3);
    c = fv_confusion_count(&predicted, &truth, &region);
    assert_int_equal(c.true_positive, 2);
    assert_int_equal(c.false_positive, 1);
    assert_int_equal(c.false_negative, 1);
    assert_int_equal(c.true_negative, 2);
}

static void overlap(void **state) {
    (void)state;
    fv_confusion c = {.true_positive = 6, .false_positive = 2, .false_negative = 4, .true_negative = 88};
    assert_float_equal(fv_dice(&c), 12.0 / 18.0, 1e-15);
    assert_float_equal(fv_iou(&c), 6.0 / 12.0, 1e-15);
    assert_float_equal(fv_precision(&c), 6.0 / 8.0, 1e-15);
    assert_float_equal(fv_recall(&c), 6.0 / 10.0, 1e-15);
}

static void overlap_of_nothing(void **state) {
    (void)state;
    fv_confusion both_empty = {.true_negative = 9};
    assert_true(fv_dice(&both_empty) == 1 && fv_iou(&both_empty) == 1);
    assert_true(fv_precision(&both_empty) == 1 && fv_recall(&both_empty) == 1);
    fv_confusion missed = {.false_negative = 5, .true_negative = 4};
    assert_true(fv_dice(&missed) == 0 && fv_iou(&missed) == 0);
    assert_true(fv_precision(&missed) == 0 && fv_recall(&missed) == 0);
    fv_confusion invented = {.false_positive = 5, .true_negative = 4};
    assert_true(fv_dice(&invented) == 0 && fv_precision(&invented) == 0 && fv_recall(&invented) == 0);
}

static void bootstrap_small(void **state) {
    (void)state;
    fv_estimate e;
    assert_int_equal(fv_bootstrap_mean(NULL, 0, 1, &e), FV_OK);
    assert_true(e.n == 0 && isnan(e.mean) && isnan(e.lo) && isnan(e.hi));
    assert_int_equal(fv_bootstrap_mean((double[]){NAN, 0.7, NAN}, 3, 1, &e), FV_OK);
    assert_true(e.n == 1 && e.mean == 0.7 && e.lo == 0.7 && e.hi == 0.7);
    assert_int_equal(fv_bootstrap_mean((double[]){0.5, 0.5, NAN, 0.5, 0.5}, 5, 1, &e), FV_OK);
    assert_true(e.n == 4 && e.mean == 0.5 && e.lo == 0.5 && e.hi == 0.5);
    /* Two values: a mean is 0, 1/2 or 1 with chances 1/4, 1/2, 1/4, so the interval spans all. */
    assert_int_equal(fv_bootstrap_mean((double[]){0, 1}, 2, 1, &e), FV_OK);
    assert_true(e.n == 2 && e.mean == 0.5 && e.lo == 0 && e.hi == 1);
}

static void bootstrap_is_repeatable(void **state) {
    (void)state;
    double values[30];
    fv_rng rng = fv_rng_make(5, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < 30; i++) values[i] = fv_rng_normal(&rng);
    fv_estimate a, b, other;
    assert_int_equal(fv_bootstrap_mean(values, 30, 17, &a), FV_OK);
    assert_int_equal(fv_bootstrap_mean(values, 30, 17, &b), FV_OK);
    assert_int_equal(fv_bootstrap_mean(values, 30, 18, &other), FV_OK);
    assert_true(a.lo == b.lo && a.hi == b.hi && a.mean == b.mean);
    assert_true(a.lo != other.lo || a.hi != other.hi);
    assert_float_equal(a.lo, other.lo, 0.1);
    assert_true(a.lo < a.mean && a.mean < a.hi);
}

/* 300 samples of 40 normal values: the interval is about 2 * 1.96 / sqrt(40) wide, and holds the true mean in about 95
   % (a little less, as percentile intervals of small samples do). */
static void bootstrap_coverage(void **state) {
    (void)state;
    int covered = 0;
    double width = 0;
    for (int trial = 0; trial < 300; trial++) {
        double values[40];
        fv_rng rng = fv_rng_make(9, 0, (uint64_t)trial, FV_PURPOSE_TEST);
        for (int i = 0; i < 40; i++) values[i] = 3 + fv_rng_normal(&rng);
        fv_estimate e;
        assert_int_equal(fv_bootstrap_mean(values, 40, (uint64_t)trial, &e), FV_OK);
        covered += e.lo <= 3 && 3 <= e.hi;
        width += (e.hi - e.lo) / 300;
    }
    print_message("coverage %.3f, width %.3f\n", covered / 300.0, width);
    assert_in_range(covered, 270, 295);
    assert_float_equal(width, 2 * 1.96 / sqrt(40), 0.03);
}

static void agreement(void **state) {
    (void)state;
    double measured[] = {0.5, 0.7, NAN, 0.2, 0.9, INFINITY}, expert[] = {0.4, 0.8, 0.5, 0.2, NAN, 0.3};
    fv_agreement a;
    fv_agreement_measure(measured, expert, 6, &a);
    assert_int_equal(a.n, 3);
    assert_float_equal(a.mae, 0.2 / 3, 1e-12);
    assert_float_equal(a.bias, 0, 1e-12);
    /* means 7/15 and 7/15; deviations (1, 7, -8)/30 and (-2, 10, -8)/30 */
    assert_float_equal(a.r, (-2 + 70 + 64) / sqrt((1 + 49 + 64.0) * (4 + 100 + 64.0)), 1e-12);
    fv_agreement_measure((double[]){1, 2, 3, 4}, (double[]){-1, -3, -5, -7}, 4, &a);
    assert_float_equal(a.r, -1, 1e-12);
    assert_float_equal(a.bias, 6.5, 1e-12);
    assert_float_equal(a.mae, 6.5, 1e-12);
    /* s_mm = 5/4, s_tt = 5, s_mt = -5/2 */
    assert_float_equal(a.ccc, -5 / (1.25 + 5 + 6.5 * 6.5), 1e-12);
}

static void agreement_without_correlation(void **state) {
    (void)state;
    fv_agreement a;
    fv_agreement_measure((double[]){0.1, 0.2}, (double[]){0.3, 0.1}, 2, &a);
    assert_true(a.n == 2 && isnan(a.r) && isnan(a.ccc));
    assert_float_equal(a.mae, 0.15, 1e-12);
    assert_float_equal(a.bias, -0.05, 1e-12);
    /* 0.1 has no exact mean in binary; its rounding error is no spread */
    fv_agreement_measure((double[]){0.1, 0.1, 0.1}, (double[]){0.1, 0.4, 0.5}, 3, &a);
    assert_true(isnan(a.r));
    fv_agreement_measure(NULL, NULL, 0, &a);
    assert_true(a.n == 0 && isnan(a.mae) && isnan(a.bias) && isnan(a.r));
}

enum { SIDE = 32 };

/* A bar of the image from column x0 to x1, row y0 to y1. */
static void paint(uint8_t *pixels, int x0, int x1, int y0, int y1) {
    for (int y = y0; y <= y1; y++)
        for (int x = x0; x <= x1; x++) pixels[y * SIDE + x] = 255;
}

static double cldice_of(uint8_t *drawn, uint8_t *true_mask, uint8_t *field) {
    fv_image a = {SIDE, SIDE, 1, drawn}, b = {SIDE, SIDE, 1, true_mask}, c = {SIDE, SIDE, 1, field};
    double value;
    assert_int_equal(fv_cldice(&a, &b, field ? &c : NULL, &value), FV_OK);
    return value;
}

static void centreline_dice(void **state) {
    (void)state;
    uint8_t wide[SIDE * SIDE] = {0}, thin[SIDE * SIDE] = {0}, half[SIDE * SIDE] = {0}, nothing[SIDE * SIDE] = {0};
    uint8_t left[SIDE * SIDE] = {0};
    paint(wide, 2, 29, 12, 16);
    paint(thin, 2, 29, 14, 14);
    paint(half, 2, 15, 14, 14);
    paint(left, 0, 15, 0, 31);
    assert_true(cldice_of(wide, wide, NULL) == 1);
    double of_width = cldice_of(thin, wide, NULL); /* a skeleton's ends may lean to a corner */
    print_message("clDice of bars of 1 and 5 px: %.4f\n", of_width);
    assert_true(of_width > 0.9);                                           /* width counts little: Dice is 1/3 */
    assert_float_equal(cldice_of(half, thin, NULL), 2 * 0.5 / 1.5, 1e-12); /* all of it true, half of the truth found */
    assert_float_equal(cldice_of(thin, half, NULL), 2 * 0.5 / 1.5, 1e-12);
    assert_true(cldice_of(half, thin, left) == 1); /* what is missing lies outside */
    assert_true(cldice_of(nothing, nothing, NULL) == 1);
    assert_true(cldice_of(nothing, thin, NULL) == 0);
    assert_true(cldice_of(thin, nothing, NULL) == 0);
}

static void other_shares(void **state) {
    (void)state;
    fv_confusion c = {.true_positive = 6, .false_positive = 2, .false_negative = 4, .true_negative = 88};
    assert_float_equal(fv_specificity(&c), 88.0 / 90, 1e-15);
    assert_float_equal(fv_accuracy(&c), 0.94, 1e-15);
    fv_confusion all = {.true_positive = 3}, none = {0};
    assert_true(fv_specificity(&all) == 1 && fv_accuracy(&all) == 1 && fv_accuracy(&none) == 1);
}

/* Lin's coefficient by its formula, and its bounds. */
static void concordance(void **state) {
    (void)state;
    fv_agreement a;
    fv_agreement_measure((double[]){1, 2, 3, 4}, (double[]){1, 2, 3, 4}, 4, &a);
    assert_float_equal(a.ccc, 1, 1e-12);
    assert_true(a.relative_bias == 0);
    fv_agreement_measure((double[]){2, 3, 4, 5}, (double[]){1, 2, 3, 4}, 4, &a); /* variance 5/4, shift 1 */
    assert_float_equal(a.r, 1, 1e-12);
    assert_float_equal(a.ccc, 2 * 1.25 / (1.25 + 1.25 + 1), 1e-12);
    assert_float_equal(a.relative_bias, 1 / 2.5, 1e-12);
    fv_agreement_measure((double[]){4, 3, 2, 1}, (double[]){1, 2, 3, 4}, 4, &a);
    assert_float_equal(a.ccc, -1, 1e-12);
    fv_agreement_measure((double[]){7, 7, 7}, (double[]){1, 2, 3}, 3, &a); /* no spread */
    assert_true(isnan(a.r) && isnan(a.ccc) && a.relative_bias == 2.5);
    fv_agreement_measure((double[]){1, 2}, (double[]){1, 2}, 2, &a);
    assert_true(isnan(a.ccc));
}

static void test_mean_of_known_values(void **state) {
    (void)state;
    const double some[] = {NAN, 0.5, NAN, 1.0}, none[] = {NAN, NAN};
    assert_true(fv_mean_known(some, 4) == 0.75);
    assert_true(isnan(fv_mean_known(none, 2)));
    assert_true(isnan(fv_mean_known(none, 0)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean_of_known_values),
        cmocka_unit_test(counts),
        cmocka_unit_test(overlap),
        cmocka_unit_test(overlap_of_nothing),
        cmocka_unit_test(bootstrap_small),
        cmocka_unit_test(bootstrap_is_repeatable),
        cmocka_unit_test(bootstrap_coverage),
        cmocka_unit_test(agreement),
        cmocka_unit_test(agreement_without_correlation),
        cmocka_unit_test(other_shares),
        cmocka_unit_test(concordance),
        cmocka_unit_test(centreline_dice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
