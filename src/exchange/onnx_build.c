#include "onnx_build.h"

#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"

/* ---- memory: everything hangs on the model and is freed with it ---- */

static void *take(onnx_builder *b, size_t count, size_t size) {
    void *memory = b->failed ? NULL : fv_allocate(count ? count : 1, size, "an ONNX model");
    if (!memory) b->failed = true;
    return memory;
}

static char *take_text(onnx_builder *b, const char *text) {
    size_t bytes = strlen(text) + 1;
    char *copy = take(b, bytes, 1);
    if (copy) memcpy(copy, text, bytes);
    return copy;
}

/* Appends to one of the schema's lists of pointers, whose capacity is the power of two at or above its count. */
static void append(onnx_builder *b, void *list, size_t *count, void *item, void (*release)(void *)) {
    void **items;
    memcpy(&items, list, sizeof items);
    if (b->failed) {
        release(item);
        return;
    }
    if ((*count & (*count - 1)) == 0) { /* 0 or a power of two: full */
        void **larger = realloc(items, (*count ? 2 * *count : 1) * sizeof *larger);
        if (!larger) {
            fv_fail_memory("an ONNX model", *count * sizeof *larger);
            b->failed = true;
            release(item);
            return;
        }
        items = larger;
        memcpy(list, &items, sizeof items);
    }
    items[(*count)++] = item;
}

static void release_message(void *message) {
    if (message) protobuf_c_message_free_unpacked(message, NULL);
}

static void release_text(void *text) {
    free(text);
}

#define NEW_MESSAGE(b, type, name)                                                                                     \
    type *name = take(b, 1, sizeof *name);                                                                             \
    if (!name) return
/* The lists of the schema's structs have various pointer types. */
#define APPEND(b, list, count, message) append(b, (void *)&(list), &(count), message, release_message)

/* ---- the model ---- */

fv_status onnx_begin(onnx_builder *b, const char *graph_name, int opset) {
    *b = (onnx_builder){0};
    b->model = take(b, 1, sizeof *b->model);
    if (!b->model) return FV_NO_RESOURCE;
    onnx__model_proto__init(b->model);
    b->model->has_ir_version = 1;
    b->model->ir_version = 8; /* of ONNX 1.10 to 1.12, which opset 17 belongs to */
    b->model->graph = take(b, 1, sizeof *b->model->graph);
    if (!b->model->graph) return FV_NO_RESOURCE;
    onnx__graph_proto__init(b->model->graph);
    b->model->graph->name = take_text(b, graph_name);
    Onnx__OperatorSetIdProto *set = take(b, 1, sizeof *set);
    if (!set) return FV_NO_RESOURCE;
    onnx__operator_set_id_proto__init(set);
    set->domain = take_text(b, "");
    set->has_version = 1;
    set->version = opset;
    APPEND(b, b->model->opset_import, b->model->n_opset_import, set);
    return b->failed ? FV_NO_RESOURCE : FV_OK;
}

void onnx_free(onnx_builder *b) {
    release_message(b->model);
    *b = (onnx_builder){0};
}

void onnx_describe(onnx_builder *b, const char *producer, const char *version, const char *doc) {
    b->model->producer_name = take_text(b, producer);
    b->model->producer_version = take_text(b, version);
    b->model->doc_string = take_text(b, doc);
}

void onnx_metadata(onnx_builder *b, const char *key, const char *text) {
    NEW_MESSAGE(b, Onnx__StringStringEntryProto, entry);
    onnx__string_string_entry_proto__init(entry);
    entry->key = take_text(b, key);
    entry->value = take_text(b, text);
    APPEND(b, b->model->metadata_props, b->model->n_metadata_props, entry);
}

/* ---- nodes ---- */

Onnx__NodeProto *onnx_node(onnx_builder *b, const char *op, int input_count, const char *const *inputs,
                           const char *output) {
    Onnx__GraphProto *graph = b->model->graph;
    Onnx__NodeProto *node = take(b, 1, sizeof *node);
    if (!node) return NULL;
    onnx__node_proto__init(node);
    node->op_type = take_text(b, op);
    node->name = take_text(b, output);
    for (int i = 0; i < input_count; i++)
        append(b, (void *)&node->input, &node->n_input, take_text(b, inputs[i]), release_text);
    append(b, (void *)&node->output, &node->n_output, take_text(b, output), release_text);
    APPEND(b, graph->node, graph->n_node, node);
    return b->failed ? NULL : node;
}

static Onnx__AttributeProto *attribute(onnx_builder *b, Onnx__NodeProto *node, const char *name,
                                       Onnx__AttributeProto__AttributeType type) {
    Onnx__AttributeProto *a = node ? take(b, 1, sizeof *a) : NULL;
    if (!a) return NULL;
    onnx__attribute_proto__init(a);
    a->name = take_text(b, name);
    a->has_type = 1;
    a->type = type;
    APPEND(b, node->attribute, node->n_attribute, a);
    return b->failed ? NULL : a;
}

void onnx_set_int(onnx_builder *b, Onnx__NodeProto *node, const char *name, int64_t value) {
    Onnx__AttributeProto *a = attribute(b, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!a) return;
    a->has_i = 1;
    a->i = value;
}

void onnx_set_float(onnx_builder *b, Onnx__NodeProto *node, const char *name, float value) {
    Onnx__AttributeProto *a = attribute(b, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!a) return;
    a->has_f = 1;
    a->f = value;
}

