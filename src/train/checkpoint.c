#include "fovea/train/checkpoint.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/version.h"

/* ---- JSON: numbers that are not finite become null, and null becomes `absent` ---- */

/* All 17 digits: cJSON's own printing may lose the last bit, and a resumed run must not differ by it. */
static cJSON *exact_number(double value) {
    char text[32];
    snprintf(text, sizeof text, "%.17g", value);
    return isfinite(value) ? cJSON_CreateRaw(text) : cJSON_CreateNull();
}

static void put_number(cJSON *object, const char *name, double value) {
    cJSON_AddItemToObject(object, name, exact_number(value));
}

static double get_number(const cJSON *object, const char *name, double absent) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : absent;
}

static int get_integer(const cJSON *object, const char *name) {
    double number = get_number(object, name, -1);
    return number >= 0 && number <= 1e9 ? (int)number : -1;
}

static void put_classes(cJSON *object, const char *name, const double *values, int classes) {
    cJSON *array = cJSON_AddArrayToObject(object, name);
    for (int c = 0; c < classes; c++) cJSON_AddItemToArray(array, exact_number(values[c]));
}

static void get_classes(const cJSON *object, const char *name, double *values, int classes) {
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, name);
    for (int c = 0; c < classes; c++) {
        const cJSON *item = cJSON_GetArrayItem(array, c);
        values[c] = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    }
}

static cJSON *epoch_to_json(const fv_epoch *row, int classes) {
    cJSON *object = cJSON_CreateObject();
    put_number(object, "epoch", row->epoch);
    put_number(object, "rate", row->rate);
    put_number(object, "train_loss", row->train_loss);
    put_number(object, "train_dice", row->train_dice);
    put_number(object, "val_loss", row->val_loss);
    put_classes(object, "val_dice", row->val_dice, classes);
    put_classes(object, "val_iou", row->val_iou, classes);
    put_number(object, "seconds", row->seconds);
    return object;
}

static fv_epoch epoch_from_json(const cJSON *object, int classes) {
    fv_epoch row = {.epoch = get_integer(object, "epoch"),
                    .rate = get_number(object, "rate", NAN),
                    .train_loss = get_number(object, "train_loss", NAN),
                    .train_dice = get_number(object, "train_dice", NAN),
                    .val_loss = get_number(object, "val_loss", NAN),
                    .seconds = get_number(object, "seconds", NAN)};
    get_classes(object, "val_dice", row.val_dice, classes);
    get_classes(object, "val_iou", row.val_iou, classes);
    return row;
}

static cJSON *state_to_json(const fv_train_state *s, int64_t step, int classes) {
    cJSON *root = cJSON_CreateObject();
    put_number(root, "step", (double)step);
    put_number(root, "epoch", s->epoch);
    put_number(root, "batch", s->batch);
    put_number(root, "loss_sum", s->loss_sum);
    put_number(root, "dice_sum", s->dice_sum);
    put_number(root, "epoch_seconds", s->epoch_seconds);
    put_number(root, "best_score", s->best_score);
    put_number(root, "best_epoch", s->best_epoch);
    cJSON_AddBoolToObject(root, "stopped_early", s->stopped_early);
    put_number(root, "plateau_best", s->plateau.best);
    put_number(root, "plateau_flat", s->plateau.flat);
    put_number(root, "plateau_factor", s->plateau.factor);
    cJSON *history = cJSON_AddArrayToObject(root, "history");
    for (int i = 0; i < s->history.count; i++)
        cJSON_AddItemToArray(history, epoch_to_json(&s->history.rows[i], classes));
    return root;
}

static fv_status state_from_json(const cJSON *root, const char *path, int classes, fv_train_state *s, int64_t *step) {
    *step = get_integer(root, "step");
    *s = (fv_train_state){.epoch = get_integer(root, "epoch"),
                          .batch = get_integer(root, "batch"),
                          .loss_sum = get_number(root, "loss_sum", 0),
                          .dice_sum = get_number(root, "dice_sum", 0),
                          .epoch_seconds = get_number(root, "epoch_seconds", 0),
                          .best_score = get_number(root, "best_score", -INFINITY),
                          .best_epoch = get_integer(root, "best_epoch"),
                          .stopped_early = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "stopped_early")),
                          .plateau = {.best = get_number(root, "plateau_best", INFINITY),
                                      .flat = get_integer(root, "plateau_flat"),
                                      .factor = get_number(root, "plateau_factor", 1)}};
    if (*step < 0 || s->epoch < 0 || s->batch < 0 || s->best_epoch < 0)
        return fv_fail(FV_BAD_INPUT, "%s: the training state in its metadata is damaged; start over with --fresh",
                       path);
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(root, "history")) {
        fv_epoch epoch = epoch_from_json(row, classes);
        FV_TRY(fv_history_append(&s->history, &epoch));
    }
    return FV_OK;
}

/* ---- tensors ---- */

/* The blocks besides the weights; a NULL block is left out. */
typedef struct block {
    const char *prefix;
    float *values;
} block;

#define BLOCKS 3

