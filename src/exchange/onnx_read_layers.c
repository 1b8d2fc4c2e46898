/* Layers with weights: Conv, ConvTranspose, BatchNormalization, Gemm, MatMul. */
#include <string.h>

#include "onnx_reader.h"

/* ---- what convolutions share ---- */

typedef enum auto_pad { PAD_GIVEN, PAD_SAME_UPPER, PAD_SAME_LOWER } auto_pad;

typedef struct conv_parts {
    const fv_onnx_value *x;
    const fv_onnx_tensor *weight, *bias; /* bias NULL: none */
    int stride, dilation, groups;
    fv_padding padding;
    auto_pad automatic;
} conv_parts;

static fv_status same_both_ways(const fv_onnx_reader *r, const char *name, int *number) {
    int both[2];
    FV_TRY(fv_onnx_ints(r, name, 2, 1, both));
    *number = both[0];
    if (both[0] == both[1] && both[0] > 0) return FV_OK;
    return fv_onnx_complain(r, "%s of %d and %d; fovea's are the same down and across", name, both[0], both[1]);
}

static fv_status read_padding(const fv_onnx_reader *r, conv_parts *parts) {
    char mode[32];
    int pads[4];
    fv_onnx_text(r, "auto_pad", "NOTSET", mode);
    if (strcmp(mode, "SAME_UPPER") == 0) {
        parts->automatic = PAD_SAME_UPPER;
        return FV_OK;
    }
    if (strcmp(mode, "SAME_LOWER") == 0) {
        parts->automatic = PAD_SAME_LOWER;
        return FV_OK;
    }
    if (strcmp(mode, "NOTSET") != 0 && strcmp(mode, "VALID") != 0)
        return fv_onnx_complain(r, "auto_pad is \"%s\", expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", mode);
    FV_TRY(fv_onnx_ints(r, "pads", 4, 0, pads));
    parts->padding = (fv_padding){FV_PAD_EXPLICIT, pads[0], pads[1], pads[2], pads[3]};
    return FV_OK;
}

static fv_status read_conv_parts(const fv_onnx_reader *r, conv_parts *parts) {
    *parts = (conv_parts){0};
    FV_TRY(fv_onnx_input(r, 0, &parts->x));
    if (parts->x->constant || parts->x->flat) return fv_onnx_complain(r, "its input 0 is not a picture {N, C, H, W}");
    FV_TRY(fv_onnx_constant(r, 1, &parts->weight));
    const fv_onnx_tensor *w = parts->weight;
    if (w->rank != 4 || w->count == 0) return fv_onnx_complain(r, "its weight has %d dimensions, expected 4", w->rank);
    for (int i = 0; i < 4; i++)
        if (w->dims[i] > (i < 2 ? 1 << 24 : 4096)) return fv_onnx_complain(r, "its weight is too large");
    if (fv_onnx_has_input(r, 2)) FV_TRY(fv_onnx_constant(r, 2, &parts->bias));
    int64_t groups = fv_onnx_int(r, "group", 1);
    if (groups < 1 || groups > 1 << 24) return fv_onnx_complain(r, "group is %lld", (long long)groups);
    parts->groups = (int)groups;
    FV_TRY(same_both_ways(r, "strides", &parts->stride));
    FV_TRY(same_both_ways(r, "dilations", &parts->dilation));
    return read_padding(r, parts);
}

static fv_status check_bias(const fv_onnx_reader *r, const conv_parts *parts, int filters) {
    if (!parts->bias || parts->bias->count == (size_t)filters) return FV_OK;
    return fv_onnx_complain(r, "its bias has %zu numbers for %d filters", parts->bias->count, filters);
}

/* ---- Conv ---- */

/* "Same" puts the odd row or column of zeros at the end (upper: as FV_PAD_SAME does) or at the beginning. Sides are
   multiples of the stride, so that how many there are does not depend on the size. */
static fv_padding automatic_padding(const conv_parts *parts) {
    if (parts->automatic == PAD_SAME_UPPER) return (fv_padding){.mode = FV_PAD_SAME};
    int down = (int)(parts->weight->dims[2] - 1) * parts->dilation + 1 - parts->stride;
    int across = (int)(parts->weight->dims[3] - 1) * parts->dilation + 1 - parts->stride;
    if (down < 0) down = 0;
    if (across < 0) across = 0;
    return (fv_padding){FV_PAD_EXPLICIT, down - down / 2, across - across / 2, down / 2, across / 2};
}

static fv_status conv_padding(const fv_onnx_reader *r, const conv_parts *parts, fv_padding *padding) {
    const fv_padding *zeros = &parts->x->zeros;
    *padding = parts->padding;
    if (parts->automatic && fv_onnx_has_zeros(parts->x))
        return fv_onnx_complain(r, "fovea does not pad twice, by Pad and by auto_pad");
    if (parts->automatic) *padding = automatic_padding(parts);
    padding->top += zeros->top;
    padding->left += zeros->left;
    padding->bottom += zeros->bottom;
    padding->right += zeros->right;
    return FV_OK;
}

