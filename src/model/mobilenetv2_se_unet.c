#include <stdio.h>

#include "fovea/nn/layers.h"
#include "networks.h"

#define SQUEEZE_RATIO 8

static const int filters[FV_MOBILENETV2_SKIPS] = {256, 128, 64, 32};
static const fv_norm_options norm = {.epsilon = 1e-3, .momentum = 0.1};

/* Weighs each channel of a sample by what all channels' means say (Hu et al. 2018). */
static fv_value squeeze_excite(fv_graph *g, const char *name, fv_value x) {
    int channels = fv_graph_shape(g, x).c;
    fv_graph_enter(g, name);
    fv_value gate = fv_global_average_pool(g, "pool", x);
    gate = fv_pointwise(g, "reduce", gate, channels / SQUEEZE_RATIO, true);
    gate = fv_relu(g, "relu", gate);
    gate = fv_pointwise(g, "restore", gate, channels, true);
    gate = fv_sigmoid(g, "sigmoid", gate);
    fv_value y = fv_multiply(g, "scale", x, gate);
    fv_graph_leave(g);
    return y;
}

fv_outputs fv_mobilenetv2_se_unet_build(fv_graph *g, fv_value input, const fv_model_spec *spec) {
    fv_value skips[FV_MOBILENETV2_SKIPS];
    fv_value x = fv_mobilenetv2_build(g, input, spec->width, spec->convention, skips);
    fv_graph_enter(g, "decoder");
    for (int level = 0; level < FV_MOBILENETV2_SKIPS; level++) {
        char name[24];
        snprintf(name, sizeof name, "level%d", level);
        fv_graph_enter(g, name);
        x = fv_concat(g, "concat", fv_conv_transpose(g, "up", x, 3, filters[level]), skips[level]);
        x = fv_conv_block(g, "a", x, 3, filters[level], &norm);
        x = squeeze_excite(g, "se", x);
        x = fv_conv_block(g, "b", x, 3, filters[level], &norm);
        fv_graph_leave(g);
    }
    x = fv_conv_transpose(g, "up", x, 3, 32);
    fv_graph_enter(g, "last");
    x = fv_conv_block(g, "a", x, 3, 32, &norm);
    x = fv_conv_block(g, "b", x, 3, 16, &norm);
    fv_graph_leave(g);
    fv_graph_leave(g);
    return (fv_outputs){fv_logits(g, "out", x, spec->classes), FV_NO_VALUE};
}

/* ---- the Keras original ---- */

static fv_value conv_relu(fv_graph *g, const char *name, fv_value x, int width) {
    fv_value y = fv_conv(g, name, x, width, &(fv_conv_options){.kernel = 3, .padding = fv_same, .bias = true});
    char relu[24];
    snprintf(relu, sizeof relu, "%s_relu", name);
    return fv_relu(g, relu, y);
}

static fv_value doubled(fv_graph *g, fv_value x, int width) {
    const fv_padding last_row_and_column = {FV_PAD_EXPLICIT, 0, 0, 1, 1};
    return fv_conv_transpose_padded(g, "up", x, 3, width, last_row_and_column);
}

static fv_value keras_level(fv_graph *g, fv_value x, fv_value skip, int level) {
    int width = filters[level];
    fv_value y = fv_batch_norm(g, "up_bn", doubled(g, x, width), &norm, FV_ACT_NONE);
    y = conv_relu(g, "a", fv_concat(g, "concat", y, skip), width);
    y = squeeze_excite(g, "se", fv_batch_norm(g, "a_bn", y, &norm, FV_ACT_NONE));
    y = fv_spatial_dropout(g, "dropout", y, 0.1 * (level + 1));
    return fv_batch_norm(g, "b_bn", conv_relu(g, "b", y, width), &norm, FV_ACT_NONE);
}

fv_outputs fv_mobilenetv2_se_unet_keras_build(fv_graph *g, fv_value input, const fv_model_spec *spec) {
    fv_value skips[FV_MOBILENETV2_SKIPS];
    fv_value x = fv_mobilenetv2_build(g, input, spec->width, spec->convention, skips);
    fv_graph_enter(g, "decoder");
    for (int level = 0; level < FV_MOBILENETV2_SKIPS; level++) {
        char name[24];
        snprintf(name, sizeof name, "level%d", level);
        fv_graph_enter(g, name);
        x = keras_level(g, x, skips[level], level);
        fv_graph_leave(g);
    }
    x = doubled(g, x, 32);
    fv_graph_enter(g, "last");
    x = conv_relu(g, "b", conv_relu(g, "a", x, 32), 16);
    fv_graph_leave(g);
    fv_graph_leave(g);
    return (fv_outputs){fv_logits(g, "out", x, spec->classes), FV_NO_VALUE};
}
