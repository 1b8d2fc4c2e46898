#include "export_samples.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fovea/base/file.h"
#include "fovea/base/rng.h"
#include "temporary.h"

/* Norms as after training, and logits that vary from pixel to pixel. */
static void make_lively(fv_model *model) {
    fv_rng rng = fv_rng_make(4, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < model->params.count; i++) {
        const fv_param *param = &model->params.list[i];
        fv_real *values = model->params.values + param->offset;
        const char *part = strrchr(param->name, '.') + 1;
        bool scale = strcmp(part, "gamma") == 0 || strcmp(part, "var") == 0;
        bool shift = strcmp(part, "beta") == 0 || strcmp(part, "mean") == 0;
        bool logits = strstr(param->name, "out.") != NULL;
        for (size_t k = 0; k < param->count; k++) {
            if (scale) values[k] = (fv_real)fv_rng_range(&rng, 0.5, 1.5);
            if (shift) values[k] = (fv_real)fv_rng_range(&rng, -0.2, 0.2);
            if (logits) values[k] = (fv_real)fv_rng_range(&rng, -2, 2);
        }
    }
}

fv_model *export_sample_model(const char *network, fv_norm_kind norm) {
    fv_model_spec spec = {.width = 1, .classes = 1, .class_names = {"vessel"}, .thresholds = {0.375}, .norm = norm};
    spec.preprocess = (fv_preprocess){.size = EXPORT_SIDE,
                                      .work_size = 2 * EXPORT_SIDE,
                                      .fit = FV_FIT_LETTERBOX,
                                      .enhance = fv_enhance_standard(),
                                      .normalise = FV_NORMALISE_IMAGENET};
    if (fv_enhance_parse("lab_clahe", &spec.preprocess.enhance) != FV_OK) fail_msg("%s", fv_error());
    strcpy(spec.network, network);
    if (fv_network_has_encoder(network))
        spec.width = 0.35;
    else
        spec.base = 16;
    fv_model *model;
    if (fv_model_make(&spec, 3, &model) != FV_OK) fail_msg("%s", fv_error());
    make_lively(model);
    return model;
}

void export_sample_input(float *input, size_t count) {
    fv_rng rng = fv_rng_make(5, 0, 0, FV_PURPOSE_TEST);
    for (size_t i = 0; i < count; i++) input[i] = (float)fv_rng_range(&rng, -2, 2);
}

fv_ranges export_sample_ranges(const fv_folded *folded) {
    size_t floats = 3 * EXPORT_SIDE * EXPORT_SIDE;
    float *inputs = malloc(floats * sizeof *inputs);
    fv_ranges ranges;
    export_sample_input(inputs, floats);
    const fv_calibration calibration = {.inputs = inputs, .count = 1, .height = EXPORT_SIDE, .width = EXPORT_SIDE};
    if (fv_ranges_measure(folded, &calibration, &ranges) != FV_OK) fail_msg("%s", fv_error());
    free(inputs);
    return ranges;
}

size_t export_sample_write(const fv_model *model, const export_request *r) {
    fv_folded folded;
    fv_ranges ranges = {0};
    fv_metadata metadata;
    const fv_export_shape shape = {.layout = "NCHW",
                                   .height = r->dynamic ? 0 : EXPORT_SIDE,
                                   .width = r->dynamic ? 0 : EXPORT_SIDE,
                                   .preprocessing = r->preprocessing,
                                   .logits = r->logits,
                                   .precision = r->precision};
    if (fv_folded_make(model, EXPORT_SIDE, EXPORT_SIDE, r->logits, &folded) != FV_OK) fail_msg("%s", fv_error());
    if (r->precision == FV_PRECISION_INT8) ranges = export_sample_ranges(&folded);
    if (fv_metadata_of_model(&model->spec, &shape, &metadata) != FV_OK) fail_msg("%s", fv_error());
    const fv_onnx_settings settings = {.precision = r->precision,
                                       .ranges = &ranges,
                                       .dynamic_size = r->dynamic,
                                       .preprocess = r->preprocessing ? &model->spec.preprocess : NULL,
                                       .metadata = &metadata,
                                       .title = model->spec.network};
    if (fv_onnx_write(&folded, &settings, temporary_path(EXPORT_FILE)) != FV_OK) fail_msg("%s", fv_error());
    fv_metadata_free(&metadata);
    fv_ranges_free(&ranges);
    fv_folded_free(&folded);
    void *data;
    size_t bytes;
    assert_int_equal(fv_file_read(temporary_path(EXPORT_FILE), 1 << 28, &data, &bytes), FV_OK);
    free(data);
    return bytes;
}
