/* What the programs of this folder train with: everything that an INI file describes, ready for the first step. */
#ifndef FOVEA_TESTS_SLOW_TRAINING_RIG_H
#define FOVEA_TESTS_SLOW_TRAINING_RIG_H

#include "fovea/train/step.h"

typedef struct training_rig {
    fv_config *config;
    fv_train_settings settings;
    fv_manifest manifest;
    int *records, count; /* of the training split */
    fv_model *model;
    fv_optimizer optimizer;
    fv_train_step step;
    fv_loader *loader;
    int64_t position; /* of the next batch, through all epochs */
} training_rig;

/* As fv_train() sets it up, but for validation. `overrides`: "section.key=value". To be freed whatever the result. */
fv_status training_rig_make(const char *config_path, char *const *overrides, int override_count, training_rig *rig);
void training_rig_free(training_rig *rig);
/* The batch that follows. */
fv_status training_rig_next(training_rig *rig, const fv_batch **batch);

#endif
