#include "fovea/exchange/onnx_read.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"
#include "onnx_reader.h"

#define FILE_LIMIT ((size_t)1 << 31) /* bytes: protobuf's own */
#define OLDEST_OPSET 9
#define NEWEST_OPSET 24
#define FREE_SIZE 512 /* px: of the model where the file leaves the sides free */
#define LARGEST_SIDE 4096
#define SPEC_KEY "fovea.model" /* of the metadata */

/* ---- the operators ---- */

static const struct {
    const char *type;
    fv_onnx_operator *read;
} operators[] = {{"Conv", fv_onnx_conv},
                 {"ConvTranspose", fv_onnx_conv_transpose},
                 {"BatchNormalization", fv_onnx_batch_norm},
                 {"Gemm", fv_onnx_gemm},
                 {"MatMul", fv_onnx_matmul},
                 {"Relu", fv_onnx_relu},
                 {"Clip", fv_onnx_clip},
                 {"Sigmoid", fv_onnx_sigmoid},
                 {"Add", fv_onnx_add},
                 {"Sub", fv_onnx_sub},
                 {"Mul", fv_onnx_mul},
                 {"Div", fv_onnx_div},
                 {"MaxPool", fv_onnx_max_pool},
                 {"AveragePool", fv_onnx_average_pool},
                 {"GlobalAveragePool", fv_onnx_global_average_pool},
                 {"ReduceMean", fv_onnx_reduce_mean},
                 {"Resize", fv_onnx_resize},
                 {"Upsample", fv_onnx_resize},
                 {"Pad", fv_onnx_pad},
                 {"Concat", fv_onnx_concat},
                 {"Identity", fv_onnx_alias},
                 {"Dropout", fv_onnx_alias},
                 {"Cast", fv_onnx_alias},
                 {"Reshape", fv_onnx_reshape},
                 {"Flatten", fv_onnx_reshape},
                 {"Squeeze", fv_onnx_reshape},
                 {"Unsqueeze", fv_onnx_reshape}};

/* Whether all that the node reads is known; such a node is computed now. */
static fv_status reads_constants_only(fv_onnx_reader *r, bool *only) {
    *only = true;
    r->sized = strcmp(r->node->op_type, "Shape") == 0;
    for (size_t i = 0; i < r->node->n_input; i++) {
        const fv_onnx_value *value;
        if (!fv_onnx_has_input(r, i)) continue;
        FV_TRY(fv_onnx_input(r, i, &value));
        *only = *only && value->constant;
        r->sized = r->sized || value->sized;
    }
    return FV_OK;
}

static fv_status read_node(fv_onnx_reader *r) {
    bool constants;
    const char *type = r->node->op_type, *domain = r->node->domain;
    if (domain && *domain && strcmp(domain, "ai.onnx") != 0)
        return fv_onnx_complain(r, "it is not one of ONNX's own operators but of \"%.60s\", which fovea does not have",
                                domain);
    FV_TRY(reads_constants_only(r, &constants));
    if (constants) return fv_onnx_fold(r);
    if (strcmp(type, "Shape") == 0) return fv_onnx_shape_of(r);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strcmp(operators[i].type, type) == 0) return operators[i].read(r);
    return fv_onnx_complain(r, "fovea has no such operator");
}

/* ---- which nodes matter ---- */

static int compare_texts(const void *a, const void *b) {
    return strcmp(a, b);
}

static bool is_needed(const fv_onnx_reader *r, const char *name) {
    return tfind(name, &r->needed_names, compare_texts) != NULL;
}

static fv_status need(fv_onnx_reader *r, const char *name) {
    if (!*name || tsearch(name, &r->needed_names, compare_texts)) return FV_OK;
    return fv_fail_memory("the names of a network", sizeof name);
}

/* Marks the nodes that the first output depends on, from the back, and notes what they read. */
static fv_status find_needed(fv_onnx_reader *r) {
    const Onnx__GraphProto *g = r->file;
    r->needed = fv_allocate(g->n_node, sizeof *r->needed, "the nodes of a network");
    if (!r->needed) return FV_NO_RESOURCE;
    FV_TRY(need(r, g->output[0]->name));
    for (size_t i = g->n_node; i-- > 0;) {
        const Onnx__NodeProto *node = g->node[i];
        for (size_t k = 0; k < node->n_output && !r->needed[i]; k++) r->needed[i] = is_needed(r, node->output[k]);
        for (size_t k = 0; k < node->n_input && r->needed[i]; k++) FV_TRY(need(r, node->input[k]));
    }
    return FV_OK;
}

