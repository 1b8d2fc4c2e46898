/* What a training has seen, one row an epoch. */
#ifndef FOVEA_TRAIN_HISTORY_H
#define FOVEA_TRAIN_HISTORY_H

#include "fovea/model/model.h"

typedef struct fv_epoch {
    int epoch;   /* 1 is the first */
    double rate; /* the decoder's learning rate at the epoch's last step */
    double train_loss, train_dice;
    double val_loss; /* NAN where the epoch was not validated, as the figures below */
    double val_dice[FV_MAX_CLASSES], val_iou[FV_MAX_CLASSES]; /* means over images, at the network's size */
    double seconds;
} fv_epoch;

typedef struct fv_history {
    fv_epoch *rows;
    int count, capacity;
} fv_history;

fv_status fv_history_append(fv_history *history, const fv_epoch *row);
void fv_history_free(fv_history *history);
/* CSV: epoch,rate,train_loss,train_dice,val_loss,val_dice_<class>...,val_iou_<class>...,seconds. Atomically. */
fv_status fv_history_write(const fv_history *history, const fv_model_spec *spec, const char *path);

#endif
