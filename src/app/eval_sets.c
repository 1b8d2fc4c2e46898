#include "eval_sets.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/csv.h"
#include "fovea/base/log.h"
#include "json_file.h"

enum { SETS_MAX = 16 };

/* One of the sets, and what was measured on it. */
typedef struct measured_set {
    char csv[FV_PATH_MAX], name[64];
    fv_split split;
    fv_manifest manifest;
    fv_evaluation evaluation;
} measured_set;

typedef struct measured_sets {
    measured_set *list;
    int count;
} measured_sets;

/* ---- which ---- */

/* A table is itself, a folder has an index.csv; false when there is neither. */
static bool is_set(const char *path, char csv[FV_PATH_MAX]) {
    if (!fv_folder_exists(path)) return fv_path_join(csv, "", path) == FV_OK && fv_file_exists(csv);
    return fv_path_join(csv, path, "index.csv") == FV_OK && fv_file_exists(csv);
}

static fv_status find_set(const char *word, measured_set *set) {
    char below[FV_PATH_MAX];
    const char *data = getenv("FOVEA_DATA");
    if (is_set(word, set->csv)) return FV_OK;
    if (data && *data) FV_TRY(fv_path_join(below, data, word));
    if (data && *data && is_set(below, set->csv)) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "--on %s: there is no such table (CSV), nor a folder with an index.csv, here or below "
                   "FOVEA_DATA (%s)",
                   word, data && *data ? data : "not set");
}

static bool has_test(const fv_manifest *manifest) {
    for (int r = 0; r < manifest->count; r++)
        if (manifest->records[r].split == FV_SPLIT_TEST) return true;
    return false;
}

/* Cuts ":45" off a word, the angle of the set's camera; 0 without it. */
static fv_status split_degrees(char *word, double *degrees) {
    char *colon = strrchr(word, ':'), *end;
    *degrees = 0;
    if (!colon || strchr(colon, '/')) return FV_OK;
    *degrees = strtod(colon + 1, &end);
    if (end == colon + 1 || *end || !(*degrees >= FV_FOV_DEGREES_MIN && *degrees <= FV_FOV_DEGREES_MAX))
        return fv_fail(FV_BAD_INPUT,
                       "--on %s: expected the angle that the camera sees behind the colon, %d to %d degrees", word,
                       FV_FOV_DEGREES_MIN, FV_FOV_DEGREES_MAX);
    *colon = '\0';
    return FV_OK;
}

static fv_status read_set(const eval_sets_request *request, const fv_model_spec *spec, char *word,
                          measured_sets *sets) {
    measured_set *set = &sets->list[sets->count];
    fv_manifest_source source = {.csv = set->csv};
    FV_TRY(split_degrees(word, &source.fov_degrees));
    FV_TRY(find_set(word, set));
    for (int i = 0; i < request->columns->count; i++)
        FV_TRY(fv_manifest_source_column(&source, spec, request->columns->items[i]));
    fv_manifest_init(&set->manifest, spec);
    sets->count++;
    FV_TRY(fv_manifest_append(&set->manifest, &source));
    snprintf(set->name, sizeof set->name, "%s", set->manifest.records[0].set);
    for (int i = 0; i < sets->count - 1; i++)
        if (strcmp(sets->list[i].name, set->name) == 0)
            return fv_fail(FV_BAD_INPUT, "--on: %s and %s are both called %s; give sets of different names",
                           sets->list[i].csv, set->csv, set->name);
    set->split = !request->any_split ? request->split : has_test(&set->manifest) ? FV_SPLIT_TEST : FV_SPLIT_NONE;
    if (fv_evaluate_check(spec, &set->manifest, set->split) == FV_OK) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s: %s", set->name, fv_error()); /* before any other set is measured */
}

static fv_status read_sets(const eval_sets_request *request, const fv_model_spec *spec, measured_sets *sets) {
    for (const char *at = request->sets; *at;) {
        char word[FV_PATH_MAX];
        size_t length = strcspn(at, ",");
        if (length == 0 || length >= sizeof word)
            return fv_fail(FV_BAD_INPUT, "--on %s: expected names of sets separated by commas", request->sets);
        if (sets->count == SETS_MAX) return fv_fail(FV_BAD_INPUT, "--on: at most %d sets at a time", SETS_MAX);
        memcpy(word, at, length);
        word[length] = '\0';
        FV_TRY(read_set(request, spec, word, sets));
        at += length + (at[length] == ',');
    }
    return sets->count ? FV_OK : fv_fail(FV_BAD_INPUT, "--on: no set is named");
}

/* ---- table ---- */

static const char *split_title(const measured_set *set) {
    return set->split == FV_SPLIT_NONE ? "all" : fv_split_names[set->split];
}

static void print_row(FILE *stream, const measured_set *set, const fv_model_spec *spec, int c) {
    const fv_estimate *score = set->evaluation.score[c], *dice = &score[FV_SCORE_DICE];
    if (dice->n == 0) return;
    fprintf(stream, "  %-12s %-5s %4d  %-7s %.4f [%.4f, %.4f]  %.4f  %.4f  %.4f", set->name, split_title(set), dice->n,
            spec->class_names[c], dice->mean, dice->lo, dice->hi, score[FV_SCORE_AUC].mean, score[FV_SCORE_RECALL].mean,
            score[FV_SCORE_SPECIFICITY].mean);
    const fv_agreement *density = &set->evaluation.density;
    bool vessel = strcmp(spec->class_names[c], "vessel") == 0;
    if (vessel) fprintf(stream, "  %.4f", score[FV_SCORE_CLDICE].mean);
    if (vessel && isfinite(density->ccc)) fprintf(stream, "  %.3f", density->ccc);
    if (vessel && !isfinite(density->ccc)) fprintf(stream, "      -");
    if (vessel && isfinite(density->relative_bias)) fprintf(stream, "  %+.1f %%", 100 * density->relative_bias);
    fputc('\n', stream);
}

