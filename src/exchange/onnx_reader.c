/* What all operators' readers share: attributes, inputs, results, steps. */
#include "onnx_reader.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

#define LARGEST_CONSTANT ((size_t)1 << 24) /* elements */
#define ALL_CONSTANTS ((size_t)1 << 25)    /* elements: a small file can ask for many large ones */
#define LARGEST_SIDE 65535                 /* px, of any layer's result */
#define MOST_CHANNELS (1 << 24)
#define NAME_LENGTH 70   /* of a step: room for a number, and for a parameter's name behind it */
#define NO_EPSILON 1e-30 /* added to a variance of 1 it changes nothing */

/* ---- messages ---- */

/* A node may have no name; its result always has one. */
static const char *node_name(const Onnx__NodeProto *node) {
    if (node->name && *node->name) return node->name;
    return node->n_output && *node->output[0] ? node->output[0] : "without a name";
}

fv_status fv_onnx_complain(const fv_onnx_reader *r, const char *format, ...) {
    char text[700];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return fv_fail(FV_BAD_INPUT, "%s: node %.120s (%.40s): %s", r->path, node_name(r->node), r->node->op_type, text);
}

fv_status fv_onnx_about_node(const fv_onnx_reader *r, fv_status status) {
    if (status != FV_BAD_INPUT) return status;
    char text[700];
    snprintf(text, sizeof text, "%s", fv_error());
    return fv_onnx_complain(r, "%s", text);
}

/* ---- attributes ---- */

const Onnx__AttributeProto *fv_onnx_attribute(const fv_onnx_reader *r, const char *name) {
    for (size_t i = 0; i < r->node->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = r->node->attribute[i];
        if (attribute->name && strcmp(attribute->name, name) == 0) return attribute;
    }
    return NULL;
}

/* Some writers leave out a number that is 0. */
int64_t fv_onnx_int(const fv_onnx_reader *r, const char *name, int64_t standard) {
    const Onnx__AttributeProto *attribute = fv_onnx_attribute(r, name);
    return attribute && (attribute->has_i || attribute->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT)
               ? attribute->i
               : standard;
}

float fv_onnx_float(const fv_onnx_reader *r, const char *name, float standard) {
    const Onnx__AttributeProto *attribute = fv_onnx_attribute(r, name);
    return attribute && (attribute->has_f || attribute->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT)
               ? attribute->f
               : standard;
}

void fv_onnx_text(const fv_onnx_reader *r, const char *name, const char *standard, char out[32]) {
    const Onnx__AttributeProto *attribute = fv_onnx_attribute(r, name);
    if (!attribute || !attribute->has_s)
        snprintf(out, 32, "%s", standard);
    else if (attribute->s.len < 32)
        snprintf(out, 32, "%.*s", (int)attribute->s.len, (const char *)attribute->s.data);
    else
        out[0] = '\0';
}

fv_status fv_onnx_ints(const fv_onnx_reader *r, const char *name, int count, int standard, int *numbers) {
    const Onnx__AttributeProto *attribute = fv_onnx_attribute(r, name);
    for (int i = 0; i < count; i++) numbers[i] = standard;
    if (!attribute) return FV_OK;
    if (attribute->n_ints != (size_t)count)
        return fv_onnx_complain(r, "%s has %zu numbers, expected %d: fovea's networks are of pictures", name,
                                attribute->n_ints, count);
    for (int i = 0; i < count; i++) {
        if (attribute->ints[i] < -4096 || attribute->ints[i] > 4096)
            return fv_onnx_complain(r, "%s has the number %lld, expected -4096 to 4096", name,
                                    (long long)attribute->ints[i]);
        numbers[i] = (int)attribute->ints[i];
    }
    return FV_OK;
}

void fv_onnx_two_axes(const fv_onnx_tensor *numbers, int axes[2]) {
    axes[0] = axes[1] = 0;
    for (size_t i = 0; i < 2 && numbers->count == 2; i++) {
        int64_t axis = fv_onnx_tensor_integer(numbers, i);
        if (axis >= -4 && axis < 4) axes[i] = (int)axis;
    }
}

