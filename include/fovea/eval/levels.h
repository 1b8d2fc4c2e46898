/* Pixels counted by probability: area under the ROC curve, and what each threshold would give, from one prediction. */
#ifndef FOVEA_EVAL_LEVELS_H
#define FOVEA_EVAL_LEVELS_H

#include "fovea/eval/metrics.h"

/* Level l holds the probabilities l / FV_LEVELS <= p < (l + 1) / FV_LEVELS, the last one also 1. A multiple of 100, so
   that thresholds in hundredths lie between two levels. */
#define FV_LEVELS 10000

typedef struct fv_levels {
    int64_t inside[FV_LEVELS], outside[FV_LEVELS]; /* px that belong to the class, and that do not */
} fv_levels;

/* Adds the pixels of a photograph: `probability` has a value 0..1 for each pixel of `truth`; those where `region` (may
   be NULL: everywhere) is 0 do not count. */
void fv_levels_count(fv_levels *levels, const float *probability, const fv_image *truth, const fv_image *region);
void fv_levels_add(fv_levels *sum, const fv_levels *levels);

/* Area under the ROC curve: the share of pairs (a pixel of the class, a pixel outside it) in which the first has the
   higher probability; pairs of one level count half (Hanley and McNeil 1982). NAN without pixels of both kinds. */
double fv_levels_auc(const fv_levels *levels);
/* What the pixels with p >= level / FV_LEVELS, taken for the class, give. 0 <= level <= FV_LEVELS. */
fv_confusion fv_levels_confusion(const fv_levels *levels, int level);

#endif
