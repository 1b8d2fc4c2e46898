/* Recipes as JSON, which model files carry as "fovea.recipe": {"output": index, "params": [{"name", "shape",
   "trainable"}], "steps": [{"op", "name", "in": ["input" | "step <index>" | "param <index>"], attributes that are not
   0}]}. */
#include <cjson/cJSON.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/model/recipe.h"

/* Whole numbers among the attributes of the ops that a recipe can have. */
static const struct {
    const char *name;
    size_t offset;
} numbers[] = {{"kernel_h", offsetof(fv_attributes, kernel_h)},     {"kernel_w", offsetof(fv_attributes, kernel_w)},
               {"stride", offsetof(fv_attributes, stride)},         {"dilation", offsetof(fv_attributes, dilation)},
               {"groups", offsetof(fv_attributes, groups)},         {"scale", offsetof(fv_attributes, scale)},
               {"top", offsetof(fv_attributes, padding.top)},       {"left", offsetof(fv_attributes, padding.left)},
               {"bottom", offsetof(fv_attributes, padding.bottom)}, {"right", offsetof(fv_attributes, padding.right)}};

/* Of JSON, each of which takes 64 bytes and more: those of the largest recipe are 25 for a step and 8 for a parameter.
 */
#define MOST_VALUES (25 * FV_RECIPE_MAX_STEPS + 8 * FV_RECIPE_MAX_PARAMS)
#define NUMBERS (sizeof numbers / sizeof *numbers)

static const char *const source_names[] = {
    [FV_FROM_INPUT] = "input", [FV_FROM_STEP] = "step", [FV_FROM_PARAM] = "param"};

/* ---- writing ---- */

static cJSON *step_to_json(const fv_recipe_step *step) {
    cJSON *item = cJSON_CreateObject(), *in = cJSON_AddArrayToObject(item, "in");
    const fv_attributes *a = &step->attributes;
    cJSON_AddStringToObject(item, "op", fv_op_table[step->kind]->name);
    cJSON_AddStringToObject(item, "name", step->name);
    for (int k = 0; k < step->inputs; k++) {
        char text[32];
        snprintf(text, sizeof text, "%s %d", source_names[step->in[k].source], step->in[k].index);
        cJSON_AddItemToArray(in, cJSON_CreateString(text));
    }
    for (size_t i = 0; i < NUMBERS; i++) {
        int value = *(const int *)(const void *)((const char *)a + numbers[i].offset);
        if (value) cJSON_AddNumberToObject(item, numbers[i].name, value);
    }
    if (a->padding.mode == FV_PAD_SAME) cJSON_AddTrueToObject(item, "same");
    if (a->epsilon != 0) cJSON_AddNumberToObject(item, "epsilon", a->epsilon);
    return item;
}

static cJSON *param_to_json(const fv_recipe_param *param) {
    cJSON *item = cJSON_CreateObject();
    int shape[4] = {param->shape.n, param->shape.h, param->shape.w, param->shape.c};
    cJSON_AddStringToObject(item, "name", param->name);
    cJSON_AddItemToObject(item, "shape", cJSON_CreateIntArray(shape, 4));
    cJSON_AddBoolToObject(item, "trainable", param->trainable);
    return item;
}

char *fv_recipe_json(const fv_recipe *recipe) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "output", recipe->output);
    cJSON *params = cJSON_AddArrayToObject(root, "params"), *steps = cJSON_AddArrayToObject(root, "steps");
    for (int i = 0; i < recipe->param_count; i++) cJSON_AddItemToArray(params, param_to_json(&recipe->params[i]));
    for (int i = 0; i < recipe->step_count; i++) cJSON_AddItemToArray(steps, step_to_json(&recipe->steps[i]));
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

/* ---- reading ---- */

static fv_status complain(const char *path, const char *what) {
    return fv_fail(FV_BAD_INPUT, "%s: the network in the file's metadata has no valid %s", path, what);
}

static fv_status read_name(const cJSON *item, const char *path, char name[FV_NAME_MAX]) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
    if (!text || !*text || strlen(text) >= FV_NAME_MAX) return complain(path, "name");
    memcpy(name, text, strlen(text) + 1);
    return FV_OK;
}

static bool read_whole(const cJSON *item, int *value) {
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= INT_MIN && item->valuedouble <= INT_MAX)) return false;
    *value = (int)item->valuedouble;
    return *value == item->valuedouble;
}

