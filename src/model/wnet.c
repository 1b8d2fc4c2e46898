#include "fovea/nn/layers.h"
#include "networks.h"

static const fv_norm_options norm = {.epsilon = 1e-3, .momentum = 0.1};

static fv_value level(fv_graph *g, fv_value x, int filters) {
    return fv_residual_block(g, "a", x, filters, &norm);
}

static fv_value skip(fv_graph *g, fv_value x) {
    return fv_conv_block(g, "skip", x, 3, fv_graph_shape(g, x).c, &norm);
}

static fv_value small_unet(fv_graph *g, const char *name, fv_value x, const fv_model_spec *spec) {
    const fv_unet_parts parts = {.base = spec->base, .depth = 2, .level = level, .skip = skip};
    fv_graph_enter(g, name);
    fv_value logits = fv_logits(g, "out", fv_unet_trunk(g, x, &parts), spec->classes);
    fv_graph_leave(g);
    return logits;
}

fv_outputs fv_wnet_build(fv_graph *g, fv_value input, const fv_model_spec *spec) {
    fv_value first = small_unet(g, "first", input, spec);
    fv_value second = small_unet(g, "second", fv_concat(g, "concat", input, first), spec);
    return (fv_outputs){second, first};
}