static void list_blocks(const fv_optimizer *optimizer, block blocks[BLOCKS]) {
    blocks[0] = (block){"moment1.", optimizer->moment1};
    blocks[1] = (block){"moment2.", optimizer->moment2};
    blocks[2] = (block){"average.", optimizer->average};
}

static bool is_in_block(const fv_param *param, int b) {
    return param->trainable || b == 2; /* running statistics have an average but no moments */
}

static fv_status add_block(const fv_params *params, const block *blocks, int b, fv_safetensors_writer *writer) {
    for (int i = 0; i < params->count && blocks[b].values; i++) {
        const fv_param *param = &params->list[i];
        if (!is_in_block(param, b)) continue;
        char name[FV_NAME_MAX + 16];
        snprintf(name, sizeof name, "%s%s", blocks[b].prefix, param->name);
        int64_t count = (int64_t)param->count;
        FV_TRY(fv_safetensors_add(writer, name, "F32", 1, &count, blocks[b].values + param->offset));
    }
    return FV_OK;
}

static fv_status read_block(const fv_params *params, const block *blocks, int b, const fv_safetensors *file,
                            bool write) {
    for (int i = 0; i < params->count && blocks[b].values; i++) {
        const fv_param *param = &params->list[i];
        if (!is_in_block(param, b)) continue;
        char name[FV_NAME_MAX + 16];
        snprintf(name, sizeof name, "%s%s", blocks[b].prefix, param->name);
        const fv_safetensor *tensor = fv_safetensors_find(file, name);
        if (!tensor || strcmp(tensor->dtype, "F32") != 0 || tensor->bytes != param->count * sizeof(float))
            return fv_fail(
                FV_BAD_INPUT,
                "%s is no checkpoint of this training: tensor \"%s\" is missing or has another size; start over with "
                "--fresh",
                file->path, name);
        if (write) memcpy(blocks[b].values + param->offset, tensor->data, tensor->bytes);
    }
    return FV_OK;
}

/* ---- files ---- */

static fv_status add_all(fv_safetensors_writer *writer, const fv_model *model, const fv_optimizer *optimizer,
                         const fv_train_state *state, const char *config_text) {
    FV_TRY(fv_model_add_to(model, NULL, writer));
    block blocks[BLOCKS];
    list_blocks(optimizer, blocks);
    for (int b = 0; b < BLOCKS; b++) FV_TRY(add_block(&model->params, blocks, b, writer));
    cJSON *json = state_to_json(state, optimizer->step, model->spec.classes);
    char *text = cJSON_PrintUnformatted(json);
    fv_status status =
        text ? fv_safetensors_add_metadata(writer, "fovea.training", text) : fv_fail_memory("a checkpoint", 65536);
    cJSON_free(text);
    cJSON_Delete(json);
    FV_TRY(status);
    FV_TRY(fv_safetensors_add_metadata(writer, "fovea.config", config_text));
    return fv_safetensors_add_metadata(writer, "fovea.revision", fv_revision());
}

fv_status fv_checkpoint_save(const char *path, const fv_model *model, const fv_optimizer *optimizer,
                             const fv_train_state *state, const char *config_text) {
    fv_safetensors_writer *writer;
    FV_TRY(fv_safetensors_writer_make(&writer));
    fv_status status = add_all(writer, model, optimizer, state, config_text);
    if (status == FV_OK) return fv_safetensors_write(writer, path);
    fv_safetensors_writer_free(writer);
    return status;
}

static fv_status load_from(const fv_safetensors *file, fv_model *model, fv_optimizer *optimizer,
                           fv_train_state *state) {
    const char *text = fv_safetensors_metadata(file, "fovea.training");
    cJSON *json = text ? cJSON_Parse(text) : NULL;
    if (!json)
        return fv_fail(FV_BAD_INPUT,
                       "%s is a model but no checkpoint: training can't go on from it; start over with --fresh",
                       file->path);
    int64_t step;
    fv_status status = state_from_json(json, file->path, model->spec.classes, state, &step);
    cJSON_Delete(json);
    block blocks[BLOCKS];
    list_blocks(optimizer, blocks);
    for (int b = 0; b < BLOCKS && status == FV_OK; b++) status = read_block(&model->params, blocks, b, file, false);
    if (status == FV_OK) status = fv_model_read_values(model, file);
    for (int b = 0; b < BLOCKS && status == FV_OK; b++) status = read_block(&model->params, blocks, b, file, true);
    if (status == FV_OK) optimizer->step = step;
    return status;
}

fv_status fv_checkpoint_load(const char *path, fv_model *model, fv_optimizer *optimizer, fv_train_state *state,
                             char **config_text) {
    fv_safetensors file;
    *config_text = NULL;
    fv_status status = fv_safetensors_read(path, &file);
    if (status == FV_BAD_INPUT)
        return fv_fail(status, "training can't go on: %s; restore the file or start over with --fresh", fv_error());
    FV_TRY(status);
    status = load_from(&file, model, optimizer, state);
    const char *config = fv_safetensors_metadata(&file, "fovea.config");
    if (status == FV_OK && !(*config_text = strdup(config ? config : "")))
        status = fv_fail_memory("a checkpoint", 4096);
    fv_safetensors_free(&file);
    return status;
}
