/* A trained network as other runtimes want it: a list of layers in execution order, with dropout gone, batch norm
   folded into the convolution before it and the activation done by the layer itself. Made from any graph of fovea's ops
   (graph/graph.h), so that every network, and every later one, can be written. Layouts stay fovea's: NHWC tensors,
   kernels {height, width, in, out}; a writer transposes.

   What a layer computes is op/op_list.h's formula of its kind with the inputs `in` and, in that order, weight and bias:
     conv2d, depthwise, conv_transpose, dense   weight and bias, both always there
     batch_norm (one that could not be folded)  y = weight x + bias, a number a channel
     group_norm                                 gamma and beta
     all others                                 no weights
   then the activation of its attributes. */
#ifndef FOVEA_EXCHANGE_FOLDED_H
#define FOVEA_EXCHANGE_FOLDED_H

#include "fovea/graph/graph.h"
#include "fovea/model/model.h"

#define FV_FOLDED_INPUT (-1) /* in fv_folded_layer.in: the network's input */

typedef struct fv_folded_layer {
    char name[FV_NAME_MAX]; /* of the graph's node; no two layers share one, none begins with input, output, prepare or
                               prepared, which are tensors of the files */
    fv_op_kind kind;
    int in[FV_MAX_INPUTS], inputs; /* indices of the layers that make its inputs, all lower than its own */
    fv_shape out;                  /* of its result, batch 1, for an input of fv_folded.input */
    fv_attributes attributes;      /* defaults filled in, padding explicit */
    fv_shape weight_shape;         /* of the kind's kernel, or {1,1,1,C} */
    float *weight, *bias;          /* NULL where the kind has none; owned */
} fv_folded_layer;

typedef struct fv_folded {
    fv_shape input;          /* {1, height, width, channels}: shapes and padding of the layers are for this size */
    fv_folded_layer *layers; /* the last one's result is the network's */
    int count;
} fv_folded;

/* The layers that `output` needs, of a graph of batch 1 whose parameters have values. An activation or a batch norm is
   taken into the layer before it only where nobody else reads that one's result. FV_BAD_INPUT for an op that inference
   has no use for (a loss), and when `output` is no node's result. */
fv_status fv_folded_from_graph(const fv_graph *graph, fv_value input, fv_value output, fv_folded *folded);
/* Of a model at an input of height x width px (multiples of fv_model_step()); its last layer is the sigmoid that makes
   probabilities, or, with `logits`, the one before. Weights are copied. */
fv_status fv_folded_make(const fv_model *model, int height, int width, bool logits, fv_folded *folded);
/* Accepts a zeroed struct. */
void fv_folded_free(fv_folded *folded);

/* How many numbers a layer's bias has: its filters or channels. 0 where it has none. */
size_t fv_folded_bias_count(const fv_folded_layer *layer);
/* Whether the kind multiplies by a kernel: conv2d, depthwise, conv_transpose, dense. */
bool fv_folded_has_kernel(const fv_folded_layer *layer);

/* The list as a graph again, to run it here: declares the parameters "<layer>.weight" and "<layer>.bias" and adds the
   layers' nodes on `input` of any batch and size that the network takes. `values` (folded->count) receives each
   layer's result; their last is the network's. `after` (NULL: none) is called for each result as it is added and may
   put a node behind it, which then stands for it. Errors stick to the graph. */
typedef fv_value fv_folded_after(void *context, int layer, fv_graph *graph, fv_value result);
void fv_folded_build(const fv_folded *folded, fv_graph *graph, fv_value input, fv_folded_after *after, void *context,
                     fv_value *values);
/* Sets the parameters that fv_folded_build() has declared, after fv_params_allocate(). */
void fv_folded_fill(const fv_folded *folded, fv_params *params);

#endif
