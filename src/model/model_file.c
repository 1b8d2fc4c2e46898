/* Model files: safetensors with the parameters as "model.<name>" and the spec as JSON in the metadata. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/model/model.h"
#include "fovea/tensor/half.h"

#define FORMAT_VERSION 1
#define SPEC_KEY "fovea.model"
#define RECIPE_KEY "fovea.recipe"
#define THRESHOLDS_KEY "fovea.thresholds"
#define RANGES_KEY "fovea.ranges"
#define TRAINING_KEY "fovea.training" /* a checkpoint's state: nothing without its moments */
#define VALUE_PREFIX "model."

/* ---- writing ---- */

static void enhance_to_json(const fv_enhance *enhance, cJSON *item) {
    char steps[FV_ENHANCE_TEXT];
    fv_enhance_text(enhance, steps);
    cJSON_AddStringToObject(item, "enhance", steps);
    cJSON_AddNumberToObject(item, "clahe_clip", enhance->clahe_clip);
    cJSON_AddNumberToObject(item, "clahe_tiles", enhance->clahe_tiles);
    cJSON_AddNumberToObject(item, "unsharp_amount", enhance->unsharp_amount);
    cJSON_AddNumberToObject(item, "unsharp_sigma", enhance->unsharp_sigma);
    cJSON_AddNumberToObject(item, "local_sigma", enhance->local_sigma);
}

static cJSON *spec_to_json(const fv_model_spec *spec) {
    const fv_preprocess *pre = &spec->preprocess;
    cJSON *root = cJSON_CreateObject(), *classes = cJSON_AddArrayToObject(root, "classes");
    cJSON_AddNumberToObject(root, "format", FORMAT_VERSION);
    cJSON_AddStringToObject(root, "network", spec->network);
    cJSON_AddNumberToObject(root, "width", spec->width);
    cJSON_AddNumberToObject(root, "base", spec->base);
    cJSON_AddNumberToObject(root, "depth", spec->depth);
    cJSON_AddStringToObject(root, "norm", fv_norm_names[spec->norm]);
    cJSON_AddStringToObject(root, "convention", fv_convention_names[spec->convention]);
    for (int c = 0; c < spec->classes; c++) {
        cJSON *class_item = cJSON_CreateObject();
        cJSON_AddStringToObject(class_item, "name", spec->class_names[c]);
        cJSON_AddNumberToObject(class_item, "threshold", spec->thresholds[c]);
        cJSON_AddItemToArray(classes, class_item);
    }
    cJSON *item = cJSON_AddObjectToObject(root, "preprocess");
    cJSON_AddNumberToObject(item, "size", pre->size);
    cJSON_AddNumberToObject(item, "work_size", pre->work_size);
    cJSON_AddStringToObject(item, "fit", fv_fit_names[pre->fit]);
    if (pre->fit == FV_FIT_FOV) cJSON_AddNumberToObject(item, "fov_diameter", pre->fov_diameter);
    if (pre->fit == FV_FIT_FOV) cJSON_AddNumberToObject(item, "fov_degrees", pre->fov_degrees);
    cJSON_AddBoolToObject(item, "windows", pre->windows);
    cJSON_AddNumberToObject(item, "tile", pre->tile);
    enhance_to_json(&pre->enhance, item);
    cJSON_AddStringToObject(item, "normalise", fv_normalise_names[pre->normalise]);
    cJSON_AddStringToObject(
        root, "weights",
        "names model.*, float32 or float16; kernels {height, width, in, out}; depthwise {height, width, 1, channels}");
    return root;
}

/* Whether no finite value becomes infinite as a half. */
static bool fits_halves(const fv_real *values, const uint16_t *halves, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]) && isinf(fv_half_to_float(halves[i]))) return false;
    return true;
}

/* From `values` or, where they are there and hold what the values are, from `halves`: the same numbers in both. */
static fv_status add_values(const fv_model *model, const fv_real *values, const uint16_t *halves,
                            fv_safetensors_writer *writer) {
    for (int i = 0; i < model->params.count; i++) {
        const fv_param *param = &model->params.list[i];
        char name[FV_NAME_MAX + sizeof VALUE_PREFIX];
        snprintf(name, sizeof name, VALUE_PREFIX "%s", param->name);
        fv_shape s = param->shape;
        int64_t shape[4] = {s.n, s.h, s.w, s.c};
        size_t offset = param->offset;
        bool half = halves && fits_halves(values + offset, halves + offset, param->count);
        const void *data = half ? (const void *)(halves + offset) : values + offset;
        FV_TRY(fv_safetensors_add(writer, name, half ? "F16" : "F32", 4, shape, data));
    }
    return FV_OK;
}

