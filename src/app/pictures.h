/* The pictures of a training run, from its figures: composition only, report/ draws. */
#ifndef FOVEA_APP_PICTURES_H
#define FOVEA_APP_PICTURES_H

#include "fovea/eval/evaluate.h"
#include "fovea/report/picture.h"
#include "fovea/train/train.h"

/* Class names as report/ wants them; `names` has FV_MAX_CLASSES places. */
fv_report_classes picture_classes(const fv_model_spec *spec, const char **names);

/* <dir>/curves.png: loss, Dice, IoU, learning rate. */
fv_status picture_curves(const fv_train_view *view);
/* <dir>/epochs/epoch_NNNN.png: the first `samples` validation photographs with truth and prediction, and the curves so
 * far. */
fv_status picture_epoch(const fv_train_view *view, int samples);
/* The `count` photographs with the lowest mean Dice, worst first. */
fv_status picture_worst(const char *path, const fv_evaluation *evaluation, const fv_manifest *manifest, fv_model *model,
                        const fv_evaluate_settings *settings, int count);

#endif
