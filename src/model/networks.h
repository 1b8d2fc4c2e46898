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

#endif