char *fv_model_spec_json(const fv_model_spec *spec) {
    cJSON *json = spec_to_json(spec);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

static fv_status add_spec(const fv_model *model, fv_safetensors_writer *writer) {
    char *text = fv_model_spec_json(&model->spec);
    fv_status status =
        text ? fv_safetensors_add_metadata(writer, SPEC_KEY, text) : fv_fail_memory("a model's settings", 4096);
    free(text);
    FV_TRY(status);
    return model->ranges ? fv_safetensors_add_metadata(writer, RANGES_KEY, model->ranges) : FV_OK;
}

/* The network itself, where the spec's name does not say it all. */
static fv_status add_recipe(const fv_recipe *recipe, fv_safetensors_writer *writer) {
    if (!recipe) return FV_OK;
    char *text = fv_recipe_json(recipe);
    fv_status status =
        text ? fv_safetensors_add_metadata(writer, RECIPE_KEY, text) : fv_fail_memory("a model's network", 4096);
    free(text);
    return status;
}

fv_status fv_model_add_to(const fv_model *model, const fv_real *values, fv_safetensors_writer *writer) {
    FV_TRY(add_spec(model, writer));
    FV_TRY(add_recipe(model->recipe, writer));
    return add_values(model, values ? values : model->params.values, NULL, writer);
}

fv_status fv_model_save(const fv_model *model, const char *path) {
    fv_safetensors_writer *writer;
    FV_TRY(fv_safetensors_writer_make(&writer));
    fv_status status = fv_model_add_to(model, NULL, writer);
    if (status == FV_OK) return fv_safetensors_write(writer, path);
    fv_safetensors_writer_free(writer);
    return status;
}

/* ---- reading ---- */

static fv_status spec_error(const char *path, const char *field, const char *expected) {
    return fv_fail(FV_BAD_INPUT, "%s: the settings in the file's metadata have no valid \"%s\" (expected %s)", path,
                   field, expected);
}

static fv_status json_text(const cJSON *object, const char *field, const char *path, char *out, size_t size) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field);
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= size) return spec_error(path, field, "a short text");
    memcpy(out, item->valuestring, strlen(item->valuestring) + 1);
    return FV_OK;
}

static fv_status json_number(const cJSON *object, const char *field, const char *path, double low, double high,
                             double *out) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= high))
        return spec_error(path, field, "a number in its range");
    *out = item->valuedouble;
    return FV_OK;
}

static fv_status json_integer(const cJSON *object, const char *field, const char *path, int low, int high, int *out) {
    double number = low;
    FV_TRY(json_number(object, field, path, low, high, &number));
    *out = (int)number;
    return FV_OK;
}

static fv_status json_choice(const cJSON *object, const char *field, const char *path, const char *const *names,
                             int *out) {
    char text[32];
    FV_TRY(json_text(object, field, path, text, sizeof text));
    for (*out = 0; names[*out]; ++*out)
        if (strcmp(names[*out], text) == 0) return FV_OK;
    return spec_error(path, field, "one of the known names");
}

static fv_status enhance_from_json(const cJSON *item, const char *path, fv_enhance *enhance) {
    char steps[FV_ENHANCE_TEXT];
    *enhance = fv_enhance_standard();
    FV_TRY(json_text(item, "enhance", path, steps, sizeof steps));
    if (fv_enhance_parse(steps, enhance) != FV_OK)
        return fv_fail(FV_BAD_INPUT, "%s: enhance in the file's metadata: %s", path, fv_error());
    FV_TRY(json_number(item, "clahe_clip", path, 0, 1000, &enhance->clahe_clip));
    FV_TRY(json_integer(item, "clahe_tiles", path, 1, 64, &enhance->clahe_tiles));
    if (!cJSON_HasObjectItem(item, "unsharp_amount")) return FV_OK; /* written before there were such steps */
    FV_TRY(json_number(item, "unsharp_amount", path, 0, 10, &enhance->unsharp_amount));
    FV_TRY(json_number(item, "unsharp_sigma", path, 0.1, 20, &enhance->unsharp_sigma));
    return json_number(item, "local_sigma", path, 1, 500, &enhance->local_sigma);
}

