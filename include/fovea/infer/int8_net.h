/* A network in 8 bits: folded layers (exchange/folded.h) with the steps that follow from the ranges of their values on
   photographs (exchange/ranges.h), on the kernels of kernel/int8.h. For networks of MobileNetV2's kind: convolutions
   (1x1; others are gathered into products), 3x3 depthwise ones, nearest upsampling, concatenation, addition, ReLU and
   ReLU6, with a 1x1 convolution and a sigmoid at the end. */
#ifndef FOVEA_INFER_INT8_NET_H
#define FOVEA_INFER_INT8_NET_H

#include "fovea/exchange/ranges.h"

typedef struct fv_int8_net fv_int8_net;

/* `ranges` as fv_ranges_measure() found them for `folded`, whose weights are quantised and packed here: neither is
   needed afterwards. FV_BAD_INPUT names the layer that has no 8-bit form. Nothing is allocated later. */
fv_status fv_int8_net_make(const fv_folded *folded, const fv_ranges *ranges, fv_int8_net **net);
/* fv_int8_net_bytes() of the network that would be made, without making it; the same errors, but for weights that are
   not numbers. */
fv_status fv_int8_net_measure(const fv_folded *folded, const fv_ranges *ranges, size_t *bytes);
/* Accepts NULL. */
void fv_int8_net_free(fv_int8_net *net);
/* input {1, height, width, channels} of `folded` -> probabilities {1, height, width, classes}. The same bits for any
   number of threads. */
void fv_int8_net_run(fv_int8_net *net, const float *input, float *probabilities);
/* Of weights and of the tensors between layers. */
size_t fv_int8_net_bytes(const fv_int8_net *net);

#endif
