/* The loss of a training, one definition for the training step and for validation. */
#ifndef FOVEA_TRAIN_LOSS_H
#define FOVEA_TRAIN_LOSS_H

#include "fovea/graph/plan.h"

/* The formulas: op/op_list.h, segmentation_loss and cldice_loss. */
typedef struct fv_loss_settings {
    double bce, dice, focal, tversky, cldice; /* weights, 0 or more, not all 0 */
    double focal_alpha, focal_gamma;
    double tversky_alpha, tversky_beta; /* of false positives, of false negatives */
    int cldice_iterations;              /* of the soft skeleton: about half the width of the widest vessel, px */
    double auxiliary;                   /* weight of all that on a network's auxiliary logits */
    double smooth;                      /* Dice, Tversky, clDice */
    bool dice_over_batch;               /* these three of the whole batch instead of the mean over samples */
} fv_loss_settings;

/* Adds `share` times the loss of these logits to the graph: a value of shape {1,1,1,1}. target: of the logits' shape;
   valid: {N,1,1,C}. A weight of 0 costs nothing. To be called once for each output of a network, with a name of its
   own. */
fv_value fv_loss_add(fv_graph *graph, const char *name, const fv_loss_settings *settings, double share, fv_value logits,
                     fv_value target, fv_value valid);

/* Measures the loss of predictions outside training. Must not be moved once it is made. */
typedef struct fv_loss_meter {
    fv_params params; /* none */
    fv_graph graph;
    fv_plan *plan;
    fv_value logits, target, valid, loss;
} fv_loss_meter;

/* For predictions of this shape. */
fv_status fv_loss_meter_make(const fv_loss_settings *settings, fv_shape shape, fv_loss_meter *meter);
/* Accepts a zeroed struct. */
void fv_loss_meter_free(fv_loss_meter *meter);
/* p: probabilities, taken into 1e-7 .. 1 - 1e-7; target: of the same shape; valid: {N,1,1,C} of 0 and 1. */
double fv_loss_meter_run(fv_loss_meter *meter, const float *p, const float *target, const float *valid);

#endif
