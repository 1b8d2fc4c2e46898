/* Agreement of masks and of numbers, with intervals. */
#ifndef FOVEA_EVAL_METRICS_H
#define FOVEA_EVAL_METRICS_H

#include "fovea/base/rng.h"
#include "fovea/image/image.h"

typedef struct fv_confusion {
    int64_t true_positive, false_positive, false_negative, true_negative; /* px */
} fv_confusion;

/* Counts over all pixels, or those where `region` (may be NULL) is not 0. Equal sizes. */
fv_confusion fv_confusion_count(const fv_image *predicted, const fv_image *truth, const fv_image *region);
/* 2TP / (2TP + FP + FN); both empty: 1 */
double fv_dice(const fv_confusion *c);
/* TP / (TP + FP + FN); both empty: 1 */
double fv_iou(const fv_confusion *c);
/* TP / (TP + FP); nothing predicted: 1 if nothing is there, else 0 */
double fv_precision(const fv_confusion *c);
/* TP / (TP + FN); nothing there: 1 if nothing predicted, else 0 */
double fv_recall(const fv_confusion *c);
/* TN / (TN + FP); nothing outside: 1 */
double fv_specificity(const fv_confusion *c);
/* (TP + TN) / all; no pixel: 1 */
double fv_accuracy(const fv_confusion *c);

/* Centreline Dice (Shit et al. 2021) of hard masks, cut to the region (may be NULL) first: the harmonic mean of the
   share of the predicted mask's skeleton that lies in the true mask and the share of the true mask's skeleton that lies
   in the predicted one. Both empty: 1, one empty: 0. FV_NO_RESOURCE. */
fv_status fv_cldice(const fv_image *predicted, const fv_image *truth, const fv_image *region, double *cldice);

/* Mean of the values that are not NAN; NAN when none is: of the classes that are annotated, say. */
double fv_mean_known(const double *values, int count);

typedef struct fv_estimate {
    double mean, lo,
        hi; /* 95 % percentile bootstrap over the values (Efron 1979); lo = hi = mean for one value, NAN for none */
    int n;
} fv_estimate;

/* 2000 resamples drawn from (seed, 0, 0, FV_PURPOSE_BOOTSTRAP). NAN values are left out. */
fv_status fv_bootstrap_mean(const double *values, int count, uint64_t seed, fv_estimate *estimate);

/* Agreement of two measurements over the pairs where both are finite. r: Pearson's correlation; ccc: Lin's concordance
   correlation coefficient (1989), 2 cov / (var + var + bias^2) with sums divided by n, 1 only where measured = truth.
   Both NAN below 3 pairs, or where one side does not vary. */
typedef struct fv_agreement {
    double mae, bias;     /* bias: mean of (measured - truth) */
    double relative_bias; /* bias / mean truth, NAN where that is 0 */
    double r, ccc;
    int n;
} fv_agreement;
void fv_agreement_measure(const double *measured, const double *truth, int count, fv_agreement *agreement);

#endif
