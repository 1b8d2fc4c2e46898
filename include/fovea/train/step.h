/* One training step: the network with its loss, planned for a fixed batch. */
#ifndef FOVEA_TRAIN_STEP_H
#define FOVEA_TRAIN_STEP_H

#include "fovea/graph/plan.h"
#include "fovea/train/train.h"

typedef struct fv_train_step {
    fv_graph graph;
    fv_plan *plan;
    fv_value input, target, valid, logits, loss;
    const fv_model_spec *spec;
} fv_train_step;

/* The loss is that of the logits, plus settings->weight_auxiliary times the same of the auxiliary logits where the
   network has them (wnet). */
fv_status fv_train_step_make(const fv_train_settings *settings, fv_model *model, fv_train_step *step);
void fv_train_step_free(fv_train_step *step);
/* The bytes that the tensors of such a step would take. */
fv_status fv_train_step_measure(const fv_train_settings *settings, fv_model *model, size_t *bytes);
/* Forward and backward; gradients are in the model's params. Returns the loss. */
double fv_train_step_run(fv_train_step *step, const fv_batch *batch, uint64_t seed, uint64_t number);
/* Mean hard Dice (threshold from the model) over the annotated classes and samples of the batch just run. */
double fv_train_step_dice(const fv_train_step *step, const fv_batch *batch);

#endif
