/* How each op is written to ONNX: one function an op, in a table by kind. DESIGN.md would have them in the ops' files;
   docs/architecture.md says why they are here. */
#include <string.h>

#include "onnx_writer.h"

/* What a function is given: its layer, the tensors that it reads, and what its result is to be called. */
typedef struct layer_call {
    const fv_folded_layer *layer;
    const char *in[FV_MAX_INPUTS];
    const char *out;
} layer_call;

typedef void layer_writer(onnx_writer *w, const layer_call *call);

/* ---- convolutions ---- */

static void set_window(onnx_writer *w, Onnx__NodeProto *node, const fv_attributes *a) {
    const fv_padding *p = &a->padding;
    onnx_set_ints(&w->builder, node, "kernel_shape", 2, (int64_t[]){a->kernel_h, a->kernel_w});
    onnx_set_ints(&w->builder, node, "strides", 2, (int64_t[]){a->stride ? a->stride : 1, a->stride ? a->stride : 1});
    onnx_set_ints(&w->builder, node, "pads", 4, (int64_t[]){p->top, p->left, p->bottom, p->right});
}

/* {height, width, in, out} in ONNX's order: out, in, height, width; of transposed convolutions in, out, ... */
static const int forward_order[4] = {3, 2, 0, 1}, transposed_order[4] = {2, 3, 0, 1};

static Onnx__NodeProto *kernel_node(onnx_writer *w, const layer_call *call, const char *op, const int order[4]) {
    char weight[ONNX_NAME], bias[ONNX_NAME];
    onnx_weight(w, call->layer, 4, order, weight);
    onnx_bias(w, call->layer, 1, 0, bias);
    Onnx__NodeProto *node = onnx_node(&w->builder, op, 3, (const char *[]){call->in[0], weight, bias}, call->out);
    set_window(w, node, &call->layer->attributes);
    return node;
}

static void set_dilation(onnx_writer *w, Onnx__NodeProto *node, int dilation) {
    if (dilation > 1) onnx_set_ints(&w->builder, node, "dilations", 2, (int64_t[]){dilation, dilation});
}

static void write_conv2d(onnx_writer *w, const layer_call *call) {
    const fv_attributes *a = &call->layer->attributes;
    Onnx__NodeProto *node = kernel_node(w, call, "Conv", forward_order);
    set_dilation(w, node, a->dilation);
    if (a->groups > 1) onnx_set_int(&w->builder, node, "group", a->groups);
}

static void write_depthwise(onnx_writer *w, const layer_call *call) {
    Onnx__NodeProto *node = kernel_node(w, call, "Conv", forward_order);
    set_dilation(w, node, call->layer->attributes.dilation);
    onnx_set_int(&w->builder, node, "group", call->layer->weight_shape.c);
}

static void write_conv_transpose(onnx_writer *w, const layer_call *call) {
    kernel_node(w, call, "ConvTranspose", transposed_order);
}

/* Of a pooled tensor {N, C, 1, 1}; others would need their weights in the order of NCHW. */
static void write_dense(onnx_writer *w, const layer_call *call) {
    static const int order[4] = {2, 3, 0, 1};
    const fv_folded_layer *layer = call->layer;
    char weight[ONNX_NAME], bias[ONNX_NAME], flat[ONNX_NAME], product[ONNX_NAME], axes[ONNX_NAME];
    onnx_join(flat, layer->name, "flat");
    onnx_join(product, layer->name, "product");
    onnx_join(axes, layer->name, "axes");
    onnx_weight(w, layer, 2, order, weight);
    onnx_bias(w, layer, 1, 0, bias);
    onnx_indices(w, axes, 2, (int64_t[]){2, 3});
    onnx_unary(w, "Flatten", call->in[0], flat);
    onnx_node(&w->builder, "Gemm", 3, (const char *[]){flat, weight, bias}, product);
    onnx_binary(w, "Unsqueeze", product, axes, call->out);
}

/* ---- normalisation ---- */

