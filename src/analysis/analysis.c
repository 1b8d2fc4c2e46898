#include "fovea/analysis/analysis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fovea/base/memory.h"
#include "fovea/image/fov.h"
#include "fovea/image/mask.h"

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* ---- probabilities and masks ---- */

static fv_status enhance(fv_analysis *a, double degrees, const fv_image *photo, fv_work *work) {
    const fv_preprocess settings = fv_preprocess_for_camera(&a->spec.preprocess, degrees);
    bool vessels = fv_model_class(&a->spec, "vessel") >= 0;
    if (vessels || fv_preprocess_needs_fov(&settings)) FV_TRY(fv_fov_find(photo, &a->field));
    return fv_preprocess_enhance(&settings, photo, a->field.data ? &a->field : NULL, work);
}

/* The predictor's map is good until its next call only. */
static fv_status keep_map(fv_analysis *a, const fv_probability_map *map) {
    size_t count = (size_t)map->width * (size_t)map->height * (size_t)map->classes;
    a->probabilities = fv_allocate_unset(count, sizeof(float), "probability maps");
    if (!a->probabilities) return FV_NO_RESOURCE;
    memcpy(a->probabilities, map->data, count * sizeof(float));
    a->map = *map;
    a->map.data = a->probabilities;
    return FV_OK;
}

static fv_status find_probabilities(fv_analysis *a, const fv_analyser *analyser, const fv_image *photo) {
    fv_work work;
    fv_probability_map map;
    double begin = now_ms();
    FV_TRY(enhance(a, analyser->degrees, photo, &work));
    double enhanced = now_ms();
    fv_status status = fv_predict_work(analyser->predictor, &work, &map);
    fv_work_free(&work);
    if (status == FV_OK) status = keep_map(a, &map);
    a->ms[FV_ANALYSIS_ENHANCE] = enhanced - begin;
    a->ms[FV_ANALYSIS_NETWORK] = now_ms() - enhanced;
    return status;
}

/* ---- measures ---- */

static fv_status measure_cdr(fv_analysis *a) {
    int disc = fv_model_class(&a->spec, "disc"), cup = fv_model_class(&a->spec, "cup");
    if (disc < 0 || cup < 0) return FV_OK;
    FV_TRY(fv_cdr_measure(&a->masks[disc], &a->masks[cup], &a->cdr));
    a->has_cdr = true;
    return FV_OK;
}

static fv_status measure_vessels(fv_analysis *a, double degrees) {
    fv_scale scale = FV_SCALE_UNKNOWN;
    int disc = fv_model_class(&a->spec, "disc"), vessel = fv_model_class(&a->spec, "vessel");
    if (vessel < 0) return FV_OK;
    const fv_vessel_disc found = {.mask = disc >= 0 ? &a->masks[disc] : NULL};
    const bool has_disc = found.mask && fv_mask_count(found.mask) > 0;
    if (degrees <= FV_SCALE_DEGREES_MAX) FV_TRY(fv_scale_from_field_mask(degrees, NAN, &a->field, &scale));
    FV_TRY(
        fv_vessels_measure(&a->masks[vessel], &a->field, has_disc ? &found : NULL, scale, &a->vessels, &a->vessel_map));
    a->has_vessels = true;
    return FV_OK;
}

static void list_measures(fv_analysis *a) {
    double pixels = (double)a->width * a->height;
    for (int c = 0; c < a->spec.classes; c++) {
        snprintf(a->share_names[c], sizeof a->share_names[c], "%s_share_of_photo", a->spec.class_names[c]);
        double share = (double)fv_mask_count(&a->masks[c]) / pixels;
        a->measures[a->measure_count++] = (fv_measure){a->share_names[c], share};
    }
    if (a->has_cdr) {
        fv_cdr_list(&a->cdr, a->measures + a->measure_count);
        a->measure_count += FV_CDR_MEASURES;
    }
    if (a->has_vessels) {
        fv_vessels_list(&a->vessels, a->measures + a->measure_count);
        a->measure_count += FV_VESSEL_MEASURES;
    }
}

/* ---- all of it ---- */

static fv_status find(fv_analysis *a, const fv_analyser *analyser, const fv_image *photo) {
    FV_TRY(find_probabilities(a, analyser, photo));
    double begin = now_ms();
    FV_TRY(fv_predict_masks(&a->spec, &a->map, a->width, a->height, a->masks));
    double found = now_ms();
    FV_TRY(measure_cdr(a));
    FV_TRY(measure_vessels(a, analyser->degrees));
    list_measures(a);
    a->ms[FV_ANALYSIS_MASKS] = found - begin;
    a->ms[FV_ANALYSIS_MEASURES] = now_ms() - found;
    return FV_OK;
}

fv_status fv_analyse_image(fv_analyser *analyser, const fv_image *photo, fv_analysis **analysis) {
    *analysis = NULL;
    fv_analysis *a = fv_allocate(1, sizeof *a, "an analysis");
    if (!a) return FV_NO_RESOURCE;
    a->spec = analyser->model->spec;
    a->width = photo->width;
    a->height = photo->height;
    fv_status status = find(a, analyser, photo);
    if (status != FV_OK) {
        fv_analysis_free(a);
        return status;
    }
    *analysis = a;
    return FV_OK;
}

void fv_analysis_free(fv_analysis *a) {
    if (!a) return;
    fv_image_free(&a->field);
    fv_masks_free(a->masks, FV_MAX_CLASSES);
    fv_vessel_map_free(&a->vessel_map);
    free(a->probabilities);
    free(a);
}