/* {F, C/g, kh, kw} -> {kh, kw, C/g, F} */
static fv_onnx_weights conv_weights(const fv_onnx_tensor *w) {
    size_t filters = (size_t)w->dims[0], channels = (size_t)w->dims[1], taps = (size_t)(w->dims[2] * w->dims[3]);
    return (fv_onnx_weights){.source = *w,
                             .rows = filters,
                             .columns = channels,
                             .taps = taps,
                             .row_step = 1,
                             .column_step = filters,
                             .tap_step = filters * channels};
}

static void add_bias(fv_onnx_layer *layer, const fv_onnx_tensor *bias, int filters) {
    int at = layer->weights++;
    layer->weight_names[at] = "bias";
    layer->shapes[at] = (fv_shape){1, 1, 1, filters};
    layer->sources[at] = fv_onnx_vector(bias);
}

fv_status fv_onnx_conv(fv_onnx_reader *r) {
    conv_parts parts;
    fv_onnx_value value = {0};
    FV_TRY(read_conv_parts(r, &parts));
    const int64_t *d = parts.weight->dims;
    int filters = (int)d[0], channels = fv_onnx_shape(r, parts.x).c;
    FV_TRY(check_bias(r, &parts, filters));
    bool depthwise = parts.groups > 1 && parts.groups == channels && filters == channels && d[1] == 1;
    fv_onnx_layer layer = {
        .kind = depthwise ? FV_OP_depthwise : FV_OP_conv2d,
        .attributes = {.stride = parts.stride, .dilation = parts.dilation, .groups = depthwise ? 0 : parts.groups},
        .pictures = 1,
        .in = {parts.x->ref},
        .weights = 1,
        .weight_names = {"weight"},
        .shapes = {{(int)d[2], (int)d[3], (int)d[1], filters}},
        .sources = {conv_weights(parts.weight)}};
    FV_TRY(conv_padding(r, &parts, &layer.attributes.padding));
    if (parts.bias && !depthwise) add_bias(&layer, parts.bias, filters);
    FV_TRY(fv_onnx_add_layer(r, &layer, &value.ref));
    if (parts.bias && depthwise) /* fovea's has none: an offset behind it, which the plan fuses */
        FV_TRY(fv_onnx_add_affine(r, value.ref, NULL, parts.bias, &value.ref));
    return fv_onnx_result(r, &value);
}

/* ---- ConvTranspose ---- */

/* {C, F, kh, kw} -> {kh, kw, C, F} */
static fv_onnx_weights transposed_weights(const fv_onnx_tensor *w) {
    size_t channels = (size_t)w->dims[0], filters = (size_t)w->dims[1], taps = (size_t)(w->dims[2] * w->dims[3]);
    return (fv_onnx_weights){.source = *w,
                             .rows = channels,
                             .columns = filters,
                             .taps = taps,
                             .row_step = filters,
                             .column_step = 1,
                             .tap_step = filters * channels};
}

/* Rows that are cut off from the 2H + kernel - 2 that the windows cover. output_padding says how many of those that
   `pads` cut off at the end stay after all; "same" shares out both together. */
static fv_status transposed_padding(const fv_onnx_reader *r, const conv_parts *parts, fv_padding *padding) {
    int more[2];
    if (fv_onnx_attribute(r, "output_shape"))
        return fv_onnx_complain(r, "output_shape is not read; export with pads and output_padding");
    FV_TRY(fv_onnx_ints(r, "output_padding", 2, 0, more));
    *padding = parts->padding;
    if (parts->automatic) {
        int down = (int)parts->weight->dims[2] - parts->stride + more[0];
        int across = (int)parts->weight->dims[3] - parts->stride + more[1];
        int upper = parts->automatic == PAD_SAME_UPPER;
        *padding = (fv_padding){FV_PAD_EXPLICIT, (down + !upper) / 2, (across + !upper) / 2, (down + upper) / 2,
                                (across + upper) / 2};
    }
    padding->bottom -= more[0];
    padding->right -= more[1];
    return FV_OK;
}

