/* A network in 8 bits as a list of steps over tensors that share one block of memory. */
#ifndef FOVEA_SRC_INFER_INT8_LAYERS_H
#define FOVEA_SRC_INFER_INT8_LAYERS_H

#include "fovea/exchange/quantise.h"
#include "fovea/infer/int8_net.h"
#include "fovea/kernel/int8.h"

typedef struct int8_tensor {
    fv_shape shape;
    fv_steps steps;
    size_t bytes, offset; /* in the block; bytes 0: not there */
    int first, last;      /* the step that writes it, and the last one that reads it */
} int8_tensor;

typedef struct int8_step int8_step;
/* Does units [begin, end): pixels, rows or numbers of its result. */
typedef void int8_run(const fv_int8_net *net, const int8_step *step, int64_t begin, int64_t end);

int8_run int8_run_quantise, int8_run_product, int8_run_depthwise, int8_run_logits, int8_run_sigmoid, int8_run_gather,
    int8_run_upsample, int8_run_concat, int8_run_add;

struct int8_step {
    int8_run *run;
    int64_t units, task; /* `task` of them are one task */
    int in[FV_MAX_INPUTS], inputs, out;
    fv_int8_layer layer; /* of convolutions */
    int8_t *weight;      /* owned, as what follows; layer's */
    float *scale, *offset;
    uint8_t *outside; /* of a depthwise layer: a pixel of zeros of its input */
    fv_attributes attributes;
};

struct fv_int8_net {
    const fv_int8_kernels *kernels;
    int8_tensor *tensors; /* 0 is the input, i + 1 layer i's result, and behind them gathered windows */
    int8_step *steps;
    int tensor_count, step_count;
    uint8_t *block;
    size_t block_bytes, weight_bytes;
    const float *input; /* of the run in hand */
    float *output;
};

static inline uint8_t *int8_data(const fv_int8_net *net, int tensor) {
    return net->block + net->tensors[tensor].offset;
}

/* Quantises and packs a convolution's kernel for inputs and results of the given steps; a product of whole windows
   takes the kernel as {1, 1, `taps`, filters} with taps filled up to a multiple of 4. For the last layer `to` is NULL:
   floats and rows of weights. Fills step->layer's pointers. */
fv_status int8_pack(const fv_folded_layer *layer, int lanes, const fv_steps *from, const fv_steps *to, int8_step *step);
/* What int8_pack() allocates for the step to keep. */
size_t int8_packed_bytes(const fv_folded_layer *layer, int lanes, const int8_step *step);

#endif
