#include "tflite_layers.h"

#include <float.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "tflite_weights.h"

typedef struct network {
    tflite_builder *b;
    const fv_folded *folded;
    const fv_tflite_settings *settings;
    int input;    /* tensor */
    int *results; /* tensor of each layer's result */
} network;

static bool is_int8(const network *net) {
    return net->settings->precision == FV_PRECISION_INT8;
}

static int input_of(const network *net, const fv_folded_layer *layer, int k) {
    return layer->in[k] == FV_FOLDED_INPUT ? net->input : net->results[layer->in[k]];
}

static fv_shape shape_of_input(const network *net, const fv_folded_layer *layer, int k) {
    return layer->in[k] == FV_FOLDED_INPUT ? net->folded->input : net->folded->layers[layer->in[k]].out;
}

/* ---- steps of int8 ---- */

void tflite_tensor_quantise_range(tflite_builder *b, int tensor, fv_range range) {
    fv_steps steps = fv_steps_of(range, INT8_MIN, INT8_MAX);
    tflite_tensor_quantise(b, tensor, &steps.scale, 1, 0, steps.zero);
}

/* TensorFlow Lite wants a sigmoid's result to have the step 1/256 and the zero point -128: 1 itself is left out. */
static void quantise_sigmoid(const network *net, int tensor) {
    if (is_int8(net)) tflite_tensor_quantise(net->b, tensor, &(float){1.0f / 256}, 1, 0, INT8_MIN);
}

/* Whether all the layer's values are some of its input's, or between them: its steps have to be the input's. */
static bool only_picks(const fv_folded_layer *layer) {
    return layer->kind == FV_OP_max_pool || layer->kind == FV_OP_upsample_nearest ||
           layer->kind == FV_OP_upsample_bilinear;
}

static void quantise_result(const network *net, int index, int tensor) {
    const fv_folded_layer *layer = &net->folded->layers[index];
    if (!is_int8(net)) return;
    if (only_picks(layer))
        tflite_tensor_quantise_alike(net->b, tensor, input_of(net, layer, 0));
    else if (layer->kind == FV_OP_sigmoid)
        quantise_sigmoid(net, tensor);
    else
        tflite_tensor_quantise_range(net->b, tensor, fv_ranges_of(net->settings->ranges, index));
}

static bool same_steps(const tflite_tensor *a, const tflite_tensor *b) {
    const tflite_quantisation *p = &a->quantisation, *q = &b->quantisation;
    return p->count == q->count && (p->count == 0 || (p->scale[0] == q->scale[0] && p->zero_point == q->zero_point));
}

/* ---- parts ---- */

static int dims_of(fv_shape s, int dims[4]) {
    dims[0] = s.n;
    dims[1] = s.h;
    dims[2] = s.w;
    dims[3] = s.c;
    return 4;
}

/* A tensor for what is computed. */
static int tensor_add(const network *net, const char *name, const char *suffix, fv_shape shape) {
    int dims[4];
    return tflite_tensor_add(net->b, name, suffix, is_int8(net) ? TFLITE_INT8 : TFLITE_FLOAT32, dims_of(shape, dims),
                             dims);
}

static tflite_activation activation_of(const fv_folded_layer *layer) {
    switch (layer->attributes.activation) {
    case FV_ACT_RELU:
        return TFLITE_ACTIVATION_RELU;
    case FV_ACT_RELU6:
        return TFLITE_ACTIVATION_RELU6;
    case FV_ACT_NONE:
        break;
    }
    return TFLITE_ACTIVATION_NONE;
}

/* What is put around a picture: nothing, what operators know by the name SAME, or other widths. */
typedef enum border { BORDER_NONE, BORDER_SAME, BORDER_OTHER } border;

/* SAME pads so that out = in / stride, rounded up, and puts the odd row or column at the end. */
static bool is_same(int in, int out, int reach, int stride, int before) {
    int total = (out - 1) * stride + reach - in;
    return out == (in + stride - 1) / stride && before == (total > 0 ? total : 0) / 2;
}

