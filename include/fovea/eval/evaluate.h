/* A model measured on photographs with known masks, at each photograph's own size, on the masks that `fovea predict`
   would write (cleaned: infer/predict.h). Definitions: docs/evaluation.md. */
#ifndef FOVEA_EVAL_EVALUATE_H
#define FOVEA_EVAL_EVALUATE_H

#include "fovea/clinical/cdr.h"
#include "fovea/dataset/manifest.h"
#include "fovea/eval/levels.h"
#include "fovea/eval/metrics.h"
#include "fovea/infer/predict.h"

/* The figures of one class. */
typedef enum fv_score {
    FV_SCORE_DICE,
    FV_SCORE_IOU,
    FV_SCORE_PRECISION,
    FV_SCORE_RECALL, /* = sensitivity */
    FV_SCORE_SPECIFICITY,
    FV_SCORE_ACCURACY,
    FV_SCORE_CLDICE, /* of class "vessel" only */
    FV_SCORE_AUC,    /* of the probabilities (levels.h); not of a second reader, who gives none */
    FV_SCORES
} fv_score;

extern const char *const fv_score_names[]; /* "dice", "iou", ..., as in JSON and CSV; NULL at the end */

/* One photograph. Figures of a class that is not annotated are NAN. Class "vessel" is counted inside the field of view
   (the manifest's, else that of fv_fov_find()), other classes in the whole frame. */
typedef struct fv_eval_image {
    int record; /* index in the manifest */
    double score[FV_MAX_CLASSES][FV_SCORES];
    double second[FV_MAX_CLASSES][FV_SCORES];      /* a second reader's against the first's mask */
    double mean_dice, mean_iou;                    /* over the annotated classes */
    double density, density_truth, density_second; /* share of the field's pixels that are vessel */
    bool has_cdr;                                  /* disc and cup are annotated */
    fv_cdr predicted, truth;
    double cdr_expert; /* from the manifest, NAN when unknown */
} fv_eval_image;

typedef struct fv_evaluation {
    fv_eval_image *images;
    int count;
    fv_estimate score[FV_MAX_CLASSES][FV_SCORES];  /* over the photographs */
    double pooled_auc[FV_MAX_CLASSES];             /* of all counted pixels of all photographs together */
    fv_estimate second[FV_MAX_CLASSES][FV_SCORES]; /* n 0 where no photograph has one */
    fv_estimate mean_dice, mean_iou;
    fv_agreement density;              /* of vessels, against the density of the true masks */
    fv_agreement density_second;       /* the second reader's, likewise */
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
    fv_image photo, fov; /* fov: data NULL where neither the manifest has one nor a class asks for it */
    fv_image predicted[FV_MAX_CLASSES],
        truth[FV_MAX_CLASSES],  /* by the model's classes; truth and second: data NULL where not annotated */
        second[FV_MAX_CLASSES]; /* a second reader's */
} fv_eval_case;

fv_status fv_eval_case_make(fv_predictor *predictor, const fv_model_spec *spec, const fv_manifest *manifest, int record,
                            int mask_threshold, fv_eval_case *images);
void fv_eval_case_free(fv_eval_case *images);

/* FV_BAD_INPUT when no record of the split (FV_SPLIT_NONE: of any) has a mask of a class of the model. */
fv_status fv_evaluate_check(const fv_model_spec *spec, const fv_manifest *manifest, fv_split split);
/* Evaluates the records whose split is `split`, or all with FV_SPLIT_NONE. The manifest's classes are matched to the
   model's by name; a class of the model that the manifest lacks has no figures. One prediction a photograph.
   FV_BAD_INPUT when there is nothing to evaluate, and where vessels have no field of view to be counted in. */
fv_status fv_evaluate(fv_model *model, const fv_manifest *manifest, fv_split split,
                      const fv_evaluate_settings *settings, fv_evaluation *evaluation);
void fv_evaluation_free(fv_evaluation *evaluation);

/* Thresholds that fit photographs with known masks. */
typedef struct fv_threshold_choice {
    double threshold[FV_MAX_CLASSES]; /* the model's own where no photograph is annotated */
    double dice[FV_MAX_CLASSES];      /* mean over the photographs at that threshold, NAN for none */
    int count[FV_MAX_CLASSES];        /* photographs with the class */
} fv_threshold_choice;

/* For each class, of the thresholds 0.05, 0.06, ... 0.95 the one with the highest mean Dice over the photographs of the
   split, counted as fv_evaluate() does but before disc and cup are cleaned; of equals the one nearest 0.5, then the
   lower. One prediction a photograph; does not depend on the thresholds that the model has. FV_BAD_INPUT when the split
   has no annotated photograph. */
fv_status fv_thresholds_choose(fv_model *model, const fv_manifest *manifest, fv_split split,
                               const fv_evaluate_settings *settings, fv_threshold_choice *choice);

/* {"n", "classes": {NAME: {"dice": {"mean","lo","hi","n"}, ... (fv_score_names), "pooled_auc",
   "second_reader": {the same without AUC; absent where there is none}}}, "mean": {"dice",
   "iou"}, "vessel_density": {"mae","bias","relative_bias","r","ccc","n"}, "vessel_density_second" (absent where there
   is none), "vcdr": (the same and "missed"), "hcdr", "area_cdr", "vcdr_expert", "seconds"}; figures that don't exist
   are null, "missed" is missed_discs. Free with free().
 */
char *fv_evaluation_json(const fv_evaluation *evaluation, const fv_model_spec *spec);
/* One row a photograph. */
fv_status fv_evaluation_write_csv(const fv_evaluation *evaluation, const fv_model_spec *spec,
                                  const fv_manifest *manifest, const char *path);

#endif
