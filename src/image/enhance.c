#include "fovea/image/enhance.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fovea/image/clahe.h"
#include "smooth.h"

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
    snprintf(words, sizeof words, "%s", text);
    enhance->count = 0;
    if (strcmp(text, "none") == 0) return FV_OK;
    for (char *word = strtok_r(words, " ,", &rest); word; word = strtok_r(NULL, " ,", &rest)) {
        int step = step_find(word);
        if (step < 0) return fv_fail(FV_BAD_INPUT, "\"%.40s\" is no step of enhancement", word);
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

/* ---- the steps ---- */

static size_t pixels_of(const fv_image *image) {
    return (size_t)image->width * (size_t)image->height;
}

static uint8_t level(float value) {
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)lrintf(value);
}

static void take_green(fv_image *rgb) {
    for (size_t i = 0; i < pixels_of(rgb); i++) rgb->data[3 * i] = rgb->data[3 * i + 2] = rgb->data[3 * i + 1];
}

static void get_channel(const fv_image *rgb, int channel, uint8_t *plane) {
    for (size_t i = 0; i < pixels_of(rgb); i++) plane[i] = rgb->data[3 * i + (size_t)channel];
}

static void set_channel(fv_image *rgb, int channel, const uint8_t *plane) {
    for (size_t i = 0; i < pixels_of(rgb); i++) rgb->data[3 * i + (size_t)channel] = plane[i];
}

/* After FV_ENHANCE_GREEN all channels are alike: one is worked on, the others copy it. */
static bool channels_are_alike(const fv_image *rgb) {
    for (size_t i = 0; i < pixels_of(rgb); i++)
        if (rgb->data[3 * i] != rgb->data[3 * i + 1] || rgb->data[3 * i] != rgb->data[3 * i + 2]) return false;
    return true;
}

typedef fv_status plane_step(const fv_enhance *enhance, const fv_image *fov, fv_image *plane);

/* Does a step of one channel to all three. */
static fv_status each_channel(const fv_enhance *enhance, const fv_image *fov, plane_step *step, fv_image *rgb) {
    bool alike = channels_are_alike(rgb);
    fv_image plane;
    FV_TRY(fv_image_make_unset(rgb->width, rgb->height, 1, &plane));
    fv_status status = FV_OK;
    for (int c = 0; c < 3 && status == FV_OK; c++) {
        if (c == 0 || !alike) {
            get_channel(rgb, c, plane.data);
            status = step(enhance, fov, &plane);
        }
        if (status == FV_OK) set_channel(rgb, c, plane.data);
    }
    fv_image_free(&plane);
    return status;
}

static fv_status equalise_plane(const fv_enhance *enhance, const fv_image *fov, fv_image *plane) {
    (void)fov;
    return fv_clahe(plane, enhance->clahe_clip, enhance->clahe_tiles);
}

/* The blur is rounded to grey levels before it is subtracted, as OpenCV's is. */
static fv_status sharpen_plane(const fv_enhance *enhance, const fv_image *fov, fv_image *plane) {
    (void)fov;
    fv_image blurred;
    float amount = (float)enhance->unsharp_amount;
    FV_TRY(fv_gaussian_grey(plane, enhance->unsharp_sigma, &blurred));
    for (size_t i = 0; i < pixels_of(plane); i++)
        plane->data[i] = level((1 + amount) * (float)plane->data[i] - amount * (float)blurred.data[i]);
    fv_image_free(&blurred);
    return FV_OK;
}

static void stretch(fv_image *rgb, const fv_image *fov) {
    int lowest = 255, highest = 0;
    for (size_t i = 0; i < 3 * pixels_of(rgb); i++) {
        if (fov && !fov->data[i / 3]) continue;
        if (rgb->data[i] < lowest) lowest = rgb->data[i];
        if (rgb->data[i] > highest) highest = rgb->data[i];
    }
    if (lowest >= highest) return;
    float scale = 255.0F / (float)(highest - lowest), shift = -(float)lowest * scale;
    for (size_t i = 0; i < 3 * pixels_of(rgb); i++) rgb->data[i] = level((float)rgb->data[i] * scale + shift);
}

static void blacken_outside(fv_image *rgb, const fv_image *fov) {
    for (size_t i = 0; fov && i < 3 * pixels_of(rgb); i++)
        if (!fov->data[i / 3]) rgb->data[i] = 0;
}

static const float middle_level = 128, levels_a_deviation = 48; /* three deviations each way are 16..272 */