/* Files written before there were windows lack the fields about them. */
static fv_status windows_from_json(const cJSON *item, const char *path, fv_preprocess *pre) {
    const cJSON *windows = cJSON_GetObjectItemCaseSensitive(item, "windows");
    if (windows && !cJSON_IsBool(windows)) return spec_error(path, "windows", "true or false");
    pre->windows = cJSON_IsTrue(windows);
    if (pre->windows) FV_TRY(json_integer(item, "tile", path, 0, 4096, &pre->tile));
    if (pre->fit != FV_FIT_FOV) return FV_OK;
    FV_TRY(json_integer(item, "fov_diameter", path, 32, FV_PREPROCESS_MAX_SIZE, &pre->fov_diameter));
    if (!cJSON_HasObjectItem(item, "fov_degrees")) return FV_OK; /* written before angles counted */
    return json_number(item, "fov_degrees", path, 0, FV_FOV_DEGREES_MAX, &pre->fov_degrees);
}

static fv_status preprocess_from_json(const cJSON *item, const char *path, fv_preprocess *pre) {
    int fit = 0, normalise = 0;
    FV_TRY(json_integer(item, "size", path, 32, 4096, &pre->size));
    FV_TRY(json_integer(item, "work_size", path, 32, FV_PREPROCESS_MAX_SIZE, &pre->work_size));
    FV_TRY(json_choice(item, "fit", path, fv_fit_names, &fit));
    FV_TRY(json_choice(item, "normalise", path, fv_normalise_names, &normalise));
    pre->fit = (fv_fit)fit;
    pre->normalise = (fv_normalise)normalise;
    FV_TRY(enhance_from_json(item, path, &pre->enhance));
    return windows_from_json(item, path, pre);
}

static fv_status classes_from_json(const cJSON *classes, const char *path, fv_model_spec *spec) {
    spec->classes = cJSON_GetArraySize(classes);
    if (!cJSON_IsArray(classes) || spec->classes < 1 || spec->classes > FV_MAX_CLASSES)
        return spec_error(path, "classes", "1 to 8 classes");
    for (int c = 0; c < spec->classes; c++) {
        const cJSON *item = cJSON_GetArrayItem(classes, c);
        FV_TRY(json_text(item, "name", path, spec->class_names[c], sizeof spec->class_names[c]));
        FV_TRY(json_number(item, "threshold", path, 0, 1, &spec->thresholds[c]));
    }
    return FV_OK;
}

static fv_status spec_from_json(const cJSON *root, const char *path, fv_model_spec *spec) {
    int format = 0, convention = 0, norm = FV_NORM_BATCH;
    FV_TRY(json_integer(root, "format", path, 1, 1 << 30, &format));
    if (format > FORMAT_VERSION)
        return fv_fail(FV_BAD_INPUT, "%s has model format %d, this fovea reads up to %d: use a newer fovea", path,
                       format, FORMAT_VERSION);
    FV_TRY(json_text(root, "network", path, spec->network, sizeof spec->network));
    FV_TRY(json_number(root, "width", path, 0.1, 4, &spec->width));
    /* Files written before there were networks with a base, a depth, a norm lack them. */
    if (cJSON_HasObjectItem(root, "base")) FV_TRY(json_integer(root, "base", path, 0, FV_BASE_MAX, &spec->base));
    if (cJSON_HasObjectItem(root, "depth")) FV_TRY(json_integer(root, "depth", path, 0, FV_DEPTH_MAX, &spec->depth));
    if (cJSON_HasObjectItem(root, "norm")) FV_TRY(json_choice(root, "norm", path, fv_norm_names, &norm));
    spec->norm = (fv_norm_kind)norm;
    FV_TRY(json_choice(root, "convention", path, fv_convention_names, &convention));
    spec->convention = (fv_convention)convention;
    FV_TRY(classes_from_json(cJSON_GetObjectItemCaseSensitive(root, "classes"), path, spec));
    return preprocess_from_json(cJSON_GetObjectItemCaseSensitive(root, "preprocess"), path, &spec->preprocess);
}

