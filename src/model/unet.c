/* The U-shaped trunk, and the two networks that are little more: U-Net, and ResUNet with residual blocks. */
#include <stdio.h>

#include "fovea/nn/layers.h"
#include "networks.h"

#define NORM_GROUPS 8

static const fv_norm_options norm = {.epsilon = 1e-3, .momentum = 0.1};

static void enter_level(fv_graph *g, const char *way, int level) {
    char name[24];
    snprintf(name, sizeof name, "%s%d", way, level);
    fv_graph_enter(g, name);
}

/* base, 2 base, 4 base ... filters at full, half, quarter ... size; returns the last level's, pooled. */
static fv_value way_down(fv_graph *g, fv_value x, const fv_unet_parts *parts, fv_value skips[FV_DEPTH_MAX]) {
    for (int level = 0; level < parts->depth; level++) {
        enter_level(g, "down", level);
        skips[level] = parts->level(g, x, parts->base << level);
        x = fv_max_pool(g, "pool", skips[level], 2, 2);
        fv_graph_leave(g);
    }
    return x;
}

static fv_value way_up(fv_graph *g, fv_value x, const fv_unet_parts *parts, const fv_value skips[FV_DEPTH_MAX]) {
    for (int level = 0; level < parts->depth; level++) {
        int below = parts->depth - 1 - level, filters = parts->base << below;
        enter_level(g, "up", level);
        fv_value skip = parts->skip ? parts->skip(g, skips[below]) : skips[below];
        x = fv_concat(g, "concat", fv_conv_transpose(g, "up", x, 2, filters), skip);
        x = parts->level(g, x, filters);
        fv_graph_leave(g);
    }
    return x;
}

fv_value fv_unet_trunk(fv_graph *g, fv_value x, const fv_unet_parts *parts) {
    fv_value skips[FV_DEPTH_MAX];
    x = way_down(g, x, parts, skips);
    fv_graph_enter(g, "bridge");
    x = parts->level(g, x, parts->base << parts->depth);
    fv_graph_leave(g);
    if (parts->dropout > 0) x = fv_spatial_dropout(g, "dropout", x, parts->dropout);
    return way_up(g, x, parts, skips);
}

/* Two blocks of a level: <name>.a and <name>.b. */

static fv_value batch_norm_level(fv_graph *g, fv_value x, int filters) {
    return fv_conv_block(g, "b", fv_conv_block(g, "a", x, 3, filters, &norm), 3, filters, &norm);
}

static fv_value group_norm_block(fv_graph *g, const char *name, fv_value x, int filters) {
    fv_value y = fv_conv(g, name, x, filters, &(fv_conv_options){.kernel = 3, .padding = fv_same});
    return fv_group_norm(g, name, y, NORM_GROUPS, FV_ACT_RELU);
}

static fv_value group_norm_level(fv_graph *g, fv_value x, int filters) {
    return group_norm_block(g, "b", group_norm_block(g, "a", x, filters), filters);
}

static fv_value residual_level(fv_graph *g, fv_value x, int filters) {
    return fv_residual_block(g, "b", fv_residual_block(g, "a", x, filters, &norm), filters, &norm);
}

fv_outputs fv_unet_build(fv_graph *g, fv_value input, const fv_model_spec *spec) {
    const fv_unet_parts parts = {.base = spec->base,
                                 .depth = spec->depth,
                                 .level = spec->norm == FV_NORM_GROUP ? group_norm_level : batch_norm_level};
    fv_value x = fv_unet_trunk(g, input, &parts);
    return (fv_outputs){fv_logits(g, "out", x, spec->classes), FV_NO_VALUE};
}

fv_outputs fv_resunet_build(fv_graph *g, fv_value input, const fv_model_spec *spec) {
    const fv_unet_parts parts = {.base = spec->base, .depth = 4, .level = residual_level, .dropout = 0.2};
    fv_value x = fv_conv_block(g, "stem", input, 7, spec->base, &norm);
    x = fv_unet_trunk(g, x, &parts);
    return (fv_outputs){fv_logits(g, "out", x, spec->classes), FV_NO_VALUE};
}
