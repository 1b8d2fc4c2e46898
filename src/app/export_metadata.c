#include "export_metadata.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/dataset/manifest.h"
#include "fovea/tensor/safetensors.h"

#define EVALUATION_MAX (1 << 20) /* bytes */

static fv_status add_thresholds(const char *model_path, fv_metadata *metadata) {
    fv_safetensors file;
    if (fv_safetensors_read(model_path, &file) != FV_OK) return FV_OK; /* an ONNX model: it has none */
    fv_status status =
        fv_metadata_add(metadata, "fovea.thresholds", fv_safetensors_metadata(&file, "fovea.thresholds"));
    fv_safetensors_free(&file);
    return status;
}

static double number_at(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* "vessel Dice 0.819 (20 photographs of the test split)" */
static void metrics_text(const cJSON *evaluation, const char *split, char *text, size_t size) {
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(evaluation, "classes"), *item;
    size_t length = 0;
    *text = '\0';
    cJSON_ArrayForEach(item, classes) {
        const cJSON *dice = cJSON_GetObjectItemCaseSensitive(item, "dice");
        if (!(number_at(dice, "n") > 0)) continue; /* not annotated */
        int added = snprintf(text + length, size - length, "%s%s Dice %.3f (%.0f photographs of the %s split)",
                             length ? ", " : "", item->string, number_at(dice, "mean"), number_at(dice, "n"), split);
        if (added < 0 || (size_t)added >= size - length) return;
        length += (size_t)added;
    }
}

static fv_status add_evaluation(const char *text, const char *split, fv_metadata *metadata) {
    char metrics[512];
    cJSON *evaluation = cJSON_Parse(text);
    char *packed = evaluation ? cJSON_PrintUnformatted(evaluation) : NULL;
    metrics_text(evaluation, split, metrics, sizeof metrics);
    fv_status status = fv_metadata_add(metadata, "fovea.evaluation", packed);
    if (status == FV_OK && metrics[0]) status = fv_metadata_add(metadata, "metrics", metrics);
    cJSON_free(packed);
    cJSON_Delete(evaluation);
    return status;
}

/* Training leaves it in the folder of the split that it was measured on. */
static fv_status add_run(const char *folder, fv_metadata *metadata) {
    static const fv_split splits[] = {FV_SPLIT_TEST, FV_SPLIT_VAL};
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        char below[FV_PATH_MAX], path[FV_PATH_MAX];
        void *text;
        size_t bytes;
        FV_TRY(fv_path_join(below, folder, fv_split_names[splits[i]]));
        FV_TRY(fv_path_join(path, below, "evaluation.json"));
        if (!fv_file_exists(path)) continue;
        FV_TRY(fv_file_read(path, EVALUATION_MAX, &text, &bytes));
        fv_status status = add_evaluation(text, fv_split_names[splits[i]], metadata);
        free(text);
        return status;
    }
    return FV_OK;
}

fv_status export_metadata(const fv_model_spec *spec, const fv_export_shape *shape, const char *model_path,
                          const char *word, fv_metadata *metadata) {
    FV_TRY(fv_metadata_of_model(spec, shape, metadata));
    fv_status status = add_thresholds(model_path, metadata);
    if (status == FV_OK && fv_folder_exists(word)) status = add_run(word, metadata);
    if (status != FV_OK) fv_metadata_free(metadata);
    return status;
}
