/* The weights of a network: one block for values, one for gradients, the same offsets in both. */
#ifndef FOVEA_TENSOR_PARAMS_H
#define FOVEA_TENSOR_PARAMS_H

#include <stdint.h>

#include "fovea/base/status.h"
#include "fovea/tensor/tensor.h"

#define FV_NAME_MAX 96

typedef enum fv_init {
    FV_INIT_ZERO,
    FV_INIT_ONE,
    FV_INIT_HE_NORMAL,      /* normal, variance 2 / fan_in (He et al. 2015): before a ReLU */
    FV_INIT_GLOROT_UNIFORM, /* uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010): Keras's default */
    FV_INIT_LECUN_UNIFORM,  /* uniform in +-sqrt(1 / fan_in): what PyTorch draws for convolutions */
    FV_INIT_RARE, /* -log((1 - p) / p) with p = 0.02: bias of a logit that is rarely positive (Lin et al. 2017) */
} fv_init;

typedef struct fv_param {
    char name[FV_NAME_MAX]; /* "encoder.b1.expand.weight" */
    fv_shape shape;
    size_t offset, count; /* in elements, offset a multiple of 16 */
    int fan_in, fan_out;
    fv_init init;
    bool trainable; /* false: state such as batch norm's running mean */
} fv_param;

typedef struct fv_params {
    fv_param *list;
    int count, capacity;
    size_t total;                /* elements of each block, padding included */
    fv_real *values, *gradients; /* gradients: NULL until somebody trains */
} fv_params;

void fv_params_init(fv_params *params);
/* Accepts a zeroed struct. */
void fv_params_free(fv_params *params);
/* Index of the named parameter, -1 when there is none. */
int fv_params_find(const fv_params *params, const char *name);
/* Declares a parameter and returns its index in *index. A second declaration must have the same shape and returns the
   first. New names are refused once the blocks are allocated, as are shapes with a size below 1, more than 2^31 values
   in all and a fan that the initial values cannot be scaled by: FV_BAD_INPUT, *index -1. */
fv_status fv_params_declare(fv_params *params, const char *name, fv_shape shape, fv_init init, int fan_in, int fan_out,
                            bool trainable, int *index);
/* Allocates the values and draws them: parameter i from (seed, 0, i, FV_PURPOSE_INIT). */
fv_status fv_params_allocate(fv_params *params, uint64_t seed);
/* Allocates the gradients (zeroed) unless they are there: a plan to train and an optimiser ask for them, inference does
   without. After fv_params_allocate(). */
fv_status fv_params_allocate_gradients(fv_params *params);
/* Number of values, trainable ones only or all, without padding. */
size_t fv_params_count_values(const fv_params *params, bool trainable_only);

#endif
