/* A checkpoint gives back every bit that the next step depends on. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fovea/train/checkpoint.h"
#include "temporary.h"

typedef struct fixture {
    fv_model *model;
    fv_optimizer optimizer;
} fixture;

static fixture make(uint64_t seed, double average_decay) {
    fixture f;
    fv_model_spec spec = {.network = "mobilenetv2_unet",
                          .width = 0.1,
                          .classes = 2,
                          .class_names = {"disc", "cup"},
                          .thresholds = {0.5, 0.5},
                          .preprocess = {.size = 32, .work_size = 64, .enhance = fv_enhance_standard()}};
    fv_optimizer_settings settings = {.rate = 1e-3,
                                      .encoder_rate = 1e-3,
                                      .beta1 = 0.9,
                                      .beta2 = 0.999,
                                      .epsilon = 1e-8,
                                      .average_decay = average_decay};
    if (fv_model_make(&spec, seed, &f.model) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(fv_optimizer_make(&settings, &f.model->params, &f.optimizer), FV_OK);
    for (size_t i = 0; i < f.model->params.total; i++) f.model->params.gradients[i] = (float)(i % 17) * 0.01f - 0.07f;
    for (uint64_t i = 0; i < seed; i++) fv_optimizer_step(&f.optimizer, 1);
    return f;
}

static void release(fixture *f) {
    fv_optimizer_free(&f->optimizer);
    fv_model_free(f->model);
}

/* Numbers that a printer of 15 digits changes. */
static fv_train_state awkward_state(void) {
    fv_train_state s = {.epoch = 3,
                        .batch = 2,
                        .loss_sum = 0.1 * 0.1,
                        .dice_sum = 0.7 + 0.1,
                        .epoch_seconds = 1.0 / 3,
                        .best_score = 0.1 + 0.2,
                        .best_epoch = 2,
                        .plateau = {.best = 0.1 * 0.1 * 3, .flat = 1, .factor = 0.1 * 0.1}};
    fv_epoch row = {
        .epoch = 1, .rate = 1e-3, .train_loss = 1.0 / 7, .train_dice = NAN, .val_loss = 0.1 * 0.1, .seconds = 2};
    for (int c = 0; c < FV_MAX_CLASSES; c++) row.val_dice[c] = c == 1 ? NAN : 0.7 + 0.1, row.val_iou[c] = 2.0 / 3;
    assert_int_equal(fv_history_append(&s.history, &row), FV_OK);
    return s;
}

static void every_bit_comes_back(void **state) {
    (void)state;
    fixture a = make(3, 0.9), b = make(1, 0.9);
    fv_train_state saved = awkward_state(), read = {0};
    char *config;
    const char *path = temporary_path("last.safetensors");
    assert_int_equal(fv_checkpoint_save(path, a.model, &a.optimizer, &saved, "[run]\nname = \"x\"\n"), FV_OK);
    if (fv_checkpoint_load(path, b.model, &b.optimizer, &read, &config) != FV_OK) fail_msg("%s", fv_error());
    assert_string_equal(config, "[run]\nname = \"x\"\n");
    assert_true(read.epoch == 3 && read.batch == 2 && read.best_epoch == 2 && !read.stopped_early);
    assert_true(read.loss_sum == saved.loss_sum && read.dice_sum == saved.dice_sum);
    assert_true(read.best_score == saved.best_score && read.epoch_seconds == saved.epoch_seconds);
    assert_true(read.plateau.best == saved.plateau.best && read.plateau.factor == saved.plateau.factor);
    assert_int_equal(read.plateau.flat, 1);
    assert_int_equal(read.history.count, 1);
    assert_true(read.history.rows[0].val_loss == 0.1 * 0.1 && isnan(read.history.rows[0].train_dice));
    assert_true(read.history.rows[0].val_dice[0] == 0.7 + 0.1 && isnan(read.history.rows[0].val_dice[1]));
    assert_int_equal(b.optimizer.step, 3);
    for (int i = 0; i < a.model->params.count; i++) {
        const fv_param *p = &a.model->params.list[i];
        size_t bytes = p->count * sizeof(float);
        assert_memory_equal(a.model->params.values + p->offset, b.model->params.values + p->offset, bytes);
        assert_memory_equal(a.optimizer.moment1 + p->offset, b.optimizer.moment1 + p->offset, bytes);
        assert_memory_equal(a.optimizer.moment2 + p->offset, b.optimizer.moment2 + p->offset, bytes);
        assert_memory_equal(a.optimizer.average + p->offset, b.optimizer.average + p->offset, bytes);
    }
    free(config);
    fv_history_free(&saved.history);
    fv_history_free(&read.history);
    release(&a);
    release(&b);
}

/* First best score and plateau are infinite: JSON has no such number. */
static void infinities_come_back(void **state) {
    (void)state;
    fixture f = make(1, 0);
    fv_train_state fresh = {.best_score = -INFINITY, .plateau = {.best = INFINITY, .factor = 1}}, read = {0};
    char *config;
    const char *path = temporary_path("fresh.safetensors");
    assert_int_equal(fv_checkpoint_save(path, f.model, &f.optimizer, &fresh, ""), FV_OK);
    assert_int_equal(fv_checkpoint_load(path, f.model, &f.optimizer, &read, &config), FV_OK);
    assert_true(read.best_score == -INFINITY && read.plateau.best == INFINITY && read.plateau.factor == 1);
    free(config);
    release(&f);
}

/* A run that begins to average its weights can't take the average from a checkpoint without one; nothing changes then.
 */
static void missing_average_is_refused(void **state) {
    (void)state;
    fixture without = make(2, 0), with = make(1, 0.9);
    fv_train_state saved = awkward_state(), read = {0};
    char *config;
    const char *path = temporary_path("plain.safetensors");
    assert_int_equal(fv_checkpoint_save(path, without.model, &without.optimizer, &saved, ""), FV_OK);
    float first = with.model->params.values[0];
    assert_int_equal(fv_checkpoint_load(path, with.model, &with.optimizer, &read, &config), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "average."));
    assert_non_null(strstr(fv_error(), "--fresh"));
    assert_true(with.model->params.values[0] == first);
    assert_int_equal(with.optimizer.step, 1);
    fv_history_free(&saved.history);
    fv_history_free(&read.history);
    release(&without);
    release(&with);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_comes_back),
        cmocka_unit_test(infinities_come_back),
        cmocka_unit_test(missing_average_is_refused),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, temporary_setup, temporary_teardown);
}
