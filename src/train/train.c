#include "fovea/train/train.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/log.h"
#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/base/version.h"
#include "fovea/eval/metrics.h"
#include "fovea/exchange/import.h"
#include "fovea/nn/layers.h"
#include "fovea/train/step.h"

#define LAST_FILE "last.safetensors"
#define BEST_FILE "best.safetensors"

typedef struct trainer {
    const fv_train_settings *settings;
    const fv_manifest *manifest;
    const fv_train_hooks *hooks;
    const char *config_text;
    char last_path[FV_PATH_MAX], best_path[FV_PATH_MAX], history_path[FV_PATH_MAX];
    fv_model *model; /* being trained */
    fv_model *shown; /* the weights that are validated and kept as best: the model's, or their average */
    fv_optimizer optimizer;
    fv_loader *loader;
    fv_train_step step;
    fv_predictor *predictor; /* of `shown` */
    fv_validation validation;
    fv_train_state state;
    int *train_records, train_count;
    int64_t images; /* trained on in this process, and the seconds that took */
    double seconds;
} trainer;

/* ---- setting up ---- */

static fv_status make_paths(trainer *t) {
    FV_TRY(fv_folder_make(t->settings->dir));
    fv_folder_sweep(t->settings->dir);
    FV_TRY(fv_path_join(t->last_path, t->settings->dir, LAST_FILE));
    FV_TRY(fv_path_join(t->best_path, t->settings->dir, BEST_FILE));
    FV_TRY(fv_path_join(t->history_path, t->settings->dir, "history.csv"));
    char config_path[FV_PATH_MAX];
    FV_TRY(fv_path_join(config_path, t->settings->dir, "config.ini"));
    return fv_file_write(config_path, t->config_text, strlen(t->config_text));
}

static fv_status list_training_records(trainer *t) {
    t->train_records = fv_allocate((size_t)t->manifest->count + 1, sizeof(int), "the training split");
    if (!t->train_records) return FV_NO_RESOURCE;
    for (int r = 0; r < t->manifest->count; r++)
        if (t->manifest->records[r].split == FV_SPLIT_TRAIN) t->train_records[t->train_count++] = r;
    if (t->train_count == 0)
        return fv_fail(FV_BAD_INPUT,
                       "no photograph is in the training split; see [data] in the configuration and docs/data.md");
    return FV_OK;
}

/* A class without any mask would be trained on nothing. */
static fv_status check_classes(const trainer *t) {
    const fv_model_spec *spec = &t->settings->model;
    for (int c = 0; c < spec->classes; c++) {
        bool found = false;
        for (int i = 0; i < t->train_count && !found; i++)
            found = t->manifest->records[t->train_records[i]].mask[c][0] != '\0';
        if (!found)
            return fv_fail(FV_BAD_INPUT,
                           "class %s has no mask in the training split; name its column with column_%s in the data's "
                           "section, or take it out of model.classes",
                           spec->class_names[c], spec->class_names[c]);
    }
    return FV_OK;
}

/* Whether the line stands in the INI text, in the section headed by `heading`. */
static bool has_line(const char *text, const char *heading, const char *line) {
    size_t length = strlen(line), heading_length = strlen(heading);
    bool inside = false;
    for (const char *at = text; *at;) {
        size_t here = strcspn(at, "\n");
        if (*at == '[') inside = here == heading_length && memcmp(at, heading, here) == 0;
        if (inside && here == length && memcmp(at, line, here) == 0) return true;
        at += here + (at[here] == '\n');
    }
    return false;
}

/* Tells which settings differ from those of the checkpoint, line by line: resuming with other settings is allowed, not
 * silent. */
static void tell_changed_settings(const char *before, const char *now) {
    char *copy = strdup(now), *rest = NULL;
    const char *heading = "";
    for (char *line = copy ? strtok_r(copy, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] == '[')
            heading = line;
        else if (!has_line(before, heading, line))
            fv_log_info("changed since the checkpoint: %s %s", heading, line);
    }
    free(copy);
}

static bool is_last_epoch(const trainer *t) {
    return t->state.stopped_early || t->state.epoch >= t->settings->epochs;
}

