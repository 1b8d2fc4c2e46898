#include "fovea/nn/layers.h"

#include <stdio.h>

const fv_padding fv_same = {.mode = FV_PAD_SAME};

/* "<layer>.<part>": the full name of a parameter below its layer. */
static fv_value layer_param(fv_graph *g, const char *layer, const char *part, fv_shape shape, fv_init init, int fan_in,
                            int fan_out, bool trainable) {
    fv_graph_enter(g, layer);
    fv_value param = fv_graph_param(g, part, shape, init, fan_in, fan_out, trainable);
    fv_graph_leave(g);
    return param;
}

static fv_shape vector_shape(int channels) {
    return (fv_shape){1, 1, 1, channels};
}

static int or_one(int value) {
    return value ? value : 1;
}

fv_value fv_conv(fv_graph *g, const char *name, fv_value x, int filters, const fv_conv_options *options) {
    int k = options->kernel, groups = or_one(options->groups);
    int channels = fv_graph_shape(g, x).c / groups;
    fv_init init = options->init == FV_INIT_ZERO ? FV_INIT_LECUN_UNIFORM : options->init;
    fv_value weight = layer_param(g, name, "weight", (fv_shape){k, k, channels, filters}, init, k * k * channels,
                                  k * k * filters / groups, true);
    fv_value inputs[3] = {x, weight, FV_NO_VALUE};
    if (options->bias) inputs[2] = layer_param(g, name, "bias", vector_shape(filters), options->bias_init, 1, 1, true);
    fv_attributes attributes = {.kernel_h = k,
                                .kernel_w = k,
                                .stride = options->stride,
                                .dilation = options->dilation,
                                .groups = groups,
                                .padding = options->padding};
    return fv_graph_add(g, FV_OP_conv2d, name, &attributes, options->bias ? 3 : 2, inputs);
}

fv_value fv_pointwise(fv_graph *g, const char *name, fv_value x, int filters, bool bias) {
    return fv_conv(g, name, x, filters, &(fv_conv_options){.kernel = 1, .bias = bias});
}

fv_value fv_depthwise(fv_graph *g, const char *name, fv_value x, int kernel, int stride, fv_padding padding) {
    int channels = fv_graph_shape(g, x).c, taps = kernel * kernel;
    fv_value weight = layer_param(g, name, "weight", (fv_shape){kernel, kernel, 1, channels}, FV_INIT_LECUN_UNIFORM,
                                  taps, taps, true);
    fv_attributes attributes = {.kernel_h = kernel, .kernel_w = kernel, .stride = stride, .padding = padding};
    return fv_graph_add(g, FV_OP_depthwise, name, &attributes, 2, (fv_value[]){x, weight});
}

fv_value fv_conv_transpose(fv_graph *g, const char *name, fv_value x, int kernel, int filters) {
    int channels = fv_graph_shape(g, x).c, taps = kernel * kernel;
    fv_value weight = layer_param(g, name, "weight", (fv_shape){kernel, kernel, channels, filters},
                                  FV_INIT_LECUN_UNIFORM, taps * channels / 4, taps * filters, true);
    fv_value bias = layer_param(g, name, "bias", vector_shape(filters), FV_INIT_ZERO, 1, 1, true);
    fv_attributes attributes = {.kernel_h = kernel, .kernel_w = kernel, .stride = 2, .padding = fv_same};
    return fv_graph_add(g, FV_OP_conv_transpose, name, &attributes, 3, (fv_value[]){x, weight, bias});
}

fv_value fv_batch_norm(fv_graph *g, const char *name, fv_value x, const fv_norm_options *norm,
                       fv_activation activation) {
    return fv_batch_norm_residual(g, name, x, FV_NO_VALUE, norm, activation);
}

fv_value fv_batch_norm_residual(fv_graph *g, const char *name, fv_value x, fv_value residual,
                                const fv_norm_options *norm, fv_activation activation) {
    fv_shape shape = vector_shape(fv_graph_shape(g, x).c);
    fv_value gamma = layer_param(g, name, "gamma", shape, FV_INIT_ONE, 1, 1, true);
    fv_value beta = layer_param(g, name, "beta", shape, FV_INIT_ZERO, 1, 1, true);
    fv_value mean = layer_param(g, name, "mean", shape, FV_INIT_ZERO, 1, 1, false);
    fv_value var = layer_param(g, name, "var", shape, FV_INIT_ONE, 1, 1, false);
    fv_attributes attributes = {.epsilon = norm->epsilon, .momentum = norm->momentum, .activation = activation};
    char node[FV_NAME_MAX];
    snprintf(node, sizeof node, "%s.norm", name);
    fv_value inputs[] = {x, gamma, beta, mean, var, residual};
    return fv_graph_add(g, FV_OP_batch_norm, node, &attributes, residual == FV_NO_VALUE ? 5 : 6, inputs);
}