static border border_of(const fv_folded_layer *layer, fv_shape in) {
    const fv_attributes *a = &layer->attributes;
    const fv_padding *p = &a->padding;
    int reach_h = (a->kernel_h - 1) * a->dilation + 1, reach_w = (a->kernel_w - 1) * a->dilation + 1;
    if (!p->top && !p->left && !p->bottom && !p->right) return BORDER_NONE;
    bool same = is_same(in.h, layer->out.h, reach_h, a->stride, p->top) &&
                is_same(in.w, layer->out.w, reach_w, a->stride, p->left);
    return same ? BORDER_SAME : BORDER_OTHER;
}

/* A constant below all values, in the steps of `tensor`. */
static int lowest_add(const network *net, const fv_folded_layer *layer, int tensor) {
    void *data;
    int lowest = tflite_constant_add(net->b, layer->name, ".lowest", is_int8(net) ? TFLITE_INT8 : TFLITE_FLOAT32, 1,
                                     &(int){1}, &data);
    if (data && is_int8(net))
        *(int8_t *)data = INT8_MIN;
    else if (data)
        *(float *)data = -FLT_MAX;
    tflite_tensor_quantise_alike(net->b, lowest, tensor);
    return lowest;
}

/* The layer's padding as an operator: zeros, or, where the largest value is wanted, what never is. */
static int pad_add(const network *net, const fv_folded_layer *layer, int tensor, fv_shape shape) {
    bool pools = layer->kind == FV_OP_max_pool;
    const fv_padding *p = &layer->attributes.padding;
    const int around[] = {0, 0, p->top, p->bottom, p->left, p->right, 0, 0};
    int amounts = tflite_integers_add(net->b, layer->name, ".padding", 2, (const int[]){4, 2}, around);
    shape.h += p->top + p->bottom;
    shape.w += p->left + p->right;
    int padded = tensor_add(net, layer->name, ".padded", shape);
    tflite_tensor_quantise_alike(net->b, padded, tensor);
    const int inputs[] = {tensor, amounts, pools ? lowest_add(net, layer, tensor) : TFLITE_NO_TENSOR};
    tflite_operator_add(net->b, pools ? TFLITE_PADV2 : TFLITE_PAD, pools ? 3 : 2, inputs, padded);
    return padded;
}

static void refuse(const network *net, const fv_folded_layer *layer, const char *why) {
    tflite_builder_fail(net->b, fv_fail(FV_BAD_INPUT, "layer %s is %s", layer->name, why));
}

/* ---- one function a kind of layer: from its inputs to the tensor `out` ---- */

/* A convolution with a kernel of `shape`. */
static void convolution_add(const network *net, const fv_folded_layer *layer, tflite_operator_kind kind, fv_shape shape,
                            int out) {
    int in = input_of(net, layer, 0);
    border padding = border_of(layer, shape_of_input(net, layer, 0));
    if (padding == BORDER_OTHER) in = pad_add(net, layer, in, shape_of_input(net, layer, 0));
    tflite_kernel k =
        tflite_kernel_add(net->b, layer, shape, kind == TFLITE_CONV_2D ? TFLITE_FILTERS_FIRST : TFLITE_FILTERS_LAST,
                          net->settings->precision, in);
    tflite_operator *o = tflite_operator_add(net->b, kind, 3, (const int[]){in, k.weight, k.bias}, out);
    o->activation = activation_of(layer);
    o->same = padding == BORDER_SAME;
    o->stride = layer->attributes.stride > 0 ? layer->attributes.stride : 1;
    o->dilation = layer->attributes.dilation > 0 ? layer->attributes.dilation : 1;
}

