#include "fovea/image/enhance.h"

#include <stdio.h>
#include <string.h>

#include "enhance_steps.h"
#include "fovea/image/clahe.h"
#include "fovea/image/mask.h"

const char *const fv_enhance_step_names[] = {"green", "clahe",       "lab_clahe", "unsharp", "stretch",
                                             "fov",   "standardise", "local",     NULL};

fv_enhance fv_enhance_standard(void) {
    return (fv_enhance){
        .clahe_clip = 2, .clahe_tiles = 8, .unsharp_amount = 0.5, .unsharp_sigma = 2, .local_sigma = 10};
}

static int step_find(const char *word) {
    for (int i = 0; fv_enhance_step_names[i]; i++)
        if (strcmp(fv_enhance_step_names[i], word) == 0) return i;
    return -1;
}

fv_status fv_enhance_parse(const char *text, fv_enhance *enhance) {
    char words[256], *rest = NULL;
    enhance->count = 0;
    if ((size_t)snprintf(words, sizeof words, "%s", text) >= sizeof words)
        return fv_fail(FV_BAD_INPUT, "a chain of enhancement of more than %zu letters", sizeof words - 1);
    if (strcmp(text, "none") == 0) return FV_OK;
    for (char *word = strtok_r(words, " ,", &rest); word; word = strtok_r(NULL, " ,", &rest)) {
        int step = step_find(word);
        if (step < 0)
            return fv_fail(
                FV_BAD_INPUT,
                "\"%.40s\" is no step of enhancement; there are green, clahe, lab_clahe, unsharp, stretch, fov, "
                "standardise, local",
                word);
        if (enhance->count == FV_ENHANCE_MAX_STEPS)
            return fv_fail(FV_BAD_INPUT, "more than %d steps of enhancement", FV_ENHANCE_MAX_STEPS);
        enhance->steps[enhance->count++] = (fv_enhance_step)step;
    }
    return FV_OK;
}

void fv_enhance_text(const fv_enhance *enhance, char text[FV_ENHANCE_TEXT]) {
    snprintf(text, FV_ENHANCE_TEXT, "%s", enhance->count ? "" : "none");
    for (int i = 0; i < enhance->count; i++) {
        size_t length = strlen(text);
        snprintf(text + length, FV_ENHANCE_TEXT - length, "%s%s", i ? " " : "",
                 fv_enhance_step_names[enhance->steps[i]]);
    }
}

bool fv_enhance_has(const fv_enhance *enhance, fv_enhance_step step) {
    for (int i = 0; i < enhance->count; i++)
        if (enhance->steps[i] == step) return true;
    return false;
}

bool fv_enhance_needs_fov(const fv_enhance *enhance) {
    return fv_enhance_has(enhance, FV_ENHANCE_STRETCH) || fv_enhance_has(enhance, FV_ENHANCE_FOV) ||
           fv_enhance_has(enhance, FV_ENHANCE_STANDARDISE) || fv_enhance_has(enhance, FV_ENHANCE_LOCAL);
}

static fv_status check_range(const char *what, double value, double low, double high) {
    if (value >= low && value <= high) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "enhancement: %s is %g, expected %g..%g", what, value, low, high);
}

static fv_status check(const fv_enhance *enhance, const fv_image *rgb, const fv_image *fov) {
    if (!rgb->data || rgb->channels != 3) {
        return fv_fail(FV_BAD_INPUT, "enhancement: the image has %d channels, expected 3",
                       rgb->data ? rgb->channels : 0);
    }
    if (fov && (fov->channels != 1 || fov->width != rgb->width || fov->height != rgb->height)) {
        return fv_fail(FV_BAD_INPUT,
                       "enhancement: the field of view is %d x %d with %d channels, expected a mask of the "
                       "photograph's %d x %d",
                       fov->width, fov->height, fov->channels, rgb->width, rgb->height);
    }
    FV_TRY(check_range("the unsharp mask's amount", enhance->unsharp_amount, 0, 10));
    FV_TRY(check_range("the unsharp mask's sigma", enhance->unsharp_sigma, 0.1, FV_UNSHARP_MAX_SIGMA));
    FV_TRY(check_range("the local neighbourhood's sigma", enhance->local_sigma, 1, FV_LOCAL_MAX_SIGMA));
    if (fov && fv_enhance_needs_fov(enhance) && fv_mask_count(fov) == 0) {
        return fv_fail(FV_BAD_INPUT, "enhancement: the field of view is empty; give a mask that is white where the "
                                     "retina is, or none");
    }
    return FV_OK;
}

