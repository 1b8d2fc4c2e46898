#include "pictures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"

fv_report_classes picture_classes(const fv_model_spec *spec, const char **names) {
    for (int c = 0; c < spec->classes; c++) names[c] = spec->class_names[c];
    return (fv_report_classes){.count = spec->classes, .names = names};
}

/* ---- curves ---- */

#define MAX_SERIES (FV_MAX_CLASSES + 1)

/* Charts of the history; the columns of figures behind them. */
typedef struct curve_set {
    fv_series loss[2], dice[MAX_SERIES], iou[MAX_SERIES], rate[1];
    fv_chart charts[4];
    double *columns;
    int count, used;
} curve_set;

static double *next_column(curve_set *set) {
    return set->columns + (size_t)set->count * (size_t)set->used++;
}

static fv_chart class_chart(curve_set *set, const char *title, const fv_train_view *view, fv_series *series,
                            bool dice) {
    const fv_model_spec *spec = &view->settings->model;
    const fv_history *history = &view->state->history;
    for (int c = 0; c <= spec->classes; c++) {
        double *column = next_column(set);
        for (int i = 0; i < set->count; i++) {
            const double *row = dice ? history->rows[i].val_dice : history->rows[i].val_iou;
            column[i] = c < spec->classes ? row[c] : fv_mean_known(row, spec->classes);
        }
        series[c] = c < spec->classes
                        ? (fv_series){spec->class_names[c], fv_report_class_colour(spec->class_names[c], c), column}
                        : (fv_series){"mean", 0x404040, column};
    }
    int shown = spec->classes > 1 ? spec->classes + 1 : 1;
    return (fv_chart){.title = title,
                      .x_label = "epoch",
                      .count = set->count,
                      .series = series,
                      .series_count = shown,
                      .low = 0,
                      .high = 1};
}

static fv_status curves_make(const fv_train_view *view, curve_set *set) {
    const fv_history *history = &view->state->history;
    *set = (curve_set){.count = history->count};
    set->columns = fv_allocate((size_t)history->count * (3 + 2 * MAX_SERIES), sizeof(double), "the curves");
    if (!set->columns) return FV_NO_RESOURCE;
    double *train = next_column(set), *val = next_column(set), *rate = next_column(set);
    for (int i = 0; i < set->count; i++) {
        train[i] = history->rows[i].train_loss;
        val[i] = history->rows[i].val_loss;
        rate[i] = history->rows[i].rate;
    }
    set->loss[0] = (fv_series){"training", fv_chart_colour(0), train};
    set->loss[1] = (fv_series){"validation", fv_chart_colour(1), val};
    set->rate[0] = (fv_series){"learning rate", fv_chart_colour(2), rate};
    set->charts[0] = class_chart(set, "validation Dice", view, set->dice, true);
    set->charts[1] = class_chart(set, "validation IoU", view, set->iou, false);
    set->charts[2] = (fv_chart){.title = "loss",
                                .x_label = "epoch",
                                .count = set->count,
                                .series = set->loss,
                                .series_count = 2,
                                .low = 0,
                                .high = NAN};
    set->charts[3] = (fv_chart){.title = "learning rate",
                                .x_label = "epoch",
                                .count = set->count,
                                .series = set->rate,
                                .series_count = 1,
                                .low = 0,
                                .high = NAN};
    for (int i = 0; i < 4; i++) set->charts[i].best = view->state->best_epoch - 1;
    return FV_OK;
}

fv_status picture_curves(const fv_train_view *view) {
    curve_set set;
    char path[FV_PATH_MAX];
    FV_TRY(fv_path_join(path, view->settings->dir, "curves.png"));
    FV_TRY(curves_make(view, &set));
    fv_status status = fv_report_curves(path, NULL, set.charts, 4);
    free(set.columns);
    return status;
}

/* ---- epoch picture ---- */