/* weight x + bias, a number a channel each: a window of one pixel. */
static void affine_add(const network *net, const fv_folded_layer *layer, int in, int out) {
    tflite_kernel k =
        tflite_kernel_add(net->b, layer, layer->weight_shape, TFLITE_FILTERS_LAST, net->settings->precision, in);
    tflite_operator_add(net->b, TFLITE_DEPTHWISE_CONV_2D, 3, (const int[]){in, k.weight, k.bias}, out)->activation =
        activation_of(layer);
}

/* A dense layer is a convolution whose window is the whole picture. */
static void dense_add(const network *net, const fv_folded_layer *layer, int out) {
    fv_shape in = shape_of_input(net, layer, 0);
    convolution_add(net, layer, TFLITE_CONV_2D, (fv_shape){in.h, in.w, in.c, layer->weight_shape.c}, out);
}

/* TensorFlow's SAME cuts the first half of what is too much at top and left; fovea's layers may cut all of it there.
   That is VALID, which cuts nothing, and a slice. */
static void transposed_add(const network *net, const fv_folded_layer *layer, int out) {
    const fv_attributes *a = &layer->attributes;
    const fv_padding *p = &a->padding;
    fv_shape whole = layer->out;
    bool same = p->top == (p->top + p->bottom) / 2 && p->left == (p->left + p->right) / 2;
    int made = out, in = input_of(net, layer, 0), dims[4];
    if (!same) {
        whole.h += p->top + p->bottom;
        whole.w += p->left + p->right;
        made = tensor_add(net, layer->name, ".whole", whole);
        tflite_tensor_quantise_alike(net->b, made, out);
    }
    int size = tflite_integers_add(net->b, layer->name, ".size", 1, (const int[]){dims_of(whole, dims)}, dims);
    tflite_kernel k =
        tflite_kernel_add(net->b, layer, layer->weight_shape, TFLITE_FILTERS_FIRST, net->settings->precision, in);
    tflite_operator *o =
        tflite_operator_add(net->b, TFLITE_TRANSPOSE_CONV, 4, (const int[]){size, k.weight, in, k.bias}, made);
    o->activation = activation_of(layer);
    o->same = same;
    o->stride = a->stride;
    if (same) return;
    int begin = tflite_integers_add(net->b, layer->name, ".begin", 1, &(int){4}, (const int[]){0, p->top, p->left, 0});
    int length = tflite_integers_add(net->b, layer->name, ".length", 1, (const int[]){dims_of(layer->out, dims)}, dims);
    tflite_operator_add(net->b, TFLITE_SLICE, 3, (const int[]){made, begin, length}, out);
}

static void max_pool_add(const network *net, const fv_folded_layer *layer, int out) {
    const fv_attributes *a = &layer->attributes;
    int in = input_of(net, layer, 0);
    border padding = border_of(layer, shape_of_input(net, layer, 0));
    if (padding == BORDER_OTHER) in = pad_add(net, layer, in, shape_of_input(net, layer, 0));
    tflite_operator *o = tflite_operator_add(net->b, TFLITE_MAX_POOL_2D, 1, &in, out);
    o->same = padding == BORDER_SAME;
    o->stride = a->stride;
    o->filter_h = a->kernel_h;
    o->filter_w = a->kernel_w;
}

static void mean_add(const network *net, const fv_folded_layer *layer, int out) {
    int axes = tflite_integers_add(net->b, layer->name, ".axes", 1, &(int){2}, (const int[]){1, 2});
    tflite_operator_add(net->b, TFLITE_MEAN, 2, (const int[]){input_of(net, layer, 0), axes}, out);
}

static void resize_add(const network *net, const fv_folded_layer *layer, tflite_operator_kind kind, int out) {
    int size =
        tflite_integers_add(net->b, layer->name, ".size", 1, &(int){2}, (const int[]){layer->out.h, layer->out.w});
    tflite_operator *o = tflite_operator_add(net->b, kind, 2, (const int[]){input_of(net, layer, 0), size}, out);
    o->half_pixel_centers = kind == TFLITE_RESIZE_BILINEAR;
}

