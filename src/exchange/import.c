#include <stdio.h>
#include <string.h>

#include "import_parts.h"

static fv_status understand(fv_import *import, const char *network) {
    FV_TRY(fv_foreign_layers_make(&import->file, &import->layers));
    fv_layout_find(&import->layers, network, import->file.padding, &import->layout);
    return FV_OK;
}

fv_status fv_import_open(const char *path, const char *network, fv_import *import) {
    *import = (fv_import){0};
    FV_TRY(fv_foreign_read(path, &import->file));
    fv_status status = understand(import, network);
    if (status != FV_OK) fv_import_close(import);
    return status;
}

void fv_import_close(fv_import *import) {
    fv_foreign_layers_free(&import->layers);
    fv_foreign_free(&import->file);
    *import = (fv_import){0};
}

/* ---- width ---- */

/* Whether the kernel of each of our encoder's layers has the shape that the file's layer in its place has. */
static bool width_fits(fv_import *import, double width) {
    fv_model_spec spec = {.network = "mobilenetv2_unet", .width = width, .classes = 1};
    fv_own_layers own;
    fv_match match;
    if (fv_own_layers_of_spec(&spec, true, &own) != FV_OK) return false;
    bool fits = fv_match_make(&own, &import->layers, &import->layout, false, import->file.path, &match) == FV_OK;
    if (fits) fv_match_free(&match);
    fv_own_layers_free(&own);
    return fits;
}

double fv_import_find_width(fv_import *import) {
    static const double published[] = {1, 0.35, 0.5, 0.75, 1.3, 1.4};
    double told;
    if (sscanf(import->file.width, "%lf", &told) == 1 && told >= 0.1 && told <= 4 && width_fits(import, told))
        return told;
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        if (width_fits(import, published[i])) return published[i];
    for (int percent = 10; percent <= 400; percent += 5)
        if (width_fits(import, percent / 100.0)) return percent / 100.0;
    return 0;
}

/* ---- values ---- */

static void fill_report(const fv_import *import, const fv_own_layers *own, double epsilon, fv_import_report *report) {
    report->kind = import->file.kind;
    snprintf(report->layout, sizeof report->layout, "%s", import->layout.layout->name);
    report->convention = import->layout.layout->convention;
    report->epsilon = epsilon;
    report->layers = own->count;
    report->tensors = import->file.count;
    for (int i = 0; i < import->layers.count; i++) report->left_over += !import->layers.list[i].used;
    for (int i = 0; i < own->count; i++) {
        const fv_own_layer *l = &own->list[i];
        const int params[] = {l->weight, l->bias, l->gamma, l->beta, l->mean, l->var};
        for (int k = 0; k < 6; k++) report->values += params[k] >= 0 ? own->params->list[params[k]].count : 0;
    }
}

fv_status fv_import_values(fv_import *import, const fv_own_layers *own, bool whole, double epsilon, fv_real *values,
                           fv_import_report *report) {
    fv_match match;
    const char *path = import->file.path;
    *report = (fv_import_report){.width = 1};
    if (epsilon < 0) epsilon = import->layout.layout->epsilon;
    FV_TRY(fv_match_make(own, &import->layers, &import->layout, whole, path, &match));
    fv_status status = fv_convert_check(own, &match, path);
    if (status == FV_OK) {
        fill_report(import, own, epsilon, report);
        report->changed = fv_convert_values(own, &match, import->layers.hwio, epsilon, values);
    }
    fv_match_free(&match);
    return status;
}
