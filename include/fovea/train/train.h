/* Training: settings from the INI, the loop, its run folder.

   Run folder: config.ini (as resolved), history.csv, last.safetensors (to go on from), best.safetensors (to use), and
   what the hooks draw. Everything is written atomically. A run that was killed goes on from last.safetensors and ends
   in the same bits as one that was not. */
#ifndef FOVEA_TRAIN_TRAIN_H
#define FOVEA_TRAIN_TRAIN_H

#include "fovea/dataset/loader.h"
#include "fovea/infer/predict.h"
#include "fovea/train/checkpoint.h"
#include "fovea/train/loss.h"

typedef enum fv_monitor { FV_MONITOR_DICE, FV_MONITOR_LOSS } fv_monitor;

typedef struct fv_train_settings {
    fv_model_spec model;
    char encoder_weights[FV_PATH_MAX]; /* "" for random weights */
    fv_loader_settings loader;
    fv_optimizer_settings optimizer;
    fv_schedule schedule;
    fv_loss_settings loss;
    int epochs, checkpoint_every, validate_every; /* epochs */
    size_t memory;                                /* bytes that the tensors of a step may take; 0: no limit */
    int patience;                                 /* epochs without a better score before stopping early; 0: never */
    fv_monitor monitor;                           /* what "better" means: mean validation Dice, or validation loss */
    uint64_t seed;
    char dir[FV_PATH_MAX];
    bool fresh; /* start over even if there is a checkpoint */
} fv_train_settings;

/* Sections [run], [model], [preprocess], [augment], [loss], [optimizer], [schedule], [train]; keys and defaults:
 * docs/training.md. */
fv_status fv_train_settings_from_config(fv_config *config, fv_train_settings *settings);

/* A photograph of the validation split at work size, and its truth at the probability map's size: the network's, or
   with windows the work image's. */
typedef struct fv_validation_sample {
    int record;
    fv_sample sample;
    float *target; /* {map height, map width, classes} 0 or 1 (soft where soft_masks) */
    size_t pixels; /* of the map */
} fv_validation_sample;

typedef struct fv_validation {
    const fv_train_settings *settings;
    const fv_manifest *manifest;
    fv_validation_sample *samples;
    int count;
    fv_loss_meter loss; /* of one photograph */
} fv_validation;

/* Reads the photographs of the validation split. They stay in memory. `validation` must not be moved then. */
fv_status fv_validation_make(const fv_train_settings *settings, const fv_manifest *manifest, fv_validation *validation);
void fv_validation_free(fv_validation *validation);
/* Loss as in training, every photograph a batch of its own (mean over annotated classes and photographs), and Dice and
   IoU per class (mean over the images where the class is annotated), at the map's size without cleaning; Dice and IoU
   inside the field of view where the sample has one. */
fv_status fv_validation_measure(fv_validation *validation, fv_predictor *predictor, fv_epoch *row);

/* What a hook sees after an epoch. */
typedef struct fv_train_view {
    const fv_train_settings *settings;
    const fv_train_state *state;
    const fv_validation *validation;
    fv_predictor *predictor; /* of the weights that were validated */
    bool improved;           /* best.safetensors was written just now */
    bool last;               /* no epoch follows */
} fv_train_view;

typedef struct fv_train_hooks {
    void *context;
    bool (*should_stop)(void *context);                              /* asked after every batch; NULL: never */
    fv_status (*on_epoch)(void *context, const fv_train_view *view); /* NULL: nothing */
} fv_train_hooks;

typedef struct fv_train_result {
    int epochs;     /* finished */
    int best_epoch; /* 1-based */
    double best_score;
    bool already_done; /* the checkpoint was that of a finished run */
    double images_per_second;
    size_t plan_bytes; /* planned memory of a training step */
} fv_train_result;

/* Trains to the end, or until hooks->should_stop (then FV_INTERRUPTED with the state saved). A loss that is not a
   finite number is FV_BAD_INPUT with the layer's name; the checkpoint stays as it was. `config_text`: the resolved
   settings, kept in the files. */
fv_status fv_train(const fv_train_settings *settings, const fv_manifest *manifest, const char *config_text,
                   const fv_train_hooks *hooks, fv_train_result *result);

#endif
