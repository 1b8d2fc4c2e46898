/* Pixels counted by probability: AUC, and the masks of each threshold. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "fovea/eval/levels.h"

static fv_levels levels; /* large for a stack */

static void count(const float *probability, uint8_t *truth, uint8_t *region, int pixels) {
    fv_image truth_image = {pixels, 1, 1, truth}, region_image = {pixels, 1, 1, region};
    memset(&levels, 0, sizeof levels);
    fv_levels_count(&levels, probability, &truth_image, region ? &region_image : NULL);
}

static void known_areas(void **state) {
    (void)state;
    const float example[] = {0.1f, 0.4f, 0.35f, 0.8f}; /* scikit-learn's example of roc_auc_score */
    count(example, (uint8_t[]){0, 0, 255, 255}, NULL, 4);
    assert_true(fv_levels_auc(&levels) == 0.75);
    count(example, (uint8_t[]){0, 255, 0, 255}, NULL, 4);
    assert_true(fv_levels_auc(&levels) == 1);
    count(example, (uint8_t[]){1, 0, 1, 0}, NULL, 4);
    assert_true(fv_levels_auc(&levels) == 0);
    count((float[]){0.4f, 0.9f, 0.4f, 0.1f}, (uint8_t[]){255, 255, 0, 0}, NULL, 4);
    assert_true(fv_levels_auc(&levels) == 3.5 / 4); /* a tie counts half */
    count((float[]){1, 1, 1, 1, 1}, (uint8_t[]){255, 0, 0, 255, 0}, NULL, 5);
    assert_true(fv_levels_auc(&levels) == 0.5);
    count(example, (uint8_t[]){0, 0, 0, 0}, NULL, 4);
    assert_true(isnan(fv_levels_auc(&levels)));
    count(example, (uint8_t[]){1, 1, 1, 1}, NULL, 4);
    assert_true(isnan(fv_levels_auc(&levels)));
}

/* Share of pairs in the right order, ties half: the definition. */
static double area_by_pairs(const float *probability, const uint8_t *truth, const uint8_t *region, int pixels) {
    double right = 0, pairs = 0;
    for (int i = 0; i < pixels; i++)
        for (int j = 0; j < pixels; j++) {
            if (!region[i] || !region[j] || !truth[i] || truth[j]) continue;
            right += probability[i] > probability[j] ? 1 : probability[i] == probability[j] ? 0.5 : 0;
            pairs++;
        }
    return right / pairs;
}

enum { PIXELS = 240 };

/* Probabilities k / 40, so that many are equal, higher on the whole where the truth is; a third lies outside. */
static void draw(uint64_t trial, float *probability, uint8_t *truth, uint8_t *region) {
    fv_rng rng = fv_rng_make(11, 0, trial, FV_PURPOSE_TEST);
    for (int i = 0; i < PIXELS; i++) {
        truth[i] = fv_rng_below(&rng, 5) == 0 ? 255 : 0;
        region[i] = fv_rng_below(&rng, 3) > 0;
        probability[i] = (float)(fv_rng_below(&rng, 31) + (truth[i] ? 10 : 0)) / 40;
    }
}

static void area_is_that_of_all_pairs(void **state) {
    (void)state;
    float probability[PIXELS];
    uint8_t truth[PIXELS], region[PIXELS];
    for (uint64_t trial = 0; trial < 20; trial++) {
        draw(trial, probability, truth, region);
        count(probability, truth, region, PIXELS);
        double area = area_by_pairs(probability, truth, region, PIXELS);
        assert_true(area > 0.6 && area < 0.95);
        assert_float_equal(fv_levels_auc(&levels), area, 1e-12);
    }
}