fv_status fv_model_spec_parse(const char *text, const char *path, fv_model_spec *spec) {
    cJSON *root = cJSON_Parse(text);
    *spec = (fv_model_spec){0};
    fv_status status = root ? spec_from_json(root, path, spec) : spec_error(path, SPEC_KEY, "JSON");
    cJSON_Delete(root);
    return status;
}

static fv_status spec_read(const fv_safetensors *file, fv_model_spec *spec) {
    const char *text = fv_safetensors_metadata(file, SPEC_KEY);
    if (!text)
        return fv_fail(FV_BAD_INPUT,
                       "%s is a safetensors file but not a fovea model (no \"" SPEC_KEY
                       "\" in its metadata); weights of another "
                       "framework become one by fovea import",
                       file->path);
    return fv_model_spec_parse(text, file->path, spec);
}

static fv_status value_check(const fv_param *param, const fv_safetensor *tensor, const char *path) {
    fv_shape s = param->shape;
    const int64_t shape[4] = {s.n, s.h, s.w, s.c};
    if (!tensor)
        return fv_fail(FV_BAD_INPUT, "%s is from another network: it has no tensor \"" VALUE_PREFIX "%s\"", path,
                       param->name);
    bool float32 = strcmp(tensor->dtype, "F32") == 0, half = strcmp(tensor->dtype, "F16") == 0;
    if (!(float32 || half) || tensor->dims != 4 || memcmp(tensor->shape, shape, sizeof shape) != 0) {
        char text[FV_SHAPE_TEXT];
        return fv_fail(FV_BAD_INPUT,
                       "%s is from another network: tensor \"" VALUE_PREFIX "%s\" should be F32 or F16 of shape %s",
                       path, param->name, fv_shape_text(s, text));
    }
    return FV_OK;
}

static void take_value(const fv_param *param, const fv_safetensor *tensor, fv_real *values) {
    if (strcmp(tensor->dtype, "F16") == 0)
        fv_halves_to_floats(param->count, tensor->data, values + param->offset);
    else
        memcpy(values + param->offset, tensor->data, tensor->bytes);
}

fv_status fv_model_read_values(fv_model *model, const fv_safetensors *file) {
    for (int pass = 0; pass < 2; pass++) /* all is checked before the first value changes */
        for (int i = 0; i < model->params.count; i++) {
            const fv_param *param = &model->params.list[i];
            char name[FV_NAME_MAX + sizeof VALUE_PREFIX];
            snprintf(name, sizeof name, VALUE_PREFIX "%s", param->name);
            const fv_safetensor *tensor = fv_safetensors_find(file, name);
            if (pass == 0)
                FV_TRY(value_check(param, tensor, file->path));
            else
                take_value(param, tensor, model->params.values);
        }
    return FV_OK;
}

/* By the spec's name or the file's recipe, without its values yet. */
static fv_status make_network(const fv_safetensors *file, const fv_model_spec *spec, fv_model **model) {
    if (strcmp(spec->network, FV_RECIPE_NETWORK) != 0) {
        if (fv_model_spec_check(spec) != FV_OK) return fv_fail(FV_BAD_INPUT, "%s: %s", file->path, fv_error());
        return fv_model_make(spec, 0, model);
    }
    const char *text = fv_safetensors_metadata(file, RECIPE_KEY);
    fv_recipe *recipe;
    if (!text) return fv_fail(FV_BAD_INPUT, "%s has no network (no \"" RECIPE_KEY "\" in its metadata)", file->path);
    FV_TRY(fv_recipe_parse(text, file->path, &recipe));
    return fv_fail_about(fv_model_make_recipe(spec, recipe, model), file->path);
}

static fv_status take_ranges(const fv_safetensors *file, fv_model *model) {
    const char *text = fv_safetensors_metadata(file, RANGES_KEY);
    if (!text) return FV_OK;
    model->ranges = strdup(text);
    return model->ranges ? FV_OK : fv_fail_memory("the ranges of 8-bit results", strlen(text));
}

fv_status fv_model_from_safetensors(const fv_safetensors *file, fv_model **model) {
    fv_model_spec spec;
    *model = NULL;
    FV_TRY(spec_read(file, &spec));
    FV_TRY(make_network(file, &spec, model));
    fv_status status = fv_model_read_values(*model, file);
    if (status == FV_OK) status = take_ranges(file, *model);
    if (status == FV_OK) return FV_OK;
    fv_model_free(*model);
    *model = NULL;
    return status;
}

