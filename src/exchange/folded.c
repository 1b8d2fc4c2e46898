#include "fovea/exchange/folded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/nn/layers.h"

/* What becomes of a node. */
typedef enum role {
    ROLE_KERNEL,     /* a layer with weight and bias, which takes a batch norm behind it in */
    ROLE_BATCH_NORM, /* goes into the layer before it */
    ROLE_GROUP_NORM, /* a layer with weight and bias, which depend on what comes in and can't be folded */
    ROLE_ACTIVATION, /* goes into the layer before it */
    ROLE_PLAIN,      /* a layer without weights */
    ROLE_DROPPED,    /* nothing outside training */
    ROLE_TRAINING,   /* never part of a network that is used */
} role;

/* One line an op: a new one does not compile until it has a role here. */
enum {
    ROLE_OF_conv2d = ROLE_KERNEL,
    ROLE_OF_depthwise = ROLE_KERNEL,
    ROLE_OF_conv_transpose = ROLE_KERNEL,
    ROLE_OF_batch_norm = ROLE_BATCH_NORM,
    ROLE_OF_group_norm = ROLE_GROUP_NORM,
    ROLE_OF_relu = ROLE_ACTIVATION,
    ROLE_OF_relu6 = ROLE_ACTIVATION,
    ROLE_OF_sigmoid = ROLE_PLAIN,
    ROLE_OF_silu = ROLE_PLAIN,
    ROLE_OF_max_pool = ROLE_PLAIN,
    ROLE_OF_global_average_pool = ROLE_PLAIN,
    ROLE_OF_dense = ROLE_KERNEL,
    ROLE_OF_upsample_nearest = ROLE_PLAIN,
    ROLE_OF_upsample_bilinear = ROLE_PLAIN,
    ROLE_OF_concat = ROLE_PLAIN,
    ROLE_OF_add = ROLE_PLAIN,
    ROLE_OF_multiply = ROLE_PLAIN,
    ROLE_OF_spatial_dropout = ROLE_DROPPED,
    ROLE_OF_quantise = ROLE_DROPPED, /* each format rounds in its own way */
    ROLE_OF_segmentation_loss = ROLE_TRAINING,
    ROLE_OF_cldice_loss = ROLE_TRAINING,
};
static const role roles[FV_OP_COUNT] = {
#define FV_OP(name) [FV_OP_##name] = (role)ROLE_OF_##name,
#include "fovea/op/op_list.h"
#undef FV_OP
};

#define NOT_MADE (-2)

/* A list being made from a graph. */
typedef struct folder {
    const fv_graph *graph;
    fv_folded *folded;
    int *made_by; /* per value of the graph: the layer that makes it, FV_FOLDED_INPUT or NOT_MADE */
    int *readers; /* per value: how many inputs of needed nodes it is; the network's result has one more */
} folder;

static void mark_needed(folder *f, fv_value output) {
    f->readers[output] = 1;
    for (int i = f->graph->node_count - 1; i >= 0; i--) {
        const fv_graph_node *node = &f->graph->nodes[i];
        if (f->readers[node->out] == 0) continue;
        for (int k = 0; k < node->spec.inputs; k++) f->readers[node->in[k]]++;
    }
}

static const fv_real *param_values(const folder *f, fv_value value) {
    const fv_params *params = f->graph->params;
    return params->values + params->list[f->graph->values[value].param].offset;
}

static fv_status copy_floats(const fv_real *from, size_t count, float **copy) {
    *copy = fv_allocate(count, sizeof **copy, "the weights of a layer");
    if (!*copy) return FV_NO_RESOURCE;
    for (size_t i = 0; from && i < count; i++) (*copy)[i] = (float)from[i];
    return FV_OK;
}

static bool name_is_taken(const fv_folded *folded, const char *name) {
    for (int i = 0; i < folded->count; i++)
        if (strcmp(folded->layers[i].name, name) == 0) return true;
    return false;
}

/* Whether the name, or what stands before its first point, is one that files call their own tensors by. */
static bool name_is_reserved(const char *name) {
    static const char *const reserved[] = {"input", "output", "prepare", "prepared"};
    size_t length = strcspn(name, ".");
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strlen(reserved[i]) == length && memcmp(reserved[i], name, length) == 0) return true;
    return false;
}

/* The node's name, "layer.<name>" where that is reserved; "<name>.2", "<name>.3" ... where other layers have it. A
   graph minds neither, files do. */
static void name_layer(const fv_folded *folded, const char *name, char out[FV_NAME_MAX]) {
    const char *before = name_is_reserved(name) ? "layer." : "";
    snprintf(out, FV_NAME_MAX, "%s%.*s", before, FV_NAME_MAX - 1 - (int)strlen(before), name);
    for (int i = 2; name_is_taken(folded, out); i++)
        snprintf(out, FV_NAME_MAX, "%s%.*s.%d", before, FV_NAME_MAX - 18, name, i);
}

