/* Pixels counted by probability: area under the ROC curve, and what each threshold would give, from one prediction. */
#ifndef FOVEA_EVAL_LEVELS_H
#define FOVEA_EVAL_LEVELS_H

#include "fovea/eval/metrics.h"

/* Probabilities 0.01 .. 0.99 are told apart by 1/10000. Nearer to 0 and to 1, where a sure network puts most pixels,
   128 levels stand for each halving of the distance, down to a distance of 0.01 / 2^20: equal steps there would take
   0.0005 from the area under the curve. Thresholds in hundredths lie between two levels. */
#define FV_LEVELS_TAIL (20 * 128)
#define FV_LEVELS (2 * FV_LEVELS_TAIL + 9800)

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
/* What the pixels with p >= hundredths / 100, taken for the class, give. 1 <= hundredths <= 99. */
fv_confusion fv_levels_confusion(const fv_levels *levels, int hundredths);

#endif