/* ---- values by name ---- */

static int compare_names(const void *a, const void *b) {
    return strcmp(((const fv_onnx_value *)a)->name, ((const fv_onnx_value *)b)->name);
}

const fv_onnx_value *fv_onnx_find(const fv_onnx_reader *r, const char *name) {
    const fv_onnx_value wanted = {.name = name};
    fv_onnx_value *const *found = tfind(&wanted, &r->by_name, compare_names);
    return found ? *found : NULL;
}

fv_status fv_onnx_add_value(fv_onnx_reader *r, const fv_onnx_value *value) {
    if (r->value_count >= FV_ONNX_MAX_VALUES)
        return fv_fail(FV_BAD_INPUT, "the file has more than %d values", FV_ONNX_MAX_VALUES);
    fv_onnx_value *added = &r->values[r->value_count];
    *added = *value;
    fv_onnx_value *const *there = tsearch(added, &r->by_name, compare_names);
    if (!there) return fv_fail_memory("the values of a network", sizeof *added);
    if (*there != added) return fv_fail(FV_BAD_INPUT, "\"%.120s\" is there twice", value->name);
    r->value_count++;
    return FV_OK;
}

/* ---- inputs and results ---- */

bool fv_onnx_has_input(const fv_onnx_reader *r, size_t index) {
    return index < r->node->n_input && *r->node->input[index];
}

fv_status fv_onnx_input(const fv_onnx_reader *r, size_t index, const fv_onnx_value **value) {
    if (!fv_onnx_has_input(r, index)) return fv_onnx_complain(r, "input %zu is missing", index);
    *value = fv_onnx_find(r, r->node->input[index]);
    if (*value) return FV_OK;
    return fv_onnx_complain(r,
                            "it reads \"%.120s\", which no node before it makes: the nodes are not in order, or in a "
                            "circle",
                            r->node->input[index]);
}

bool fv_onnx_has_zeros(const fv_onnx_value *value) {
    return value->zeros.top || value->zeros.left || value->zeros.bottom || value->zeros.right;
}

fv_status fv_onnx_picture(const fv_onnx_reader *r, size_t index, const fv_onnx_value **value) {
    FV_TRY(fv_onnx_input(r, index, value));
    if ((*value)->constant) return fv_onnx_complain(r, "input %zu does not depend on the picture", index);
    if (fv_onnx_has_zeros(*value)) return fv_onnx_complain(r, "fovea pads pictures only in front of convolutions");
    return FV_OK;
}

fv_status fv_onnx_constant(const fv_onnx_reader *r, size_t index, const fv_onnx_tensor **tensor) {
    const fv_onnx_value *value;
    FV_TRY(fv_onnx_input(r, index, &value));
    if (!value->constant) return fv_onnx_complain(r, "input %zu depends on the picture; expected fixed numbers", index);
    *tensor = &value->tensor;
    return FV_OK;
}

fv_shape fv_onnx_shape(const fv_onnx_reader *r, const fv_onnx_value *value) {
    return fv_graph_shape(&r->graph, value->ref.source == FV_FROM_INPUT ? r->input : r->made[value->ref.index]);
}

int fv_onnx_dims(const fv_onnx_reader *r, const fv_onnx_value *value, int64_t dims[4]) {
    fv_shape s = fv_onnx_shape(r, value);
    dims[0] = s.n;
    dims[1] = s.c;
    dims[2] = s.h + value->zeros.top + value->zeros.bottom;
    dims[3] = s.w + value->zeros.left + value->zeros.right;
    return value->flat ? 2 : 4;
}