/* Images behind one row of the picture. */
typedef struct epoch_row {
    fv_image photo, truth[FV_MAX_CLASSES], predicted[FV_MAX_CLASSES];
    char figures[128];
} epoch_row;

static void epoch_row_free(epoch_row *row) {
    fv_image_free(&row->photo);
    fv_masks_free(row->truth, FV_MAX_CLASSES);
    fv_masks_free(row->predicted, FV_MAX_CLASSES);
}

/* The photograph fitted like the network's input, but not enhanced. */
static fv_status fit_photo(const fv_train_view *view, const fv_validation_sample *sample, fv_image *photo) {
    fv_work work = {0};
    fv_preprocess plain = view->settings->model.preprocess;
    fv_image whole = {0}, fov = {0};
    const fv_record *record = &view->validation->manifest->records[sample->record];
    plain.enhance.count = 0;
    FV_TRY(fv_image_read(record->fundus, 3, &whole));
    fv_status status = record->fov[0] ? fv_image_read(record->fov, 1, &fov) : FV_OK;
    if (status == FV_OK) status = fv_preprocess_enhance(&plain, &whole, fov.data ? &fov : NULL, &work);
    fv_image_free(&whole);
    fv_image_free(&fov);
    fv_image_free(&work.fov);
    *photo = work.image;
    return status;
}

static fv_status epoch_row_make(const fv_train_view *view, const fv_validation_sample *sample, epoch_row *row) {
    const fv_model_spec *spec = &view->settings->model;
    fv_probability_map map;
    int n = 0;
    FV_TRY(fit_photo(view, sample, &row->photo));
    FV_TRY(fv_predict_work(view->predictor, &sample->sample.work, &map));
    double ratio = (double)map.width / row->photo.width; /* the picture's photograph is the work image */
    map.mapping = (fv_mapping){ratio, ratio, 0, 0};
    FV_TRY(fv_predict_masks(spec, &map, row->photo.width, row->photo.height, row->predicted));
    for (int c = 0; c < spec->classes; c++) {
        if (!sample->sample.mask[c].data) continue;
        FV_TRY(fv_mask_from_image(&sample->sample.mask[c], 127, &row->truth[c]));
        fv_confusion counts = fv_confusion_count(&row->predicted[c], &row->truth[c], NULL);
        n += snprintf(row->figures + n, sizeof row->figures - (size_t)n, "%s%s %.3f", n ? "   " : "",
                      spec->class_names[c], fv_dice(&counts));
        if (n >= (int)sizeof row->figures) break;
    }
    return FV_OK;
}

static fv_status epoch_draw(const char *path, const fv_train_view *view, const epoch_row *rows, int count) {
    const char *names[FV_MAX_CLASSES];
    fv_report_classes classes = picture_classes(&view->settings->model, names);
    fv_report_sample samples[16] = {0};
    for (int i = 0; i < count; i++) {
        const fv_validation_sample *sample = &view->validation->samples[i];
        samples[i] = (fv_report_sample){.name = view->validation->manifest->records[sample->record].name,
                                        .figures = rows[i].figures,
                                        .photo = &rows[i].photo,
                                        .input = &sample->sample.work.image,
                                        .truth = rows[i].truth,
                                        .predicted = rows[i].predicted};
    }
    curve_set set;
    FV_TRY(curves_make(view, &set));
    const fv_epoch *last = &view->state->history.rows[view->state->history.count - 1];
    char header[128];
    snprintf(header, sizeof header, "Epoch %d   mean Dice %.3f   mean IoU %.3f", last->epoch,
             fv_mean_known(last->val_dice, classes.count), fv_mean_known(last->val_iou, classes.count));
    fv_status status = fv_report_epoch(path, header, &classes, samples, count, set.charts, 2);
    free(set.columns);
    return status;
}