/* Replaces the image by one with another number of channels: of three the green one is kept, one is repeated. */
static fv_status change_channels(fv_image *image, int channels) {
    if (image->channels == channels) return FV_OK;
    fv_image changed;
    FV_TRY(fv_image_make_unset(image->width, image->height, channels, &changed));
    size_t count = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < count; i++) {
        if (channels == 1)
            changed.data[i] = image->data[3 * i + 1];
        else
            memset(changed.data + 3 * i, image->data[i], 3);
    }
    fv_image_free(image);
    *image = changed;
    return FV_OK;
}

static fv_status clahe_each(const fv_enhance *enhance, fv_image *image) {
    if (image->channels == 1) return fv_clahe(image, enhance->clahe_clip, enhance->clahe_tiles);
    fv_image plane;
    FV_TRY(fv_image_make_unset(image->width, image->height, 1, &plane));
    size_t count = (size_t)image->width * (size_t)image->height;
    fv_status status = FV_OK;
    for (size_t c = 0; c < 3 && status == FV_OK; c++) {
        for (size_t i = 0; i < count; i++) plane.data[i] = image->data[3 * i + c];
        status = fv_clahe(&plane, enhance->clahe_clip, enhance->clahe_tiles);
        for (size_t i = 0; i < count; i++) image->data[3 * i + c] = plane.data[i];
    }
    fv_image_free(&plane);
    return status;
}

static fv_status apply_step(const fv_enhance *enhance, fv_enhance_step step, fv_image *image, const fv_image *fov) {
    switch (step) {
    case FV_ENHANCE_GREEN:
        return change_channels(image, 1);
    case FV_ENHANCE_CLAHE:
        return clahe_each(enhance, image);
    case FV_ENHANCE_LAB_CLAHE:
        FV_TRY(change_channels(image, 3));
        return fv_clahe_lab(image, enhance->clahe_clip, enhance->clahe_tiles);
    case FV_ENHANCE_UNSHARP:
        return fv_unsharp(image, enhance->unsharp_amount, enhance->unsharp_sigma);
    case FV_ENHANCE_STRETCH:
        fv_levels_stretch(image, fov);
        break;
    case FV_ENHANCE_FOV:
        fv_levels_outside(image, fov, 0);
        break;
    case FV_ENHANCE_STANDARDISE:
        fv_levels_standardise(image, fov);
        break;
    case FV_ENHANCE_LOCAL:
        return fv_local_normalise(image, fov, enhance->local_sigma);
    }
    return FV_OK;
}

/* Behind `green` one channel is worked on instead of three equal ones. The photograph is left as it was on failure. */
fv_status fv_enhance_apply(const fv_enhance *enhance, fv_image *rgb, const fv_image *fov) {
    FV_TRY(check(enhance, rgb, fov));
    fv_image work;
    FV_TRY(fv_image_copy(rgb, &work));
    fv_status status = FV_OK;
    for (int i = 0; i < enhance->count && status == FV_OK; i++)
        status = apply_step(enhance, enhance->steps[i], &work, fov);
    if (status == FV_OK) status = change_channels(&work, 3);
    if (status == FV_OK) memcpy(rgb->data, work.data, (size_t)rgb->width * (size_t)rgb->height * 3);
    fv_image_free(&work);
    return status;
}