static bool out_of_patience(const trainer *t) {
    return t->settings->patience > 0 && t->state.epoch - t->state.best_epoch >= t->settings->patience;
}

static fv_status resume(trainer *t) {
    char *before;
    FV_TRY(fv_checkpoint_load(t->last_path, t->model, &t->optimizer, &t->state, &before));
    tell_changed_settings(before, t->config_text);
    free(before);
    if (t->state.batch > fv_loader_batches(t->loader)) { /* the data set has shrunk: the epoch begins anew */
        t->state.batch = 0;
        t->state.loss_sum = t->state.dice_sum = 0;
    }
    t->state.stopped_early = t->state.stopped_early && out_of_patience(t); /* the settings may be more patient now */
    if (is_last_epoch(t)) return FV_OK;
    fv_log_info("going on from %s: epoch %d of %d%s", t->last_path, t->state.epoch + 1, t->settings->epochs,
                t->state.batch ? ", in its midst" : "");
    return FV_OK;
}

static fv_status start(trainer *t) {
    const fv_train_settings *s = t->settings;
    t->state = (fv_train_state){.best_score = -INFINITY, .plateau = {.best = INFINITY, .factor = 1}};
    FV_TRY(list_training_records(t));
    FV_TRY(check_classes(t));
    FV_TRY(fv_model_make(&s->model, s->seed, &t->model));
    FV_TRY(fv_model_make(&s->model, s->seed, &t->shown));
    FV_TRY(fv_optimizer_make(&s->optimizer, &t->model->params, &t->optimizer));
    FV_TRY(fv_loader_make(t->manifest, t->train_records, t->train_count, &s->loader, &t->loader));
    bool fresh = s->fresh || !fv_file_exists(t->last_path);
    if (!fresh) return resume(t);
    if (s->encoder_weights[0]) FV_TRY(fv_model_load_encoder(t->model, s->encoder_weights));
    if (t->optimizer.average)
        memcpy(t->optimizer.average, t->model->params.values, t->model->params.total * sizeof(float));
    return FV_OK;
}

/* What only a run with epochs left needs. */
static fv_status prepare_loop(trainer *t) {
    FV_TRY(make_paths(t));
    FV_TRY(fv_train_step_make(t->settings, t->model, &t->step));
    FV_TRY(fv_predictor_make(t->shown, &t->predictor));
    return fv_validation_make(t->settings, t->manifest, &t->validation);
}

static void trainer_free(trainer *t) {
    fv_validation_free(&t->validation);
    fv_predictor_free(t->predictor);
    fv_train_step_free(&t->step);
    fv_loader_free(t->loader);
    fv_optimizer_free(&t->optimizer);
    fv_model_free(t->model);
    fv_model_free(t->shown);
    fv_history_free(&t->state.history);
    free(t->train_records);
}

/* ---- one epoch ---- */

static bool should_stop(const trainer *t) {
    return t->hooks && t->hooks->should_stop && t->hooks->should_stop(t->hooks->context);
}

static fv_status save_last(const trainer *t) {
    return fv_checkpoint_save(t->last_path, t->model, &t->optimizer, &t->state, t->config_text);
}

static double rate_factor(const trainer *t, int64_t step) {
    int64_t per_epoch = fv_loader_batches(t->loader);
    return fv_schedule_factor(&t->settings->schedule, &t->state.plateau, step, per_epoch * t->settings->epochs,
                              per_epoch);
}

static fv_status report_nonfinite(trainer *t) {
    bool in_backward;
    const char *layer =
        fv_plan_find_nonfinite(t->step.plan, t->settings->seed, (uint64_t)t->optimizer.step, &in_backward);
    return fv_fail(FV_BAD_INPUT,
                   "the loss or its gradient is not a finite number at epoch %d, batch %d: the first such value is in "
                   "the %s of layer %s; lower "
                   "optimizer.rate or set optimizer.clip_norm, and start again: the checkpoint is as it was",
                   t->state.epoch + 1, t->state.batch + 1, in_backward ? "gradient" : "output", layer ? layer : "loss");
}

