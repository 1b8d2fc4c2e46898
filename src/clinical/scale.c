#include "fovea/clinical/scale.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "fovea/image/mask.h"

const char *const fv_scale_source_names[] = {"none", "user", "fov+AL", "fov", NULL};

#define USUAL_AXIAL_LENGTH_MM 24.0

fv_status fv_scale_from_field(double degrees, double axial_length_mm, double diameter_px, fv_scale *scale) {
    *scale = FV_SCALE_UNKNOWN;
    const bool given = !isnan(axial_length_mm);
    if (!(degrees > 0 && degrees <= FV_SCALE_DEGREES_MAX))
        return fv_fail(FV_BAD_INPUT, "a field of view of %g degrees: must lie above 0 and up to %d", degrees,
                       FV_SCALE_DEGREES_MAX);
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

fv_status fv_scale_from_field_mask(double degrees, double axial_length_mm, const fv_image *field, fv_scale *scale) {
    fv_box box;
    *scale = FV_SCALE_UNKNOWN;
    if (!fv_mask_box(field, &box)) return fv_fail(FV_BAD_INPUT, "the mask of the field of view is empty");
    const int across = box.x1 - box.x0 + 1, down = box.y1 - box.y0 + 1;
    return fv_scale_from_field(degrees, axial_length_mm, across > down ? across : down, scale);
}
