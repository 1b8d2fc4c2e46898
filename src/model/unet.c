/* The two networks that go down and up four times: U-Net, and ResUNet with residual blocks in place of plain ones. */
#include <stdio.h>

#include "fovea/nn/layers.h"
#include "networks.h"

#define DEPTH 4

static const fv_norm_options norm = {.epsilon = 1e-3, .momentum = 0.1};

/* Two blocks of a level: <name>.a and <name>.b. */
typedef fv_value (*level_builder)(fv_graph *g, fv_value x, int filters);

static fv_value plain_level(fv_graph *g, fv_value x, int filters) {
    return fv_conv_block(g, "b", fv_conv_block(g, "a", x, 3, filters, &norm), 3, filters, &norm);
}

static fv_value residual_level(fv_graph *g, fv_value x, int filters) {
    return fv_residual_block(g, "b", fv_residual_block(g, "a", x, filters, &norm), filters, &norm);
}

static void enter_level(fv_graph *g, const char *way, int level) {
    char name[24];
    snprintf(name, sizeof name, "%s%d", way, level);
    fv_graph_enter(g, name);
}

/* base, 2 base, 4 base, 8 base filters at full, half, quarter and eighth size; returns the last one, pooled. */
static fv_value way_down(fv_graph *g, fv_value x, int base, level_builder level_build, fv_value skips[DEPTH]) {
    for (int level = 0; level < DEPTH; level++) {
        enter_level(g, "down", level);
        skips[level] = level_build(g, x, base << level);
        x = fv_max_pool(g, "pool", skips[level], 2, 2);
        fv_graph_leave(g);
    }
    return x;
}

static fv_value way_up(fv_graph *g, fv_value x, int base, level_builder level_build, const fv_value skips[DEPTH]) {
    for (int level = 0; level < DEPTH; level++) {
        int filters = base << (DEPTH - 1 - level);
        enter_level(g, "up", level);
        x = fv_concat(g, "concat", fv_conv_transpose(g, "up", x, 2, filters), skips[DEPTH - 1 - level]);
        x = level_build(g, x, filters);
        fv_graph_leave(g);
    }
    return x;
}

static fv_value bridge(fv_graph *g, fv_value x, int base, level_builder level_build) {
    fv_graph_enter(g, "bridge");
    x = level_build(g, x, base << DEPTH);
    fv_graph_leave(g);
    return x;
}

fv_value fv_unet_build(fv_graph *g, fv_value input, const fv_model_spec *spec) {
    fv_value skips[DEPTH];
    fv_value x = way_down(g, input, spec->base, plain_level, skips);
    x = bridge(g, x, spec->base, plain_level);
    x = way_up(g, x, spec->base, plain_level, skips);
    return fv_logits(g, "out", x, spec->classes);
}

fv_value fv_resunet_build(fv_graph *g, fv_value input, const fv_model_spec *spec) {
    fv_value skips[DEPTH];
    fv_value x = fv_conv_block(g, "stem", input, 7, spec->base, &norm);
    x = way_down(g, x, spec->base, residual_level, skips);
    x = bridge(g, x, spec->base, residual_level);
    x = fv_spatial_dropout(g, "dropout", x, 0.2);
    x = way_up(g, x, spec->base, residual_level, skips);
    return fv_logits(g, "out", x, spec->classes);
}
