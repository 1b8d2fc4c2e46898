#include "fovea/graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

void fv_graph_init(fv_graph *graph, fv_params *params) {
    *graph = (fv_graph){.params = params};
}

void fv_graph_free(fv_graph *graph) {
    free(graph->values);
    free(graph->nodes);
    *graph = (fv_graph){0};
}

/* Keeps the first error: what follows it is only its echo. */
static fv_value graph_fail(fv_graph *graph, fv_status status) {
    if (graph->status == FV_OK) {
        graph->status = status;
        snprintf(graph->error, sizeof graph->error, "%s", fv_error());
    }
    return FV_NO_VALUE;
}

fv_status fv_graph_status(const fv_graph *graph) {
    return graph->status == FV_OK ? FV_OK : fv_fail(graph->status, "%s", graph->error);
}

static bool qualified_name(const fv_graph *graph, const char *name, char out[FV_NAME_MAX]) {
    int length = snprintf(out, FV_NAME_MAX, "%s%s%s", graph->scope, graph->scope[0] ? "." : "", name);
    return length < FV_NAME_MAX;
}

void fv_graph_enter(fv_graph *graph, const char *name) {
    char scope[FV_NAME_MAX];
    if (!qualified_name(graph, name, scope)) {
        graph_fail(graph, fv_fail(FV_BAD_INPUT, "the layer name %s.%s is too long", graph->scope, name));
        return;
    }
    memcpy(graph->scope, scope, sizeof scope);
}

void fv_graph_leave(fv_graph *graph) {
    char *dot = strrchr(graph->scope, '.');
    *(dot ? dot : graph->scope) = '\0';
}

/* Doubles the room of an array that is full; items are plain structs. */
static bool grow(void **items, int count, int *capacity, size_t item_bytes) {
    if (count < *capacity) return true;
    int wanted = *capacity ? *capacity * 2 : 64;
    void *grown = realloc(*items, (size_t)wanted * item_bytes);
    if (!grown) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

static fv_value value_add(fv_graph *graph, const fv_graph_value *value) {
    if (!grow((void **)&graph->values, graph->value_count, &graph->value_capacity, sizeof *graph->values))
        return graph_fail(graph, fv_fail_memory("a graph", sizeof *graph->values));
    graph->values[graph->value_count] = *value;
    return graph->value_count++;
}

fv_value fv_graph_input(fv_graph *graph, const char *name, fv_shape shape, bool needs_gradient) {
    if (graph->status != FV_OK) return FV_NO_VALUE;
    fv_graph_value value = {.shape = shape, .producer = -1, .param = -1, .needs_gradient = needs_gradient};
    if (shape.n < 1 || shape.h < 1 || shape.w < 1 || shape.c < 1) {
        char text[FV_SHAPE_TEXT];
        return graph_fail(graph, fv_fail(FV_BAD_INPUT, "input %s has the empty shape %s; every side must be at least 1",
                                         name, fv_shape_text(shape, text)));
    }
    if (!qualified_name(graph, name, value.name))
        return graph_fail(graph, fv_fail(FV_BAD_INPUT, "the input name %s is too long", name));
    return value_add(graph, &value);
}

fv_value fv_graph_param(fv_graph *graph, const char *name, fv_shape shape, fv_init init, int fan_in, int fan_out,
                        bool trainable) {
    if (graph->status != FV_OK) return FV_NO_VALUE;
    fv_graph_value value = {.shape = shape, .producer = -1, .needs_gradient = trainable};
    if (!qualified_name(graph, name, value.name))
        return graph_fail(graph, fv_fail(FV_BAD_INPUT, "the parameter name %s.%s is too long", graph->scope, name));
    fv_status status =
        fv_params_declare(graph->params, value.name, shape, init, fan_in, fan_out, trainable, &value.param);
    return status == FV_OK ? value_add(graph, &value) : graph_fail(graph, status);
}

fv_value fv_graph_add(fv_graph *graph, fv_op_kind kind, const char *name, const fv_attributes *attributes, int count,
                      const fv_value *inputs) {
    if (graph->status != FV_OK) return FV_NO_VALUE;
    fv_graph_node node = {.spec = {.kind = kind, .inputs = count}};
    if (attributes) node.spec.attributes = *attributes;
    if (count < 1 || count > FV_MAX_INPUTS || !qualified_name(graph, name, node.name))
        return graph_fail(graph,
                          fv_fail(FV_BAD_INPUT, "layer %s.%s: too many inputs or too long a name", graph->scope, name));
    fv_graph_value out = {.producer = graph->node_count, .param = -1};
    for (int i = 0; i < count; i++) {
        const fv_graph_value *in = &graph->values[inputs[i]];
        node.in[i] = inputs[i];
        node.spec.in[i] = in->shape;
        out.needs_gradient |= in->needs_gradient;
    }
    fv_status status = fv_op_table[kind]->infer(&node.spec, node.name);
    if (status != FV_OK) return graph_fail(graph, status);
    out.shape = node.spec.out;
    memcpy(out.name, node.name, sizeof out.name);
    if (!grow((void **)&graph->nodes, graph->node_count, &graph->node_capacity, sizeof *graph->nodes))
        return graph_fail(graph, fv_fail_memory("a graph", sizeof *graph->nodes));
    node.out = value_add(graph, &out);
    if (node.out == FV_NO_VALUE) return FV_NO_VALUE;
    graph->nodes[graph->node_count++] = node;
    return node.out;
}

fv_shape fv_graph_shape(const fv_graph *graph, fv_value value) {
    return value == FV_NO_VALUE ? (fv_shape){0} : graph->values[value].shape;
}
