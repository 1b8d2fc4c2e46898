#include "fovea/eval/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "fovea/base/progress.h"
#include "fovea/base/memory.h"

const char *const fv_score_names[] = {"dice",     "iou",    "precision", "recall", "specificity",
                                      "accuracy", "cldice", "auc",       NULL};

typedef struct evaluator {
    fv_case_source source;
    fv_evaluation *evaluation;
    fv_levels *pooled; /* of each class, all photographs */
    fv_levels *levels; /* of one class of one photograph */
} evaluator;

/* ---- one photograph ---- */

/* `region`: the field of view of vessels, which have a centreline; NULL for others. */
static fv_status score_masks(const fv_image *predicted, const fv_image *truth, const fv_image *region,
                             double score[FV_SCORES]) {
    fv_confusion counts = fv_confusion_count(predicted, truth, region);
    score[FV_SCORE_DICE] = fv_dice(&counts);
    score[FV_SCORE_IOU] = fv_iou(&counts);
    score[FV_SCORE_PRECISION] = fv_precision(&counts);
    score[FV_SCORE_RECALL] = fv_recall(&counts);
    score[FV_SCORE_SPECIFICITY] = fv_specificity(&counts);
    score[FV_SCORE_ACCURACY] = fv_accuracy(&counts);
    return region ? fv_cldice(predicted, truth, region, &score[FV_SCORE_CLDICE]) : FV_OK;
}

/* Share of the region's pixels that the mask has; NAN without a mask. */
static double density_of(const fv_image *mask, const fv_image *region) {
    if (!mask->data) return NAN;
    fv_confusion counts = fv_confusion_count(mask, mask, region);
    return (double)counts.true_positive / (double)(counts.true_positive + counts.true_negative);
}

static void measure_density(const fv_model_spec *spec, const fv_eval_case *images, fv_eval_image *image) {
    int vessel = fv_model_class(spec, "vessel");
    bool known = vessel >= 0 && images->truth[vessel].data;
    image->density = known ? density_of(&images->predicted[vessel], &images->fov) : NAN;
    image->density_truth = known ? density_of(&images->truth[vessel], &images->fov) : NAN;
    image->density_second = known ? density_of(&images->second[vessel], &images->fov) : NAN;
}

static fv_status score_probabilities(evaluator *e, const fv_eval_case *images, const fv_probability_map *map,
                                     fv_eval_image *image) {
    size_t pixels = (size_t)images->photo.width * (size_t)images->photo.height;
    float *probability = fv_allocate_unset(pixels, sizeof *probability, "the probabilities of a photograph");
    if (!probability) return FV_NO_RESOURCE;
    fv_status status = FV_OK;
    for (int c = 0; c < e->source.spec->classes && status == FV_OK; c++) {
        if (!images->truth[c].data) continue;
        status = fv_case_levels(&e->source, images, map, c, probability, e->levels);
        image->score[c][FV_SCORE_AUC] = fv_levels_auc(e->levels);
        fv_levels_add(&e->pooled[c], e->levels);
    }
    free(probability);
    return status;
}

static fv_status measure_cdr(const fv_model_spec *spec, const fv_eval_case *images, fv_eval_image *image) {
    int disc = fv_model_class(spec, "disc"), cup = fv_model_class(spec, "cup");
    image->has_cdr = disc >= 0 && cup >= 0 && images->truth[disc].data && images->truth[cup].data;
    if (!image->has_cdr) return FV_OK;
    FV_TRY(fv_cdr_measure(&images->predicted[disc], &images->predicted[cup], &image->predicted));
    return fv_cdr_measure(&images->truth[disc], &images->truth[cup], &image->truth);
}

static double mean_score(const fv_eval_image *image, int classes, fv_score score) {
    double values[FV_MAX_CLASSES];
    for (int c = 0; c < classes; c++) values[c] = image->score[c][score];
    return fv_mean_known(values, classes);
}

static fv_status measure_image(evaluator *e, const fv_eval_case *images, const fv_probability_map *map,
                               fv_eval_image *image) {
    const fv_model_spec *spec = e->source.spec;
    for (int c = 0; c < spec->classes; c++) {
        const fv_image *region = fv_case_region(&e->source, images, c);
        const fv_image *truth = &images->truth[c], *second = &images->second[c];
        for (int s = 0; s < FV_SCORES; s++) image->score[c][s] = image->second[c][s] = NAN;
        if (truth->data) FV_TRY(score_masks(&images->predicted[c], truth, region, image->score[c]));
        if (second->data) FV_TRY(score_masks(second, truth, region, image->second[c]));
    }
    FV_TRY(score_probabilities(e, images, map, image));
    image->mean_dice = mean_score(image, spec->classes, FV_SCORE_DICE);
    image->mean_iou = mean_score(image, spec->classes, FV_SCORE_IOU);
    measure_density(spec, images, image);
    return measure_cdr(spec, images, image);
}

