#include "thresholds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "fovea/base/log.h"

/* What the metadata of the model file say: {"split", "classes": {NAME: {"threshold", "dice", "photographs"}}}. */
static char *origin_text(const fv_model_spec *spec, const fv_threshold_choice *choice) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "split", fv_split_names[FV_SPLIT_VAL]);
    cJSON *classes = cJSON_AddObjectToObject(root, "classes");
    for (int c = 0; c < spec->classes; c++) {
        if (choice->count[c] == 0) continue;
        cJSON *item = cJSON_AddObjectToObject(classes, spec->class_names[c]);
        cJSON_AddNumberToObject(item, "threshold", choice->threshold[c]);
        cJSON_AddNumberToObject(item, "dice", choice->dice[c]);
        cJSON_AddNumberToObject(item, "photographs", choice->count[c]);
    }
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

static void tell(const fv_model_spec *spec, const fv_threshold_choice *choice) {
    for (int c = 0; c < spec->classes; c++) {
        if (choice->count[c] == 0) continue;
        fv_log_info("threshold of %s %.2f: Dice %.4f on %d validation photographs", spec->class_names[c],
                    choice->threshold[c], choice->dice[c], choice->count[c]);
    }
}

fv_status thresholds_choose(const char *model_path, const fv_manifest *manifest, const fv_evaluate_settings *settings) {
    fv_model *model;
    fv_threshold_choice choice;
    FV_TRY(fv_model_load(model_path, &model));
    fv_status status = fv_thresholds_choose(model, manifest, FV_SPLIT_VAL, settings, &choice);
    if (status == FV_OK) {
        tell(&model->spec, &choice);
        char *origin = origin_text(&model->spec, &choice);
        status = origin ? fv_model_file_set_thresholds(model_path, choice.threshold, origin)
                        : fv_fail_memory("the thresholds", sizeof choice);
        free(origin);
    }
    fv_model_free(model);
    return status;
}

fv_status thresholds_fix(const char *model_path, const fv_model_spec *spec) {
    fv_model *model;
    FV_TRY(fv_model_load(model_path, &model));
    bool same = true;
    for (int c = 0; c < spec->classes; c++) same = same && model->spec.thresholds[c] == spec->thresholds[c];
    fv_model_free(model);
    return same ? FV_OK : fv_model_file_set_thresholds(model_path, spec->thresholds, NULL);
}
