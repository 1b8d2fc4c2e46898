#include "case.h"

#include <stdio.h>
#include <string.h>

#include "fovea/base/progress.h"
#include "fovea/image/fov.h"
#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"

static fv_status read_mask(const char *path, const fv_image *photo, const char *photo_path, int threshold,
                           fv_image *mask) {
    fv_image raw = {0};
    *mask = (fv_image){0};
    if (!path[0]) return FV_OK;
    FV_TRY(fv_image_read(path, 0, &raw));
    fv_status status =
        raw.width == photo->width && raw.height == photo->height
            ? fv_mask_from_image(&raw, threshold, mask)
            : fv_fail(FV_BAD_INPUT, "%s is %dx%d but its photograph %s is %dx%d; a mask needs its photograph's size",
                      path, raw.width, raw.height, photo_path, photo->width, photo->height);
    fv_image_free(&raw);
    return status;
}

/* Index of the manifest's class that is the model's class c, -1 when it has none. */
static int manifest_class(const fv_case_source *source, int c) {
    for (int k = 0; k < source->manifest->classes; k++)
        if (strcmp(source->spec->class_names[c], source->manifest->class_names[k]) == 0) return k;
    return -1;
}

/* Path of the mask of the model's class c, "" where the manifest has none. */
static const char *mask_path(const fv_case_source *source, const fv_record *record, int c) {
    int k = manifest_class(source, c);
    return k < 0 ? "" : record->mask[k];
}

/* The manifest's field, or the one found where vessels will be counted in it. */
static fv_status read_fov(const fv_case_source *source, const fv_record *record, fv_eval_case *images) {
    int threshold = source->settings->mask_threshold, vessel = fv_model_class(source->spec, "vessel");
    FV_TRY(read_mask(record->fov, &images->photo, record->fundus, threshold, &images->fov));
    if (vessel < 0 || !mask_path(source, record, vessel)[0]) return FV_OK;
    if (!images->fov.data) FV_TRY(fv_fov_find(&images->photo, &images->fov));
    if (fv_mask_count(&images->fov) > 0) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "%s: the field of view is empty, vessels can't be counted in it; expected a mask with "
                   "levels above %d, or no mask for it to be found in the photograph",
                   record->fov[0] ? record->fov : record->fundus, threshold);
}

/* Masks of class c: the first reader's, which are the truth, and the second's. */
static fv_status read_readers(const fv_case_source *source, const fv_record *record, int c, fv_eval_case *images) {
    int k = manifest_class(source, c), threshold = source->settings->mask_threshold;
    if (k < 0 || !record->mask[k][0]) return FV_OK;
    FV_TRY(read_mask(record->mask[k], &images->photo, record->fundus, threshold, &images->truth[c]));
    return read_mask(record->second[k], &images->photo, record->fundus, threshold, &images->second[c]);
}

fv_status fv_case_read(const fv_case_source *source, int r, fv_eval_case *images, fv_probability_map *map) {
    const fv_record *record = &source->manifest->records[r];
    *images = (fv_eval_case){0};
    FV_TRY(fv_image_read(record->fundus, 3, &images->photo));
    fv_status status = read_fov(source, record, images);
    for (int c = 0; c < source->spec->classes && status == FV_OK; c++) status = read_readers(source, record, c, images);
    fv_predictor_set_camera(source->predictor, record->fov_degrees);
    if (status == FV_OK)
        status = fv_predict_photo(source->predictor, &images->photo, images->fov.data ? &images->fov : NULL, map);
    (void)fv_fail_about(status, record->fundus);
    if (status != FV_OK) fv_eval_case_free(images);
    return status;
}

const fv_image *fv_case_region(const fv_case_source *source, const fv_eval_case *images, int c) {
    return strcmp(source->spec->class_names[c], "vessel") == 0 ? &images->fov : NULL;
}

