/* `fovea eval --on`: one model on several sets of photographs. */
#ifndef FOVEA_APP_EVAL_SETS_H
#define FOVEA_APP_EVAL_SETS_H

#include "evaluation.h"
#include "options.h"

typedef struct eval_sets_request {
    const char *sets; /* tables or folders with an index.csv, here or below FOVEA_DATA, separated by ','; A:45 gives
                         the angle of A's camera, degrees */
    const option_list *columns; /* column=name, for all sets */
    bool any_split;             /* `split` is not given: the test split of sets that have one, else all */
    fv_split split;
    fv_evaluate_settings settings;
    const char *out, *json; /* as of an evaluation_request; of `out` each set has a folder of its name */
    const char *title;
} eval_sets_request;

/* Evaluates on each set, prints a table with a row a set, and writes {"sets": {NAME: {"split", "csv", "figures"}}} (an
   evaluation's JSON) and, into `out`, sets.json, sets.csv and the sets' folders. */
fv_status eval_sets(fv_model *model, const eval_sets_request *request);

#endif
