/* A model measured on photographs with known masks, at each photograph's own size, on the masks that `fovea predict`
   would write (cleaned: infer/predict.h). */
#ifndef FOVEA_EVAL_EVALUATE_H
#define FOVEA_EVAL_EVALUATE_H

#include "fovea/clinical/cdr.h"
#include "fovea/dataset/manifest.h"
#include "fovea/eval/metrics.h"
#include "fovea/infer/predict.h"

/* One photograph. Figures of a class that is not annotated are NAN. Vessels are counted inside the FOV mask where there
 * is one. */
typedef struct fv_eval_image {
    int record; /* index in the manifest */
    double dice[FV_MAX_CLASSES], iou[FV_MAX_CLASSES], precision[FV_MAX_CLASSES], recall[FV_MAX_CLASSES];
    double mean_dice, mean_iou; /* over the annotated classes */
    bool has_cdr;               /* disc and cup are annotated */
    fv_cdr predicted, truth;
    double cdr_expert; /* from the manifest, NAN when unknown */
} fv_eval_image;

typedef struct fv_evaluation {
    fv_eval_image *images;
    int count;
    fv_estimate dice[FV_MAX_CLASSES], iou[FV_MAX_CLASSES], precision[FV_MAX_CLASSES], recall[FV_MAX_CLASSES];
    fv_estimate mean_dice, mean_iou;
    fv_agreement vcdr, hcdr, area_cdr; /* against the ratios of the true masks */
    fv_agreement vcdr_expert;          /* vCDR against the experts' own figure */
    int missed_discs; /* photographs with a true disc (and cup annotated) where none was predicted: the agreements leave
                         them out, their ratios are undefined */
    double seconds;
} fv_evaluation;

typedef struct fv_evaluate_settings {
    int mask_threshold; /* truth: mask pixels above this */
    bool flips;         /* predictor's test-time flips */
    uint64_t seed;      /* of the bootstrap */
} fv_evaluate_settings;

/* The images behind one photograph's figures, all of its size. */
typedef struct fv_eval_case {
    fv_image photo, fov; /* fov: data NULL where the manifest has none */
    fv_image predicted[FV_MAX_CLASSES],
        truth[FV_MAX_CLASSES]; /* by the model's classes; truth NULL where not annotated */
} fv_eval_case;

fv_status fv_eval_case_make(fv_predictor *predictor, const fv_model_spec *spec, const fv_manifest *manifest, int record,
                            int mask_threshold, fv_eval_case *images);
void fv_eval_case_free(fv_eval_case *images);

/* Evaluates the records whose split is `split`, or all with FV_SPLIT_NONE. The manifest's classes are matched to the
   model's by name; a class of the model that the manifest lacks has no figures. FV_BAD_INPUT when there is nothing to
   evaluate. */
fv_status fv_evaluate(fv_model *model, const fv_manifest *manifest, fv_split split,
                      const fv_evaluate_settings *settings, fv_evaluation *evaluation);
void fv_evaluation_free(fv_evaluation *evaluation);

/* {"n", "classes": {NAME: {"dice": {"mean","lo","hi","n"}, "iou", "precision", "recall"}}, "mean": {"dice", "iou"},
   "vcdr": {"mae","bias","r","n","missed"}, "hcdr": {"mae","bias","r","n"}, "area_cdr", "vcdr_expert", "seconds"};
   figures that don't exist are null, "missed" is missed_discs. Free with free(). */
char *fv_evaluation_json(const fv_evaluation *evaluation, const fv_model_spec *spec);
/* One row a photograph. */
fv_status fv_evaluation_write_csv(const fv_evaluation *evaluation, const fv_model_spec *spec,
                                  const fv_manifest *manifest, const char *path);

#endif
