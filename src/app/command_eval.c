#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "eval_sets.h"
#include "evaluation.h"
#include "fovea/exchange/open.h"
#include "options.h"
#include "run_setup.h"
#include "thresholds.h"

typedef struct eval_arguments {
    const char *split, *manifest, *on, *root, *json, *out;
    option_list columns;
    long mask_threshold; /* -1: not given */
    double threshold;    /* of all classes; -1: the model's */
    double degrees;      /* that the camera of the table sees; 0: not given */
    bool flips, choose_threshold;
} eval_arguments;

static fv_status parse_split(const char *text, fv_split standard, fv_split *split) {
    *split = standard;
    if (!text) return FV_OK;
    for (int i = 0; fv_split_names[i]; i++)
        if (strcmp(fv_split_names[i], text) == 0) {
            *split = (fv_split)i;
            return FV_OK;
        }
    if (strcmp(text, "all") == 0) {
        *split = FV_SPLIT_NONE;
        return FV_OK;
    }
    return fv_fail(FV_BAD_INPUT, "--split %s: expected train, val, test or all", text);
}

static fv_status read_manifest(const eval_arguments *a, const fv_model_spec *spec, fv_manifest *manifest) {
    fv_manifest_source source = {.csv = a->manifest, .root = a->root, .fov_degrees = a->degrees};
    for (int i = 0; i < a->columns.count; i++) FV_TRY(fv_manifest_source_column(&source, spec, a->columns.items[i]));
    fv_manifest_init(manifest, spec);
    return fv_manifest_append(manifest, &source);
}

static fv_status evaluate(const eval_arguments *a, fv_model *model, const fv_manifest *manifest, const char *word,
                          const fv_evaluate_settings *settings, fv_split standard_split) {
    char title[256];
    evaluation_request request = {.settings = *settings, .out = a->out, .json = a->json, .title = title};
    FV_TRY(parse_split(a->split, standard_split, &request.split));
    const char *split_name = request.split == FV_SPLIT_NONE ? "all photographs" : fv_split_names[request.split];
    snprintf(title, sizeof title, "%.200s, %s", word, split_name);
    return evaluation_run(model, manifest, &request);
}

/* Of photographs that are not a run's. */
static fv_evaluate_settings table_settings(const eval_arguments *a) {
    int threshold = a->mask_threshold < 0 ? 127 : (int)a->mask_threshold;
    return (fv_evaluate_settings){.mask_threshold = threshold, .flips = a->flips, .seed = 1};
}

static fv_status eval_on_manifest(const eval_arguments *a, fv_model *model, const char *word) {
    fv_manifest manifest = {0};
    fv_evaluate_settings settings = table_settings(a);
    fv_status status = read_manifest(a, &model->spec, &manifest);
    if (status == FV_OK) status = evaluate(a, model, &manifest, word, &settings, FV_SPLIT_NONE);
    fv_manifest_free(&manifest);
    return status;
}

static fv_status eval_on_sets(const eval_arguments *a, fv_model *model, const char *word) {
    eval_sets_request request = {.sets = a->on,
                                 .columns = &a->columns,
                                 .any_split = !a->split,
                                 .settings = table_settings(a),
                                 .out = a->out,
                                 .json = a->json,
                                 .title = word};
    FV_TRY(parse_split(a->split, FV_SPLIT_NONE, &request.split));
    return eval_sets(model, &request);
}

/* The run's photographs, and how it wants them measured. */
static fv_status read_run(const eval_arguments *a, const char *word, run_setup *setup, fv_evaluate_settings *settings) {
    char config_path[FV_PATH_MAX];
    if (!fv_folder_exists(word))
        return fv_fail(FV_BAD_INPUT,
                       "%s is a model file: say what to measure it on with --manifest FILE.csv, or name the run folder",
                       word);
    FV_TRY(fv_path_join(config_path, word, "config.ini"));
    FV_TRY(run_setup_make(config_path, NULL, 0, setup));
    *settings = (fv_evaluate_settings){
        .mask_threshold = setup->settings.loader.mask_threshold, .flips = a->flips, .seed = setup->settings.seed};
    return FV_OK;
}

static fv_status load(const eval_arguments *a, const char *model_path, fv_model **model) {
    FV_TRY(fv_model_open(model_path, model));
    for (int c = 0; a->threshold >= 0 && c < (*model)->spec.classes; c++) (*model)->spec.thresholds[c] = a->threshold;
    return FV_OK;
}

static fv_status eval_on_run(const eval_arguments *a, const char *model_path, const char *word) {
    run_setup setup;
    fv_evaluate_settings settings;
    fv_model *model = NULL;
    FV_TRY(read_run(a, word, &setup, &settings));
    fv_status status = a->choose_threshold ? thresholds_choose(model_path, &setup.manifest, &settings) : FV_OK;
    if (status == FV_OK) status = load(a, model_path, &model);
    if (status == FV_OK) status = evaluate(a, model, &setup.manifest, word, &settings, FV_SPLIT_VAL);
    fv_model_free(model);
    run_setup_free(&setup);
    return status;
}