static fv_status read_nodes(fv_onnx_reader *r) {
    for (size_t i = 0; i < r->file->n_node; i++) {
        r->node = r->file->node[i];
        if (r->needed[i]) FV_TRY(read_node(r));
    }
    return FV_OK;
}

/* ---- the file's frame ---- */

static fv_status find_opset(const Onnx__ModelProto *file, const char *path, int64_t *version) {
    for (size_t i = 0; i < file->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *opset = file->opset_import[i];
        if (opset->domain && *opset->domain && strcmp(opset->domain, "ai.onnx") != 0) continue;
        *version = opset->version;
        if (opset->version >= OLDEST_OPSET && opset->version <= NEWEST_OPSET) return FV_OK;
        return fv_fail(FV_BAD_INPUT,
                       "%s uses ONNX's operator set %lld; fovea reads %d to %d: export it with one of them", path,
                       (long long)opset->version, OLDEST_OPSET, NEWEST_OPSET);
    }
    return fv_fail(FV_BAD_INPUT, "%s does not say which of ONNX's operator sets it uses", path);
}

static const char *find_spec(const Onnx__ModelProto *file) {
    for (size_t i = 0; i < file->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = file->metadata_props[i];
        if (entry->key && strcmp(entry->key, SPEC_KEY) == 0) return entry->value;
    }
    return NULL;
}

/* The schema leaves every text out at will. */
static bool has_all_names(const Onnx__GraphProto *g) {
    bool all = g->output[0]->name != NULL;
    for (size_t i = 0; i < g->n_node; i++) all = all && g->node[i]->op_type;
    for (size_t i = 0; i < g->n_initializer; i++) all = all && g->initializer[i]->name;
    for (size_t i = 0; i < g->n_input; i++) all = all && g->input[i]->name;
    return all;
}

static fv_status check_graph(const Onnx__GraphProto *g, const char *path) {
    if (!g || g->n_node == 0) return fv_fail(FV_BAD_INPUT, "%s is no ONNX file with a network in it", path);
    if (g->n_output == 0) return fv_fail(FV_BAD_INPUT, "%s: the network has no output", path);
    if (g->n_sparse_initializer) return fv_fail(FV_BAD_INPUT, "%s has sparse weights, which fovea does not read", path);
    if (g->n_node >= FV_ONNX_MAX_VALUES || g->n_initializer >= FV_ONNX_MAX_VALUES)
        return fv_fail(FV_BAD_INPUT, "%s has %zu nodes and %zu weights; fovea reads less than %d of each", path,
                       g->n_node, g->n_initializer, FV_ONNX_MAX_VALUES);
    if (has_all_names(g)) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s is damaged: a node has no type, or a weight, input or output no name", path);
}

/* Of what no needed node reads, only the name. */
static fv_status take_initializers(fv_onnx_reader *r) {
    for (size_t i = 0; i < r->file->n_initializer; i++) {
        const Onnx__TensorProto *proto = r->file->initializer[i];
        fv_onnx_value value = {.name = proto->name, .constant = true};
        char where[512];
        snprintf(where, sizeof where, "%.300s: the weight %.120s", r->path, proto->name);
        if (is_needed(r, proto->name)) FV_TRY(fv_onnx_tensor_take(proto, where, &value.tensor));
        FV_TRY(fv_fail_about(fv_onnx_add_value(r, &value), r->path));
    }
    return FV_OK;
}

/* Files up to 2019 list their weights among the inputs too. */
static fv_status find_input(const fv_onnx_reader *r, const Onnx__ValueInfoProto **input) {
    *input = NULL;
    for (size_t i = 0; i < r->file->n_input; i++) {
        const Onnx__ValueInfoProto *candidate = r->file->input[i];
        if (fv_onnx_find(r, candidate->name)) continue;
        if (*input)
            return fv_fail(FV_BAD_INPUT, "%s: the network has the inputs %.60s and %.60s; fovea's have one, a picture",
                           r->path, (*input)->name, candidate->name);
        *input = candidate;
    }
    return *input ? FV_OK : fv_fail(FV_BAD_INPUT, "%s: the network has no input", r->path);
}

/* 0 for a side that is free. */
static int64_t fixed_dim(const Onnx__TensorShapeProto__Dimension *dim) {
    bool fixed = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    return fixed && dim->dim_value > 0 ? dim->dim_value : 0;
}

