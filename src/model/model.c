#include "fovea/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "networks.h"

#define SMALLEST_SIZE 32 /* of the input, px */
#define LARGEST_SIZE 4096

const char *const fv_convention_names[] = {"keras", "torchvision", NULL};
const char *const fv_norm_names[] = {"batch", "group", NULL};

typedef struct network {
    const char *name;
    fv_outputs (*build)(fv_graph *g, fv_value input, const fv_model_spec *spec);
    int halvings; /* of the input's size: sides are multiples of 1 << halvings */
    int base;     /* default of spec->base; 0: the network has a MobileNetV2 encoder and a width instead */
    bool levels;  /* spec->depth (`halvings` is its default) and spec->norm can be chosen */
} network;

static const network networks[] = {
    {"mobilenetv2_unet", fv_mobilenetv2_unet_build, 5, 0, false},
    {"mobilenetv2_se_unet", fv_mobilenetv2_se_unet_build, 5, 0, false},
    {"mobilenetv2_se_unet_keras", fv_mobilenetv2_se_unet_keras_build, 5, 0, false},
    {"unet", fv_unet_build, 4, 32, true},
    {"resunet", fv_resunet_build, 4, 64, false},
    {"wnet", fv_wnet_build, 2, 8, false},
};

const char *const fv_network_names[] = {
    "mobilenetv2_unet", "mobilenetv2_se_unet", "mobilenetv2_se_unet_keras", "unet", "resunet", "wnet", NULL};

static const network *network_find(const char *name) {
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (strcmp(networks[i].name, name) == 0) return &networks[i];
    return NULL;
}

/* Names stand in file names (NAME_disc.png) and in keys of INI, CSV and JSON. */
static fv_status check_class_name(const fv_model_spec *spec, int c) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *name = spec->class_names[c];
    if (!*name || name[strspn(name, letters)])
        return fv_fail(FV_BAD_INPUT, "the class name \"%s\" does not fit: use letters a-z A-Z, digits, _ and - only",
                       name);
    if (strcmp(name, "overlay") == 0 || strcmp(name, "panel") == 0 || strcmp(name, "measures") == 0)
        return fv_fail(FV_BAD_INPUT, "no class can be named %s: its mask would have the file name of a picture", name);
    if (fv_model_class(spec, name) != c) return fv_fail(FV_BAD_INPUT, "%s is named twice", name);
    return FV_OK;
}

fv_status fv_model_classes_check(const fv_model_spec *spec) {
    if (spec->classes < 1 || spec->classes > FV_MAX_CLASSES)
        return fv_fail(FV_BAD_INPUT, "%d classes; a model has 1 to %d", spec->classes, FV_MAX_CLASSES);
    for (int c = 0; c < spec->classes; c++) FV_TRY(check_class_name(spec, c));
    return FV_OK;
}

bool fv_network_has_encoder(const char *name) {
    const network *found = network_find(name);
    return found && found->base == 0;
}

static bool is_recipe(const fv_model_spec *spec) {
    return strcmp(spec->network, FV_RECIPE_NETWORK) == 0;
}

static fv_status check_network_name(const char *name) {
    if (network_find(name)) return FV_OK;
    char known[256] = "";
    for (int i = 0; fv_network_names[i]; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", fv_network_names[i]);
    return fv_fail(FV_BAD_INPUT, "the network \"%s\" is not known; known: %s", name, known);
}

fv_status fv_model_filters_check(const fv_model_spec *spec) {
    const network *net = network_find(spec->network);
    if (!(spec->width >= 0.1 && spec->width <= 4))
        return fv_fail(FV_BAD_INPUT, "the width multiplier %g is outside 0.1 .. 4", spec->width);
    if (net->base && spec->width != 1)
        return fv_fail(FV_BAD_INPUT, "the width multiplier %g does not fit: %s has none, set model.base instead",
                       spec->width, net->name);
    if (spec->base == 0) return FV_OK;
    if (!net->base)
        return fv_fail(FV_BAD_INPUT, "the base of %d filters does not fit: %s has none, set model.width instead",
                       spec->base, net->name);
    if (spec->base % FV_BASE_MIN == 0 && spec->base >= FV_BASE_MIN && spec->base <= FV_BASE_MAX) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "the base of %d filters does not fit: it must be a multiple of %d in %d .. %d",
                   spec->base, FV_BASE_MIN, FV_BASE_MIN, FV_BASE_MAX);
}