static void write_affine(onnx_writer *w, const fv_folded_layer *layer, const char *in, const char *out) {
    char weight[ONNX_NAME], bias[ONNX_NAME], scaled[ONNX_NAME];
    onnx_join(scaled, layer->name, "scaled");
    onnx_scale(w, layer, weight);
    onnx_bias(w, layer, 4, 1, bias);
    onnx_binary(w, "Mul", in, weight, scaled);
    onnx_binary(w, "Add", scaled, bias, out);
}

static void write_batch_norm(onnx_writer *w, const layer_call *call) {
    write_affine(w, call->layer, call->in[0], call->out);
}

/* The groups as channels of {N, groups, -1}, each normalised by itself, as PyTorch writes it for this opset. */
static void normalise_groups(onnx_writer *w, const fv_folded_layer *layer, const char *in, const char *out) {
    const int64_t groups = layer->attributes.groups;
    char shape[ONNX_NAME], grouped_shape[ONNX_NAME], grouped[ONNX_NAME], ones[ONNX_NAME], zeros[ONNX_NAME],
        normal[ONNX_NAME];
    onnx_join(shape, layer->name, "shape");
    onnx_join(grouped_shape, layer->name, "grouped_shape");
    onnx_join(grouped, layer->name, "grouped");
    onnx_join(ones, layer->name, "ones");
    onnx_join(zeros, layer->name, "zeros");
    onnx_join(normal, layer->name, "normal");
    onnx_indices(w, grouped_shape, 3, (int64_t[]){0, groups, -1});
    float *values = onnx_tensor(&w->builder, ones, ONNX_FLOAT, 1, &groups);
    for (int64_t i = 0; values && i < groups; i++) values[i] = 1;
    onnx_tensor(&w->builder, zeros, ONNX_FLOAT, 1, &groups);
    onnx_unary(w, "Shape", in, shape);
    onnx_binary(w, "Reshape", in, grouped_shape, grouped);
    Onnx__NodeProto *node =
        onnx_node(&w->builder, "InstanceNormalization", 3, (const char *[]){grouped, ones, zeros}, normal);
    onnx_set_float(&w->builder, node, "epsilon", (float)layer->attributes.epsilon);
    onnx_binary(w, "Reshape", normal, shape, out);
}

/* In float32 always: sums of squares over a whole picture leave the halves' range. */
static void write_group_norm(onnx_writer *w, const layer_call *call) {
    const fv_folded_layer *layer = call->layer;
    bool halves = onnx_compute_type(w) == ONNX_HALF;
    char wide[ONNX_NAME], reshaped[ONNX_NAME], result[ONNX_NAME];
    onnx_join(wide, layer->name, "wide");
    onnx_join(reshaped, layer->name, "reshaped");
    onnx_join(result, layer->name, "float");
    if (halves) onnx_set_int(&w->builder, onnx_unary(w, "Cast", call->in[0], wide), "to", ONNX_FLOAT);
    w->layer_is_float = true;
    normalise_groups(w, layer, halves ? wide : call->in[0], reshaped);
    write_affine(w, layer, reshaped, halves ? result : call->out);
    w->layer_is_float = false;
    if (halves) onnx_set_int(&w->builder, onnx_unary(w, "Cast", result, call->out), "to", ONNX_HALF);
}

/* ---- activations ---- */

static void write_relu(onnx_writer *w, const layer_call *call) {
    onnx_unary(w, "Relu", call->in[0], call->out);
}

static void write_relu6(onnx_writer *w, const layer_call *call) {
    char low[ONNX_NAME], high[ONNX_NAME];
    onnx_number(w, call->out, "low", 0, low);
    onnx_number(w, call->out, "high", 6, high);
    onnx_node(&w->builder, "Clip", 3, (const char *[]){call->in[0], low, high}, call->out);
}

static void write_sigmoid(onnx_writer *w, const layer_call *call) {
    onnx_unary(w, "Sigmoid", call->in[0], call->out);
}

static void write_silu(onnx_writer *w, const layer_call *call) {
    char gate[ONNX_NAME];
    onnx_join(gate, call->layer->name, "gate");
    onnx_unary(w, "Sigmoid", call->in[0], gate);
    onnx_binary(w, "Mul", call->in[0], gate, call->out);
}

