#include "fovea/clinical/scale.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

const char *const fv_scale_source_names[] = {"none", "user", "fov+AL", "fov", NULL};

#define USUAL_AXIAL_LENGTH_MM 24.0

fv_status fv_scale_from_field(double degrees, double axial_length_mm, double diameter_px, fv_scale *scale) {
    *scale = FV_SCALE_UNKNOWN;
    const bool given = !isnan(axial_length_mm);
    if (!(degrees > 0 && degrees <= 60))
        return fv_fail(FV_BAD_INPUT, "a field of view of %g degrees: must lie above 0 and up to 60", degrees);
    if (given && !(axial_length_mm >= 15 && axial_length_mm <= 40))
        return fv_fail(FV_BAD_INPUT, "an axial length of %g mm: must lie in 15..40", axial_length_mm);
    if (!(diameter_px > 0))
        return fv_fail(FV_BAD_INPUT, "a field of view %g px wide has no scale; check the mask of the field",
                       diameter_px);
    const double mm_per_degree = 0.01306 * ((given ? axial_length_mm : USUAL_AXIAL_LENGTH_MM) - 1.82);
    scale->um_per_px = 1000 * mm_per_degree * degrees / diameter_px;
    scale->source = given ? FV_SCALE_FOV_AXIAL : FV_SCALE_FOV;
    return FV_OK;
}
