/* Adam and AdamW over all trainable parameters, with separate rates for encoder and decoder, gradient clipping and an
   exponential moving average of the weights. */
#ifndef FOVEA_TRAIN_OPTIMIZER_H
#define FOVEA_TRAIN_OPTIMIZER_H

#include <stdint.h>

#include "fovea/model/model.h"

typedef enum fv_optimizer_kind {
    FV_ADAM, /* weight decay added to the gradient (Kingma and Ba 2015) */
    FV_ADAMW /* weight decay apart from the gradient (Loshchilov and Hutter 2019) */
} fv_optimizer_kind;

extern const char *const fv_optimizer_names[]; /* "adam", "adamw", NULL */

typedef struct fv_optimizer_settings {
    fv_optimizer_kind kind;
    double rate, encoder_rate;    /* learning rates of the decoder and of the encoder */
    double beta1, beta2, epsilon; /* 0.9, 0.999, 1e-8 */
    double weight_decay;          /* on kernels only: gamma, beta and biases are left alone */
    double l2;                    /* adds l2 times the sum of the squares of chosen kernels to what is minimised */
    char l2_layers[256];          /* whose: words "all", "encoder", "decoder" (all else), "decoder.level0" ... */
    double clip_norm;             /* gradients are scaled down to this L2 norm; 0: never */
    double average_decay;         /* of the moving average; 0: no average */
} fv_optimizer_settings;

/* What one task of a step does: up to some thousand values of a parameter. */
typedef struct fv_optimizer_chunk {
    int param;
    size_t offset, count; /* in params->values */
    double squares;       /* of the gradient, summed */
    double l2;            /* 0 where it does not apply */
} fv_optimizer_chunk;

typedef struct fv_optimizer {
    fv_optimizer_settings settings;
    fv_params *params;
    float *moment1, *moment2; /* laid out as params->values */
    float *average;           /* NULL without average_decay; covers running statistics too */
    fv_optimizer_chunk *chunks;
    int64_t chunk_count;
    int64_t step; /* steps done */
} fv_optimizer;

/* FV_BAD_INPUT when a word of l2_layers fits no kernel. */
fv_status fv_optimizer_make(const fv_optimizer_settings *settings, fv_params *params, fv_optimizer *optimizer);
void fv_optimizer_free(fv_optimizer *optimizer);
/* One step with params->gradients. To each the decay of FV_ADAM and the slope 2 l2 w are added, after clipping. m = b1
   m + (1-b1) g, v = b2 v + (1-b2) g^2, w -= factor * rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon).
   Average: decay d_t = min(average_decay, (1 + t) / (10 + t)). Returns the gradient's L2 norm before clipping. */
double fv_optimizer_step(fv_optimizer *optimizer, double factor);
/* The weights to validate and to ship: the average where there is one. */
const float *fv_optimizer_weights(const fv_optimizer *optimizer);

#endif
