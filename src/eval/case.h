/* The photographs of an evaluation, one by one. */
#ifndef FOVEA_SRC_EVAL_CASE_H
#define FOVEA_SRC_EVAL_CASE_H

#include "fovea/eval/evaluate.h"

/* What is measured, and with what. */
typedef struct fv_case_source {
    const fv_model_spec *spec;
    const fv_manifest *manifest;
    const fv_evaluate_settings *settings;
    fv_predictor *predictor;
} fv_case_source;

/* Reads a record's photograph and masks and predicts: everything but the predicted masks. `map` is good until the
   predictor's next call. */
fv_status fv_case_read(const fv_case_source *source, int record, fv_eval_case *images, fv_probability_map *map);
/* The pixels that count for class c: the field of view for vessels, NULL (all) for others. */
const fv_image *fv_case_region(const fv_case_source *source, const fv_eval_case *images, int c);
/* Counts the photograph's pixels by the probability of class c, of which there is a true mask. `probability`: room for
   a value a pixel. */
fv_status fv_case_levels(const fv_case_source *source, const fv_eval_case *images, const fv_probability_map *map, int c,
                         float *probability, fv_levels *levels);

/* Calls `measure` with each record of the split (FV_SPLIT_NONE: any) that has a mask of a class of the model, in order.
   A progress line says `what`. FV_BAD_INPUT when there is none. */
typedef fv_status fv_case_measure(void *context, int record);
fv_status fv_case_each(const fv_case_source *source, fv_split split, const char *what, fv_case_measure *measure,
                       void *context);
/* How many that are. */
int fv_case_count(const fv_case_source *source, fv_split split);

/* Makes the source's predictor. */
fv_status fv_case_source_make(fv_model *model, const fv_manifest *manifest, const fv_evaluate_settings *settings,
                              fv_case_source *source);
void fv_case_source_free(fv_case_source *source);

#endif
