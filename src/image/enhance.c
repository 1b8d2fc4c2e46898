#include "fovea/image/enhance.h"

#include <stdio.h>
#include <string.h>

#include "fovea/image/clahe.h"

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

fv_status fv_enhance_apply(const fv_enhance *enhance, fv_image *rgb, const fv_image *fov) {
    (void)fov;
    for (int i = 0; i < enhance->count; i++)
        if (enhance->steps[i] == FV_ENHANCE_LAB_CLAHE)
            FV_TRY(fv_clahe_lab(rgb, enhance->clahe_clip, enhance->clahe_tiles));
    return FV_OK;
}
