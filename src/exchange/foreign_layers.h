/* Tensors of a foreign file put together to layers: a kernel with its bias, and the norm that belongs to it. */
#ifndef SRC_EXCHANGE_FOREIGN_LAYERS_H
#define SRC_EXCHANGE_FOREIGN_LAYERS_H

#include "fovea/exchange/foreign.h"

#define FV_FOREIGN_MAX_LAYERS 4096 /* norms look for their layer among all others */

typedef struct fv_foreign_layer {
    char name[FV_FOREIGN_NAME_MAX]; /* "features.2.conv.0.0", "block_1_expand/block_1_expand" */
    const fv_foreign_tensor *kernel, *bias, *gamma, *beta, *mean, *var; /* NULL where there is none */
    const fv_foreign_tensor *other;                                     /* a tensor whose name says nothing known */
    bool used;                                                          /* matched to one of our layers */
} fv_foreign_layer;

typedef struct fv_foreign_layers {
    fv_foreign_layer *list; /* in the file's order */
    int count;
    bool hwio; /* kernels are {height, width, in, out}, as in Keras; else PyTorch's {out, in, height, width} */
} fv_foreign_layers;

/* `file` must outlive the layers. FV_BAD_INPUT when two tensors play the same part in a layer, or layers are
   more than FV_FOREIGN_MAX_LAYERS. */
fv_status fv_foreign_layers_make(const fv_foreign *file, fv_foreign_layers *layers);
void fv_foreign_layers_free(fv_foreign_layers *layers);

#endif
