/* The functions of fovea/fovea.h, for whom nothing of the inside is known. */
#include "fovea/fovea.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/analysis/analysis.h"
#include "fovea/base/memory.h"
#include "fovea/exchange/open.h"
#include "fovea/image/image_file.h"

/* ---- a model ---- */

fv_status fv_analyser_open(const char *model_path, fv_analyser **analyser) {
    *analyser = NULL;
    fv_analyser *a = fv_allocate(1, sizeof *a, "a model");
    if (!a) return FV_NO_RESOURCE;
    a->degrees = NAN;
    fv_status status = fv_model_open(model_path, &a->model);
    if (status == FV_OK) status = fv_predictor_make(a->model, &a->predictor);
    if (status != FV_OK) {
        fv_analyser_close(a);
        return status;
    }
    *analyser = a;
    return FV_OK;
}

void fv_analyser_close(fv_analyser *analyser) {
    if (!analyser) return;
    fv_predictor_free(analyser->predictor);
    fv_model_free(analyser->model);
    free(analyser);
}

int fv_analyser_class_count(const fv_analyser *analyser) {
    return analyser->model->spec.classes;
}

const char *fv_analyser_class_name(const fv_analyser *analyser, int class_index) {
    const fv_model_spec *spec = &analyser->model->spec;
    return class_index >= 0 && class_index < spec->classes ? spec->class_names[class_index] : NULL;
}

static fv_status find_class(const fv_model_spec *spec, const char *name, int *class_index) {
    *class_index = fv_model_class(spec, name);
    if (*class_index >= 0) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "the model has no class \"%s\"; its first of %d is \"%s\"", name, spec->classes,
                   spec->class_names[0]);
}

fv_status fv_analyser_set_threshold(fv_analyser *analyser, const char *class_name, double threshold) {
    int c;
    FV_TRY(find_class(&analyser->model->spec, class_name, &c));
    if (!(threshold >= 0 && threshold <= 1))
        return fv_fail(FV_BAD_INPUT, "threshold of %s %g: expected a probability, 0..1", class_name, threshold);
    analyser->model->spec.thresholds[c] = threshold;
    return FV_OK;
}

void fv_analyser_set_flips(fv_analyser *analyser, int flips) {
    fv_predictor_set_flips(analyser->predictor, flips != 0);
}

fv_status fv_analyser_set_camera(fv_analyser *analyser, double degrees) {
    if (!isnan(degrees) && !(degrees >= FV_FOV_DEGREES_MIN && degrees <= FV_FOV_DEGREES_MAX))
        return fv_fail(FV_BAD_INPUT, "a camera that sees %g degrees: expected %d to %d", degrees, FV_FOV_DEGREES_MIN,
                       FV_FOV_DEGREES_MAX);
    analyser->degrees = degrees;
    return FV_OK;
}

void fv_analyser_set_memory(fv_analyser *analyser, size_t bytes) {
    fv_predictor_set_memory(analyser->predictor, bytes);
}

/* ---- a photograph ---- */

static fv_status check_pixels(const unsigned char *rgb, int width, int height, size_t stride) {
    if (!rgb || width < 1 || height < 1 || (int64_t)width * height > FV_IMAGE_MAX_PIXELS)
        return fv_fail(FV_BAD_INPUT, "a photograph of %d x %d px%s: expected 1 to %lld pixels", width, height,
                       rgb ? "" : " at NULL", (long long)FV_IMAGE_MAX_PIXELS);
    if (stride < 3 * (size_t)width)
        return fv_fail(FV_BAD_INPUT, "rows of %zu bytes for %d pixels: RGB of 8 bits takes at least %zu", stride, width,
                       3 * (size_t)width);
    return FV_OK;
}

fv_status fv_analyse(fv_analyser *analyser, const unsigned char *rgb, int width, int height, size_t stride,
                     fv_analysis **analysis) {
    fv_image photo;
    *analysis = NULL;
    FV_TRY(check_pixels(rgb, width, height, stride));
    FV_TRY(fv_image_make_unset(width, height, 3, &photo));
    for (size_t y = 0, row = 3 * (size_t)width; y < (size_t)height; y++)
        memcpy(photo.data + y * row, rgb + y * stride, row);
    fv_status status = fv_analyse_image(analyser, &photo, analysis);
    fv_image_free(&photo);
    return status;
}

fv_status fv_analyse_file(fv_analyser *analyser, const char *path, fv_analysis **analysis) {
    fv_image photo;
    *analysis = NULL;
    FV_TRY(fv_image_read(path, 3, &photo));
    fv_status status = fv_fail_about(fv_analyse_image(analyser, &photo, analysis), path);
    fv_image_free(&photo);
    return status;
}

int fv_analysis_width(const fv_analysis *analysis) {
    return analysis->width;
}

int fv_analysis_height(const fv_analysis *analysis) {
    return analysis->height;
}

const unsigned char *fv_analysis_mask(const fv_analysis *analysis, const char *class_name) {
    int c = fv_model_class(&analysis->spec, class_name);
    return c >= 0 ? analysis->masks[c].data : NULL;
}

fv_status fv_analysis_probabilities(const fv_analysis *analysis, const char *class_name, float *probabilities) {
    int c;
    FV_TRY(find_class(&analysis->spec, class_name, &c));
    return fv_predict_probabilities(&analysis->map, c, analysis->width, analysis->height, probabilities);
}

const fv_measure *fv_analysis_measures(const fv_analysis *analysis, int *count) {
    *count = analysis->measure_count;
    return analysis->measures;
}

double fv_analysis_measure(const fv_analysis *analysis, const char *name) {
    for (int i = 0; i < analysis->measure_count; i++)
        if (strcmp(analysis->measures[i].name, name) == 0) return analysis->measures[i].value;
    return NAN;
}