fv_status fv_model_levels_check(const fv_model_spec *spec) {
    const network *net = network_find(spec->network);
    if (!net->levels && spec->depth)
        return fv_fail(FV_BAD_INPUT, "the depth of %d levels does not fit: that of %s is fixed", spec->depth,
                       net->name);
    if (!net->levels && spec->norm != FV_NORM_BATCH)
        return fv_fail(FV_BAD_INPUT, "%s norm does not fit: %s has batch norm only", fv_norm_names[spec->norm],
                       net->name);
    if (spec->depth == 0 || (spec->depth >= FV_DEPTH_MIN && spec->depth <= FV_DEPTH_MAX)) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "the depth of %d levels does not fit: it must be in %d .. %d", spec->depth,
                   FV_DEPTH_MIN, FV_DEPTH_MAX);
}

static int halvings_of(const fv_model_spec *spec) {
    return spec->depth ? spec->depth : network_find(spec->network)->halvings;
}

int fv_model_step(const fv_model_spec *spec) {
    return is_recipe(spec) ? spec->multiple : 1 << halvings_of(spec);
}

static fv_status check_size(const fv_model_spec *spec, const char *what, int size) {
    int step = fv_model_step(spec), lower = size / step * step;
    if (size >= SMALLEST_SIZE && size <= LARGEST_SIZE && lower == size) return FV_OK;
    int near = lower < SMALLEST_SIZE ? SMALLEST_SIZE : lower > LARGEST_SIZE ? LARGEST_SIZE : lower;
    if (is_recipe(spec))
        return fv_fail(FV_BAD_INPUT, "the %s %d does not fit: it must be a multiple of %d in %d .. %d", what, size,
                       step, SMALLEST_SIZE, LARGEST_SIZE);
    return fv_fail(FV_BAD_INPUT,
                   "the %s %d does not fit: %s halves it %d times, so it must be a multiple of %d in %d .. %d, "
                   "for example %d",
                   what, size, spec->network, halvings_of(spec), step, SMALLEST_SIZE, LARGEST_SIZE, near);
}

/* What a network with a name is made by; a recipe has only its multiple. */
static fv_status check_network(const fv_model_spec *spec) {
    if (is_recipe(spec)) {
        if (spec->multiple >= 1) return FV_OK;
        return fv_fail(FV_BAD_INPUT, "the multiple %d of the sides is below 1", spec->multiple);
    }
    FV_TRY(check_network_name(spec->network));
    FV_TRY(fv_model_filters_check(spec));
    return fv_model_levels_check(spec);
}

fv_status fv_model_spec_check(const fv_model_spec *spec) {
    FV_TRY(check_network(spec));
    FV_TRY(fv_model_classes_check(spec));
    const fv_preprocess *pre = &spec->preprocess;
    bool clahe = fv_enhance_has(&pre->enhance, FV_ENHANCE_CLAHE) || fv_enhance_has(&pre->enhance, FV_ENHANCE_LAB_CLAHE);
    if (clahe && !(pre->enhance.clahe_clip > 0))
        return fv_fail(FV_BAD_INPUT, "the clip limit %g of CLAHE must be above 0 (2 is usual)",
                       pre->enhance.clahe_clip);
    FV_TRY(fv_preprocess_check(pre));
    if (pre->windows && pre->tile) FV_TRY(check_size(spec, "tile", pre->tile));
    return check_size(spec, "input size", pre->size);
}