static fv_status evaluate_record(void *context, int r) {
    evaluator *e = context;
    fv_eval_image *image = &e->evaluation->images[e->evaluation->count++];
    fv_eval_case images;
    fv_probability_map map;
    *image = (fv_eval_image){.record = r, .cdr_expert = e->source.manifest->records[r].cdr_expert};
    FV_TRY(fv_case_read(&e->source, r, &images, &map));
    fv_status status =
        fv_predict_masks(e->source.spec, &map, images.photo.width, images.photo.height, images.predicted);
    if (status == FV_OK) status = measure_image(e, &images, &map, image);
    fv_eval_case_free(&images);
    return status;
}

/* ---- all of them ---- */

/* A figure of each photograph, at `offset` in fv_eval_image. */
static void gather(const fv_evaluation *e, size_t offset, double *values) {
    for (int i = 0; i < e->count; i++) values[i] = *(const double *)((const char *)&e->images[i] + offset);
}

static fv_status estimate(const fv_evaluation *e, size_t offset, uint64_t seed, double *scratch, fv_estimate *out) {
    gather(e, offset, scratch);
    return fv_bootstrap_mean(scratch, e->count, seed, out);
}

static fv_status estimate_all(fv_evaluation *e, int classes, uint64_t seed, double *scratch) {
    for (int c = 0; c < classes; c++)
        for (int s = 0; s < FV_SCORES; s++) {
            size_t at = (size_t)(c * FV_SCORES + s) * sizeof(double);
            FV_TRY(estimate(e, offsetof(fv_eval_image, score) + at, seed, scratch, &e->score[c][s]));
            FV_TRY(estimate(e, offsetof(fv_eval_image, second) + at, seed, scratch, &e->second[c][s]));
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

static void agree_all(fv_evaluation *e, double *scratch) {
    agree(e, offsetof(fv_cdr, vcdr), false, scratch, &e->vcdr);
    agree(e, offsetof(fv_cdr, hcdr), false, scratch, &e->hcdr);
    agree(e, offsetof(fv_cdr, area_cdr), false, scratch, &e->area_cdr);
    agree(e, offsetof(fv_cdr, vcdr), true, scratch, &e->vcdr_expert);
    gather(e, offsetof(fv_eval_image, density), scratch);
    gather(e, offsetof(fv_eval_image, density_truth), scratch + e->count);
    fv_agreement_measure(scratch, scratch + e->count, e->count, &e->density);
    gather(e, offsetof(fv_eval_image, density_second), scratch);
    fv_agreement_measure(scratch, scratch + e->count, e->count, &e->density_second);
}

static fv_status summarise(fv_evaluation *e, const fv_levels *pooled, int classes, uint64_t seed) {
    double *scratch = fv_allocate(2 * (size_t)e->count, sizeof *scratch, "an evaluation");
    if (!scratch) return FV_NO_RESOURCE;
    fv_status status = estimate_all(e, classes, seed, scratch);
    agree_all(e, scratch);
    for (int c = 0; c < classes; c++) e->pooled_auc[c] = fv_levels_auc(&pooled[c]);
    for (int i = 0; i < e->count; i++) {
        const fv_eval_image *image = &e->images[i];
        e->missed_discs += image->has_cdr && image->truth.disc_found && !image->predicted.disc_found;
    }
    free(scratch);
    return status;
}

static fv_status evaluate_all(evaluator *e, fv_split split) {
    int count = fv_case_count(&e->source, split), classes = e->source.spec->classes;
    e->evaluation->images = fv_allocate((size_t)count, sizeof *e->evaluation->images, "an evaluation");
    e->pooled = fv_allocate((size_t)classes + 1, sizeof *e->pooled, "an evaluation");
    if (!e->evaluation->images || !e->pooled) return FV_NO_RESOURCE;
    e->levels = &e->pooled[classes];
    FV_TRY(fv_case_each(&e->source, split, "evaluating", evaluate_record, e));
    return summarise(e->evaluation, e->pooled, classes, e->source.settings->seed);
}

fv_status fv_evaluate(fv_model *model, const fv_manifest *manifest, fv_split split,
                      const fv_evaluate_settings *settings, fv_evaluation *evaluation) {
    double began = fv_seconds();
    evaluator e = {.evaluation = evaluation};
    *evaluation = (fv_evaluation){0};
    FV_TRY(fv_case_source_make(model, manifest, settings, &e.source));
    fv_status status = evaluate_all(&e, split);
    fv_case_source_free(&e.source);
    free(e.pooled);
    if (status != FV_OK) fv_evaluation_free(evaluation);
    evaluation->seconds = fv_seconds() - began;
    return status;
}

void fv_evaluation_free(fv_evaluation *evaluation) {
    free(evaluation->images);
    *evaluation = (fv_evaluation){0};
}
