#include "fovea/eval/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/log.h"
#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"

/* ---- one photograph ---- */

static fv_status read_mask(const char *path, const fv_image *photo, const char *photo_path, int threshold,
                           fv_image *mask) {
    fv_image raw = {0};
    *mask = (fv_image){0};
    if (!path[0]) return FV_OK;
    FV_TRY(fv_image_read(path, 0, &raw));
    fv_status status =
        raw.width == photo->width && raw.height == photo->height
            ? fv_mask_from_image(&raw, threshold, mask)
            : fv_fail(FV_BAD_INPUT, "%s is %dx%d but its photograph %s is %dx%d; a mask needs its photograph's size",
                      path, raw.width, raw.height, photo_path, photo->width, photo->height);
    fv_image_free(&raw);
    return status;
}

/* Path of the mask of the model's class c, "" where the manifest has none. */
static const char *mask_path(const fv_model_spec *spec, const fv_manifest *manifest, const fv_record *record, int c) {
    for (int k = 0; k < manifest->classes; k++)
        if (strcmp(spec->class_names[c], manifest->class_names[k]) == 0) return record->mask[k];
    return "";
}

static fv_status case_read(fv_predictor *predictor, const fv_model_spec *spec, const fv_manifest *manifest,
                           const fv_record *record, int mask_threshold, fv_eval_case *images) {
    fv_probability_map map;
    FV_TRY(fv_image_read(record->fundus, 3, &images->photo));
    FV_TRY(read_mask(record->fov, &images->photo, record->fundus, mask_threshold, &images->fov));
    FV_TRY(fv_predict_photo(predictor, &images->photo, images->fov.data ? &images->fov : NULL, &map));
    FV_TRY(fv_predict_masks(spec, &map, images->photo.width, images->photo.height, images->predicted));
    for (int c = 0; c < spec->classes; c++)
        FV_TRY(read_mask(mask_path(spec, manifest, record, c), &images->photo, record->fundus, mask_threshold,
                         &images->truth[c]));
    return FV_OK;
}

fv_status fv_eval_case_make(fv_predictor *predictor, const fv_model_spec *spec, const fv_manifest *manifest, int record,
                            int mask_threshold, fv_eval_case *images) {
    *images = (fv_eval_case){0};
    fv_status status = case_read(predictor, spec, manifest, &manifest->records[record], mask_threshold, images);
    if (status != FV_OK) fv_eval_case_free(images);
    return status;
}

void fv_eval_case_free(fv_eval_case *images) {
    fv_image_free(&images->photo);
    fv_image_free(&images->fov);
    fv_masks_free(images->predicted, FV_MAX_CLASSES);
    fv_masks_free(images->truth, FV_MAX_CLASSES);
}

static void measure_class(const fv_image *predicted, const fv_image *truth, const fv_image *fov, int c,
                          fv_eval_image *image) {
    fv_confusion counts = fv_confusion_count(predicted, truth, fov);
    image->dice[c] = fv_dice(&counts);
    image->iou[c] = fv_iou(&counts);
    image->precision[c] = fv_precision(&counts);
    image->recall[c] = fv_recall(&counts);
}

static fv_status measure_image(const fv_model_spec *spec, const fv_eval_case *images, fv_eval_image *image) {
    for (int c = 0; c < spec->classes; c++) {
        bool vessel = strcmp(spec->class_names[c], "vessel") == 0;
        const fv_image *region = vessel && images->fov.data ? &images->fov : NULL;
        image->dice[c] = image->iou[c] = image->precision[c] = image->recall[c] = NAN;
        if (images->truth[c].data) measure_class(&images->predicted[c], &images->truth[c], region, c, image);
    }
    image->mean_dice = fv_mean_known(image->dice, spec->classes);
    image->mean_iou = fv_mean_known(image->iou, spec->classes);
    int disc = fv_model_class(spec, "disc"), cup = fv_model_class(spec, "cup");
    image->has_cdr = disc >= 0 && cup >= 0 && images->truth[disc].data && images->truth[cup].data;
    if (!image->has_cdr) return FV_OK;
    FV_TRY(fv_cdr_measure(&images->predicted[disc], &images->predicted[cup], &image->predicted));
    return fv_cdr_measure(&images->truth[disc], &images->truth[cup], &image->truth);
}

typedef struct evaluator {
    const fv_model_spec *spec;
    const fv_manifest *manifest;
    const fv_evaluate_settings *settings;
    fv_predictor *predictor;
} evaluator;

static fv_status evaluate_record(const evaluator *e, int r, fv_eval_image *image) {
    fv_eval_case images;
    *image = (fv_eval_image){.record = r, .cdr_expert = e->manifest->records[r].cdr_expert};
    FV_TRY(fv_eval_case_make(e->predictor, e->spec, e->manifest, r, e->settings->mask_threshold, &images));
    fv_status status = measure_image(e->spec, &images, image);
    fv_eval_case_free(&images);
    return status;
}

/* ---- all of them ---- */

static fv_status estimate(const fv_evaluation *e, size_t offset, uint64_t seed, double *scratch, fv_estimate *out) {
    for (int i = 0; i < e->count; i++) scratch[i] = *(const double *)((const char *)&e->images[i] + offset);
    return fv_bootstrap_mean(scratch, e->count, seed, out);
}

