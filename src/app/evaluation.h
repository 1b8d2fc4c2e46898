/* Measuring a model and writing what was found: shared by `fovea eval` and the end of `fovea train`. */
#ifndef FOVEA_APP_EVALUATION_H
#define FOVEA_APP_EVALUATION_H

#include "fovea/eval/evaluate.h"

typedef struct evaluation_request {
    fv_split split; /* FV_SPLIT_NONE: all photographs */
    fv_evaluate_settings settings;
    const char *out;  /* folder for evaluation.json, images.csv, worst.png; NULL: none */
    const char *json; /* file, "-" for standard output, NULL: none */
    const char *title;
} evaluation_request;

/* Writes evaluation.json, images.csv and worst.png into a folder, which is made. */
fv_status evaluation_write(const fv_evaluation *evaluation, fv_model *model, const fv_manifest *manifest,
                           const fv_evaluate_settings *settings, const char *folder);

/* Evaluates, prints a table (on standard error when the JSON goes to standard output) and writes the files. */
fv_status evaluation_run(fv_model *model, const fv_manifest *manifest, const evaluation_request *request);

#endif