static fv_status train_batch(trainer *t) {
    const fv_batch *batch;
    FV_TRY(fv_loader_get(t->loader, t->state.epoch, t->state.batch, &batch));
    double loss = fv_train_step_run(&t->step, batch, t->settings->seed, (uint64_t)t->optimizer.step);
    if (!isfinite(loss) || !isfinite(fv_optimizer_step(&t->optimizer, rate_factor(t, t->optimizer.step))))
        return report_nonfinite(t);
    t->state.loss_sum += loss;
    t->state.dice_sum += fv_train_step_dice(&t->step, batch);
    t->state.batch++;
    t->images += batch->count;
    return FV_OK;
}

static void show_batch(const trainer *t, fv_progress *progress) {
    char note[160];
    int done = t->state.batch;
    snprintf(note, sizeof note, "epoch %d/%d  loss %.4f  Dice %.3f  %.1f images/s", t->state.epoch + 1,
             t->settings->epochs, t->state.loss_sum / done, t->state.dice_sum / done, (double)t->images / t->seconds);
    fv_progress_update(progress, (int64_t)t->state.epoch * fv_loader_batches(t->loader) + done, note);
}

static fv_status train_batches(trainer *t, fv_progress *progress) {
    while (t->state.batch < fv_loader_batches(t->loader)) {
        double began = fv_seconds();
        FV_TRY(train_batch(t));
        t->state.epoch_seconds += fv_seconds() - began;
        t->seconds += fv_seconds() - began;
        show_batch(t, progress);
        if (!should_stop(t)) continue;
        FV_TRY(save_last(t));
        return FV_INTERRUPTED;
    }
    return FV_OK;
}

static double score_of(const trainer *t, const fv_epoch *row) {
    if (t->settings->monitor == FV_MONITOR_LOSS) return -row->val_loss;
    return fv_mean_known(row->val_dice, t->settings->model.classes);
}

/* Without anything to validate on the newest weights count as the best. Of equal scores the lower loss wins: at the
   beginning, while nothing is found yet, Dice is 0 epoch after epoch. */
static bool is_better(const trainer *t, double score, double loss) {
    const fv_train_state *s = &t->state;
    if (isnan(score) || score > s->best_score) return true;
    bool known = s->best_epoch >= 1 && s->best_epoch <= s->history.count;
    return known && score == s->best_score && loss < s->history.rows[s->best_epoch - 1].val_loss;
}

static fv_status keep_if_best(trainer *t, const fv_epoch *row, bool *improved) {
    double score = score_of(t, row);
    *improved = is_better(t, score, row->val_loss);
    if (!*improved) return FV_OK;
    t->state.best_score = isnan(score) ? -INFINITY : score;
    t->state.best_epoch = row->epoch;
    fv_safetensors_writer *writer;
    FV_TRY(fv_safetensors_writer_make(&writer));
    fv_status status = fv_model_add_to(t->shown, NULL, writer);
    if (status == FV_OK) status = fv_safetensors_add_metadata(writer, "fovea.config", t->config_text);
    if (status == FV_OK) status = fv_safetensors_add_metadata(writer, "fovea.revision", fv_revision());
    if (status == FV_OK) return fv_safetensors_write(writer, t->best_path);
    fv_safetensors_writer_free(writer);
    return status;
}

/* The text behind what is there already, cut to the room. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size, const char *format, ...) {
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, size - length, format, arguments);
    va_end(arguments);
}

static void log_epoch(const trainer *t, const fv_epoch *row, bool improved) {
    char text[512];
    snprintf(text, sizeof text, "epoch %3d  loss %.4f", row->epoch, row->train_loss);
    if (!isnan(row->val_loss)) append(text, sizeof text, "  val loss %.4f", row->val_loss);
    for (int c = 0; c < t->settings->model.classes && !isnan(row->val_loss); c++)
        append(text, sizeof text, "  %s Dice %.4f IoU %.4f", t->settings->model.class_names[c], row->val_dice[c],
               row->val_iou[c]);
    fv_log_info("%s%s", text, improved ? "  best" : "");
}

/* Validation, history, best weights, plateau and early stopping; then the state stands at the next epoch's beginning.
 */
