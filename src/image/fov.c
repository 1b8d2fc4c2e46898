#include "fovea/image/fov.h"

#include "fovea/image/mask.h"

enum { DARK = 10 }; /* grey levels: what is not above is outside */

fv_status fv_fov_find(const fv_image *photo, fv_image *fov) {
    FV_TRY(fv_mask_from_image(photo, DARK, fov));
    FV_TRY(fv_mask_keep_largest(fov));
    return fv_mask_fill_holes(fov);
}
