#include "export_measure.h"

#include <math.h>

#include "fovea/base/log.h"
#include "fovea/dataset/loader.h"

#define MOST_COMPARED 4 /* photographs whose probabilities are compared pixel by pixel */

void export_limit_records(fv_manifest *manifest, fv_split *split, int most) {
    int of_split = 0, seen = 0;
    for (int i = 0; i < manifest->count; i++)
        of_split += *split == FV_SPLIT_NONE || manifest->records[i].split == *split;
    fv_split chosen = *split == FV_SPLIT_NONE ? FV_SPLIT_VAL : *split;
    for (int i = 0; i < manifest->count; i++) {
        fv_record *record = &manifest->records[i];
        if (*split != FV_SPLIT_NONE && record->split != *split) continue;
        int64_t before = (int64_t)seen * most / of_split, behind = ((int64_t)seen + 1) * most / of_split;
        record->split = most >= of_split || before != behind ? chosen : FV_SPLIT_NONE;
        seen++;
    }
    if (*split == FV_SPLIT_NONE)
        for (int i = 0; i < manifest->count; i++)
            if (manifest->records[i].split != chosen) manifest->records[i].split = FV_SPLIT_NONE;
    *split = chosen;
}

static double largest_difference(const fv_probability_map *a, const fv_probability_map *b) {
    size_t count = (size_t)a->width * (size_t)a->height * (size_t)a->classes;
    double largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)a->data[i] - (double)b->data[i]));
    return largest;
}

static fv_status compare_photo(fv_predictor *own, fv_predictor *exported, const fv_work *work,
                               export_figures *figures) {
    fv_probability_map a, b;
    FV_TRY(fv_predict_work(own, work, &a));
    FV_TRY(fv_predict_work(exported, work, &b));
    figures->difference = fmax(figures->difference, largest_difference(&a, &b));
    figures->compared++;
    return FV_OK;
}

static fv_status compare(fv_model *model, fv_model *exported, const fv_manifest *manifest, fv_split split,
                         int mask_threshold, export_figures *figures) {
    fv_predictor *own = NULL, *other = NULL;
    fv_status status = fv_predictor_make(model, &own);
    if (status == FV_OK) status = fv_predictor_make(exported, &other);
    for (int i = 0; i < manifest->count && figures->compared < MOST_COMPARED && status == FV_OK; i++) {
        fv_work work;
        if (manifest->records[i].split != split) continue;
        status = fv_record_read(&manifest->records[i], &model->spec.preprocess, mask_threshold, &work);
        if (status == FV_OK) status = compare_photo(own, other, &work, figures);
        fv_work_free(&work);
    }
    fv_predictor_free(own);
    fv_predictor_free(other);
    return status;
}

static fv_status dice_of(fv_model *model, const fv_manifest *manifest, fv_split split,
                         const fv_evaluate_settings *settings, double dice[FV_MAX_CLASSES], int *photographs) {
    fv_evaluation evaluation;
    FV_TRY(fv_evaluate(model, manifest, split, settings, &evaluation));
    for (int c = 0; c < model->spec.classes; c++) dice[c] = evaluation.score[c][FV_SCORE_DICE].mean;
    *photographs = evaluation.count;
    fv_evaluation_free(&evaluation);
    return FV_OK;
}

fv_status export_measure(fv_model *model, fv_model *exported, const fv_manifest *manifest, fv_split split,
                         const fv_evaluate_settings *settings, export_figures *figures) {
    *figures = (export_figures){0};
    FV_TRY(compare(model, exported, manifest, split, settings->mask_threshold, figures));
    fv_log_info("Dice of the model");
    FV_TRY(dice_of(model, manifest, split, settings, figures->before, &figures->measured));
    fv_log_info("Dice of what was exported");
    return dice_of(exported, manifest, split, settings, figures->after, &figures->measured);
}
