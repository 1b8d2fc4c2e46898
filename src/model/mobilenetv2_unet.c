#include <stdio.h>

#include "fovea/nn/layers.h"
#include "networks.h"

fv_outputs fv_mobilenetv2_unet_build(fv_graph *g, fv_value input, const fv_model_spec *spec) {
    static const int filters[FV_MOBILENETV2_SKIPS] = {256, 128, 64, 32};
    const fv_norm_options norm = {.epsilon = 1e-5, .momentum = 0.1};
    fv_value skips[FV_MOBILENETV2_SKIPS];
    fv_value x = fv_mobilenetv2_build(g, input, spec->width, spec->convention, skips);
    fv_graph_enter(g, "decoder");
    for (int level = 0; level < FV_MOBILENETV2_SKIPS; level++) {
        char name[24];
        snprintf(name, sizeof name, "level%d", level);
        fv_graph_enter(g, name);
        x = fv_concat(g, "concat", fv_upsample_nearest(g, "up", x, 2), skips[level]);
        x = fv_separable_block(g, "a", x, filters[level], &norm);
        x = fv_separable_block(g, "b", x, filters[level], &norm);
        fv_graph_leave(g);
    }
    x = fv_separable_block(g, "last", fv_upsample_nearest(g, "up", x, 2), 16, &norm);
    fv_graph_leave(g);
    return (fv_outputs){fv_logits(g, "out", x, spec->classes), FV_NO_VALUE};
}
