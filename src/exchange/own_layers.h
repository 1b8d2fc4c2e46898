/* The layers of one of our networks that hold weights, in the order in which they run. */
#ifndef SRC_EXCHANGE_OWN_LAYERS_H
#define SRC_EXCHANGE_OWN_LAYERS_H

#include "fovea/model/model.h"

typedef struct fv_own_layer {
    char name[FV_NAME_MAX]; /* "encoder.b1.expand" */
    fv_op_kind kind;        /* FV_OP_conv2d, FV_OP_depthwise, FV_OP_conv_transpose or FV_OP_dense */
    int weight, bias;       /* parameters; -1 where there is none */
    int gamma, beta, mean, var;
    double epsilon; /* of the norm */
} fv_own_layer;

typedef struct fv_own_layers {
    fv_own_layer *list;
    int count;
    const fv_params *params; /* names and shapes; of the model, or `declared` */
    fv_params declared;
} fv_own_layers;

/* Those of a model, or of its encoder alone. */
fv_status fv_own_layers_of_model(fv_model *model, bool encoder_only, fv_own_layers *layers);
/* Those of a network that is only described: no weights are allocated. */
fv_status fv_own_layers_of_spec(const fv_model_spec *spec, bool encoder_only, fv_own_layers *layers);
void fv_own_layers_free(fv_own_layers *layers);

#endif