fv_status fv_onnx_result(fv_onnx_reader *r, const fv_onnx_value *value) {
    if (r->node->n_output < 1 || !*r->node->output[0]) return fv_onnx_complain(r, "it has no result");
    fv_onnx_value made = *value;
    made.name = r->node->output[0];
    made.sized = value->constant && r->sized;
    return fv_onnx_about_node(r, fv_onnx_add_value(r, &made));
}

fv_status fv_onnx_result_tensor(fv_onnx_reader *r, const fv_onnx_tensor *tensor) {
    return fv_onnx_result(r, &(fv_onnx_value){.constant = true, .tensor = *tensor});
}

static fv_status take_elements(fv_onnx_reader *r, size_t count) {
    if (count > ALL_CONSTANTS - r->made_elements)
        return fv_onnx_complain(r, "fixed numbers that are computed come to more than 2^25 elements together");
    r->made_elements += count;
    return FV_OK;
}

fv_status fv_onnx_tensor_make(fv_onnx_reader *r, fv_onnx_element element, int rank, const int64_t *dims,
                              fv_onnx_tensor *tensor, void **data) {
    *tensor = (fv_onnx_tensor){.element = element};
    FV_TRY(fv_onnx_about_node(r, fv_onnx_tensor_set_dims(tensor, (size_t)rank, dims, "its result")));
    if (tensor->count > LARGEST_CONSTANT)
        return fv_onnx_complain(r, "fixed numbers of more than 2^24 elements are not computed");
    FV_TRY(take_elements(r, tensor->count));
    if (r->owned_count == r->owned_capacity) {
        int wanted = r->owned_capacity ? 2 * r->owned_capacity : 64;
        void **grown = realloc(r->owned, (size_t)wanted * sizeof *grown);
        if (!grown) return fv_fail_memory("the constants of a network", (size_t)wanted * sizeof *grown);
        r->owned = grown;
        r->owned_capacity = wanted;
    }
    *data = fv_allocate(tensor->count + 1, fv_onnx_element_bytes(element), "the constants of a network");
    if (!*data) return FV_NO_RESOURCE;
    r->owned[r->owned_count++] = *data;
    tensor->data = *data;
    return FV_OK;
}

/* ---- steps ---- */

static bool is_taken(const fv_onnx_reader *r, const char *name) {
    for (int i = 0; i < r->recipe->step_count; i++)
        if (strcmp(r->recipe->steps[i].name, name) == 0) return true;
    return false;
}

/* From "/encoder/layer1/conv1/Conv" to "encoder.layer1.conv1.Conv": letters, digits and _ . - : alone; of a long name
   the end; with a number where it is taken. */