static void print_sets(FILE *stream, const measured_sets *sets, const fv_model_spec *spec, const char *title) {
    fprintf(stream, "%s\n  set          split    n  class   Dice   95 %% interval     AUC     sens.   spec.", title);
    fprintf(stream, "%s\n", fv_model_class(spec, "vessel") >= 0 ? "   clDice  density ccc, bias" : "");
    for (int i = 0; i < sets->count; i++)
        for (int c = 0; c < spec->classes; c++) print_row(stream, &sets->list[i], spec, c);
}

/* ---- files ---- */

static char *sets_json(const measured_sets *sets, const fv_model_spec *spec) {
    cJSON *root = cJSON_CreateObject(), *items = cJSON_AddObjectToObject(root, "sets");
    for (int i = 0; i < sets->count; i++) {
        const measured_set *set = &sets->list[i];
        char *figures = fv_evaluation_json(&set->evaluation, spec);
        cJSON *item = cJSON_AddObjectToObject(items, set->name);
        cJSON_AddStringToObject(item, "split", split_title(set));
        cJSON_AddStringToObject(item, "csv", set->csv);
        if (figures) cJSON_AddItemToObject(item, "figures", cJSON_Parse(figures));
        free(figures);
    }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

static void write_number(FILE *stream, double value) {
    if (isfinite(value))
        fprintf(stream, ",%.5f", value);
    else
        fputc(',', stream);
}

static void write_row(FILE *stream, const measured_set *set, const fv_model_spec *spec, int c) {
    const fv_evaluation *e = &set->evaluation;
    bool vessel = strcmp(spec->class_names[c], "vessel") == 0;
    fv_csv_write_cell(stream, set->name, ',');
    fprintf(stream, "%s,%s,%d", split_title(set), spec->class_names[c], e->score[c][FV_SCORE_DICE].n);
    for (int i = 0; i < FV_SCORES; i++) write_number(stream, e->score[c][i].mean);
    write_number(stream, e->score[c][FV_SCORE_DICE].lo);
    write_number(stream, e->score[c][FV_SCORE_DICE].hi);
    write_number(stream, e->pooled_auc[c]);
    write_number(stream, vessel ? e->density.ccc : NAN);
    write_number(stream, vessel ? e->density.relative_bias : NAN);
    fputc('\n', stream);
}

static fv_status write_csv(const measured_sets *sets, const fv_model_spec *spec, const char *path) {
    fv_file file;
    FV_TRY(fv_file_begin(&file, path));
    fputs("set,split,class,n", file.stream);
    for (int i = 0; i < FV_SCORES; i++) fprintf(file.stream, ",%s", fv_score_names[i]);
    fputs(",dice_lo,dice_hi,pooled_auc,density_ccc,density_relative_bias\n", file.stream);
    for (int i = 0; i < sets->count; i++)
        for (int c = 0; c < spec->classes; c++) write_row(file.stream, &sets->list[i], spec, c);
    return fv_file_commit(&file);
}

static fv_status write_folder(const measured_sets *sets, const fv_model_spec *spec, const char *folder) {
    char path[FV_PATH_MAX];
    FV_TRY(fv_path_join(path, folder, "sets.csv"));
    FV_TRY(write_csv(sets, spec, path));
    FV_TRY(fv_path_join(path, folder, "sets.json"));
    return json_write(sets_json(sets, spec), path);
}

/* ---- all of it ---- */

static fv_status measure(fv_model *model, const eval_sets_request *request, measured_set *set) {
    char folder[FV_PATH_MAX];
    fv_log_info("%s: %s photographs of %s", set->name, split_title(set), set->csv);
    FV_TRY(fv_evaluate(model, &set->manifest, set->split, &request->settings, &set->evaluation));
    if (!request->out) return FV_OK;
    FV_TRY(fv_path_join(folder, request->out, set->name));
    return evaluation_write(&set->evaluation, model, &set->manifest, &request->settings, folder);
}

static fv_status measure_all(fv_model *model, const eval_sets_request *request, measured_sets *sets) {
    bool beside_json = json_to_stdout(request->json);
    FV_TRY(read_sets(request, &model->spec, sets));
    if (request->out) FV_TRY(fv_folder_make(request->out)); /* found out before the work, not after */
    for (int i = 0; i < sets->count; i++) FV_TRY(measure(model, request, &sets->list[i]));
    if (!beside_json || !fv_log_is_quiet())
        print_sets(beside_json ? stderr : stdout, sets, &model->spec, request->title);
    if (request->json) FV_TRY(json_write(sets_json(sets, &model->spec), request->json));
    return request->out ? write_folder(sets, &model->spec, request->out) : FV_OK;
}

fv_status eval_sets(fv_model *model, const eval_sets_request *request) {
    measured_sets sets = {.list = calloc(SETS_MAX, sizeof *sets.list)};
    if (!sets.list) return fv_fail_memory("the sets of --on", SETS_MAX * sizeof *sets.list);
    fv_status status = measure_all(model, request, &sets);
    for (int i = 0; i < sets.count; i++) {
        fv_evaluation_free(&sets.list[i].evaluation);
        fv_manifest_free(&sets.list[i].manifest);
    }
    free(sets.list);
    return status;
}
