/* The training step's loss: what auxiliary logits add to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fovea/base/rng.h"
#include "fovea/train/step.h"

#define SIDE 32
#define BATCH 2
#define PIXELS (BATCH * SIDE * SIDE)

static fv_train_settings settings_of(const char *network, double weight_auxiliary) {
    fv_train_settings s = {.model = {.width = 1,
                                     .base = 8,
                                     .classes = 1,
                                     .class_names = {"vessel"},
                                     .thresholds = {0.5},
                                     .preprocess = {.size = SIDE, .work_size = SIDE}},
                           .loader = {.batch = BATCH},
                           .loss = {.bce = 1, .dice = 1, .auxiliary = weight_auxiliary, .smooth = 1}};
    snprintf(s.model.network, sizeof s.model.network, "%s", network);
    return s;
}

/* Loss of one batch of noise, and its gradient by the first value of `param`. */
static double loss_of(const char *network, double weight_auxiliary, const char *param, float *gradient) {
    static float input[PIXELS * 3], target[PIXELS], valid[BATCH] = {1, 1};
    const fv_batch batch = {.count = BATCH, .input = input, .target = target, .valid = valid};
    fv_train_settings settings = settings_of(network, weight_auxiliary);
    fv_rng rng = fv_rng_make(7, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < PIXELS * 3; i++) input[i] = (float)fv_rng_normal(&rng);
    for (int i = 0; i < PIXELS; i++) target[i] = fv_rng_uniform(&rng) > 0.7;
    fv_model *model;
    fv_train_step step;
    size_t bytes;
    assert_int_equal(fv_model_make(&settings.model, 3, &model), FV_OK);
    assert_int_equal(fv_train_step_make(&settings, model, &step), FV_OK);
    assert_int_equal(fv_train_step_measure(&settings, model, &bytes), FV_OK);
    assert_int_equal(bytes, fv_plan_bytes(step.plan));
    double loss = fv_train_step_run(&step, &batch, 1, 0);
    int index = fv_params_find(&model->params, param);
    assert_true(index >= 0);
    *gradient = model->params.gradients[model->params.list[index].offset];
    fv_train_step_free(&step);
    fv_model_free(model);
    return loss;
}

static void auxiliary_loss_counts_by_its_weight(void **state) {
    (void)state;
    float none, once, twice;
    double without = loss_of("wnet", 0, "first.out.bias", &none), with = loss_of("wnet", 1, "first.out.bias", &once);
    double more = loss_of("wnet", 2, "first.out.bias", &twice);
    assert_true(with > without + 0.1);
    assert_float_equal(more - with, with - without, 1e-5);
    assert_true(once != none);
    assert_float_equal(twice - once, once - none, 1e-5);
}

static void other_networks_have_none(void **state) {
    (void)state;
    float with, without;
    assert_true(loss_of("unet", 0, "out.bias", &without) == loss_of("unet", 5, "out.bias", &with));
    assert_true(with == without);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auxiliary_loss_counts_by_its_weight),
        cmocka_unit_test(other_networks_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
