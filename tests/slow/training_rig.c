#include "training_rig.h"

#include <stdlib.h>

static fv_status read_settings(const char *path, char *const *overrides, int override_count, training_rig *rig) {
    FV_TRY(fv_config_read(path, &rig->config));
    for (int i = 0; i < override_count; i++) FV_TRY(fv_config_override(rig->config, overrides[i]));
    FV_TRY(fv_train_settings_from_config(rig->config, &rig->settings));
    FV_TRY(fv_manifest_from_config(rig->config, &rig->settings.model, &rig->manifest));
    return fv_config_check(rig->config);
}

fv_status training_rig_make(const char *config_path, char *const *overrides, int override_count, training_rig *rig) {
    *rig = (training_rig){0};
    FV_TRY(read_settings(config_path, overrides, override_count, rig));
    rig->records = calloc((size_t)rig->manifest.count + 1, sizeof *rig->records);
    if (!rig->records) return fv_fail_memory("the list of photographs", (size_t)rig->manifest.count);
    for (int i = 0; i < rig->manifest.count; i++)
        if (rig->manifest.records[i].split == FV_SPLIT_TRAIN) rig->records[rig->count++] = i;
    FV_TRY(fv_model_make(&rig->settings.model, rig->settings.seed, &rig->model));
    FV_TRY(fv_optimizer_make(&rig->settings.optimizer, &rig->model->params, &rig->optimizer));
    FV_TRY(fv_train_step_make(&rig->settings, rig->model, &rig->step));
    return fv_loader_make(&rig->manifest, rig->records, rig->count, &rig->settings.loader, &rig->loader);
}

void training_rig_free(training_rig *rig) {
    fv_loader_free(rig->loader);
    fv_train_step_free(&rig->step);
    fv_optimizer_free(&rig->optimizer);
    fv_model_free(rig->model);
    free(rig->records);
    fv_manifest_free(&rig->manifest);
    fv_config_free(rig->config);
}

fv_status training_rig_next(training_rig *rig, const fv_batch **batch) {
    int batches = fv_loader_batches(rig->loader);
    int64_t position = rig->position++;
    return fv_loader_get(rig->loader, (int)(position / batches), (int)(position % batches), batch);
}
