/* The state of a training between two steps, as one safetensors file: a model file (docs/model_file.md) with the
   optimiser's moments ("moment1.<parameter>", "moment2.<parameter>", "average.<parameter>") and JSON in the metadata
   ("fovea.training": counters, schedule, best figures, history; "fovea.config": the resolved settings;
   "fovea.revision"). */
#ifndef FOVEA_TRAIN_CHECKPOINT_H
#define FOVEA_TRAIN_CHECKPOINT_H

#include "fovea/train/history.h"
#include "fovea/train/optimizer.h"
#include "fovea/train/schedule.h"

/* Everything besides tensors that the next step depends on. */
typedef struct fv_train_state {
    int epoch;                 /* epochs finished */
    int batch;                 /* batches of the running epoch that are done */
    double loss_sum, dice_sum; /* over those batches */
    double epoch_seconds;      /* spent in the running epoch so far */
    double best_score;         /* -INFINITY at first */
    int best_epoch;            /* 1-based; 0: none yet */
    bool stopped_early;
    fv_plateau plateau;
    fv_history history;
} fv_train_state;

fv_status fv_checkpoint_save(const char *path, const fv_model *model, const fv_optimizer *optimizer,
                             const fv_train_state *state, const char *config_text);
/* Restores model, optimiser and state. FV_BAD_INPUT when the file is damaged, from another network or no checkpoint;
   then nothing has changed but possibly `state`. *config_text (free with free()) are the settings it was made with. */
fv_status fv_checkpoint_load(const char *path, fv_model *model, fv_optimizer *optimizer, fv_train_state *state,
                             char **config_text);

#endif