fv_value fv_model_build(const fv_model *model, fv_graph *graph, fv_value input, fv_value *auxiliary) {
    if (auxiliary) *auxiliary = FV_NO_VALUE;
    if (model->recipe) return fv_recipe_build(model->recipe, graph, input);
    fv_outputs outputs = network_find(model->spec.network)->build(graph, input, &model->spec);
    if (auxiliary) *auxiliary = outputs.auxiliary;
    return outputs.logits;
}

fv_status fv_model_output_check(const fv_model_spec *spec, fv_shape found, int height, int width) {
    fv_shape wanted = {1, height, width, spec->classes};
    char found_text[FV_SHAPE_TEXT], wanted_text[FV_SHAPE_TEXT];
    if (fv_shape_equal(found, wanted)) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "for a picture of %dx%d the network gives %s, expected %s: a number for each pixel and class", width,
                   height, fv_shape_text(found, found_text), fv_shape_text(wanted, wanted_text));
}

/* Builds the network once to declare its parameters, whose shapes do not depend on the input's size, and checks what it
   gives. */
static fv_status declare_params(fv_model *model, int size) {
    fv_graph graph;
    fv_graph_init(&graph, &model->params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){1, size, size, 3}, false);
    fv_shape logits = fv_graph_shape(&graph, fv_model_build(model, &graph, input, NULL));
    fv_status status = fv_graph_status(&graph);
    if (status == FV_OK) status = fv_model_output_check(&model->spec, logits, size, size);
    fv_graph_free(&graph);
    return status;
}

fv_status fv_model_make(const fv_model_spec *spec, uint64_t seed, fv_model **out) {
    *out = NULL;
    FV_TRY(check_network_name(spec->network));
    FV_TRY(fv_model_spec_check(spec));
    fv_model *model = fv_allocate(1, sizeof *model, "a model");
    if (!model) return FV_NO_RESOURCE;
    model->spec = *spec;
    const network *net = network_find(spec->network);
    if (spec->base == 0) model->spec.base = net->base;
    if (spec->depth == 0 && net->levels) model->spec.depth = net->halvings;
    fv_params_init(&model->params);
    fv_status status = declare_params(model, SMALLEST_SIZE);
    if (status == FV_OK) status = fv_params_allocate(&model->params, seed);
    if (status == FV_OK)
        *out = model;
    else
        fv_model_free(model);
    return status;
}

fv_status fv_model_make_recipe(const fv_model_spec *spec, fv_recipe *recipe, fv_model **out) {
    *out = NULL;
    fv_model *model = fv_allocate(1, sizeof *model, "a model");
    if (!model) {
        fv_recipe_free(recipe);
        return FV_NO_RESOURCE;
    }
    model->recipe = recipe;
    model->spec = *spec;
    model->spec.width = 1;
    model->spec.base = model->spec.depth = 0;
    snprintf(model->spec.network, sizeof model->spec.network, FV_RECIPE_NETWORK);
    fv_params_init(&model->params);
    fv_status status = fv_recipe_multiple(recipe, &model->spec.multiple);
    if (status == FV_OK) status = fv_model_spec_check(&model->spec);
    int size = model->spec.preprocess.size;
    if (status == FV_OK) status = declare_params(model, size);
    if (status == FV_OK) status = declare_params(model, size + model->spec.multiple); /* of any size, not of one */
    if (status == FV_OK) status = fv_params_allocate(&model->params, 0);
    if (status == FV_OK)
        *out = model;
    else
        fv_model_free(model);
    return status;
}

void fv_model_free(fv_model *model) {
    if (!model) return;
    fv_params_free(&model->params);
    fv_recipe_free(model->recipe);
    free(model->ranges);
    free(model);
}

bool fv_param_is_encoder(const fv_param *param) {
    return strncmp(param->name, "encoder.", 8) == 0;
}

int fv_model_class(const fv_model_spec *spec, const char *name) {
    for (int c = 0; c < spec->classes; c++)
        if (strcmp(spec->class_names[c], name) == 0) return c;
    return -1;
}