fv_status fv_model_load(const char *path, fv_model **model) {
    fv_safetensors file;
    *model = NULL;
    FV_TRY(fv_safetensors_read(path, &file));
    fv_status status = fv_model_from_safetensors(&file, model);
    fv_safetensors_free(&file);
    return status;
}

/* ---- a file made from another ---- */

/* All but what is written anew and what the new file has no use for. */
static fv_status copy_metadata(const fv_safetensors *file, const char *const *without, fv_safetensors_writer *writer) {
    const cJSON *item;
    cJSON_ArrayForEach(item, (const cJSON *)file->metadata) {
        bool keep = true;
        for (int i = 0; without[i]; i++) keep = keep && strcmp(item->string, without[i]) != 0;
        if (keep) FV_TRY(fv_safetensors_add_metadata(writer, item->string, item->valuestring));
    }
    return FV_OK;
}

/* `halves` as in add_values(); `origin`: of the thresholds, NULL for none. */
static fv_status add_all(const fv_safetensors *file, const fv_model *model, const uint16_t *halves, const char *origin,
                         fv_safetensors_writer *writer) {
    static const char *const without[] = {SPEC_KEY, THRESHOLDS_KEY, RANGES_KEY, TRAINING_KEY, NULL};
    FV_TRY(add_spec(model, writer));
    FV_TRY(add_values(model, model->params.values, halves, writer));
    FV_TRY(copy_metadata(file, without, writer));
    return origin ? fv_safetensors_add_metadata(writer, THRESHOLDS_KEY, origin) : FV_OK;
}

static fv_status rewrite(const fv_safetensors *file, const fv_model *model, bool half, const char *origin,
                         const char *path) {
    const fv_params *params = &model->params;
    uint16_t *halves = half ? fv_allocate(params->total, sizeof *halves, "a model's halves") : NULL;
    if (half && !halves) return FV_NO_RESOURCE;
    if (half) fv_halves_from_floats(params->total, params->values, halves);
    fv_safetensors_writer *writer = NULL;
    fv_status status = fv_safetensors_writer_make(&writer);
    if (status == FV_OK) status = add_all(file, model, halves, origin, writer);
    if (status == FV_OK)
        status = fv_safetensors_write(writer, path);
    else
        fv_safetensors_writer_free(writer);
    free(halves);
    return status;
}

/* Whether the file holds the model's values as halves. */
static bool has_halves(const fv_safetensors *file) {
    for (int i = 0; i < file->count; i++) {
        bool value = strncmp(file->list[i].name, VALUE_PREFIX, strlen(VALUE_PREFIX)) == 0;
        if (value && strcmp(file->list[i].dtype, "F16") == 0) return true;
    }
    return false;
}

/* Opens a model file for rewriting; on failure nothing stays open. */
static fv_status open_model(const char *path, fv_safetensors *file, fv_model **model) {
    FV_TRY(fv_safetensors_read(path, file));
    fv_status status = fv_model_from_safetensors(file, model);
    if (status != FV_OK) fv_safetensors_free(file);
    return status;
}

fv_status fv_model_file_set_thresholds(const char *path, const double *thresholds, const char *origin) {
    fv_safetensors file;
    fv_model *model;
    FV_TRY(open_model(path, &file, &model));
    memcpy(model->spec.thresholds, thresholds, (size_t)model->spec.classes * sizeof *thresholds);
    fv_status status = rewrite(&file, model, has_halves(&file), origin, path);
    fv_model_free(model);
    fv_safetensors_free(&file);
    return status;
}

fv_status fv_model_file_halve(const char *path, const char *ranges, const char *half_path) {
    fv_safetensors file;
    fv_model *model;
    FV_TRY(open_model(path, &file, &model));
    free(model->ranges);
    model->ranges = ranges ? strdup(ranges) : NULL;
    fv_status status = ranges && !model->ranges ? fv_fail_memory("the ranges of 8-bit results", strlen(ranges)) : FV_OK;
    if (status == FV_OK)
        status = rewrite(&file, model, true, fv_safetensors_metadata(&file, THRESHOLDS_KEY), half_path);
    fv_model_free(model);
    fv_safetensors_free(&file);
    return status;
}
