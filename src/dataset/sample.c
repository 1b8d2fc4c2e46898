/* One photograph with its masks, read and brought to work size. */
#include "fovea/dataset/loader.h"

#include <string.h>

#include "fovea/image/image_file.h"
#include "fovea/image/mask.h"

void fv_sample_free(fv_sample *sample) {
    fv_work_free(&sample->work);
    for (int c = 0; c < FV_MAX_CLASSES; c++) fv_image_free(&sample->mask[c]);
}

static size_t image_bytes(const fv_image *image) {
    return image->data ? (size_t)image->width * (size_t)image->height * (size_t)image->channels : 0;
}

size_t fv_sample_bytes(const fv_sample *sample) {
    size_t bytes = image_bytes(&sample->work.image) + image_bytes(&sample->work.fov);
    for (int c = 0; c < FV_MAX_CLASSES; c++) bytes += image_bytes(&sample->mask[c]);
    return bytes;
}

/* A coloured mask made grey in place. */
static void make_grey(fv_image *image) {
    if (image->channels == 1) return;
    size_t pixels = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < pixels; i++)
        image->data[i] = fv_mask_level(image->data + i * (size_t)image->channels, image->channels);
    image->channels = 1;
}

static fv_status check_size(const fv_image *mask, const char *mask_path, const fv_image *photo,
                            const char *photo_path) {
    if (mask->width == photo->width && mask->height == photo->height) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "%s: the mask is %d x %d px but its photograph %s is %d x %d px: a mask must have the size of its "
                   "photograph",
                   mask_path, mask->width, mask->height, photo_path, photo->width, photo->height);
}

/* A mask of the photograph's size; `soft` ones keep their grey levels. */
static fv_status read_mask(const char *path, const fv_image *photo, const char *photo_path, int threshold, bool soft,
                           fv_image *mask) {
    fv_image raw = {0};
    FV_TRY(fv_image_read(path, 0, &raw));
    fv_status status = check_size(&raw, path, photo, photo_path);
    if (status == FV_OK && soft) {
        make_grey(&raw);
        *mask = raw;
        return FV_OK;
    }
    if (status == FV_OK) status = fv_mask_from_image(&raw, threshold, mask);
    fv_image_free(&raw);
    return status;
}

static fv_status fit_mask(const char *path, const fv_image *photo, const char *photo_path, const fv_frame *frame,
                          int threshold, bool soft, fv_image *fitted) {
    fv_image mask = {0};
    FV_TRY(read_mask(path, photo, photo_path, threshold, soft, &mask));
    fv_status status = fv_preprocess_fit_mask(frame, &mask, fitted);
    fv_image_free(&mask);
    return status;
}

static fv_status read_work(const fv_record *source, const fv_image *photo, const fv_preprocess *preprocess,
                           int mask_threshold, fv_work *work) {
    fv_image fov = {0};
    bool known = source->fov[0] && fv_preprocess_needs_fov(preprocess);
    if (known) FV_TRY(read_mask(source->fov, photo, source->fundus, mask_threshold, false, &fov));
    const fv_preprocess of_camera = fv_preprocess_for_camera(preprocess, source->fov_degrees);
    fv_status status = fv_preprocess_enhance(&of_camera, photo, known ? &fov : NULL, work);
    fv_image_free(&fov);
    return fv_fail_about(status, source->fundus);
}

fv_status fv_record_read(const fv_record *record, const fv_preprocess *preprocess, int mask_threshold, fv_work *work) {
    fv_image photo = {0};
    *work = (fv_work){0};
    FV_TRY(fv_image_read(record->fundus, 3, &photo));
    fv_status status = read_work(record, &photo, preprocess, mask_threshold, work);
    fv_image_free(&photo);
    return status;
}

fv_status fv_sample_read(const fv_manifest *manifest, int record, const fv_preprocess *preprocess, int mask_threshold,
                         bool soft_masks, fv_sample *sample) {
    memset(sample, 0, sizeof *sample);
    if (record < 0 || record >= manifest->count) {
        return fv_fail(FV_BAD_INPUT, "record %d is outside the manifest of %d photographs", record, manifest->count);
    }
    const fv_record *source = &manifest->records[record];
    fv_image photo = {0};
    FV_TRY(fv_image_read(source->fundus, 3, &photo));
    fv_status status = read_work(source, &photo, preprocess, mask_threshold, &sample->work);
    for (int c = 0; c < manifest->classes && status == FV_OK; c++) {
        if (source->mask[c][0] == '\0') continue;
        status = fit_mask(source->mask[c], &photo, source->fundus, &sample->work.frame, mask_threshold, soft_masks,
                          &sample->mask[c]);
    }
    fv_image_free(&photo);
    if (status != FV_OK) fv_sample_free(sample);
    return status;
}
