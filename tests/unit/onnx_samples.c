#include "onnx_samples.h"

#include <stdlib.h>
#include <string.h>

/* Appends to a repeated field of pointers. */
static void append(void *list, size_t *count, void *item) {
    void ***items = list;
    *items = realloc(*items, (*count + 1) * sizeof **items);
    (*items)[(*count)++] = item;
}

static char *text_of(const char *text) {
    return strdup(text);
}

static void append_names(char ***list, size_t *count, const char *names) {
    while (*names) {
        size_t length = strcspn(names, " ");
        append(list, count, length == 1 && *names == '-' ? text_of("") : strndup(names, length));
        names += length + (names[length] == ' ');
    }
}

#define NEW(name, type, init)                                                                                          \
    type *name = malloc(sizeof *name);                                                                                 \
    init(name)

static void append_dim(Onnx__TensorShapeProto *shape, int size) {
    NEW(dim, Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension__init);
    if (size > 0) {
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = size;
    } else {
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        dim->dim_param = text_of("free");
    }
    append(&shape->dim, &shape->n_dim, dim);
}

static Onnx__ValueInfoProto *picture_info(const char *name, int channels, int size) {
    NEW(info, Onnx__ValueInfoProto, onnx__value_info_proto__init);
    NEW(type, Onnx__TypeProto, onnx__type_proto__init);
    NEW(tensor, Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);
    NEW(shape, Onnx__TensorShapeProto, onnx__tensor_shape_proto__init);
    const int dims[4] = {0, channels, size, size};
    for (int i = 0; i < 4; i++) append_dim(shape, dims[i]);
    tensor->has_elem_type = 1;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    info->name = text_of(name);
    info->type = type;
    return info;
}

Onnx__ModelProto *onnx_sample_make(int size) {
    NEW(model, Onnx__ModelProto, onnx__model_proto__init);
    NEW(opset, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);
    NEW(graph, Onnx__GraphProto, onnx__graph_proto__init);
    model->has_ir_version = 1;
    model->ir_version = 8;
    opset->domain = text_of("");
    opset->has_version = 1;
    opset->version = 17;
    append(&model->opset_import, &model->n_opset_import, opset);
    graph->name = text_of("sample");
    append(&graph->input, &graph->n_input, picture_info("input", 3, size));
    append(&graph->output, &graph->n_output, picture_info("output", 0, size));
    model->graph = graph;
    return model;
}

Onnx__NodeProto *onnx_sample_node(Onnx__ModelProto *model, const char *type, const char *inputs, const char *outputs) {
    NEW(node, Onnx__NodeProto, onnx__node_proto__init);
    append_names(&node->input, &node->n_input, inputs);
    append_names(&node->output, &node->n_output, outputs);
    node->op_type = text_of(type);
    node->name = malloc(strlen(node->output[0]) + 3);
    memcpy(node->name, "n_", 2);
    strcpy(node->name + 2, node->output[0]);
    append(&model->graph->node, &model->graph->n_node, node);
    return node;
}

static Onnx__AttributeProto *append_attribute(Onnx__NodeProto *node, const char *name, int type) {
    NEW(attribute, Onnx__AttributeProto, onnx__attribute_proto__init);
    attribute->name = text_of(name);
    attribute->has_type = 1;
    attribute->type = (Onnx__AttributeProto__AttributeType)type;
    append(&node->attribute, &node->n_attribute, attribute);
    return attribute;
}

void onnx_sample_ints(Onnx__NodeProto *node, const char *name, int count, const int *values) {
    Onnx__AttributeProto *a = append_attribute(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    a->n_ints = (size_t)count;
    a->ints = malloc((size_t)count * sizeof *a->ints);
    for (int i = 0; i < count; i++) a->ints[i] = values[i];
}

void onnx_sample_int(Onnx__NodeProto *node, const char *name, int64_t value) {
    Onnx__AttributeProto *a = append_attribute(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = 1;
    a->i = value;
}

void onnx_sample_float(Onnx__NodeProto *node, const char *name, float value) {
    Onnx__AttributeProto *a = append_attribute(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    a->has_f = 1;
    a->f = value;
}

void onnx_sample_text(Onnx__NodeProto *node, const char *name, const char *value) {
    Onnx__AttributeProto *a = append_attribute(node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    a->has_s = 1;
    a->s.len = strlen(value);
    a->s.data = (uint8_t *)text_of(value);
}

static Onnx__TensorProto *append_tensor(Onnx__ModelProto *model, const char *name, int rank, const int *dims, int type,
                                        size_t element_bytes) {
    NEW(tensor, Onnx__TensorProto, onnx__tensor_proto__init);
    size_t count = 1;
    tensor->name = text_of(name);
    tensor->has_data_type = 1;
    tensor->data_type = type;
    tensor->n_dims = (size_t)rank;
    tensor->dims = malloc((size_t)(rank + 1) * sizeof *tensor->dims);
    for (int i = 0; i < rank; i++) count *= (size_t)(tensor->dims[i] = dims[i]);
    tensor->has_raw_data = 1;
    tensor->raw_data.len = count * element_bytes;
    tensor->raw_data.data = calloc(count + 1, element_bytes);
    append(&model->graph->initializer, &model->graph->n_initializer, tensor);
    return tensor;
}

Onnx__TensorProto *onnx_sample_weights(Onnx__ModelProto *model, const char *name, int rank, const int *dims,
                                       const float *values) {
    Onnx__TensorProto *tensor =
        append_tensor(model, name, rank, dims, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, sizeof(float));
    unsigned state = (unsigned)name[0] * 31 + (unsigned)strlen(name);
    for (size_t i = 0; i < tensor->raw_data.len / sizeof(float); i++) {
        state = state * 1103515245u + 12345;
        float value = values ? values[i] : (float)(state >> 16 & 255) / 256 - 0.5f;
        memcpy(tensor->raw_data.data + i * sizeof value, &value, sizeof value);
    }
    return tensor;
}

Onnx__TensorProto *onnx_sample_integers(Onnx__ModelProto *model, const char *name, int count, const int *values) {
    Onnx__TensorProto *tensor =
        append_tensor(model, name, 1, &count, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, sizeof(int64_t));
    for (int i = 0; i < count; i++) {
        int64_t value = values[i];
        memcpy(tensor->raw_data.data + (size_t)i * sizeof value, &value, sizeof value);
    }
    return tensor;
}

void onnx_sample_metadata(Onnx__ModelProto *model, const char *key, const char *value) {
    NEW(entry, Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init);
    entry->key = text_of(key);
    entry->value = text_of(value);
    append(&model->metadata_props, &model->n_metadata_props, entry);
}

void *onnx_sample_pack(const Onnx__ModelProto *model, size_t *bytes) {
    *bytes = onnx__model_proto__get_packed_size(model);
    uint8_t *data = malloc(*bytes + 1);
    onnx__model_proto__pack(model, data);
    return data;
}
