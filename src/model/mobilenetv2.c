#include <stdio.h>

#include "fovea/nn/layers.h"
#include "networks.h"

typedef struct stage {
    int expansion, filters, blocks, stride;
} stage;

/* Table 2 of the paper. */
static const stage stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                               {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

/* Nearest multiple of 8, never more than 10 % below: Keras's and torchvision's make_divisible. */
static int scaled_filters(int filters, double width) {
    double wanted = filters * width;
    int rounded = (int)(wanted + 4) / 8 * 8;
    if (rounded < 8) rounded = 8;
    return rounded < 0.9 * wanted ? rounded + 8 : rounded;
}

/* Which skip block `index` gives, -1 for none: its expand runs just before the resolution is halved. */
static int skip_of_block(int index) {
    static const int block_of_skip[FV_MOBILENETV2_SKIPS] = {13, 6, 3, 1};
    for (int i = 0; i < FV_MOBILENETV2_SKIPS; i++)
        if (block_of_skip[i] == index) return i;
    return -1;
}

fv_value fv_mobilenetv2_build(fv_graph *g, fv_value input, double width, fv_convention convention,
                              fv_value skips[FV_MOBILENETV2_SKIPS]) {
    bool keras = convention == FV_CONVENTION_KERAS;
    fv_padding padding = keras ? fv_same : (fv_padding){FV_PAD_EXPLICIT, 1, 1, 1, 1};
    fv_norm_options norm = {.epsilon = keras ? 1e-3 : 1e-5, .momentum = 0.1};
    fv_graph_enter(g, "encoder");
    fv_value x = fv_conv(g, "stem", input, scaled_filters(32, width),
                         &(fv_conv_options){.kernel = 3, .stride = 2, .padding = padding});
    x = fv_batch_norm(g, "stem", x, &norm, FV_ACT_RELU6);
    int index = 0;
    for (size_t s = 0; s < sizeof stages / sizeof *stages; s++)
        for (int j = 0; j < stages[s].blocks; j++, index++) {
            fv_inverted_residual block = {.filters = scaled_filters(stages[s].filters, width),
                                          .stride = j == 0 ? stages[s].stride : 1,
                                          .expansion = stages[s].expansion,
                                          .padding = padding,
                                          .norm = norm};
            char name[16];
            snprintf(name, sizeof name, "b%d", index);
            fv_value expanded;
            x = fv_inverted_residual_block(g, name, x, &block, &expanded);
            int skip = skip_of_block(index);
            if (skip >= 0) skips[skip] = expanded;
        }
    x = fv_pointwise(g, "head", x, width > 1 ? scaled_filters(1280, width) : 1280, false);
    x = fv_batch_norm(g, "head", x, &norm, FV_ACT_RELU6);
    fv_graph_leave(g);
    return x;
}
