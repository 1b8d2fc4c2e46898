#include "fovea/exchange/rounded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/tensor/half.h"

/* ---- weights ---- */

static void round_to_halves(float *values, size_t count) {
    for (size_t i = 0; values && i < count; i++) values[i] = fv_half_to_float(fv_half_from_float(values[i]));
}

static fv_status round_to_bytes(const fv_folded_layer *layer, const fv_ranges *ranges) {
    fv_quantised_kernel kernel;
    float input_scale = fv_steps_of(fv_ranges_of(ranges, layer->in[0]), 0, UINT8_MAX).scale;
    FV_TRY(fv_quantise_kernel(layer, input_scale, &kernel));
    for (size_t i = 0; i < kernel.count; i++) layer->weight[i] = (float)kernel.q[i] * kernel.scale[i % kernel.filters];
    for (size_t f = 0; f < kernel.filters; f++) layer->bias[f] = (float)kernel.b[f] * kernel.scale[f] * input_scale;
    fv_quantised_kernel_free(&kernel);
    return FV_OK;
}

static fv_status round_weights(fv_folded *folded, fv_export_precision precision, const fv_ranges *ranges) {
    for (int i = 0; i < folded->count; i++) {
        fv_folded_layer *layer = &folded->layers[i];
        if (precision == FV_PRECISION_INT8 && fv_folded_has_kernel(layer)) FV_TRY(round_to_bytes(layer, ranges));
        if (precision != FV_PRECISION_FLOAT16 && precision != FV_PRECISION_FLOAT16_STORAGE) continue;
        round_to_halves(layer->weight, fv_shape_count(layer->weight_shape));
        round_to_halves(layer->bias, fv_folded_bias_count(layer));
    }
    return FV_OK;
}

/* ---- results ---- */

typedef struct rounding {
    fv_export_precision precision;
    const fv_ranges *ranges;
} rounding;

/* The rounding of a layer's result, or of the input. */
static fv_value round_result(void *context, int layer, fv_graph *graph, fv_value result) {
    const rounding *r = context;
    fv_attributes attributes = {.step = 0};
    if (r->precision != FV_PRECISION_FLOAT16 && r->precision != FV_PRECISION_INT8) return result;
    if (r->precision == FV_PRECISION_INT8) {
        fv_steps steps = fv_steps_of(fv_ranges_of(r->ranges, layer), 0, UINT8_MAX);
        attributes =
            (fv_attributes){.step = (double)steps.scale, .zero = steps.zero, .least = steps.least, .most = steps.most};
    }
    char name[FV_NAME_MAX];
    snprintf(name, sizeof name, "rounded.%d", layer + 1);
    return fv_graph_add(graph, FV_OP_quantise, name, &attributes, 1, &result);
}

/* ---- a graph as a recipe ---- */

static fv_recipe_ref reference(const fv_graph *graph, fv_value value) {
    const fv_graph_value *v = &graph->values[value];
    if (v->param >= 0) return (fv_recipe_ref){FV_FROM_PARAM, v->param};
    return v->producer >= 0 ? (fv_recipe_ref){FV_FROM_STEP, v->producer} : (fv_recipe_ref){FV_FROM_INPUT, 0};
}

static fv_status add_params(const fv_graph *graph, fv_recipe *recipe) {
    for (int i = 0; i < graph->params->count; i++) {
        fv_recipe_param param = {.shape = graph->params->list[i].shape};
        memcpy(param.name, graph->params->list[i].name, sizeof param.name);
        FV_TRY(fv_recipe_add_param(recipe, &param));
    }
    return FV_OK;
}

static fv_status add_steps(const fv_graph *graph, fv_recipe *recipe) {
    for (int i = 0; i < graph->node_count; i++) {
        const fv_graph_node *node = &graph->nodes[i];
        fv_recipe_step step = {
            .kind = node->spec.kind, .attributes = node->spec.attributes, .inputs = node->spec.inputs};
        memcpy(step.name, node->name, sizeof step.name);
        for (int k = 0; k < step.inputs; k++) step.in[k] = reference(graph, node->in[k]);
        FV_TRY(fv_recipe_add_step(recipe, &step));
    }
    recipe->output = graph->node_count - 1;
    return FV_OK;
}

static fv_status recipe_of(const fv_graph *graph, fv_recipe **recipe) {
    *recipe = fv_recipe_make();
    if (!*recipe) return FV_NO_RESOURCE;
    fv_status status = add_params(graph, *recipe);
    if (status == FV_OK) status = add_steps(graph, *recipe);
    if (status != FV_OK) {
        fv_recipe_free(*recipe);
        *recipe = NULL;
    }
    return status;
}

/* ---- all of it ---- */

static fv_status build_recipe(const fv_folded *folded, rounding *r, fv_recipe **recipe) {
    fv_params params;
    fv_graph graph;
    fv_value *values = fv_allocate((size_t)folded->count, sizeof *values, "a rounded network");
    if (!values) return FV_NO_RESOURCE;
    fv_params_init(&params);
    fv_graph_init(&graph, &params);
    fv_value input = fv_graph_input(&graph, "input", folded->input, false);
    input = round_result(r, FV_FOLDED_INPUT, &graph, input);
    fv_folded_build(folded, &graph, input, round_result, r, values);
    fv_status status = fv_graph_status(&graph);
    if (status == FV_OK) status = recipe_of(&graph, recipe);
    fv_graph_free(&graph);
    fv_params_free(&params);
    free(values);
    return status;
}

/* A copy whose weights can be rounded. */
static fv_status copy_layers(const fv_folded *folded, fv_folded *copy) {
    *copy = (fv_folded){.input = folded->input};
    copy->layers = fv_allocate((size_t)folded->count, sizeof *copy->layers, "a rounded network");
    if (!copy->layers) return FV_NO_RESOURCE;
    for (int i = 0; i < folded->count; i++) {
        const fv_folded_layer *from = &folded->layers[i];
        fv_folded_layer *to = &copy->layers[copy->count++];
        *to = *from;
        to->weight = to->bias = NULL;
        if (!from->weight) continue;
        size_t weights = fv_shape_count(from->weight_shape), biases = fv_folded_bias_count(from);
        to->weight = fv_allocate(weights, sizeof *to->weight, "a rounded network");
        to->bias = fv_allocate(biases, sizeof *to->bias, "a rounded network");
        if (!to->weight || !to->bias) return FV_NO_RESOURCE;
        memcpy(to->weight, from->weight, weights * sizeof *to->weight);
        memcpy(to->bias, from->bias, biases * sizeof *to->bias);
    }
    return FV_OK;
}

fv_status fv_rounded_make(const fv_model_spec *spec, const fv_folded *folded, fv_export_precision precision,
                          const fv_ranges *ranges, fv_model **model) {
    fv_folded copy;
    fv_recipe *recipe = NULL;
    rounding r = {precision, ranges};
    *model = NULL;
    fv_status status = copy_layers(folded, &copy);
    if (status == FV_OK) status = round_weights(&copy, precision, ranges);
    if (status == FV_OK) status = build_recipe(&copy, &r, &recipe);
    if (status == FV_OK) status = fv_model_make_recipe(spec, recipe, model);
    if (status == FV_OK) fv_folded_fill(&copy, &(*model)->params);
    fv_folded_free(&copy);
    return status;
}
