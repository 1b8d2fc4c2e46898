#include "own_layers.h"

#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

static bool has_weights(fv_op_kind kind) {
    return kind == FV_OP_conv2d || kind == FV_OP_depthwise || kind == FV_OP_conv_transpose || kind == FV_OP_dense;
}

static int param_of(const fv_graph *graph, const fv_graph_node *node, int input) {
    return input < node->spec.inputs ? graph->values[node->in[input]].param : -1;
}

/* The parameter's name without its last word: "encoder.stem.weight" -> "encoder.stem". */
static void name_layer(const fv_param *weight, fv_own_layer *layer) {
    strcpy(layer->name, weight->name);
    *strrchr(layer->name, '.') = '\0';
}

static void take_norm(const fv_graph *graph, const fv_graph_node *node, fv_own_layer *layer) {
    bool batch = node->spec.kind == FV_OP_batch_norm;
    layer->gamma = param_of(graph, node, 1);
    layer->beta = param_of(graph, node, 2);
    layer->mean = batch ? param_of(graph, node, 3) : -1;
    layer->var = batch ? param_of(graph, node, 4) : -1;
    layer->epsilon = node->spec.attributes.epsilon;
}

static void take_nodes(const fv_graph *graph, bool encoder_only, fv_own_layers *layers) {
    int layer_of_last = -1; /* norms come behind what they belong to, an activation may lie between */
    for (int i = 0; i < graph->node_count; i++) {
        const fv_graph_node *node = &graph->nodes[i];
        fv_op_kind kind = node->spec.kind;
        if (has_weights(kind)) {
            const fv_param *weight = &graph->params->list[param_of(graph, node, 1)];
            if (encoder_only && !fv_param_is_encoder(weight)) return; /* it is the beginning of its networks */
            fv_own_layer *layer = &layers->list[layer_of_last = layers->count++];
            *layer = (fv_own_layer){.kind = kind, .gamma = -1, .beta = -1, .mean = -1, .var = -1};
            name_layer(weight, layer);
            layer->weight = param_of(graph, node, 1);
            layer->bias = param_of(graph, node, 2);
        } else if (kind == FV_OP_batch_norm || kind == FV_OP_group_norm) {
            take_norm(graph, node, &layers->list[layer_of_last]);
        }
    }
}

/* `model` has a spec with all defaults filled in, and params that are declared or about to be. */
static fv_status take_model(fv_model *model, bool encoder_only, fv_own_layers *layers) {
    fv_graph graph;
    fv_graph_init(&graph, &model->params);
    fv_model_build(model, &graph, fv_graph_input(&graph, "input", (fv_shape){1, 32, 32, 3}, false), NULL);
    fv_status status = fv_graph_status(&graph);
    if (status == FV_OK) {
        layers->list = fv_allocate((size_t)graph.node_count, sizeof *layers->list, "the list of layers");
        status = layers->list ? FV_OK : FV_NO_RESOURCE;
    }
    if (status == FV_OK) take_nodes(&graph, encoder_only, layers);
    fv_graph_free(&graph);
    return status;
}

fv_status fv_own_layers_of_model(fv_model *model, bool encoder_only, fv_own_layers *layers) {
    *layers = (fv_own_layers){.params = &model->params};
    return take_model(model, encoder_only, layers);
}

fv_status fv_own_layers_of_spec(const fv_model_spec *spec, bool encoder_only, fv_own_layers *layers) {
    fv_model model = {.spec = *spec};
    *layers = (fv_own_layers){0};
    fv_params_init(&model.params);
    fv_status status = take_model(&model, encoder_only, layers);
    layers->declared = model.params;
    layers->params = &layers->declared;
    if (status != FV_OK) fv_own_layers_free(layers);
    return status;
}

void fv_own_layers_free(fv_own_layers *layers) {
    free(layers->list);
    fv_params_free(&layers->declared);
    *layers = (fv_own_layers){0};
}