void onnx_set_text(onnx_builder *b, Onnx__NodeProto *node, const char *name, const char *value) {
    Onnx__AttributeProto *a = attribute(b, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (!a) return;
    a->has_s = 1;
    a->s.data = (uint8_t *)take_text(b, value);
    a->s.len = a->s.data ? strlen(value) : 0;
}

void onnx_set_ints(onnx_builder *b, Onnx__NodeProto *node, const char *name, int count, const int64_t *values) {
    Onnx__AttributeProto *a = attribute(b, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    if (!a) return;
    a->ints = take(b, (size_t)count, sizeof *a->ints);
    if (!a->ints) return;
    memcpy(a->ints, values, (size_t)count * sizeof *values);
    a->n_ints = (size_t)count;
}

/* ---- tensors ---- */

static size_t element_bytes(onnx_type type) {
    switch (type) {
    case ONNX_INT8:
    case ONNX_UINT8:
        return 1;
    case ONNX_HALF:
        return 2;
    case ONNX_FLOAT:
    case ONNX_INT32:
        return 4;
    case ONNX_INT64:
        return 8;
    }
    return 0;
}

void *onnx_tensor(onnx_builder *b, const char *name, onnx_type type, int dims, const int64_t *sizes) {
    Onnx__TensorProto *tensor = take(b, 1, sizeof *tensor);
    if (!tensor) return NULL;
    onnx__tensor_proto__init(tensor);
    tensor->name = take_text(b, name);
    tensor->has_data_type = 1;
    tensor->data_type = type;
    tensor->dims = take(b, (size_t)dims, sizeof *tensor->dims);
    size_t bytes = element_bytes(type);
    for (int i = 0; tensor->dims && i < dims; i++) {
        tensor->dims[tensor->n_dims++] = sizes[i];
        bytes = fv_size_multiply(bytes, (size_t)sizes[i]);
    }
    tensor->has_raw_data = 1;
    tensor->raw_data.data = take(b, bytes, 1);
    tensor->raw_data.len = tensor->raw_data.data ? bytes : 0;
    APPEND(b, b->model->graph->initializer, b->model->graph->n_initializer, tensor);
    return b->failed ? NULL : tensor->raw_data.data;
}

static void add_dimension(onnx_builder *b, Onnx__TensorShapeProto *shape, const onnx_dimension *from) {
    NEW_MESSAGE(b, Onnx__TensorShapeProto__Dimension, dim);
    onnx__tensor_shape_proto__dimension__init(dim);
    dim->value_case = from->name ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
                                 : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    if (from->name)
        dim->dim_param = take_text(b, from->name);
    else
        dim->dim_value = from->size;
    APPEND(b, shape->dim, shape->n_dim, dim);
}

static Onnx__ValueInfoProto *value_info(onnx_builder *b, const char *name, onnx_type type,
                                        const onnx_dimension dims[ONNX_MAX_DIMS]) {
    Onnx__ValueInfoProto *info = take(b, 1, sizeof *info);
    if (!info) return NULL;
    onnx__value_info_proto__init(info);
    info->name = take_text(b, name);
    Onnx__TypeProto *of = info->type = take(b, 1, sizeof *of);
    if (!of) return info;
    onnx__type_proto__init(of);
    Onnx__TypeProto__Tensor *tensor = take(b, 1, sizeof *tensor);
    if (!tensor) return info;
    onnx__type_proto__tensor__init(tensor);
    of->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    of->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = type;
    tensor->shape = take(b, 1, sizeof *tensor->shape);
    if (!tensor->shape) return info;
    onnx__tensor_shape_proto__init(tensor->shape);
    for (int i = 0; i < ONNX_MAX_DIMS; i++) add_dimension(b, tensor->shape, &dims[i]);
    return info;
}

void onnx_input(onnx_builder *b, const char *name, onnx_type type, const onnx_dimension dims[ONNX_MAX_DIMS]) {
    Onnx__GraphProto *graph = b->model->graph;
    APPEND(b, graph->input, graph->n_input, value_info(b, name, type, dims));
}

void onnx_output(onnx_builder *b, const char *name, onnx_type type, const onnx_dimension dims[ONNX_MAX_DIMS]) {
    Onnx__GraphProto *graph = b->model->graph;
    APPEND(b, graph->output, graph->n_output, value_info(b, name, type, dims));
}

/* ---- the file ---- */

/* protobuf-c's way to write piece by piece. */
typedef struct file_buffer {
    ProtobufCBuffer base;
    FILE *stream;
} file_buffer;

static void append_to_file(ProtobufCBuffer *buffer, size_t bytes, const uint8_t *data) {
    FILE *stream = ((file_buffer *)(void *)buffer)->stream;
    if (bytes > 0) fwrite(data, 1, bytes, stream); /* a failure is found at commit */
}

fv_status onnx_write(const onnx_builder *b, const char *path) {
    fv_file file;
    if (b->failed) return fv_fail(FV_NO_RESOURCE, "not enough memory to put %s together", path);
    size_t bytes = onnx__model_proto__get_packed_size(b->model);
    if (bytes > INT32_MAX)
        return fv_fail(FV_BAD_INPUT,
                       "%s would have %zu MiB, and an ONNX file can't have more than 2047: take half precision", path,
                       bytes >> 20);
    FV_TRY(fv_file_begin(&file, path));
    file_buffer buffer = {.base = {append_to_file}, .stream = file.stream};
    onnx__model_proto__pack_to_buffer(b->model, &buffer.base);
    return fv_file_commit(&file);
}