static void thresholds_give_the_masks_counts(void **state) {
    (void)state;
    float probability[PIXELS];
    uint8_t truth[PIXELS], region[PIXELS], mask[PIXELS];
    draw(99, probability, truth, region);
    count(probability, truth, region, PIXELS);
    fv_image predicted = {PIXELS, 1, 1, mask}, known = {PIXELS, 1, 1, truth}, field = {PIXELS, 1, 1, region};
    for (int hundredths = 1; hundredths < 100; hundredths++) {
        for (int i = 0; i < PIXELS; i++) mask[i] = probability[i] >= (float)(hundredths / 100.0) ? 255 : 0;
        fv_confusion of_levels = fv_levels_confusion(&levels, hundredths);
        fv_confusion of_mask = fv_confusion_count(&predicted, &known, &field);
        assert_memory_equal(&of_levels, &of_mask, sizeof of_mask);
    }
}

/* A probability at a threshold belongs to the class, however it is rounded. */
static void thresholds_hold_their_own_probability(void **state) {
    (void)state;
    for (int hundredths = 1; hundredths < 100; hundredths++) {
        count((float[]){(float)(hundredths / 100.0)}, (uint8_t[]){255}, NULL, 1);
        assert_int_equal(fv_levels_confusion(&levels, hundredths).true_positive, 1);
        if (hundredths < 99) assert_int_equal(fv_levels_confusion(&levels, hundredths + 1).true_positive, 0);
    }
}

/* Probabilities of a sure network: order is kept near 0 and 1 too, and the area is that of all pairs. */
static void sure_probabilities_stay_apart(void **state) {
    (void)state;
    float probability[PIXELS];
    uint8_t truth[PIXELS], region[PIXELS];
    fv_rng rng = fv_rng_make(12, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < PIXELS; i++) {
        region[i] = 1;
        truth[i] = i % 2 ? 255 : 0;
        probability[i] = (float)(1 / (1 + exp(-(truth[i] ? 2 : -10) - 4 * fv_rng_normal(&rng))));
    }
    count(probability, truth, NULL, PIXELS);
    assert_float_equal(fv_levels_auc(&levels), area_by_pairs(probability, truth, region, PIXELS), 5e-5);
    const float rising[] = {0, 1e-7f, 1e-6f, 1e-5f, 1e-4f, 1e-3f, 0.01f, 0.5f, 0.99f, 0.999f, 0.9999f, 0.99999f, 1};
    enum { RISING = sizeof rising / sizeof *rising };
    for (int i = 1; i < RISING; i++) {
        count(&rising[i - 1], (uint8_t[]){0, 255}, NULL, 2);
        assert_true(fv_levels_auc(&levels) == 1);
    }
}

static void what_lies_outside_does_not_count(void **state) {
    (void)state;
    float probability[PIXELS];
    uint8_t truth[PIXELS], region[PIXELS];
    draw(7, probability, truth, region);
    count(probability, truth, region, PIXELS);
    fv_levels before = levels;
    for (int i = 0; i < PIXELS; i++)
        if (!region[i]) truth[i] = 255, probability[i] = 0;
    count(probability, truth, region, PIXELS);
    assert_memory_equal(&before, &levels, sizeof levels);
}

static void sums_pool_photographs(void **state) {
    (void)state;
    static fv_levels sum;
    count((float[]){0.9f, 0.8f}, (uint8_t[]){255, 0}, NULL, 2);
    fv_levels_add(&sum, &levels);
    count((float[]){0.2f, 0.1f}, (uint8_t[]){255, 0}, NULL, 2);
    assert_true(fv_levels_auc(&levels) == 1);
    fv_levels_add(&sum, &levels);
    assert_true(fv_levels_auc(&sum) == 0.75); /* 0.2 inside lies below 0.8 outside */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_areas),
        cmocka_unit_test(area_is_that_of_all_pairs),
        cmocka_unit_test(thresholds_give_the_masks_counts),
        cmocka_unit_test(thresholds_hold_their_own_probability),
        cmocka_unit_test(sure_probabilities_stay_apart),
        cmocka_unit_test(what_lies_outside_does_not_count),
        cmocka_unit_test(sums_pool_photographs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