fv_status picture_epoch(const fv_train_view *view, int samples) {
    char folder[FV_PATH_MAX], name[32], path[FV_PATH_MAX];
    int count = samples < view->validation->count ? samples : view->validation->count;
    if (count == 0) return FV_OK;
    FV_TRY(fv_path_join(folder, view->settings->dir, "epochs"));
    FV_TRY(fv_folder_make(folder));
    snprintf(name, sizeof name, "epoch_%04d.png", view->state->epoch);
    FV_TRY(fv_path_join(path, folder, name));
    epoch_row *rows = fv_allocate((size_t)count, sizeof *rows, "the epoch's picture");
    if (!rows) return FV_NO_RESOURCE;
    fv_status status = FV_OK;
    for (int i = 0; i < count && status == FV_OK; i++)
        status = epoch_row_make(view, &view->validation->samples[i], &rows[i]);
    if (status == FV_OK) status = epoch_draw(path, view, rows, count);
    for (int i = 0; i < count; i++) epoch_row_free(&rows[i]);
    free(rows);
    return status;
}

/* ---- worst cases ---- */

#define MAX_WORST 8

/* Indices of the images with the lowest mean Dice, worst first. */
static int find_worst(const fv_evaluation *e, int wanted, int worst[MAX_WORST]) {
    int count = 0;
    for (int i = 0; i < e->count; i++) {
        int at = count < wanted ? count++ : wanted;
        for (; at > 0 && e->images[worst[at - 1]].mean_dice > e->images[i].mean_dice; at--)
            if (at < wanted) worst[at] = worst[at - 1];
        if (at < wanted) worst[at] = i;
    }
    return count;
}

static void worst_figures(const fv_eval_image *image, const fv_model_spec *spec, char *text, size_t size) {
    size_t n = 0;
    for (int c = 0; c < spec->classes && n < size; c++)
        if (!isnan(image->score[c][FV_SCORE_DICE]))
            n += (size_t)snprintf(text + n, size - n, "%s Dice %.3f   ", spec->class_names[c],
                                  image->score[c][FV_SCORE_DICE]);
    if (image->has_cdr && n < size)
        snprintf(text + n, size - n, "vCDR %.2f (truth %.2f)", image->predicted.vcdr, image->truth.vcdr);
}

fv_status picture_worst(const char *path, const fv_evaluation *evaluation, const fv_manifest *manifest, fv_model *model,
                        const fv_evaluate_settings *settings, int count) {
    int worst[MAX_WORST], made = 0;
    const char *names[FV_MAX_CLASSES];
    char figures[MAX_WORST][256] = {{0}};
    fv_report_classes classes = picture_classes(&model->spec, names);
    fv_report_sample samples[MAX_WORST] = {0};
    fv_eval_case cases[MAX_WORST] = {0};
    fv_predictor *predictor;
    count = find_worst(evaluation, count < MAX_WORST ? count : MAX_WORST, worst);
    FV_TRY(fv_predictor_make(model, &predictor));
    fv_predictor_set_flips(predictor, settings->flips);
    fv_progress progress;
    fv_progress_start(&progress, "worst cases", count);
    fv_status status = FV_OK;
    for (; made < count && status == FV_OK; made++) {
        const fv_eval_image *image = &evaluation->images[worst[made]];
        status =
            fv_eval_case_make(predictor, &model->spec, manifest, image->record, settings->mask_threshold, &cases[made]);
        worst_figures(image, &model->spec, figures[made], sizeof figures[made]);
        samples[made] = (fv_report_sample){.name = manifest->records[image->record].name,
                                           .figures = figures[made],
                                           .photo = &cases[made].photo,
                                           .truth = cases[made].truth,
                                           .predicted = cases[made].predicted};
        fv_progress_update(&progress, made + 1, NULL);
    }
    fv_progress_end(&progress);
    if (status == FV_OK) status = fv_report_worst(path, "Lowest mean Dice", &classes, samples, count);
    for (int i = 0; i < made; i++) fv_eval_case_free(&cases[i]);
    fv_predictor_free(predictor);
    return status;
}
