#include "fovea/eval/levels.h"

#include <math.h>
#include <stddef.h>

#define TAIL_BEGIN 0.01 /* distance to 0 or 1 below which levels get finer */
#define STEPS_PER_UNIT 10000
#define ROUNDING_SLACK 1e-7 /* of a probability: a threshold rounded to float may lie below itself by 3e-8 */

enum { LEVELS_PER_OCTAVE = 128, LEVELS_PER_HUNDREDTH = STEPS_PER_UNIT / 100 };

/* Level, from the end, of a probability this far from 0 or 1. */
static int tail_level(double distance) {
    if (distance <= 0) return 0;
    int level = (int)floor(FV_LEVELS_TAIL + LEVELS_PER_OCTAVE * log2(distance / TAIL_BEGIN));
    return level < 0 ? 0 : level < FV_LEVELS_TAIL ? level : FV_LEVELS_TAIL - 1;
}

static int level_of(float probability) {
    double p = (double)probability, reached = p + ROUNDING_SLACK;
    if (reached < TAIL_BEGIN) return tail_level(p);
    if (reached >= 1 - TAIL_BEGIN) return FV_LEVELS - 1 - tail_level(1 - p);
    return FV_LEVELS_TAIL + (int)((reached - TAIL_BEGIN) * STEPS_PER_UNIT);
}

void fv_levels_count(fv_levels *levels, const float *probability, const fv_image *truth, const fv_image *region) {
    size_t pixels = (size_t)truth->width * (size_t)truth->height;
    for (size_t i = 0; i < pixels; i++) {
        if (region && region->data[i] == 0) continue;
        int64_t *side = truth->data[i] ? levels->inside : levels->outside;
        side[level_of(probability[i])]++;
    }
}

void fv_levels_add(fv_levels *sum, const fv_levels *levels) {
    for (int l = 0; l < FV_LEVELS; l++) {
        sum->inside[l] += levels->inside[l];
        sum->outside[l] += levels->outside[l];
    }
}

double fv_levels_auc(const fv_levels *levels) {
    double inside = 0, outside = 0, pairs = 0; /* up to 2^53 pixels are exact; pairs are rounded */
    for (int l = 0; l < FV_LEVELS; l++) {
        pairs += (double)levels->inside[l] * (outside + (double)levels->outside[l] / 2);
        inside += (double)levels->inside[l];
        outside += (double)levels->outside[l];
    }
    return inside > 0 && outside > 0 ? pairs / inside / outside : NAN;
}

fv_confusion fv_levels_confusion(const fv_levels *levels, int hundredths) {
    int level = FV_LEVELS_TAIL + (hundredths - 1) * LEVELS_PER_HUNDREDTH;
    fv_confusion counts = {0};
    for (int l = 0; l < level; l++) {
        counts.false_negative += levels->inside[l];
        counts.true_negative += levels->outside[l];
    }
    for (int l = level; l < FV_LEVELS; l++) {
        counts.true_positive += levels->inside[l];
        counts.false_positive += levels->outside[l];
    }
    return counts;
}