/* In int8 everything that is put side by side has to have the same step. */
static void concatenation_add(const network *net, const fv_folded_layer *layer, int out) {
    static const char *const suffixes[FV_MAX_INPUTS] = {".in0", ".in1", ".in2", ".in3", ".in4", ".in5"};
    int in[FV_MAX_INPUTS];
    for (int k = 0; k < layer->inputs; k++) {
        in[k] = input_of(net, layer, k);
        if (net->b->status != FV_OK || same_steps(&net->b->tensors[in[k]], &net->b->tensors[out])) continue;
        int stepped = tensor_add(net, layer->name, suffixes[k], shape_of_input(net, layer, k));
        tflite_tensor_quantise_alike(net->b, stepped, out);
        tflite_operator_add(net->b, TFLITE_QUANTIZE, 1, &in[k], stepped);
        in[k] = stepped;
    }
    tflite_operator_add(net->b, TFLITE_CONCATENATION, layer->inputs, in, out);
}

/* A fresh tensor of `shape` that an operator of `kind` makes of a and b. */
static int made_of(const network *net, const fv_folded_layer *layer, const char *suffix, tflite_operator_kind kind,
                   fv_shape shape, int a, int b) {
    int made = tensor_add(net, layer->name, suffix, shape);
    tflite_operator_add(net->b, kind, b == TFLITE_NO_TENSOR ? 1 : 2, (const int[]){a, b}, made);
    return made;
}

static int reshape_size_add(const network *net, const fv_folded_layer *layer, const char *suffix, fv_shape shape) {
    int dims[4];
    return tflite_integers_add(net->b, layer->name, suffix, 1, (const int[]){dims_of(shape, dims)}, dims);
}

/* (x - mean) / sqrt(variance + epsilon) of each group, on {1, pixels, groups, channels of a group}. */
static int group_normalised_add(const network *net, const fv_folded_layer *layer, fv_shape by_group, int x) {
    fv_shape one = {1, 1, by_group.w, 1};
    float epsilon = (float)layer->attributes.epsilon;
    int axes = tflite_integers_add(net->b, layer->name, ".axes", 1, &(int){2}, (const int[]){1, 3});
    int offset = tflite_floats_add(net->b, layer->name, ".epsilon", 1, &(int){1}, &epsilon);
    int mean = made_of(net, layer, ".mean", TFLITE_MEAN, one, x, axes);
    int centred = made_of(net, layer, ".centred", TFLITE_SUB, by_group, x, mean);
    int squared = made_of(net, layer, ".squared", TFLITE_MUL, by_group, centred, centred);
    int variance = made_of(net, layer, ".variance", TFLITE_MEAN, one, squared, axes);
    int positive = made_of(net, layer, ".positive", TFLITE_ADD, one, variance, offset);
    int factor = made_of(net, layer, ".factor", TFLITE_RSQRT, one, positive, TFLITE_NO_TENSOR);
    return made_of(net, layer, ".normalised", TFLITE_MUL, by_group, centred, factor);
}

static void group_norm_add(const network *net, const fv_folded_layer *layer, int out) {
    fv_shape whole = layer->out;
    int groups = layer->attributes.groups;
    fv_shape by_group = {1, whole.h * whole.w, groups, whole.c / groups};
    if (is_int8(net)) {
        refuse(net, layer, "a group norm, whose numbers of 8 bits would be too coarse: export it in float16");
        return;
    }
    int apart = reshape_size_add(net, layer, ".apart", by_group),
        whole_size = reshape_size_add(net, layer, ".size", whole);
    int x = made_of(net, layer, ".groups", TFLITE_RESHAPE, by_group, input_of(net, layer, 0), apart);
    x = group_normalised_add(net, layer, by_group, x);
    x = made_of(net, layer, ".joined", TFLITE_RESHAPE, whole, x, whole_size);
    affine_add(net, layer, x, out);
}

