/* One photograph and what was found in it. */
#ifndef FOVEA_APP_PREDICTION_H
#define FOVEA_APP_PREDICTION_H

#include "fovea/clinical/cdr.h"
#include "fovea/model/model.h"
#include "stage_times.h"
#include "vessel_table.h"

typedef struct prediction {
    const char *path;
    char stem[256];
    fv_image photo, field, masks[FV_MAX_CLASSES]; /* field: of view, data NULL where nothing asks for it */
    bool has_cdr, has_vessels;                    /* what the model's classes allow */
    fv_cdr cdr;
    fv_vessels vessels;
    fv_vessel_map vessel_map;
    stage_times times;
} prediction;

/* Its JSON; NULL without memory. Free with free(). */
char *prediction_json(const prediction *p, const fv_model_spec *spec, bool with_times);

#endif
