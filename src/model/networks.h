/* The networks that model.c knows by name. */
#ifndef FOVEA_MODEL_NETWORKS_H
#define FOVEA_MODEL_NETWORKS_H

#include "fovea/model/model.h"

#define FV_MOBILENETV2_SKIPS 4

/* MobileNetV2 without its classifier (Sandler et al. 2018), in scope "encoder": stem, b0 .. b16, head. `input`
   {N,H,W,3}, H and W multiples of 32. Returns {N,H/32,W/32,1280 x max(1, width)}; skips receive the expand activations
   of blocks 13, 6, 3, 1 (16, 8, 4 and 2 times smaller than the input). */
fv_value fv_mobilenetv2_build(fv_graph *g, fv_value input, double width, fv_convention convention,
                              fv_value skips[FV_MOBILENETV2_SKIPS]);

/* MobileNetV2 encoder; per level nearest x2, concatenation of the skip, two separable blocks of 256, 128, 64, 32
   filters; nearest x2, separable 16, 1x1 -> logits {N,H,W,classes}. */
fv_value fv_mobilenetv2_unet_build(fv_graph *g, fv_value input, const fv_model_spec *spec);

/* MobileNetV2 encoder; per level transposed 3x3 x2, concatenation of the skip, conv block, squeeze and excitation (Hu
   et al. 2018; ratio 8), conv block of 256, 128, 64, 32 filters; transposed 3x3 x2 of 32, conv blocks of 32 and 16, 1x1
   -> logits {N,H,W,classes}. */
fv_value fv_mobilenetv2_se_unet_build(fv_graph *g, fv_value input, const fv_model_spec *spec);

/* U-Net (Ronneberger et al. 2015) with batch norm and "same" padding: scopes down0 .. down3, bridge, up0 .. up3, two
   conv blocks each, spec->base filters doubled at each halving; max pool 2x2 down, transposed 2x2 up, skips
   concatenated; 1x1 -> logits {N,H,W,classes}. Sides are multiples of 16. */
fv_value fv_unet_build(fv_graph *g, fv_value input, const fv_model_spec *spec);

/* The same with residual blocks, a 7x7 stem and spatial dropout of 0.2 behind the bridge. */
fv_value fv_resunet_build(fv_graph *g, fv_value input, const fv_model_spec *spec);

#endif
