/* Centreline Dice: whether vessels are connected as they should be, whatever their width. */
#include <math.h>
#include <string.h>

#include "fovea/clinical/skeleton.h"
#include "fovea/eval/metrics.h"
#include "fovea/image/mask.h"

/* The mask within the region, and its skeleton. */
static fv_status cut_and_thin(const fv_image *mask, const fv_image *region, fv_image *cut, fv_image *skeleton) {
    FV_TRY(fv_image_make(mask->width, mask->height, 1, cut));
    memcpy(cut->data, mask->data, (size_t)mask->width * (size_t)mask->height);
    if (region) fv_mask_and(cut, region);
    return fv_skeleton_make(cut, skeleton);
}

/* Share of the skeleton's pixels that lie in the mask. */
static double share_inside(const fv_image *skeleton, const fv_image *mask) {
    fv_confusion counts = fv_confusion_count(skeleton, mask, NULL);
    return fv_precision(&counts);
}

static double harmonic_mean(double a, double b) {
    return a + b > 0 ? 2 * a * b / (a + b) : 0;
}

fv_status fv_cldice(const fv_image *predicted, const fv_image *truth, const fv_image *region, double *cldice) {
    fv_image masks[2] = {{0}}, skeletons[2] = {{0}};
    *cldice = NAN;
    fv_status status = cut_and_thin(predicted, region, &masks[0], &skeletons[0]);
    if (status == FV_OK) status = cut_and_thin(truth, region, &masks[1], &skeletons[1]);
    if (status == FV_OK)
        *cldice = harmonic_mean(share_inside(&skeletons[0], &masks[1]), share_inside(&skeletons[1], &masks[0]));
    for (int i = 0; i < 2; i++) {
        fv_image_free(&masks[i]);
        fv_image_free(&skeletons[i]);
    }
    return status;
}