/* The operator that does on its inputs what a kind of layer does, without constants. */
static bool plain_kind(fv_op_kind kind, tflite_operator_kind *operator) {
    static const struct {
        fv_op_kind layer;
        tflite_operator_kind operator;
    } pairs[] = {{FV_OP_add, TFLITE_ADD},
                 {FV_OP_multiply, TFLITE_MUL},
                 {FV_OP_sigmoid, TFLITE_LOGISTIC},
                 {FV_OP_relu, TFLITE_RELU},
                 {FV_OP_relu6, TFLITE_RELU6}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (pairs[i].layer != kind) continue;
        *operator= pairs[i].operator;
        return true;
    }
    return false;
}

static void plain_add(const network *net, const fv_folded_layer *layer, int out) {
    int in[FV_MAX_INPUTS];
    tflite_operator_kind kind;
    if (!plain_kind(layer->kind, &kind)) {
        refuse(net, layer, "of a kind that TensorFlow Lite has no operator for: export to ONNX");
        return;
    }
    for (int k = 0; k < layer->inputs; k++) in[k] = input_of(net, layer, k);
    tflite_operator_add(net->b, kind, layer->inputs, in, out)->activation = activation_of(layer);
}

/* x sigmoid(x) */
static void silu_add(const network *net, const fv_folded_layer *layer, int out) {
    int in = input_of(net, layer, 0), gate = tensor_add(net, layer->name, ".sigmoid", layer->out);
    quantise_sigmoid(net, gate);
    tflite_operator_add(net->b, TFLITE_LOGISTIC, 1, &in, gate);
    tflite_operator_add(net->b, TFLITE_MUL, 2, (const int[]){in, gate}, out);
}

static void operators_add(const network *net, const fv_folded_layer *layer, int out) {
    switch (layer->kind) {
    case FV_OP_conv2d:
        convolution_add(net, layer, TFLITE_CONV_2D, layer->weight_shape, out);
        break;
    case FV_OP_depthwise:
        convolution_add(net, layer, TFLITE_DEPTHWISE_CONV_2D, layer->weight_shape, out);
        break;
    case FV_OP_batch_norm:
        affine_add(net, layer, input_of(net, layer, 0), out);
        break;
    case FV_OP_group_norm:
        group_norm_add(net, layer, out);
        break;
    case FV_OP_dense:
        dense_add(net, layer, out);
        break;
    case FV_OP_conv_transpose:
        transposed_add(net, layer, out);
        break;
    case FV_OP_max_pool:
        max_pool_add(net, layer, out);
        break;
    case FV_OP_global_average_pool:
        mean_add(net, layer, out);
        break;
    case FV_OP_upsample_nearest:
        resize_add(net, layer, TFLITE_RESIZE_NEAREST_NEIGHBOR, out);
        break;
    case FV_OP_upsample_bilinear:
        resize_add(net, layer, TFLITE_RESIZE_BILINEAR, out);
        break;
    case FV_OP_concat:
        concatenation_add(net, layer, out);
        break;
    case FV_OP_silu:
        silu_add(net, layer, out);
        break;
    default:
        plain_add(net, layer, out);
    }
}

int tflite_layers_add(tflite_builder *b, const fv_folded *folded, const fv_tflite_settings *settings, int input) {
    network net = {b, folded, settings, input, NULL};
    net.results = fv_allocate((size_t)folded->count, sizeof *net.results, "a TensorFlow Lite model");
    if (!net.results) tflite_builder_fail(b, FV_NO_RESOURCE);
    int last = TFLITE_NO_TENSOR;
    for (int i = 0; i < folded->count && b->status == FV_OK; i++) {
        const fv_folded_layer *layer = &folded->layers[i];
        last = net.results[i] = tensor_add(&net, layer->name, "", layer->out);
        quantise_result(&net, i, last);
        operators_add(&net, layer, last);
    }
    free(net.results);
    return last;
}
