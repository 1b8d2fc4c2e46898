/* What an export loses, measured here: the numbers of the file are simulated by fovea (exchange/rounded.h). */
#ifndef FOVEA_APP_EXPORT_MEASURE_H
#define FOVEA_APP_EXPORT_MEASURE_H

#include "fovea/eval/evaluate.h"

typedef struct export_figures {
    int compared;                                         /* photographs behind `difference`; 0: not measured */
    double difference;                                    /* the largest of any pixel's probability */
    int measured;                                         /* photographs behind the Dice */
    double before[FV_MAX_CLASSES], after[FV_MAX_CLASSES]; /* mean Dice; NAN for a class that is not annotated */
} export_figures;

/* Leaves at most `most` records of the split in it, spread evenly; the others belong to none. For FV_SPLIT_NONE, all
   records count, and those left become *split. */
void export_limit_records(fv_manifest *manifest, fv_split *split, int most);
/* Both models on the photographs of the split. */
fv_status export_measure(fv_model *model, fv_model *exported, const fv_manifest *manifest, fv_split split,
                         const fv_evaluate_settings *settings, export_figures *figures);

#endif