static fv_status finish_epoch(trainer *t) {
    const fv_train_settings *s = t->settings;
    int batches = fv_loader_batches(t->loader);
    fv_epoch row = {.epoch = t->state.epoch + 1,
                    .rate = s->optimizer.rate * rate_factor(t, t->optimizer.step - 1),
                    .train_loss = t->state.loss_sum / batches,
                    .train_dice = t->state.dice_sum / batches,
                    .val_loss = NAN,
                    .seconds = t->state.epoch_seconds};
    for (int c = 0; c < FV_MAX_CLASSES; c++) row.val_dice[c] = row.val_iou[c] = NAN;
    bool validated = row.epoch % s->validate_every == 0 || row.epoch == s->epochs, improved = false;
    if (validated) {
        memcpy(t->shown->params.values, fv_optimizer_weights(&t->optimizer), t->shown->params.total * sizeof(float));
        fv_predictor_weights_changed(t->predictor);
        if (t->validation.count) FV_TRY(fv_validation_measure(&t->validation, t->predictor, &row));
        FV_TRY(keep_if_best(t, &row, &improved));
        fv_plateau_update(&s->schedule, &t->state.plateau, isnan(row.val_loss) ? row.train_loss : row.val_loss);
    }
    FV_TRY(fv_history_append(&t->state.history, &row));
    t->state.epoch++;
    t->state.batch = 0;
    t->state.loss_sum = t->state.dice_sum = t->state.epoch_seconds = 0;
    t->state.stopped_early = validated && out_of_patience(t);
    FV_TRY(fv_history_write(&t->state.history, &s->model, t->history_path));
    log_epoch(t, &row, improved);
    if (!validated || !t->hooks || !t->hooks->on_epoch) return FV_OK;
    fv_train_view view = {s, &t->state, &t->validation, t->predictor, improved, is_last_epoch(t)};
    return t->hooks->on_epoch(t->hooks->context, &view);
}

/* Killed before its first checkpoint, a run started over must not go on from the old run's, nor show its results. */
static fv_status replace_old_run(trainer *t) {
    if (fv_file_exists(t->last_path)) FV_TRY(save_last(t));
    remove(t->best_path);
    remove(t->history_path);
    return FV_OK;
}

static fv_status train_epochs(trainer *t) {
    fv_progress progress;
    int64_t batches = fv_loader_batches(t->loader);
    fv_progress_start(&progress, "training", batches * t->settings->epochs);
    fv_progress_resume(&progress, t->state.epoch * batches + t->state.batch);
    fv_status status = t->settings->fresh ? replace_old_run(t) : FV_OK;
    while (status == FV_OK && !is_last_epoch(t)) {
        status = train_batches(t, &progress);
        fv_progress_end(&progress);
        if (status == FV_OK) status = finish_epoch(t);
        if (status == FV_OK && (t->state.epoch % t->settings->checkpoint_every == 0 || is_last_epoch(t)))
            status = save_last(t);
    }
    fv_progress_end(&progress);
    return status;
}

fv_status fv_train(const fv_train_settings *settings, const fv_manifest *manifest, const char *config_text,
                   const fv_train_hooks *hooks, fv_train_result *result) {
    trainer t = {.settings = settings, .manifest = manifest, .hooks = hooks, .config_text = config_text};
    *result = (fv_train_result){0};
    fv_status status = fv_path_join(t.last_path, settings->dir, LAST_FILE);
    if (status == FV_OK) status = start(&t);
    result->already_done = status == FV_OK && is_last_epoch(&t);
    if (status == FV_OK && !result->already_done) {
        status = prepare_loop(&t);
        if (status == FV_OK) result->plan_bytes = fv_plan_bytes(t.step.plan);
        if (status == FV_OK) status = train_epochs(&t);
    }
    result->epochs = t.state.epoch;
    result->best_epoch = t.state.best_epoch;
    result->best_score = t.state.best_score;
    result->images_per_second = t.seconds > 0 ? (double)t.images / t.seconds : 0;
    trainer_free(&t);
    return status;
}
