#include "fovea/eval/levels.h"

#include <math.h>
#include <stddef.h>

#define ROUNDING_SLACK 5e-4 /* levels: l / FV_LEVELS rounded to float may lie below itself by up to 3e-4 of a level */

static int level_of(float probability) {
    int level = (int)((double)probability * FV_LEVELS + ROUNDING_SLACK);
    return level < 0 ? 0 : level < FV_LEVELS ? level : FV_LEVELS - 1;
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

fv_confusion fv_levels_confusion(const fv_levels *levels, int level) {
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
