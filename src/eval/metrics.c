#include "fovea/eval/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "fovea/base/memory.h"

#define RESAMPLES 2000

fv_confusion fv_confusion_count(const fv_image *predicted, const fv_image *truth, const fv_image *region) {
    int64_t counts[2][2] = {{0}}; /* [predicted][truth] */
    size_t pixels = (size_t)truth->width * (size_t)truth->height;
    for (size_t i = 0; i < pixels; i++)
        if (region == NULL || region->data[i] != 0) counts[predicted->data[i] != 0][truth->data[i] != 0]++;
    return (fv_confusion){.true_positive = counts[1][1],
                          .false_positive = counts[1][0],
                          .false_negative = counts[0][1],
                          .true_negative = counts[0][0]};
}

static double ratio_or(int64_t part, int64_t whole, double otherwise) {
    return whole > 0 ? (double)part / (double)whole : otherwise;
}

double fv_dice(const fv_confusion *c) {
    return ratio_or(2 * c->true_positive, 2 * c->true_positive + c->false_positive + c->false_negative, 1.0);
}

double fv_iou(const fv_confusion *c) {
    return ratio_or(c->true_positive, c->true_positive + c->false_positive + c->false_negative, 1.0);
}

double fv_precision(const fv_confusion *c) {
    return ratio_or(c->true_positive, c->true_positive + c->false_positive, c->false_negative == 0 ? 1.0 : 0.0);
}

double fv_recall(const fv_confusion *c) {
    return ratio_or(c->true_positive, c->true_positive + c->false_negative, c->false_positive == 0 ? 1.0 : 0.0);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Share 0 .. 1 of the sorted values lies below: linear between the two nearest. */
static double quantile(const double *sorted, int count, double share) {
    double position = share * (count - 1);
    int below = (int)position;
    if (below >= count - 1) return sorted[count - 1];
    return sorted[below] + (position - below) * (sorted[below + 1] - sorted[below]);
}

static double mean_of(const double *values, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += values[i];
    return sum / count;
}

static void resample_means(const double *values, int count, uint64_t seed, double means[RESAMPLES]) {
    fv_rng rng = fv_rng_make(seed, 0, 0, FV_PURPOSE_BOOTSTRAP);
    for (int r = 0; r < RESAMPLES; r++) {
        double sum = 0;
        for (int i = 0; i < count; i++) sum += values[fv_rng_below(&rng, (uint32_t)count)];
        means[r] = sum / count;
    }
}

fv_status fv_bootstrap_mean(const double *values, int count, uint64_t seed, fv_estimate *estimate) {
    *estimate = (fv_estimate){NAN, NAN, NAN, 0};
    double *kept = fv_allocate((size_t)(count > 0 ? count : 0), sizeof *kept, "a bootstrap");
    if (kept == NULL) return FV_NO_RESOURCE;
    int n = 0;
    for (int i = 0; i < count; i++)
        if (!isnan(values[i])) kept[n++] = values[i];
    if (n > 0) {
        double mean = mean_of(kept, n);
        *estimate = (fv_estimate){mean, mean, mean, n};
    }
    if (n > 1) {
        double means[RESAMPLES];
        resample_means(kept, n, seed, means);
        qsort(means, RESAMPLES, sizeof *means, compare_doubles);
        estimate->lo = quantile(means, RESAMPLES, 0.025);
        estimate->hi = quantile(means, RESAMPLES, 0.975);
    }
    free(kept);
    return FV_OK;
}

static bool is_pair(const double *measured, const double *truth, int i) {
    return isfinite(measured[i]) && isfinite(truth[i]);
}

/* Pearson's correlation and Lin's concordance over the pairs, whose means are given. */
static void correlate(const double *measured, const double *truth, int count, double mean_m, double mean_t,
                      fv_agreement *a) {
    double mm = 0, tt = 0, mt = 0;
    double least_m = INFINITY, most_m = -INFINITY, least_t = INFINITY, most_t = -INFINITY;
    for (int i = 0; i < count; i++) {
        if (!is_pair(measured, truth, i)) continue;
        double m = measured[i] - mean_m, t = truth[i] - mean_t;
        mm += m * m;
        tt += t * t;
        mt += m * t;
        least_m = fmin(least_m, measured[i]), most_m = fmax(most_m, measured[i]);
        least_t = fmin(least_t, truth[i]), most_t = fmax(most_t, truth[i]);
    }
    /* Equal values leave rounding errors of their mean in mm and tt, so those can't tell. */
    bool varies = least_m < most_m && least_t < most_t && mm > 0 && tt > 0;
    a->r = varies ? fmax(-1, fmin(1, mt / (sqrt(mm) * sqrt(tt)))) : NAN;
    a->ccc = varies ? 2 * mt / (mm + tt + a->n * a->bias * a->bias) : NAN;
}

void fv_agreement_measure(const double *measured, const double *truth, int count, fv_agreement *agreement) {
    int n = 0;
    double sum_m = 0, sum_t = 0, sum_error = 0, sum_absolute = 0;
    for (int i = 0; i < count; i++) {
        if (!is_pair(measured, truth, i)) continue;
        n++;
        sum_m += measured[i];
        sum_t += truth[i];
        sum_error += measured[i] - truth[i];
        sum_absolute += fabs(measured[i] - truth[i]);
    }
    *agreement = (fv_agreement){NAN, NAN, NAN, NAN, n};
    if (n == 0) return;
    agreement->mae = sum_absolute / n;
    agreement->bias = sum_error / n;
    if (n >= 3) correlate(measured, truth, count, sum_m / n, sum_t / n, agreement);
}

double fv_mean_known(const double *values, int count) {
    double sum = 0;
    int n = 0;
    for (int i = 0; i < count; i++)
        if (!isnan(values[i])) {
            sum += values[i];
            n++;
        }
    return n ? sum / n : NAN;
}
