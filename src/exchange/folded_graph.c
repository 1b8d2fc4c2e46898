/* The list as a graph again. */
#include <stdio.h>
#include <string.h>

#include "fovea/exchange/folded.h"
#include "fovea/nn/layers.h"

/* Its values come from fv_folded_fill(). */
static fv_value param(fv_graph *graph, const char *name, fv_shape shape) {
    return fv_graph_param(graph, name, shape, FV_INIT_ZERO, 1, 1, false);
}

/* y = weight x + bias, or y = x + bias without a weight: batch norm with running statistics of mean 0 and variance 1,
   next to which its least epsilon is nothing. */
static fv_value affine(fv_graph *graph, const char *weight, fv_value x) {
    fv_shape channels = {1, 1, 1, fv_graph_shape(graph, x).c};
    fv_value in[] = {x, param(graph, weight, channels), param(graph, "bias", channels), param(graph, "mean", channels),
                     param(graph, "var", channels)};
    return fv_graph_add(graph, FV_OP_batch_norm, "affine", &(fv_attributes){.epsilon = 1e-12}, 5, in);
}

static fv_value add_kernel(fv_graph *graph, const fv_folded_layer *layer, fv_value x) {
    fv_shape channels = {1, 1, 1, layer->weight_shape.c};
    fv_value in[] = {x, param(graph, "weight", layer->weight_shape), FV_NO_VALUE};
    bool depthwise = layer->kind == FV_OP_depthwise; /* which knows no bias */
    if (!depthwise) in[2] = param(graph, "bias", channels);
    fv_value y = fv_graph_add(graph, layer->kind, "kernel", &layer->attributes, depthwise ? 2 : 3, in);
    return depthwise ? affine(graph, "ones", y) : y;
}

static fv_value add_group_norm(fv_graph *graph, const fv_folded_layer *layer, fv_value x) {
    fv_attributes attributes = layer->attributes;
    attributes.activation = FV_ACT_NONE;
    fv_value in[] = {x, param(graph, "weight", layer->weight_shape), param(graph, "bias", layer->weight_shape)};
    return fv_graph_add(graph, FV_OP_group_norm, "norm", &attributes, 3, in);
}

static fv_value add_plain(fv_graph *graph, const fv_folded_layer *layer, const fv_value *in) {
    fv_attributes attributes = layer->attributes;
    attributes.activation = FV_ACT_NONE;
    return fv_graph_add(graph, layer->kind, fv_op_table[layer->kind]->name, &attributes, layer->inputs, in);
}

static fv_value add_activation(fv_graph *graph, fv_activation activation, fv_value x) {
    switch (activation) {
    case FV_ACT_RELU:
        return fv_relu(graph, "relu", x);
    case FV_ACT_RELU6:
        return fv_relu6(graph, "relu6", x);
    case FV_ACT_NONE:
        break;
    }
    return x;
}

static fv_value add_layer(fv_graph *graph, const fv_folded_layer *layer, const fv_value *in) {
    fv_value y;
    if (fv_folded_has_kernel(layer))
        y = add_kernel(graph, layer, in[0]);
    else if (layer->kind == FV_OP_batch_norm)
        y = affine(graph, "weight", in[0]);
    else if (layer->kind == FV_OP_group_norm)
        y = add_group_norm(graph, layer, in[0]);
    else
        y = add_plain(graph, layer, in);
    return add_activation(graph, layer->attributes.activation, y);
}

void fv_folded_build(const fv_folded *folded, fv_graph *graph, fv_value input, fv_folded_after *after, void *context,
                     fv_value *values) {
    for (int i = 0; i < folded->count; i++) {
        const fv_folded_layer *layer = &folded->layers[i];
        fv_value in[FV_MAX_INPUTS];
        for (int k = 0; k < layer->inputs; k++) in[k] = layer->in[k] == FV_FOLDED_INPUT ? input : values[layer->in[k]];
        char scope[FV_NAME_MAX];
        memcpy(scope, graph->scope, sizeof scope);
        fv_graph_enter(graph, layer->name); /* of several parts, more than a leave takes off */
        values[i] = add_layer(graph, layer, in);
        memcpy(graph->scope, scope, sizeof scope);
        if (after) values[i] = after(context, i, graph, values[i]);
    }
}

/* A parameter's values, or `constant` where `values` is NULL; nothing where the layer has no such parameter. */
static void fill(fv_params *params, const char *layer, const char *part, const float *values, fv_real constant) {
    char name[2 * FV_NAME_MAX];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    int index = fv_params_find(params, name);
    if (index < 0) return;
    const fv_param *param = &params->list[index];
    for (size_t i = 0; i < param->count; i++) params->values[param->offset + i] = values ? values[i] : constant;
}

void fv_folded_fill(const fv_folded *folded, fv_params *params) {
    for (int i = 0; i < folded->count; i++) {
        const fv_folded_layer *layer = &folded->layers[i];
        fill(params, layer->name, "weight", layer->weight, 0);
        fill(params, layer->name, "bias", layer->bias, 0);
        fill(params, layer->name, "ones", NULL, 1);
        fill(params, layer->name, "mean", NULL, 0);
        fill(params, layer->name, "var", NULL, 1);
    }
}