static void name_of_step(const fv_onnx_reader *r, char name[FV_NAME_MAX]) {
    const char *text = node_name(r->node);
    size_t length = strlen(text);
    if (length > NAME_LENGTH) text += length - NAME_LENGTH;
    while (*text == '/' || *text == '.') text++;
    snprintf(name, FV_NAME_MAX, "%s", *text ? text : "node");
    for (char *c = name; *c; c++) {
        bool plain = (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z');
        if (*c == '/')
            *c = '.';
        else if (!plain && !strchr("_.-:", *c))
            *c = '_';
    }
    size_t end = strlen(name);
    for (int number = r->recipe->step_count; is_taken(r, name); number++)
        snprintf(name + end, FV_NAME_MAX - end, "_%d", number);
}

static fv_status add_weights(fv_onnx_reader *r, const fv_onnx_layer *layer, int index, const char *step_name,
                             fv_recipe_ref *ref) {
    const char *part = layer->weight_names[index];
    bool state = strcmp(part, "mean") == 0 || strcmp(part, "var") == 0;
    fv_recipe_param param = {.shape = layer->shapes[index], .trainable = !state};
    snprintf(param.name, sizeof param.name, "%.80s.%.12s", step_name, part);
    *ref = (fv_recipe_ref){FV_FROM_PARAM, r->recipe->param_count};
    if (r->recipe->param_count == r->weights_capacity) {
        int wanted = r->weights_capacity ? 2 * r->weights_capacity : 64;
        fv_onnx_weights *grown = realloc(r->weights, (size_t)wanted * sizeof *grown);
        if (!grown) return fv_fail_memory("the weights of a network", (size_t)wanted * sizeof *grown);
        r->weights = grown;
        r->weights_capacity = wanted;
    }
    fv_onnx_weights *weights = &r->weights[r->recipe->param_count];
    *weights = layer->sources[index];
    if (!weights->source.data) FV_TRY(take_elements(r, weights->rows * weights->columns * weights->taps));
    memcpy(weights->name, param.name, sizeof weights->name);
    return fv_onnx_about_node(r, fv_recipe_add_param(r->recipe, &param));
}

fv_status fv_onnx_add_layer(fv_onnx_reader *r, const fv_onnx_layer *layer, fv_recipe_ref *made) {
    int index = r->recipe->step_count;
    fv_recipe_step step = {
        .kind = layer->kind, .attributes = layer->attributes, .inputs = layer->pictures + layer->weights};
    name_of_step(r, step.name);
    for (int k = 0; k < layer->pictures; k++) step.in[k] = layer->in[k];
    for (int k = 0; k < layer->weights; k++) FV_TRY(add_weights(r, layer, k, step.name, &step.in[layer->pictures + k]));
    FV_TRY(fv_onnx_about_node(r, fv_recipe_add_step(r->recipe, &step)));
    r->made[index] = fv_recipe_build_step(r->recipe, index, &r->graph, r->input, r->made);
    FV_TRY(fv_onnx_about_node(r, fv_graph_status(&r->graph)));
    *made = (fv_recipe_ref){FV_FROM_STEP, index};
    fv_shape s = fv_graph_shape(&r->graph, r->made[index]);
    if (s.h <= LARGEST_SIDE && s.w <= LARGEST_SIDE && s.c <= MOST_CHANNELS) return FV_OK;
    return fv_onnx_complain(r, "it makes a picture of %dx%d with %d channels; fovea's have up to %d on a side and %d",
                            s.w, s.h, s.c, LARGEST_SIDE, MOST_CHANNELS);
}

fv_status fv_onnx_finish_layer(fv_onnx_reader *r, const fv_onnx_layer *layer) {
    fv_onnx_value value = {0};
    FV_TRY(fv_onnx_add_layer(r, layer, &value.ref));
    return fv_onnx_result(r, &value);
}

fv_onnx_weights fv_onnx_vector(const fv_onnx_tensor *tensor) {
    return (fv_onnx_weights){.source = *tensor, .rows = tensor->count, .columns = 1, .taps = 1, .row_step = 1};
}

fv_onnx_weights fv_onnx_filled(size_t count, float fill) {
    return (fv_onnx_weights){.rows = count, .columns = 1, .taps = 1, .row_step = 1, .fill = fill};
}

fv_status fv_onnx_add_affine(fv_onnx_reader *r, fv_recipe_ref x, const fv_onnx_tensor *scale,
                             const fv_onnx_tensor *offset, fv_recipe_ref *made) {
    int channels = fv_onnx_shape(r, &(fv_onnx_value){.ref = x}).c;
    size_t count = (size_t)channels;
    fv_shape columns = {1, 1, 1, channels};
    fv_onnx_layer layer = {.kind = FV_OP_batch_norm,
                           .attributes = {.epsilon = NO_EPSILON},
                           .pictures = 1,
                           .in = {x},
                           .weights = 4,
                           .weight_names = {"gamma", "beta", "mean", "var"},
                           .shapes = {columns, columns, columns, columns},
                           .sources = {scale ? fv_onnx_vector(scale) : fv_onnx_filled(count, 1),
                                       offset ? fv_onnx_vector(offset) : fv_onnx_filled(count, 0),
                                       fv_onnx_filled(count, 0), fv_onnx_filled(count, 1)}};
    return fv_onnx_add_layer(r, &layer, made);
}