/* A fresh layer for the node, on those of its inputs that are tensors. */
static fv_folded_layer *layer_add(folder *f, const fv_graph_node *node, fv_op_kind kind) {
    fv_folded_layer *layer = &f->folded->layers[f->folded->count];
    *layer = (fv_folded_layer){.kind = kind, .out = node->spec.out, .attributes = node->spec.attributes};
    name_layer(f->folded, node->name, layer->name);
    layer->attributes.padding.mode = FV_PAD_EXPLICIT;
    for (int k = 0; k < node->spec.inputs; k++) {
        fv_value in = node->in[k];
        if (f->graph->values[in].param < 0) layer->in[layer->inputs++] = f->made_by[in];
    }
    f->made_by[node->out] = f->folded->count++;
    return layer;
}

static fv_status kernel_add(folder *f, const fv_graph_node *node) {
    fv_folded_layer *layer = layer_add(f, node, node->spec.kind);
    layer->weight_shape = node->spec.in[1];
    layer->attributes.activation = FV_ACT_NONE;
    FV_TRY(copy_floats(param_values(f, node->in[1]), fv_shape_count(layer->weight_shape), &layer->weight));
    const fv_real *bias = node->spec.inputs > 2 ? param_values(f, node->in[2]) : NULL;
    return copy_floats(bias, (size_t)layer->weight_shape.c, &layer->bias);
}

/* The layer that makes in[0] of the node, if it can take the node in: it is read by nobody else and does not end in an
   activation yet. */
static fv_folded_layer *layer_before(const folder *f, const fv_graph_node *node) {
    int made_by = f->made_by[node->in[0]];
    if (made_by < 0 || f->readers[node->in[0]] != 1) return NULL;
    fv_folded_layer *layer = &f->folded->layers[made_by];
    return layer->attributes.activation == FV_ACT_NONE ? layer : NULL;
}

/* (W x + b) scale + offset = (W scale) x + (b scale + offset); filters are the kernel's innermost dimension. */
static void scale_filters(fv_folded_layer *layer, const fv_real *scale, const fv_real *offset) {
    size_t filters = (size_t)layer->weight_shape.c, count = fv_shape_count(layer->weight_shape);
    for (size_t i = 0; i < count; i++) layer->weight[i] *= (float)scale[i % filters];
    for (size_t i = 0; i < filters; i++) layer->bias[i] = layer->bias[i] * (float)scale[i] + (float)offset[i];
}

static fv_status batch_norm_apply(folder *f, const fv_graph_node *node, const fv_real *scale, const fv_real *offset) {
    fv_folded_layer *before = layer_before(f, node);
    if (before && fv_folded_has_kernel(before)) {
        scale_filters(before, scale, offset);
        f->made_by[node->out] = f->made_by[node->in[0]];
        return FV_OK;
    }
    fv_folded_layer *layer = layer_add(f, node, FV_OP_batch_norm);
    layer->inputs = 1; /* the residual is added by a layer of its own */
    layer->attributes.activation = FV_ACT_NONE;
    layer->weight_shape = (fv_shape){1, 1, 1, node->spec.out.c};
    FV_TRY(copy_floats(scale, (size_t)node->spec.out.c, &layer->weight));
    return copy_floats(offset, (size_t)node->spec.out.c, &layer->bias);
}

/* A residual becomes a layer behind the folded one; it, or the folded layer, ends in the norm's activation. */
static void batch_norm_finish(folder *f, const fv_graph_node *node) {
    int residual = fv_op_table[FV_OP_batch_norm]->residual, made_by = f->made_by[node->out];
    fv_activation activation = node->spec.attributes.activation;
    if (node->spec.inputs <= residual) {
        f->folded->layers[made_by].attributes.activation = activation;
        return;
    }
    fv_folded_layer *sum = layer_add(f, node, FV_OP_add);
    sum->attributes = (fv_attributes){.activation = activation};
    sum->in[0] = made_by;
}

static fv_status batch_norm_add(folder *f, const fv_graph_node *node) {
    size_t channels = (size_t)node->spec.out.c;
    fv_real *in[FV_MAX_INPUTS] = {NULL};
    fv_real *scale = fv_allocate(2 * channels, sizeof *scale, "a batch norm's coefficients");
    if (!scale) return FV_NO_RESOURCE;
    for (int k = 0; k < node->spec.inputs; k++)
        if (f->graph->values[node->in[k]].param >= 0) in[k] = (fv_real *)param_values(f, node->in[k]);
    fv_op_table[FV_OP_batch_norm]->fold(&node->spec, in, scale, scale + channels);
    fv_status status = batch_norm_apply(f, node, scale, scale + channels);
    if (status == FV_OK) batch_norm_finish(f, node);
    free(scale);
    return status;
}

