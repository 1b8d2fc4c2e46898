/* Layers and blocks: parameters and nodes together, named after `name` in the graph's scope. Formulas stand in
   op/op_list.h. Convolution weights are drawn as FV_INIT_LECUN_UNIFORM unless said otherwise: every one of them is
   followed by a normalisation, and small weights learn faster under Adam. */
#ifndef FOVEA_NN_LAYERS_H
#define FOVEA_NN_LAYERS_H

#include "fovea/graph/graph.h"

typedef struct fv_conv_options {
    int kernel, stride, dilation, groups; /* 0 means 1 (kernel: required) */
    fv_padding padding;
    bool bias;
    fv_init init; /* FV_INIT_ZERO (0) means FV_INIT_LECUN_UNIFORM */
    fv_init bias_init;
} fv_conv_options;

typedef struct fv_norm_options {
    double epsilon;  /* Keras MobileNetV2: 1e-3, PyTorch: 1e-5 */
    double momentum; /* weight of the new batch: PyTorch 0.1, Keras 0.01 */
} fv_norm_options;

extern const fv_padding fv_same; /* TensorFlow's "same" */

/* <name>.weight {k,k,C/groups,F} [, <name>.bias] */
fv_value fv_conv(fv_graph *g, const char *name, fv_value x, int filters, const fv_conv_options *options);
/* <name>.weight {1,1,C,F} */
fv_value fv_pointwise(fv_graph *g, const char *name, fv_value x, int filters, bool bias);
/* <name>.weight {k,k,1,C} */
fv_value fv_depthwise(fv_graph *g, const char *name, fv_value x, int kernel, int stride, fv_padding padding);
/* <name>.weight {k,k,C,F}, <name>.bias; kernel 2 or 3, stride 2, out = 2H x 2W */
fv_value fv_conv_transpose(fv_graph *g, const char *name, fv_value x, int kernel, int filters);
/* <name>.gamma, .beta, .mean, .var and the activation in the same pass */
fv_value fv_batch_norm(fv_graph *g, const char *name, fv_value x, const fv_norm_options *norm,
                       fv_activation activation);
/* The same, with `residual` added before the activation. */
fv_value fv_batch_norm_residual(fv_graph *g, const char *name, fv_value x, fv_value residual,
                                const fv_norm_options *norm, fv_activation activation);
/* <name>.gamma, .beta */
fv_value fv_group_norm(fv_graph *g, const char *name, fv_value x, int groups, fv_activation activation);
/* <name>.weight {1,1,H*W*C,F}, <name>.bias */
fv_value fv_dense(fv_graph *g, const char *name, fv_value x, int units);

fv_value fv_relu(fv_graph *g, const char *name, fv_value x);
fv_value fv_relu6(fv_graph *g, const char *name, fv_value x);
fv_value fv_sigmoid(fv_graph *g, const char *name, fv_value x);
fv_value fv_silu(fv_graph *g, const char *name, fv_value x);
fv_value fv_max_pool(fv_graph *g, const char *name, fv_value x, int kernel, int stride);
fv_value fv_global_average_pool(fv_graph *g, const char *name, fv_value x);
fv_value fv_upsample_nearest(fv_graph *g, const char *name, fv_value x, int scale);
fv_value fv_upsample_bilinear(fv_graph *g, const char *name, fv_value x, int scale);
fv_value fv_concat(fv_graph *g, const char *name, fv_value a, fv_value b);
fv_value fv_add(fv_graph *g, const char *name, fv_value a, fv_value b, fv_activation activation);
fv_value fv_multiply(fv_graph *g, const char *name, fv_value a, fv_value b);
fv_value fv_spatial_dropout(fv_graph *g, const char *name, fv_value x, double rate);

/* Depthwise 3x3 "same", pointwise, batch norm, ReLU (Chollet 2017): <name>.dw, <name>.pw, <name>.bn */
fv_value fv_separable_block(fv_graph *g, const char *name, fv_value x, int filters, const fv_norm_options *norm);
/* Convolution kernel x kernel "same", batch norm, ReLU: <name>.weight, .gamma, .beta, .mean, .var */
fv_value fv_conv_block(fv_graph *g, const char *name, fv_value x, int kernel, int filters, const fv_norm_options *norm);
/* conv 3x3, BN, ReLU, conv 3x3, BN, + shortcut (identity, or 1x1 + BN where channels change), ReLU (He et al. 2016):
   <name>.a, .a_bn, .b, .b_bn [, .shortcut, .shortcut_bn] */
fv_value fv_residual_block(fv_graph *g, const char *name, fv_value x, int filters, const fv_norm_options *norm);

/* The last layer of a segmentation network: 1x1 with bias, {N,H,W,classes}. The bias begins at the classes' rarity
   (FV_INIT_RARE), which saves the hundreds of small steps that it takes to unlearn "half of all is disc". */
fv_value fv_logits(fv_graph *g, const char *name, fv_value x, int classes);

typedef struct fv_inverted_residual {
    int filters, stride, expansion; /* expansion 1: no expand convolution */
    fv_padding padding;             /* of the depthwise */
    fv_norm_options norm;
} fv_inverted_residual;

/* expand 1x1 BN ReLU6, depthwise 3x3 BN ReLU6, project 1x1 BN, + x where stride 1 and channels equal (Sandler et al.
   2018). *expanded (may be NULL) receives the expand's activation: the U-Net's skip. Names
   <name>.expand(.weight/.gamma/...), .dw, .project: batch norm's parameters stand beside the weight, as in the ImageNet
   files. */
fv_value fv_inverted_residual_block(fv_graph *g, const char *name, fv_value x, const fv_inverted_residual *block,
                                    fv_value *expanded);

#endif
