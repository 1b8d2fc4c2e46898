#include "fovea/clinical/measures.h"

#include <math.h>
#include <string.h>

void fv_cdr_list(const fv_cdr *cdr, fv_measure list[FV_CDR_MEASURES]) {
    const fv_measure all[] = {
        {"vcdr", cdr->vcdr},
        {"hcdr", cdr->hcdr},
        {"area_cdr", cdr->area_cdr},
        {"vcdr_refuge", cdr->vcdr_refuge},
        {"disc_height_px", cdr->disc_height_px},
        {"disc_width_px", cdr->disc_width_px},
        {"disc_area_px", (double)cdr->disc_area_px},
        {"cup_height_px", cdr->cup_height_px},
        {"cup_width_px", cdr->cup_width_px},
        {"cup_area_px", (double)cdr->cup_area_px},
        {"disc_center_x_px", cdr->disc_center_x_px},
        {"disc_center_y_px", cdr->disc_center_y_px},
    };
    _Static_assert(sizeof all == FV_CDR_MEASURES * sizeof *all, "FV_CDR_MEASURES is not their number");
    memcpy(list, all, sizeof all);
}

static double as_um(const fv_vessels *v, double px) {
    return v->scale.source == FV_SCALE_NONE ? NAN : px * v->scale.um_per_px;
}

void fv_vessels_list(const fv_vessels *v, fv_measure list[FV_VESSEL_MEASURES]) {
    const fv_measure all[] = {
        {"vessel_area_px", (double)v->vessel_area_px},
        {"region_area_px", (double)v->region_area_px},
        {"density_ratio", v->density_ratio},
        {"disc_diameter_px", v->disc_diameter_px},
        {"zone_b_density_ratio", v->zone_b.density_ratio},
        {"zone_b_in_field_ratio", v->zone_b.in_field_ratio},
        {"zone_c_density_ratio", v->zone_c.density_ratio},
        {"zone_c_in_field_ratio", v->zone_c.in_field_ratio},
        {"length_px", v->length_px},
        {"length_density_per_px", v->length_density_per_px},
        {"segments", (double)v->segments},
        {"branch_points", (double)v->branch_points},
        {"crossings", (double)v->crossings},
        {"end_points", (double)v->end_points},
        {"mean_width_px", v->mean_width_px},
        {"width_p10_px", v->width_p10_px},
        {"width_median_px", v->width_median_px},
        {"width_p90_px", v->width_p90_px},
        {"um_per_px", as_um(v, 1)},
        {"length_um", as_um(v, v->length_px)},
        {"length_density_per_mm", 1000 * v->length_density_per_px / as_um(v, 1)},
        {"mean_width_um", as_um(v, v->mean_width_px)},
        {"width_p10_um", as_um(v, v->width_p10_px)},
        {"width_median_um", as_um(v, v->width_median_px)},
        {"width_p90_um", as_um(v, v->width_p90_px)},
        {"experimental_tortuosity_arc_chord", v->tortuosity_arc_chord},
        {"experimental_tortuosity_curvature", v->tortuosity_curvature},
        {"experimental_fractal_dimension", v->fractal_dimension},
        {"experimental_fractal_r2", v->fractal_r2},
    };
    _Static_assert(sizeof all == FV_VESSEL_MEASURES * sizeof *all, "FV_VESSEL_MEASURES is not their number");
    memcpy(list, all, sizeof all);
}
