/* Measures of a vessel mask. Formulas and what they are worth: docs/clinical.md. */
#ifndef FOVEA_CLINICAL_VESSELS_H
#define FOVEA_CLINICAL_VESSELS_H

#include <stddef.h>

#include "fovea/clinical/scale.h"
#include "fovea/image/image.h"

/* The optic disc: a mask of the photograph's size, or where it has none (NULL) a circle. */
typedef struct fv_vessel_disc {
    const fv_image *mask;
    double center_x_px, center_y_px; /* without a mask; the centre of the upper left pixel is (0, 0) */
    double diameter_px;
} fv_vessel_disc;

/* A ring round the disc. */
typedef struct fv_vessel_zone {
    double density_ratio; /* vessel px / px of the ring within the field; NAN without a disc, or where too little of the
                             ring is in the field */
    double in_field_ratio; /* of the ring's area; NAN without a disc */
} fv_vessel_zone;

#define FV_VESSEL_ZONE_LEAST 0.5 /* in_field_ratio below which a zone has no density */

/* NAN: not measurable. Of the region: the field of view without the disc. */
typedef struct fv_vessels {
    int64_t vessel_area_px, region_area_px;
    double density_ratio;          /* vessel area / region area */
    fv_vessel_zone zone_b, zone_c; /* 1 to 1.5 and 1 to 2.5 disc diameters from the disc's centre */
    double disc_diameter_px;       /* 2 sqrt(area / pi) of a mask; NAN without a disc */
    double length_px;              /* of the skeleton, steps of 1 and sqrt 2 */
    double length_density_per_px;  /* length / region area */
    int64_t segments, branch_points, crossings, end_points;
    double mean_width_px;                               /* along the skeleton, by length */
    double width_p10_px, width_median_px, width_p90_px; /* percentiles by length */
    double tortuosity_arc_chord; /* experimental: mean arc / chord of segments, by length; 1 for straight ones */
    double tortuosity_curvature; /* experimental: mean of arc * integral of squared curvature, no unit; 0 for
                                    straight ones */
    double fractal_dimension, fractal_r2; /* experimental: box counting on the skeleton */
    fv_scale scale;                       /* x scale.um_per_px: um */
} fv_vessels;

typedef enum fv_vessel_kind { FV_VESSEL_LINE, FV_VESSEL_END, FV_VESSEL_BRANCH, FV_VESSEL_CROSSING } fv_vessel_kind;

/* A pixel of the skeleton; of the pixels of one branching the first in reading order has the kind. */
typedef struct fv_vessel_point {
    int x, y;       /* px */
    float width_px; /* NAN where unknown */
    fv_vessel_kind kind;
} fv_vessel_point;

typedef struct fv_vessel_map {
    fv_vessel_point *points;
    size_t count;
} fv_vessel_map;

/* mask and field (the lit part, NULL for the whole image): 1 channel, equal sizes. disc may be NULL. map may be NULL.
   FV_BAD_INPUT for masks of other sizes or channels, for a field without pixels, for an empty disc, one without
   diameter, or one larger than the image. An empty mask has density 0, no length, and NAN for means. */
fv_status fv_vessels_measure(const fv_image *mask, const fv_image *field, const fv_vessel_disc *disc, fv_scale scale,
                             fv_vessels *vessels, fv_vessel_map *map);
void fv_vessel_map_free(fv_vessel_map *map); /* safe on a zeroed struct, and twice */

#endif