static fv_status standardise_plane(const fv_enhance *enhance, const fv_image *fov, fv_image *plane) {
    (void)enhance;
    double sum = 0, squares = 0, count = 0;
    for (size_t i = 0; i < pixels_of(plane); i++) {
        if (fov && !fov->data[i]) continue;
        sum += plane->data[i];
        squares += (double)plane->data[i] * plane->data[i];
        count++;
    }
    double mean = count > 0 ? sum / count : 0, variance = count > 0 ? squares / count - mean * mean : 0;
    float scale = levels_a_deviation / (float)sqrt(fmax(variance, 1)); /* a level at least: even planes stay even */
    for (size_t i = 0; i < pixels_of(plane); i++) {
        bool inside = !fov || fov->data[i];
        plane->data[i] = level(middle_level + (inside ? scale * ((float)plane->data[i] - (float)mean) : 0));
    }
    return FV_OK;
}

static fv_status localise_plane(const fv_enhance *enhance, const fv_image *fov, fv_image *plane) {
    fv_local_moments moments;
    FV_TRY(fv_local_moments_make(plane, fov, enhance->local_sigma, &moments));
    float typical = moments.mean_deviation / 2; /* what is flatter is not blown up: its grain would be */
    for (size_t i = 0; i < pixels_of(plane); i++) {
        bool inside = !fov || fov->data[i];
        float deviation = sqrtf(moments.variance[i] + typical * typical + 0.25F);
        float score = inside ? ((float)plane->data[i] - moments.mean[i]) / deviation : 0;
        plane->data[i] = level(middle_level + levels_a_deviation * score);
    }
    fv_local_moments_free(&moments);
    return FV_OK;
}

static fv_status apply(const fv_enhance *enhance, fv_enhance_step step, fv_image *rgb, const fv_image *fov) {
    switch (step) {
    case FV_ENHANCE_GREEN:
        take_green(rgb);
        return FV_OK;
    case FV_ENHANCE_CLAHE:
        return each_channel(enhance, fov, equalise_plane, rgb);
    case FV_ENHANCE_LAB_CLAHE:
        return fv_clahe_lab(rgb, enhance->clahe_clip, enhance->clahe_tiles);
    case FV_ENHANCE_UNSHARP:
        return each_channel(enhance, fov, sharpen_plane, rgb);
    case FV_ENHANCE_STRETCH:
        stretch(rgb, fov);
        return FV_OK;
    case FV_ENHANCE_FOV:
        blacken_outside(rgb, fov);
        return FV_OK;
    case FV_ENHANCE_STANDARDISE:
        return each_channel(enhance, fov, standardise_plane, rgb);
    case FV_ENHANCE_LOCAL:
        return each_channel(enhance, fov, localise_plane, rgb);
    }
    return FV_OK;
}

static fv_status check(const fv_enhance *enhance, const fv_image *rgb, const fv_image *fov) {
    if (!rgb->data || rgb->channels != 3)
        return fv_fail(FV_BAD_INPUT, "enhancement: the image has %d channels, expected 3",
                       rgb->data ? rgb->channels : 0);
    if (fov && (fov->width != rgb->width || fov->height != rgb->height || fov->channels != 1))
        return fv_fail(FV_BAD_INPUT, "enhancement: the field of view is %d x %d px, its photograph %d x %d px",
                       fov->width, fov->height, rgb->width, rgb->height);
    bool unsharp = fv_enhance_has(enhance, FV_ENHANCE_UNSHARP), local = fv_enhance_has(enhance, FV_ENHANCE_LOCAL);
    if (unsharp && !(enhance->unsharp_sigma >= 0.1 && enhance->unsharp_sigma <= 20 && enhance->unsharp_amount >= 0))
        return fv_fail(FV_BAD_INPUT, "enhancement: unsharp amount %g and sigma %g px, expected 0 or more and 0.1..20",
                       enhance->unsharp_amount, enhance->unsharp_sigma);
    if (local && !(enhance->local_sigma >= 1 && enhance->local_sigma <= 500))
        return fv_fail(FV_BAD_INPUT, "enhancement: local sigma %g px, expected 1..500", enhance->local_sigma);
    return FV_OK;
}

fv_status fv_enhance_apply(const fv_enhance *enhance, fv_image *rgb, const fv_image *fov) {
    FV_TRY(check(enhance, rgb, fov));
    for (int i = 0; i < enhance->count; i++) FV_TRY(apply(enhance, enhance->steps[i], rgb, fov));
    return FV_OK;
}