fv_value fv_group_norm(fv_graph *g, const char *name, fv_value x, int groups, fv_activation activation) {
    fv_shape shape = vector_shape(fv_graph_shape(g, x).c);
    fv_value gamma = layer_param(g, name, "gamma", shape, FV_INIT_ONE, 1, 1, true);
    fv_value beta = layer_param(g, name, "beta", shape, FV_INIT_ZERO, 1, 1, true);
    fv_attributes attributes = {.groups = groups, .epsilon = 1e-5, .activation = activation};
    return fv_graph_add(g, FV_OP_group_norm, name, &attributes, 3, (fv_value[]){x, gamma, beta});
}

fv_value fv_dense(fv_graph *g, const char *name, fv_value x, int units) {
    fv_shape in = fv_graph_shape(g, x);
    int inputs = in.h * in.w * in.c;
    fv_value weight =
        layer_param(g, name, "weight", (fv_shape){1, 1, inputs, units}, FV_INIT_LECUN_UNIFORM, inputs, units, true);
    fv_value bias = layer_param(g, name, "bias", vector_shape(units), FV_INIT_ZERO, 1, 1, true);
    return fv_graph_add(g, FV_OP_dense, name, NULL, 3, (fv_value[]){x, weight, bias});
}

fv_value fv_relu(fv_graph *g, const char *name, fv_value x) {
    return fv_graph_add(g, FV_OP_relu, name, NULL, 1, &x);
}

fv_value fv_relu6(fv_graph *g, const char *name, fv_value x) {
    return fv_graph_add(g, FV_OP_relu6, name, NULL, 1, &x);
}

fv_value fv_sigmoid(fv_graph *g, const char *name, fv_value x) {
    return fv_graph_add(g, FV_OP_sigmoid, name, NULL, 1, &x);
}

fv_value fv_silu(fv_graph *g, const char *name, fv_value x) {
    return fv_graph_add(g, FV_OP_silu, name, NULL, 1, &x);
}

fv_value fv_max_pool(fv_graph *g, const char *name, fv_value x, int kernel, int stride) {
    fv_attributes attributes = {.kernel_h = kernel, .kernel_w = kernel, .stride = stride};
    return fv_graph_add(g, FV_OP_max_pool, name, &attributes, 1, &x);
}

fv_value fv_global_average_pool(fv_graph *g, const char *name, fv_value x) {
    return fv_graph_add(g, FV_OP_global_average_pool, name, NULL, 1, &x);
}

fv_value fv_upsample_nearest(fv_graph *g, const char *name, fv_value x, int scale) {
    return fv_graph_add(g, FV_OP_upsample_nearest, name, &(fv_attributes){.scale = scale}, 1, &x);
}

fv_value fv_upsample_bilinear(fv_graph *g, const char *name, fv_value x, int scale) {
    return fv_graph_add(g, FV_OP_upsample_bilinear, name, &(fv_attributes){.scale = scale}, 1, &x);
}

fv_value fv_concat(fv_graph *g, const char *name, fv_value a, fv_value b) {
    return fv_graph_add(g, FV_OP_concat, name, NULL, 2, (fv_value[]){a, b});
}

fv_value fv_add(fv_graph *g, const char *name, fv_value a, fv_value b, fv_activation activation) {
    return fv_graph_add(g, FV_OP_add, name, &(fv_attributes){.activation = activation}, 2, (fv_value[]){a, b});
}

fv_value fv_multiply(fv_graph *g, const char *name, fv_value a, fv_value b) {
    return fv_graph_add(g, FV_OP_multiply, name, NULL, 2, (fv_value[]){a, b});
}

fv_value fv_spatial_dropout(fv_graph *g, const char *name, fv_value x, double rate) {
    return fv_graph_add(g, FV_OP_spatial_dropout, name, &(fv_attributes){.rate = rate}, 1, &x);
}