/* ---- the others ---- */

static void write_max_pool(onnx_writer *w, const layer_call *call) {
    set_window(w, onnx_unary(w, "MaxPool", call->in[0], call->out), &call->layer->attributes);
}

static void write_global_average_pool(onnx_writer *w, const layer_call *call) {
    onnx_unary(w, "GlobalAveragePool", call->in[0], call->out);
}

static Onnx__NodeProto *resize(onnx_writer *w, const layer_call *call, const char *mode, const char *coordinates) {
    const int64_t four = 4;
    char scales[ONNX_NAME];
    float scale = (float)call->layer->attributes.scale;
    onnx_join(scales, call->layer->name, "scales");
    float *data = onnx_tensor(&w->builder, scales, ONNX_FLOAT, 1, &four);
    if (data) memcpy(data, (float[]){1, 1, scale, scale}, 4 * sizeof *data);
    Onnx__NodeProto *node = onnx_node(&w->builder, "Resize", 3, (const char *[]){call->in[0], "", scales}, call->out);
    onnx_set_text(&w->builder, node, "mode", mode);
    onnx_set_text(&w->builder, node, "coordinate_transformation_mode", coordinates);
    return node;
}

static void write_upsample_nearest(onnx_writer *w, const layer_call *call) {
    onnx_set_text(&w->builder, resize(w, call, "nearest", "asymmetric"), "nearest_mode", "floor");
}

static void write_upsample_bilinear(onnx_writer *w, const layer_call *call) {
    resize(w, call, "linear", "half_pixel");
}

static void write_concat(onnx_writer *w, const layer_call *call) {
    Onnx__NodeProto *node = onnx_node(&w->builder, "Concat", call->layer->inputs, call->in, call->out);
    onnx_set_int(&w->builder, node, "axis", 1);
}

static void write_add(onnx_writer *w, const layer_call *call) {
    onnx_binary(w, "Add", call->in[0], call->in[1], call->out);
}

static void write_multiply(onnx_writer *w, const layer_call *call) {
    onnx_binary(w, "Mul", call->in[0], call->in[1], call->out);
}

/* ---- the table ---- */

/* These never are in a list (exchange/folded.h). */
static layer_writer *const write_spatial_dropout = NULL, *const write_quantise = NULL,
                           *const write_segmentation_loss = NULL, *const write_cldice_loss = NULL;

/* An op without a function does not compile. */
static layer_writer *writer_of(fv_op_kind kind) {
    switch (kind) {
#define FV_OP(name)                                                                                                    \
    case FV_OP_##name:                                                                                                 \
        return write_##name;
#include "fovea/op/op_list.h"
#undef FV_OP
    case FV_OP_COUNT:
        break;
    }
    return NULL;
}

static bool is_writable(onnx_writer *w, const fv_folded_layer *layer) {
    bool flat = layer->kind != FV_OP_dense || layer->in[0] == FV_FOLDED_INPUT;
    if (layer->kind == FV_OP_dense && layer->in[0] >= 0) {
        fv_shape in = w->folded->layers[layer->in[0]].out;
        flat = in.h == 1 && in.w == 1;
    }
    if (writer_of(layer->kind) && flat) return true;
    w->status =
        fv_fail(FV_BAD_INPUT, "layer %s (%s) can't be written to ONNX: %s", layer->name, fv_op_table[layer->kind]->name,
                flat ? "there is no such operation in it" : "a dense layer must follow a global pooling");
    return false;
}

void onnx_write_layer(onnx_writer *w, const fv_folded_layer *layer, bool activate, const char *out) {
    char linear[ONNX_NAME];
    layer_call call = {.layer = layer, .out = out}, behind = {.layer = layer, .in = {linear}, .out = out};
    if (!is_writable(w, layer)) return;
    for (int k = 0; k < layer->inputs; k++) call.in[k] = onnx_result(w, layer->in[k]);
    onnx_join(linear, layer->name, "linear");
    if (activate) call.out = linear;
    writer_of(layer->kind)(w, &call);
    if (activate) (layer->attributes.activation == FV_ACT_RELU ? write_relu : write_relu6)(w, &behind);
}