static fv_status read_param(const cJSON *item, const char *path, fv_recipe *recipe) {
    fv_recipe_param param = {.trainable = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "trainable"))};
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
    int *sizes[4] = {&param.shape.n, &param.shape.h, &param.shape.w, &param.shape.c};
    FV_TRY(read_name(item, path, param.name));
    if (cJSON_GetArraySize(shape) != 4) return complain(path, "shape");
    for (int i = 0; i < 4; i++)
        if (!read_whole(cJSON_GetArrayItem(shape, i), sizes[i])) return complain(path, "shape");
    return fv_fail_about(fv_recipe_add_param(recipe, &param), path);
}

static fv_status read_ref(const cJSON *item, const char *path, fv_recipe_ref *ref) {
    const char *text = cJSON_GetStringValue(item);
    for (int i = 0; text && i < 3; i++) {
        size_t length = strlen(source_names[i]);
        char *end;
        if (strncmp(text, source_names[i], length) != 0 || text[length] != ' ') continue;
        long index = strtol(text + length + 1, &end, 10);
        if (*end || index < 0 || index > INT_MAX) break;
        *ref = (fv_recipe_ref){(fv_recipe_source)i, (int)index};
        return FV_OK;
    }
    return complain(path, "input of a step");
}

static fv_status read_op(const cJSON *item, const char *path, fv_op_kind *kind) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "op"));
    for (int i = 0; text && i < FV_OP_COUNT; i++)
        if (strcmp(fv_op_table[i]->name, text) == 0) {
            *kind = (fv_op_kind)i;
            return FV_OK;
        }
    return text ? fv_fail(FV_BAD_INPUT, "%s: the network has the op \"%.40s\", which this fovea does not have", path,
                          text)
                : complain(path, "op");
}

static fv_status read_step(const cJSON *item, const char *path, fv_recipe *recipe) {
    fv_recipe_step step = {0};
    const cJSON *in = cJSON_GetObjectItemCaseSensitive(item, "in");
    FV_TRY(read_name(item, path, step.name));
    FV_TRY(read_op(item, path, &step.kind));
    step.inputs = cJSON_GetArraySize(in);
    if (step.inputs < 1 || step.inputs > FV_MAX_INPUTS) return complain(path, "list of inputs");
    for (int k = 0; k < step.inputs; k++) FV_TRY(read_ref(cJSON_GetArrayItem(in, k), path, &step.in[k]));
    for (size_t i = 0; i < NUMBERS; i++) {
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(item, numbers[i].name);
        int *value = (int *)(void *)((char *)&step.attributes + numbers[i].offset);
        if (number && !read_whole(number, value)) return complain(path, numbers[i].name);
    }
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "same"))) step.attributes.padding.mode = FV_PAD_SAME;
    const cJSON *epsilon = cJSON_GetObjectItemCaseSensitive(item, "epsilon");
    if (cJSON_IsNumber(epsilon)) step.attributes.epsilon = epsilon->valuedouble;
    return fv_fail_about(fv_recipe_add_step(recipe, &step), path);
}

static fv_status read_all(const cJSON *root, const char *path, fv_recipe *recipe) {
    const cJSON *item, *params = cJSON_GetObjectItemCaseSensitive(root, "params"),
                       *steps = cJSON_GetObjectItemCaseSensitive(root, "steps");
    cJSON_ArrayForEach(item, params) FV_TRY(read_param(item, path, recipe));
    cJSON_ArrayForEach(item, steps) FV_TRY(read_step(item, path, recipe));
    bool known = read_whole(cJSON_GetObjectItemCaseSensitive(root, "output"), &recipe->output);
    if (known && recipe->output >= 0 && recipe->output < recipe->step_count) return FV_OK;
    return complain(path, "output");
}

/* Every value but the first stands behind one of these. */
static bool is_too_long(const char *text) {
    int values = 0;
    for (; *text && values <= MOST_VALUES; text++) values += *text == ',' || *text == '[' || *text == '{';
    return values > MOST_VALUES;
}

fv_status fv_recipe_parse(const char *text, const char *path, fv_recipe **out) {
    *out = NULL;
    if (is_too_long(text))
        return fv_fail(FV_BAD_INPUT, "%s: the network in the file's metadata has more than %d values", path,
                       MOST_VALUES);
    cJSON *root = cJSON_Parse(text);
    fv_recipe *recipe = fv_recipe_make();
    fv_status status = !recipe ? FV_NO_RESOURCE : root ? read_all(root, path, recipe) : complain(path, "JSON");
    cJSON_Delete(root);
    if (status == FV_OK)
        *out = recipe;
    else
        fv_recipe_free(recipe);
    return status;
}