static fv_status take_input(fv_onnx_reader *r, int *size) {
    const Onnx__ValueInfoProto *input;
    FV_TRY(find_input(r, &input));
    bool tensor = input->type && input->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    /* Levels 0 to 255: what they are divided by stands somewhere among the nodes, if not in fovea's own settings. */
    if (tensor && !r->spec && !fv_onnx_is_real_type(input->type->tensor_type->elem_type))
        return fv_fail(FV_BAD_INPUT,
                       "%s: the input %.60s has the ONNX data type %d, expected float: export the network without its "
                       "preprocessing",
                       r->path, input->name, (int)input->type->tensor_type->elem_type);
    const Onnx__TensorShapeProto *shape = tensor ? input->type->tensor_type->shape : NULL;
    if (!shape || shape->n_dim != 4)
        return fv_fail(FV_BAD_INPUT, "%s: the input %.60s has %zu dimensions, expected 4: {N, 3, H, W}", r->path,
                       input->name, shape ? shape->n_dim : 0);
    int64_t channels = fixed_dim(shape->dim[1]), height = fixed_dim(shape->dim[2]), width = fixed_dim(shape->dim[3]);
    if (channels != 3)
        return fv_fail(FV_BAD_INPUT, "%s: the input %.60s has %lld channels in its second dimension, expected 3",
                       r->path, input->name, (long long)channels);
    if (height > LARGEST_SIDE || width > LARGEST_SIDE || (height && width && height != width))
        return fv_fail(FV_BAD_INPUT, "%s: the input %.60s is of %lldx%lld pixels; fovea's are squares of up to %d",
                       r->path, input->name, (long long)width, (long long)height, LARGEST_SIDE);
    *size = (int)(height ? height : width ? width : FREE_SIZE);
    r->input = fv_graph_input(&r->graph, "input", (fv_shape){1, *size, *size, 3}, false);
    const fv_onnx_value value = {.name = input->name, .ref = {FV_FROM_INPUT, 0}};
    return fv_fail_about(fv_onnx_add_value(r, &value), r->path);
}

/* ---- all of it ---- */

static fv_status read_graph(fv_onnx_reader *r, fv_model **model) {
    int size = FREE_SIZE;
    FV_TRY(find_needed(r));
    FV_TRY(take_initializers(r));
    FV_TRY(take_input(r, &size));
    FV_TRY(read_nodes(r));
    return fv_onnx_make_model(r, size, model);
}

/* What the trees point to belongs to others. */
static void leave_alone(void *item) {
    (void)item;
}

static fv_status read_model(const Onnx__ModelProto *file, const char *path, fv_model **model) {
    int64_t opset = 0;
    FV_TRY(find_opset(file, path, &opset));
    FV_TRY(check_graph(file->graph, path));
    fv_onnx_reader *r = fv_allocate(1, sizeof *r, "the reader of a network");
    if (!r) return FV_NO_RESOURCE;
    r->path = path;
    r->file = file->graph;
    r->opset = opset;
    r->spec = find_spec(file);
    fv_params_init(&r->params);
    fv_graph_init(&r->graph, &r->params);
    r->values = fv_allocate(FV_ONNX_MAX_VALUES, sizeof *r->values, "the values of a network");
    r->recipe = fv_recipe_make();
    fv_status status = r->values && r->recipe ? read_graph(r, model) : FV_NO_RESOURCE;
    for (int i = 0; i < r->owned_count; i++) free(r->owned[i]);
    free(r->owned);
    tdestroy(r->by_name, leave_alone);
    tdestroy(r->needed_names, leave_alone);
    free(r->needed);
    free(r->values);
    free(r->weights);
    fv_recipe_free(r->recipe);
    fv_graph_free(&r->graph);
    fv_params_free(&r->params);
    free(r);
    return status;
}

fv_status fv_onnx_read_memory(const void *data, size_t bytes, const char *name, fv_model **model) {
    Onnx__ModelProto *file;
    *model = NULL;
    FV_TRY(fv_onnx_file_parse(data, bytes, name, &file));
    fv_status status = read_model(file, name, model);
    fv_onnx_file_free(file);
    return status;
}

fv_status fv_onnx_read(const char *path, fv_model **model) {
    void *data;
    size_t bytes;
    Onnx__ModelProto *file;
    *model = NULL;
    FV_TRY(fv_file_read(path, FILE_LIMIT, &data, &bytes));
    fv_status status = fv_onnx_file_parse(data, bytes, path, &file);
    free(data); /* before the weights are made: large files */
    if (status != FV_OK) return status;
    status = read_model(file, path, model);
    fv_onnx_file_free(file);
    return status;
}