static fv_status estimate_all(fv_evaluation *e, int classes, uint64_t seed, double *scratch) {
    for (int c = 0; c < classes; c++) {
        size_t at = (size_t)c * sizeof(double);
        FV_TRY(estimate(e, offsetof(fv_eval_image, dice) + at, seed, scratch, &e->dice[c]));
        FV_TRY(estimate(e, offsetof(fv_eval_image, iou) + at, seed, scratch, &e->iou[c]));
        FV_TRY(estimate(e, offsetof(fv_eval_image, precision) + at, seed, scratch, &e->precision[c]));
        FV_TRY(estimate(e, offsetof(fv_eval_image, recall) + at, seed, scratch, &e->recall[c]));
    }
    FV_TRY(estimate(e, offsetof(fv_eval_image, mean_dice), seed, scratch, &e->mean_dice));
    return estimate(e, offsetof(fv_eval_image, mean_iou), seed, scratch, &e->mean_iou);
}

/* Agreement of one ratio, at `offset` in fv_cdr; truth from the masks, or the experts' own figure. */
static void agree(const fv_evaluation *e, size_t offset, bool expert, double *scratch, fv_agreement *out) {
    double *measured = scratch, *truth = scratch + e->count;
    for (int i = 0; i < e->count; i++) {
        const fv_eval_image *image = &e->images[i];
        measured[i] = image->has_cdr ? *(const double *)((const char *)&image->predicted + offset) : NAN;
        truth[i] = expert ? image->cdr_expert : *(const double *)((const char *)&image->truth + offset);
    }
    fv_agreement_measure(measured, truth, e->count, out);
}

static fv_status summarise(fv_evaluation *e, int classes, uint64_t seed) {
    double *scratch = fv_allocate(2 * (size_t)e->count, sizeof *scratch, "an evaluation");
    if (!scratch) return FV_NO_RESOURCE;
    fv_status status = estimate_all(e, classes, seed, scratch);
    agree(e, offsetof(fv_cdr, vcdr), false, scratch, &e->vcdr);
    agree(e, offsetof(fv_cdr, hcdr), false, scratch, &e->hcdr);
    agree(e, offsetof(fv_cdr, area_cdr), false, scratch, &e->area_cdr);
    agree(e, offsetof(fv_cdr, vcdr), true, scratch, &e->vcdr_expert);
    for (int i = 0; i < e->count; i++) {
        const fv_eval_image *image = &e->images[i];
        e->missed_discs += image->has_cdr && image->truth.disc_found && !image->predicted.disc_found;
    }
    free(scratch);
    return status;
}

static bool is_annotated(const evaluator *e, const fv_record *record) {
    for (int c = 0; c < e->spec->classes; c++)
        if (mask_path(e->spec, e->manifest, record, c)[0]) return true;
    return false;
}

static fv_status evaluate_all(const evaluator *e, fv_split split, fv_evaluation *evaluation) {
    int total = 0, done = 0;
    for (int r = 0; r < e->manifest->count; r++)
        total += (split == FV_SPLIT_NONE || e->manifest->records[r].split == split) &&
                 is_annotated(e, &e->manifest->records[r]);
    if (total == 0)
        return fv_fail(FV_BAD_INPUT,
                       "there is no annotated photograph in the %s split; see docs/data.md for how splits are made",
                       split == FV_SPLIT_NONE ? "whole" : fv_split_names[split]);
    evaluation->images = fv_allocate((size_t)total, sizeof *evaluation->images, "an evaluation");
    if (!evaluation->images) return FV_NO_RESOURCE;
    fv_progress progress;
    fv_progress_start(&progress, "evaluating", total);
    fv_status status = FV_OK;
    for (int r = 0; r < e->manifest->count && status == FV_OK; r++) {
        const fv_record *record = &e->manifest->records[r];
        if ((split != FV_SPLIT_NONE && record->split != split) || !is_annotated(e, record)) continue;
        status = evaluate_record(e, r, &evaluation->images[evaluation->count++]);
        fv_progress_update(&progress, ++done, NULL);
    }
    fv_progress_end(&progress);
    return status;
}

fv_status fv_evaluate(fv_model *model, const fv_manifest *manifest, fv_split split,
                      const fv_evaluate_settings *settings, fv_evaluation *evaluation) {
    double began = fv_seconds();
    evaluator e = {.spec = &model->spec, .manifest = manifest, .settings = settings};
    *evaluation = (fv_evaluation){0};
    FV_TRY(fv_predictor_make(model, &e.predictor));
    fv_predictor_set_flips(e.predictor, settings->flips);
    fv_status status = evaluate_all(&e, split, evaluation);
    if (status == FV_OK) status = summarise(evaluation, e.spec->classes, settings->seed);
    fv_predictor_free(e.predictor);
    if (status != FV_OK) fv_evaluation_free(evaluation);
    evaluation->seconds = fv_seconds() - began;
    return status;
}

void fv_evaluation_free(fv_evaluation *evaluation) {
    free(evaluation->images);
    *evaluation = (fv_evaluation){0};
}