fv_status fv_onnx_conv_transpose(fv_onnx_reader *r) {
    conv_parts parts;
    FV_TRY(read_conv_parts(r, &parts));
    if (parts.groups != 1) return fv_onnx_complain(r, "fovea's transposed convolution has no groups");
    if (fv_onnx_has_zeros(parts.x)) return fv_onnx_complain(r, "fovea pads pictures only in front of convolutions");
    const int64_t *d = parts.weight->dims;
    FV_TRY(check_bias(r, &parts, (int)d[1]));
    fv_onnx_layer layer = {.kind = FV_OP_conv_transpose,
                           .attributes = {.stride = parts.stride, .dilation = parts.dilation},
                           .pictures = 1,
                           .in = {parts.x->ref},
                           .weights = 1,
                           .weight_names = {"weight"},
                           .shapes = {{(int)d[2], (int)d[3], (int)d[0], (int)d[1]}},
                           .sources = {transposed_weights(parts.weight)}};
    FV_TRY(transposed_padding(r, &parts, &layer.attributes.padding));
    if (parts.bias) add_bias(&layer, parts.bias, (int)d[1]);
    return fv_onnx_finish_layer(r, &layer);
}

/* ---- BatchNormalization ---- */

fv_status fv_onnx_batch_norm(fv_onnx_reader *r) {
    static const char *const names[4] = {"gamma", "beta", "mean", "var"};
    const fv_onnx_value *x;
    FV_TRY(fv_onnx_picture(r, 0, &x));
    if (fv_onnx_int(r, "training_mode", 0))
        return fv_onnx_complain(r, "it is in training mode; export the model in evaluation mode");
    int channels = fv_onnx_shape(r, x).c;
    fv_onnx_layer layer = {.kind = FV_OP_batch_norm,
                           .attributes = {.epsilon = (double)fv_onnx_float(r, "epsilon", 1e-5f)},
                           .pictures = 1,
                           .in = {x->ref},
                           .weights = 4};
    if (!(layer.attributes.epsilon > 0)) layer.attributes.epsilon = 1e-30;
    for (int k = 0; k < 4; k++) {
        const fv_onnx_tensor *numbers;
        FV_TRY(fv_onnx_constant(r, (size_t)k + 1, &numbers));
        if (numbers->count != (size_t)channels)
            return fv_onnx_complain(r, "its %s has %zu numbers for %d channels", names[k], numbers->count, channels);
        layer.weight_names[k] = names[k];
        layer.shapes[k] = (fv_shape){1, 1, 1, channels};
        layer.sources[k] = fv_onnx_vector(numbers);
    }
    fv_onnx_value value = {.flat = x->flat};
    FV_TRY(fv_onnx_add_layer(r, &layer, &value.ref));
    return fv_onnx_result(r, &value);
}

/* ---- Gemm and MatMul of squeeze and excitation ---- */

/* weight {C, F}, or {F, C} transposed -> {1, 1, C, F} */
static fv_status add_dense(fv_onnx_reader *r, bool transposed, const fv_onnx_tensor *bias) {
    const fv_onnx_value *x;
    const fv_onnx_tensor *w;
    FV_TRY(fv_onnx_picture(r, 0, &x));
    FV_TRY(fv_onnx_constant(r, 1, &w));
    if (!x->flat || w->rank != 2) return fv_onnx_complain(r, "fovea multiplies {N, C} by a fixed matrix only");
    int64_t channels = w->dims[transposed ? 1 : 0], units = w->dims[transposed ? 0 : 1];
    if (channels < 1 || units < 1 || channels > 1 << 24 || units > 1 << 24)
        return fv_onnx_complain(r, "its matrix is empty or too large");
    if (bias && bias->count != (size_t)units)
        return fv_onnx_complain(r, "its bias has %zu numbers for %lld units", bias->count, (long long)units);
    fv_onnx_layer layer = {.kind = FV_OP_dense,
                           .pictures = 1,
                           .in = {x->ref},
                           .weights = 1,
                           .weight_names = {"weight"},
                           .shapes = {{1, 1, (int)channels, (int)units}},
                           .sources = {fv_onnx_vector(w)}};
    if (transposed)
        layer.sources[0] = (fv_onnx_weights){.source = *w,
                                             .rows = (size_t)units,
                                             .columns = (size_t)channels,
                                             .taps = 1,
                                             .row_step = 1,
                                             .column_step = (size_t)units};
    if (bias) add_bias(&layer, bias, (int)units);
    fv_onnx_value value = {.flat = true};
    FV_TRY(fv_onnx_add_layer(r, &layer, &value.ref));
    return fv_onnx_result(r, &value);
}

fv_status fv_onnx_gemm(fv_onnx_reader *r) {
    const fv_onnx_tensor *bias = NULL;
    if (fv_onnx_has_input(r, 2)) FV_TRY(fv_onnx_constant(r, 2, &bias));
    if (fv_onnx_float(r, "alpha", 1) != 1 || fv_onnx_float(r, "beta", 1) != 1 || fv_onnx_int(r, "transA", 0))
        return fv_onnx_complain(r, "fovea's has alpha 1, beta 1 and transA 0");
    return add_dense(r, fv_onnx_int(r, "transB", 0) != 0, bias);
}

fv_status fv_onnx_matmul(fv_onnx_reader *r) {
    return add_dense(r, false, NULL);
}
