/* ImageNet weights of the encoder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/log.h"
#include "fovea/base/memory.h"
#include "import_parts.h"

static fv_model_spec encoder_spec(double width, fv_convention convention) {
    return (fv_model_spec){.network = "mobilenetv2_unet", .width = width, .convention = convention, .classes = 1};
}

/* ---- into a model ---- */

static fv_status refuse_width(double found, double wanted, const char *path) {
    return fv_fail(FV_BAD_INPUT,
                   "%s holds an encoder of width %g, but the model's is %g wide: set model.width = %g, or name weights "
                   "of width %g",
                   path, found, wanted, found, wanted);
}

static void warn_of_other_convention(const fv_model *model, fv_convention told, const char *path) {
    if (told != model->spec.convention)
        fv_log_warning("%s holds weights of the %s convention, the model uses %s: set model.convention = %s", path,
                       fv_convention_names[told], fv_convention_names[model->spec.convention],
                       fv_convention_names[told]);
}

static fv_status load(fv_model *model, fv_import *import, const fv_own_layers *own) {
    fv_import_report report;
    fv_status status = fv_import_values(import, own, false, -1, model->params.values, &report);
    if (status == FV_OK) {
        warn_of_other_convention(model, report.convention, import->file.path);
        return FV_OK;
    }
    char complaint[1024];
    snprintf(complaint, sizeof complaint, "%s", fv_error());
    double width = fv_import_find_width(import);
    if (width > 0 && width != model->spec.width) return refuse_width(width, model->spec.width, import->file.path);
    return fv_fail(status, "%s", complaint);
}

fv_status fv_model_load_encoder(fv_model *model, const char *path) {
    fv_import import;
    fv_own_layers own;
    if (!fv_network_has_encoder(model->spec.network))
        return fv_fail(FV_BAD_INPUT, "%s can't begin with the weights of %s: it has no MobileNetV2 encoder",
                       model->spec.network, path);
    FV_TRY(fv_import_open(path, NULL, &import));
    fv_status status = fv_own_layers_of_model(model, true, &own);
    if (status == FV_OK) status = load(model, &import, &own);
    fv_own_layers_free(&own);
    fv_import_close(&import);
    return status;
}

/* ---- into a file ---- */

/* {kh, kw, in, out} -> OIHW, in which the files have kernels. */
static void kernel_to_oihw(fv_shape s, const fv_real *from, float *to) {
    size_t taps = (size_t)s.n * (size_t)s.h, in = (size_t)s.w, out = (size_t)s.c;
    for (size_t tap = 0; tap < taps; tap++)
        for (size_t c = 0; c < in; c++)
            for (size_t f = 0; f < out; f++) to[(f * in + c) * taps + tap] = from[(tap * in + c) * out + f];
}

static fv_status add_param(const fv_param *param, const fv_real *values, float *oihw, fv_safetensors_writer *writer) {
    fv_shape s = param->shape;
    const char *name = param->name + strlen("encoder.");
    const int64_t kernel[4] = {s.c, s.w, s.n, s.h}, vector[1] = {s.c};
    if (!strstr(name, ".weight")) return fv_safetensors_add(writer, name, "F32", 1, vector, values + param->offset);
    kernel_to_oihw(s, values + param->offset, oihw + param->offset);
    return fv_safetensors_add(writer, name, "F32", 4, kernel, oihw + param->offset);
}

static fv_status add_metadata(const char *path, const fv_import_report *report, fv_safetensors_writer *writer) {
    bool keras = report->convention == FV_CONVENTION_KERAS;
    char width[32], origin[400];
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    snprintf(width, sizeof width, "%g", report->width);
    snprintf(origin, sizeof origin, "%s, %s", name, fv_foreign_kind_names[report->kind]);
    const char *const pairs[][2] = {
        {"convention", fv_convention_names[report->convention]},
        {"padding", keras ? "tf_same" : "symmetric_1"},
        {"bn_eps", keras ? "1e-3" : "1e-5"},
        {"width", width},
        {"input", keras ? "x/127.5-1" : "(x/255-mean)/std, mean .485 .456 .406, std .229 .224 .225"},
        {"layout", "OIHW; depthwise C,1,3,3"},
        {"origin", origin}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        FV_TRY(fv_safetensors_add_metadata(writer, pairs[i][0], pairs[i][1]));
    return FV_OK;
}

static fv_status write_encoder(const char *path, const fv_params *params, const fv_real *values, float *oihw,
                               const fv_import_report *report, const char *out) {
    fv_safetensors_writer *writer;
    FV_TRY(fv_safetensors_writer_make(&writer));
    fv_status status = add_metadata(path, report, writer);
    for (int i = 0; i < params->count && status == FV_OK; i++)
        if (fv_param_is_encoder(&params->list[i])) status = add_param(&params->list[i], values, oihw, writer);
    if (status == FV_OK) return fv_safetensors_write(writer, out);
    fv_safetensors_writer_free(writer);
    return status;
}

static fv_status import_width(fv_import *import, double width, const char *path, const char *out,
                              fv_import_report *report) {
    fv_model_spec spec = encoder_spec(width, import->layout.layout->convention);
    fv_own_layers own;
    FV_TRY(fv_own_layers_of_spec(&spec, true, &own));
    fv_real *values = fv_allocate(own.params->total, sizeof *values, "the encoder's weights");
    float *oihw = fv_allocate(own.params->total, sizeof *oihw, "the encoder's weights");
    fv_status status = values && oihw ? FV_OK : FV_NO_RESOURCE;
    if (status == FV_OK) status = fv_import_values(import, &own, false, -1, values, report);
    report->width = width;
    if (status == FV_OK) status = write_encoder(path, own.params, values, oihw, report, out);
    free(values);
    free(oihw);
    fv_own_layers_free(&own);
    return status;
}

fv_status fv_import_encoder(const char *path, const char *out, fv_import_report *report) {
    fv_import import;
    *report = (fv_import_report){0};
    FV_TRY(fv_import_open(path, NULL, &import));
    double width = fv_import_find_width(&import);
    /* Width 1 says what is wrong where no width is right. */
    fv_status status = import_width(&import, width > 0 ? width : 1, path, out, report);
    fv_import_close(&import);
    return status;
}
