/* The networks that model.c knows by name. */
#ifndef FOVEA_MODEL_NETWORKS_H
#define FOVEA_MODEL_NETWORKS_H

#include "fovea/model/model.h"

#define FV_MOBILENETV2_SKIPS 4

/* What a network gives, {N,H,W,classes} each. */
typedef struct fv_outputs {
    fv_value logits;
    fv_value auxiliary; /* logits that training supervises too; FV_NO_VALUE: none */
} fv_outputs;

/* MobileNetV2 without its classifier (Sandler et al. 2018), in scope "encoder": stem, b0 .. b16, head. `input`
   {N,H,W,3}, H and W multiples of 32. Returns {N,H/32,W/32,1280 x max(1, width)}; skips receive the expand activations
   of blocks 13, 6, 3, 1 (16, 8, 4 and 2 times smaller than the input). */
fv_value fv_mobilenetv2_build(fv_graph *g, fv_value input, double width, fv_convention convention,
                              fv_value skips[FV_MOBILENETV2_SKIPS]);

/* MobileNetV2 encoder; per level nearest x2, concatenation of the skip, two separable blocks of 256, 128, 64, 32
   filters; nearest x2, separable 16, 1x1 -> logits {N,H,W,classes}. */
fv_outputs fv_mobilenetv2_unet_build(fv_graph *g, fv_value input, const fv_model_spec *spec);

/* MobileNetV2 encoder; per level transposed 3x3 x2, concatenation of the skip, conv block, squeeze and excitation (Hu
   et al. 2018; ratio 8), conv block of 256, 128, 64, 32 filters; transposed 3x3 x2 of 32, conv blocks of 32 and 16, 1x1
   -> logits {N,H,W,classes}. */
fv_outputs fv_mobilenetv2_se_unet_build(fv_graph *g, fv_value input, const fv_model_spec *spec);

/* The same network as its Keras original has it, for weights that were trained there: bias and ReLU in front of each
   batch norm, a batch norm behind each transposed convolution of a level, Keras's padding of these, spatial dropout
   behind the squeeze and excitation, and no batch norm in the last blocks. */
fv_outputs fv_mobilenetv2_se_unet_keras_build(fv_graph *g, fv_value input, const fv_model_spec *spec);

/* What tells one U-shaped network from another. */
typedef struct fv_unet_parts {
    int base, depth;                                         /* filters at full size; how often sides are halved */
    fv_value (*level)(fv_graph *g, fv_value x, int filters); /* the blocks of a level */
    fv_value (*skip)(fv_graph *g, fv_value x);               /* what a skip goes through; NULL: nothing */
    double dropout;                                          /* rate of spatial dropout behind the bridge; 0: none */
} fv_unet_parts;

/* The U of Ronneberger et al. 2015 with "same" padding: scopes down0 .., bridge, up0 .., a level of blocks in each,
   base filters doubled at each halving; max pool 2x2 down, transposed 2x2 up, skips concatenated. {N,H,W,C} ->
   {N,H,W,base}; sides are multiples of 2^depth. */
fv_value fv_unet_trunk(fv_graph *g, fv_value x, const fv_unet_parts *parts);

/* The trunk of spec->depth halvings with two blocks of convolution, norm (spec->norm) and ReLU a level; 1x1 -> logits
   {N,H,W,classes}. */
fv_outputs fv_unet_build(fv_graph *g, fv_value input, const fv_model_spec *spec);

/* ResUNet Deeper: four halvings, two residual blocks a level, a 7x7 stem and spatial dropout of 0.2 behind the bridge.
 */
fv_outputs fv_resunet_build(fv_graph *g, fv_value input, const fv_model_spec *spec);

/* W-Net in the manner of Galdran et al. 2022 ("State-of-the-art retinal vessel segmentation with minimalistic models"):
   two U-Nets of two halvings, scopes "first" and "second", the second on the input concatenated with the first one's
   logits. One residual block a level and a 3x3 convolution block on each skip; batch norm before ReLU, as in our other
   networks (the paper: behind). The first one's logits are the auxiliary output. */
fv_outputs fv_wnet_build(fv_graph *g, fv_value input, const fv_model_spec *spec);

#endif