static fv_status group_norm_add(folder *f, const fv_graph_node *node) {
    fv_folded_layer *layer = layer_add(f, node, FV_OP_group_norm);
    layer->weight_shape = (fv_shape){1, 1, 1, node->spec.out.c};
    FV_TRY(copy_floats(param_values(f, node->in[1]), (size_t)node->spec.out.c, &layer->weight));
    return copy_floats(param_values(f, node->in[2]), (size_t)node->spec.out.c, &layer->bias);
}

/* Behind a layer that can't end in one (a pooling, say) an activation is a layer of its own. */
static bool takes_activation(const fv_folded_layer *layer) {
    return layer->bias || layer->kind == FV_OP_add;
}

static void activation_add(folder *f, const fv_graph_node *node) {
    fv_folded_layer *before = layer_before(f, node);
    if (!before || !takes_activation(before)) {
        layer_add(f, node, node->spec.kind);
        return;
    }
    before->attributes.activation = node->spec.kind == FV_OP_relu ? FV_ACT_RELU : FV_ACT_RELU6;
    f->made_by[node->out] = f->made_by[node->in[0]];
}

/* Its result is its input from here on, with the readers of both but the node itself. */
static void drop(folder *f, const fv_graph_node *node) {
    int *in = &f->readers[node->in[0]], *out = &f->readers[node->out];
    *in = *out = *in - 1 + *out;
    f->made_by[node->out] = f->made_by[node->in[0]];
}

static fv_status node_add(folder *f, const fv_graph_node *node) {
    switch (roles[node->spec.kind]) {
    case ROLE_KERNEL:
        return kernel_add(f, node);
    case ROLE_BATCH_NORM:
        return batch_norm_add(f, node);
    case ROLE_GROUP_NORM:
        return group_norm_add(f, node);
    case ROLE_ACTIVATION:
        activation_add(f, node);
        return FV_OK;
    case ROLE_PLAIN:
        layer_add(f, node, node->spec.kind);
        return FV_OK;
    case ROLE_DROPPED:
        drop(f, node);
        return FV_OK;
    case ROLE_TRAINING:
        break;
    }
    return fv_fail(FV_BAD_INPUT, "layer %s is a %s, which belongs to training and can't be exported", node->name,
                   fv_op_table[node->spec.kind]->name);
}

static fv_status fold_nodes(folder *f, fv_value input, fv_value output) {
    for (int v = 0; v < f->graph->value_count; v++) f->made_by[v] = NOT_MADE;
    f->made_by[input] = FV_FOLDED_INPUT;
    mark_needed(f, output);
    for (int i = 0; i < f->graph->node_count; i++)
        if (f->readers[f->graph->nodes[i].out] > 0) FV_TRY(node_add(f, &f->graph->nodes[i]));
    if (f->made_by[output] == f->folded->count - 1) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "the network's result is not its last layer's: it can't be exported");
}

fv_status fv_folded_from_graph(const fv_graph *graph, fv_value input, fv_value output, fv_folded *folded) {
    *folded = (fv_folded){0};
    FV_TRY(fv_graph_status(graph));
    size_t values = (size_t)graph->value_count,
           most = 2 * (size_t)graph->node_count + 1; /* a norm with residual makes two */
    folder f = {graph, folded, fv_allocate(values, sizeof *f.made_by, "an export"),
                fv_allocate(values, sizeof *f.readers, "an export")};
    folded->layers = fv_allocate(most, sizeof *folded->layers, "an export");
    fv_status status = f.made_by && f.readers && folded->layers ? FV_OK : FV_NO_RESOURCE;
    if (status == FV_OK) {
        folded->input = fv_graph_shape(graph, input);
        status = fold_nodes(&f, input, output);
    }
    free(f.made_by);
    free(f.readers);
    if (status != FV_OK) fv_folded_free(folded);
    return status;
}

fv_status fv_folded_make(const fv_model *model, int height, int width, bool logits, fv_folded *folded) {
    fv_graph graph;
    fv_params *params = (fv_params *)&model->params; /* all are declared: a graph only finds them */
    fv_graph_init(&graph, params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){1, height, width, 3}, false);
    fv_value output = fv_model_build(model, &graph, input, NULL);
    if (!logits) output = fv_sigmoid(&graph, "probabilities", output);
    fv_status status = fv_folded_from_graph(&graph, input, output, folded);
    fv_graph_free(&graph);
    return status;
}

void fv_folded_free(fv_folded *folded) {
    for (int i = 0; i < folded->count; i++) {
        free(folded->layers[i].weight);
        free(folded->layers[i].bias);
    }
    free(folded->layers);
    *folded = (fv_folded){0};
}

size_t fv_folded_bias_count(const fv_folded_layer *layer) {
    return layer->bias ? (size_t)layer->weight_shape.c : 0;
}

bool fv_folded_has_kernel(const fv_folded_layer *layer) {
    return roles[layer->kind] == ROLE_KERNEL;
}