static fv_status eval(const eval_arguments *a, const char *word) {
    char model_path[FV_PATH_MAX];
    fv_model *model;
    FV_TRY(run_model_path(word, model_path));
    if (!fv_file_exists(model_path)) return fv_fail(FV_BAD_INPUT, "%s: there is no such file", model_path);
    if (!a->manifest && !a->on) return eval_on_run(a, model_path, word);
    FV_TRY(load(a, model_path, &model));
    fv_status status = a->on ? eval_on_sets(a, model, word) : eval_on_manifest(a, model, word);
    fv_model_free(model);
    return status;
}

/* Options that do not go together. */
static fv_status check_combination(const eval_arguments *a) {
    bool table = a->manifest || a->on;
    if (!a->manifest && (a->root || a->degrees > 0 || (!a->on && (a->columns.count > 0 || a->mask_threshold >= 0))))
        return fv_fail(FV_BAD_INPUT,
                       "--root, --fov-degrees, --column and --mask-threshold say how to read a table: give --manifest "
                       "FILE.csv too, or leave them out");
    if (a->manifest && a->on) return fv_fail(FV_BAD_INPUT, "give --manifest or --on, not both");
    if (a->choose_threshold && (table || a->threshold >= 0))
        return fv_fail(FV_BAD_INPUT, "--choose-threshold takes the run's own validation photographs: leave --manifest, "
                                     "--on and --threshold out");
    return FV_OK;
}

fv_status command_eval(int argc, char **argv) {
    eval_arguments a = {.mask_threshold = -1, .threshold = -1};
    bool done;
    char **words;
    int word_count;
    const option_spec options[] = {
        {"split", OPTION_TEXT, &a.split, "train|val|test|all",
         "which photographs (default val; all with --manifest; with --on the test split of sets that have one)", 0, 0},
        {"manifest", OPTION_TEXT, &a.manifest, "CSV",
         "measure on the photographs of this table instead of the run's own", 0, 0},
        {"on", OPTION_TEXT, &a.on, "A,B,...",
         "measure on several sets in one go: tables, or folders with an index.csv, here or below FOVEA_DATA; A:45 says "
         "that A's camera sees 45 degrees",
         0, 0},
        {"fov-degrees", OPTION_NUMBER, &a.degrees, "D",
         "of --manifest: the angle that the camera sees, where the table does not say (column fov_degrees)",
         FV_FOV_DEGREES_MIN, FV_FOV_DEGREES_MAX},
        {"root", OPTION_TEXT, &a.root, "DIR", "folder of the table's relative paths (default: the table's)", 0, 0},
        {"column", OPTION_LIST, &a.columns, "A=B", "the column for fundus, od, oc, bv, fov, split ... is called B", 0,
         0},
        {"mask-threshold", OPTION_INTEGER, &a.mask_threshold, "N",
         "mask pixels above N belong to the class (default 127)", 0, 254},
        {"threshold", OPTION_NUMBER, &a.threshold, "P",
         "pixels of at least this probability belong to the class (default: the model's)", 0, 1},
        {"choose-threshold", OPTION_FLAG, &a.choose_threshold, NULL,
         "of RUN: first choose each class's threshold on the validation photographs and keep it in best.safetensors", 0,
         0},
        {"flips", OPTION_FLAG, &a.flips, NULL,
         "mean of the four flips: slower, a little better (the standard of a run with eval.flips)", 0, 0},
        {"json", OPTION_TEXT, &a.json, "FILE", "figures as JSON; - for standard output", 0, 0},
        {"out", OPTION_TEXT, &a.out, "DIR",
         "evaluation.json, images.csv (a row a photograph), worst.png; with --on a folder a set, sets.json, sets.csv",
         0, 0},
    };
    const command_line line = {
        "eval",
        "RUN|MODEL [options]",
        "Dice, IoU, AUC, precision, recall ... of each class with 95 % bootstrap intervals over photographs, vessel "
        "density, and the\n"
        "error of vertical, horizontal and area cup-to-disc ratio, at each photograph's own size; vessels inside the "
        "field of view.",
        "  fovea eval runs/od_oc --split test\n"
        "  fovea eval runs/od_oc/best.safetensors --manifest other/index.csv --json -\n"
        "  fovea eval runs/od_oc --manifest table.csv --root photos --column fundus=image_path --column od=od_path\n"
        "  fovea eval runs/vessels --on drive:45,chase_db1:30,hrf:60 --out cross",
        options,
        sizeof options / sizeof *options};
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    if (word_count != 1) return fv_fail(FV_BAD_INPUT, "give one run folder or model file; see fovea eval --help");
    FV_TRY(check_combination(&a));
    FV_TRY(run_flips(words[0], &a.flips));
    return eval(&a, words[0]);
}
