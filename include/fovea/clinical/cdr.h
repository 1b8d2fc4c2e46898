/* Cup-to-disc ratios from masks. Definitions: docs/clinical.md. */
#ifndef FOVEA_CLINICAL_CDR_H
#define FOVEA_CLINICAL_CDR_H

#include <stdbool.h>

#include "fovea/image/image.h"

typedef struct fv_cdr {
    bool disc_found, cup_found;
    int64_t disc_area_px, cup_area_px;
    int disc_height_px, disc_width_px; /* extent max - min + 1 along the image's columns and rows */
    int cup_height_px, cup_width_px;
    double disc_center_x_px, disc_center_y_px; /* centroid; NAN without a disc */
    double vcdr;        /* cup height / disc height; NAN without a disc, 0 without a cup, as the ratios below */
    double vcdr_refuge; /* tallest column of the cup / tallest column of the disc (REFUGE's scorer) */
    double hcdr;        /* cup width / disc width */
    double area_cdr;    /* cup area / disc area; not comparable with vcdr: for similar shapes it is its square */
} fv_cdr;

/* Masks of equal size and 1 channel (else FV_BAD_INPUT), 0 or not 0, taken as they are: infer/predict.h cleans them. */
fv_status fv_cdr_measure(const fv_image *disc, const fv_image *cup, fv_cdr *cdr);

#endif
