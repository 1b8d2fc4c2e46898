#include "fovea/nn/layers.h"

fv_value fv_separable_block(fv_graph *g, const char *name, fv_value x, int filters, const fv_norm_options *norm) {
    fv_graph_enter(g, name);
    fv_value y = fv_depthwise(g, "dw", x, 3, 1, fv_same);
    y = fv_pointwise(g, "pw", y, filters, false);
    y = fv_batch_norm(g, "bn", y, norm, FV_ACT_RELU);
    fv_graph_leave(g);
    return y;
}

fv_value fv_conv_block(fv_graph *g, const char *name, fv_value x, int kernel, int filters,
                       const fv_norm_options *norm) {
    fv_value y = fv_conv(g, name, x, filters, &(fv_conv_options){.kernel = kernel, .padding = fv_same});
    return fv_batch_norm(g, name, y, norm, FV_ACT_RELU);
}

fv_value fv_logits(fv_graph *g, const char *name, fv_value x, int classes) {
    return fv_conv(g, name, x, classes, &(fv_conv_options){.kernel = 1, .bias = true, .bias_init = FV_INIT_RARE});
}

fv_value fv_residual_block(fv_graph *g, const char *name, fv_value x, int filters, const fv_norm_options *norm) {
    const fv_conv_options conv3x3 = {.kernel = 3, .padding = fv_same};
    fv_graph_enter(g, name);
    fv_value y = fv_conv(g, "a", x, filters, &conv3x3);
    y = fv_batch_norm(g, "a_bn", y, norm, FV_ACT_RELU);
    y = fv_conv(g, "b", y, filters, &conv3x3);
    if (fv_graph_shape(g, x).c == filters) {
        y = fv_batch_norm_residual(g, "b_bn", y, x, norm, FV_ACT_RELU);
    } else { /* the last norm adds, for only then is there what it adds */
        y = fv_batch_norm(g, "b_bn", y, norm, FV_ACT_NONE);
        fv_value shortcut = fv_pointwise(g, "shortcut", x, filters, false);
        y = fv_batch_norm_residual(g, "shortcut_bn", shortcut, y, norm, FV_ACT_RELU);
    }
    fv_graph_leave(g);
    return y;
}

fv_value fv_inverted_residual_block(fv_graph *g, const char *name, fv_value x, const fv_inverted_residual *block,
                                    fv_value *expanded) {
    fv_shape in = fv_graph_shape(g, x);
    fv_graph_enter(g, name);
    fv_value e = x;
    if (block->expansion != 1) {
        e = fv_pointwise(g, "expand", x, in.c * block->expansion, false);
        e = fv_batch_norm(g, "expand", e, &block->norm, FV_ACT_RELU6);
    }
    if (expanded) *expanded = e;
    fv_value y = fv_depthwise(g, "dw", e, 3, block->stride, block->padding);
    y = fv_batch_norm(g, "dw", y, &block->norm, FV_ACT_RELU6);
    y = fv_pointwise(g, "project", y, block->filters, false);
    bool residual = block->stride == 1 && in.c == block->filters;
    y = fv_batch_norm_residual(g, "project", y, residual ? x : FV_NO_VALUE, &block->norm, FV_ACT_NONE);
    fv_graph_leave(g);
    return y;
}
