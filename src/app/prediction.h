/* One photograph and what was found in it. */
#ifndef FOVEA_APP_PREDICTION_H
#define FOVEA_APP_PREDICTION_H

#include "fovea/analysis/analysis.h"
#include "stage_times.h"

typedef struct prediction {
    const char *path;
    char stem[256];
    fv_image photo;
    fv_analysis *found;
    stage_times times;
} prediction;

/* Its JSON; NULL without memory. Free with free(). */
char *prediction_json(const prediction *p, bool with_times);

#endif