fv_status fv_case_levels(const fv_case_source *source, const fv_eval_case *images, const fv_probability_map *map, int c,
                         float *probability, fv_levels *levels) {
    *levels = (fv_levels){0};
    FV_TRY(fv_predict_probabilities(map, c, images->photo.width, images->photo.height, probability));
    fv_levels_count(levels, probability, &images->truth[c], fv_case_region(source, images, c));
    return FV_OK;
}

fv_status fv_eval_case_make(fv_predictor *predictor, const fv_model_spec *spec, const fv_manifest *manifest, int record,
                            int mask_threshold, fv_eval_case *images) {
    fv_evaluate_settings settings = {.mask_threshold = mask_threshold};
    fv_case_source source = {spec, manifest, &settings, predictor};
    fv_probability_map map;
    FV_TRY(fv_case_read(&source, record, images, &map));
    fv_status status = fv_predict_masks(spec, &map, images->photo.width, images->photo.height, images->predicted);
    if (status != FV_OK) fv_eval_case_free(images);
    return status;
}

void fv_eval_case_free(fv_eval_case *images) {
    fv_image_free(&images->photo);
    fv_image_free(&images->fov);
    fv_masks_free(images->predicted, FV_MAX_CLASSES);
    fv_masks_free(images->truth, FV_MAX_CLASSES);
    fv_masks_free(images->second, FV_MAX_CLASSES);
}

/* ---- all of them ---- */

static bool counts(const fv_case_source *source, fv_split split, const fv_record *record) {
    if (split != FV_SPLIT_NONE && record->split != split) return false;
    for (int c = 0; c < source->spec->classes; c++)
        if (mask_path(source, record, c)[0]) return true;
    return false;
}

int fv_case_count(const fv_case_source *source, fv_split split) {
    int count = 0;
    for (int r = 0; r < source->manifest->count; r++) count += counts(source, split, &source->manifest->records[r]);
    return count;
}

static fv_status complain_nothing(const fv_model_spec *spec, fv_split split) {
    char classes[FV_MAX_CLASSES * 34] = "", where[32] = "";
    for (int c = 0; c < spec->classes; c++) {
        size_t used = strlen(classes);
        snprintf(classes + used, sizeof classes - used, "%s%s", c ? " or " : "", spec->class_names[c]);
    }
    if (split != FV_SPLIT_NONE) snprintf(where, sizeof where, " in the %s split", fv_split_names[split]);
    return fv_fail(
        FV_BAD_INPUT,
        "there is no photograph with a mask of %s%s; see docs/data.md for the columns of masks and how splits "
        "are made",
        classes, where);
}

fv_status fv_evaluate_check(const fv_model_spec *spec, const fv_manifest *manifest, fv_split split) {
    fv_case_source source = {.spec = spec, .manifest = manifest};
    return fv_case_count(&source, split) > 0 ? FV_OK : complain_nothing(spec, split);
}

fv_status fv_case_each(const fv_case_source *source, fv_split split, const char *what, fv_case_measure *measure,
                       void *context) {
    int total = fv_case_count(source, split), done = 0;
    FV_TRY(fv_evaluate_check(source->spec, source->manifest, split));
    fv_progress progress;
    fv_progress_start(&progress, what, total);
    fv_status status = FV_OK;
    for (int r = 0; r < source->manifest->count && status == FV_OK; r++) {
        if (!counts(source, split, &source->manifest->records[r])) continue;
        status = measure(context, r);
        fv_progress_update(&progress, ++done, NULL);
    }
    fv_progress_end(&progress);
    return status;
}

fv_status fv_case_source_make(fv_model *model, const fv_manifest *manifest, const fv_evaluate_settings *settings,
                              fv_case_source *source) {
    *source = (fv_case_source){.spec = &model->spec, .manifest = manifest, .settings = settings};
    FV_TRY(fv_predictor_make(model, &source->predictor));
    fv_predictor_set_flips(source->predictor, settings->flips);
    return FV_OK;
}

void fv_case_source_free(fv_case_source *source) {
    fv_predictor_free(source->predictor);
    *source = (fv_case_source){0};
}
