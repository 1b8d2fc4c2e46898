/* Whole networks. */
#include <stdio.h>
#include <string.h>

#include "import_parts.h"

/* Filters of the first convolution: what U-shaped networks have at full size. */
static int find_base(const fv_import *import, const fv_own_layers *own) {
    char scope[FV_SCOPE_MAX];
    fv_layout_scope(&import->layout, own->list[0].name, scope);
    for (int i = 0; i < import->layers.count; i++) {
        const fv_foreign_layer *layer = &import->layers.list[i];
        if (!layer->kernel || layer->kernel->dims != 4 || !fv_layout_covers(scope, layer->name)) continue;
        int64_t filters = layer->kernel->shape[import->layers.hwio ? 3 : 0];
        bool fits = filters >= FV_BASE_MIN && filters <= FV_BASE_MAX && filters % FV_BASE_MIN == 0;
        return fits ? (int)filters : 0;
    }
    return 0;
}

/* Width or base, where the file has one that fits; what does not fit is told when layers are matched. */
static fv_status find_filters(fv_import *import, fv_model_spec *spec) {
    if (fv_network_has_encoder(spec->network)) {
        double width = fv_import_find_width(import);
        if (width > 0) spec->width = width;
        return FV_OK;
    }
    fv_model *model;
    fv_own_layers own;
    FV_TRY(fv_model_make(spec, 0, &model));
    fv_status status = fv_own_layers_of_model(model, false, &own);
    if (status == FV_OK) spec->base = find_base(import, &own);
    fv_own_layers_free(&own);
    fv_model_free(model);
    return status;
}

static fv_status fill(fv_import *import, fv_model *model, double epsilon, fv_import_report *report) {
    fv_own_layers own;
    fv_status status = fv_own_layers_of_model(model, false, &own);
    if (status == FV_OK) status = fv_import_values(import, &own, true, epsilon, model->params.values, report);
    report->width = model->spec.width;
    fv_own_layers_free(&own);
    return status;
}

/* Keras pads the transposed 3x3 convolution at the other end, and its original of this network is built otherwise. */
static fv_status check_framework(const fv_import *import, const char *network) {
    bool keras = import->layers.hwio;
    if (keras == (strcmp(network, "mobilenetv2_se_unet_keras") == 0) || !strstr(network, "_se_")) return FV_OK;
    return fv_fail(
        FV_BAD_INPUT, "%s has kernels in %s's order, but %s is built as in %s; use --network mobilenetv2_se_unet%s",
        import->file.path, keras ? "Keras" : "PyTorch", network, keras ? "PyTorch" : "Keras", keras ? "_keras" : "");
}

static fv_status import_open(fv_import *import, fv_model_spec *spec, fv_import_find find, double epsilon,
                             fv_model **model, fv_import_report *report) {
    FV_TRY(check_framework(import, spec->network));
    if (find.convention) spec->convention = import->layout.layout->convention;
    if (find.filters) FV_TRY(find_filters(import, spec));
    FV_TRY(fv_model_make(spec, 0, model));
    fv_status status = fill(import, *model, epsilon, report);
    if (status == FV_OK) return FV_OK;
    fv_model_free(*model);
    *model = NULL;
    return status;
}

fv_status fv_import_model(const char *path, const fv_model_spec *wanted, fv_import_find find, double epsilon,
                          fv_model **model, fv_import_report *report) {
    fv_import import;
    fv_model_spec spec = *wanted;
    *model = NULL;
    *report = (fv_import_report){0};
    FV_TRY(fv_model_spec_check(&spec));
    FV_TRY(fv_import_open(path, spec.network, &import));
    fv_status status = import_open(&import, &spec, find, epsilon, model, report);
    fv_import_close(&import);
    return status;
}
