#include "run_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/dataset/phantom.h"

static const char *const threshold_names[] = {"validation", "fixed", NULL};

/* The embedded data set. */
typedef struct phantom_set {
    int count, side;
    uint64_t seed;
    char dir[FV_PATH_MAX];
} phantom_set;

static fv_status phantoms_from_config(fv_config *config, phantom_set *set) {
    set->count = (int)fv_config_integer(config, "data", "phantoms", 120, 8, 100000);
    set->seed = (uint64_t)fv_config_integer(config, "data", "phantom_seed", 1, 0, 1L << 53);
    set->side = (int)fv_config_integer(config, "data", "phantom_side", 512, 64, 4096);
    char standard[128];
    snprintf(standard, sizeof standard, "runs/phantoms_%d_%ld_%d", set->count, (long)set->seed, set->side);
    return fv_path_join(set->dir, "", fv_config_text(config, "data", "phantom_dir", standard));
}

/* Drawn once, kept from run to run. */
static fv_status phantom_manifest(fv_config *config, const fv_model_spec *spec, fv_manifest *manifest) {
    char csv[FV_PATH_MAX];
    phantom_set set;
    FV_TRY(phantoms_from_config(config, &set));
    FV_TRY(fv_config_finish(config)); /* a wrong key is told before any drawing */
    FV_TRY(fv_phantom_write_set(set.dir, set.count, set.seed, set.side));
    FV_TRY(fv_path_join(csv, set.dir, "index.csv"));
    fv_manifest_init(manifest, spec);
    return fv_manifest_append(manifest, &(fv_manifest_source){.csv = csv, .set = "phantoms"});
}

static bool names_manifest(const fv_config *config) {
    return fv_config_has(config, "data", "manifest") || fv_config_section(config, "set.", 0);
}

/* An INI of phantoms may be given photographs from the command line: its keys about phantoms are then good, and unused.
 */
static void pass_phantom_keys(fv_config *config) {
    static const char *const keys[] = {"phantoms", "phantom_seed", "phantom_side", "phantom_dir"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (fv_config_has(config, "data", keys[i])) fv_config_text(config, "data", keys[i], NULL);
}

static fv_status manifest_make(run_setup *setup) {
    fv_config *config = setup->config;
    if (!names_manifest(config)) return phantom_manifest(config, &setup->settings.model, &setup->manifest);
    pass_phantom_keys(config);
    return fv_manifest_from_config(config, &setup->settings.model, &setup->manifest);
}

static fv_status read_settings(const char *config_path, char *const *overrides, int override_count, run_setup *setup) {
    FV_TRY(fv_config_read(config_path, &setup->config));
    for (int i = 0; i < override_count; i++) FV_TRY(fv_config_override(setup->config, overrides[i]));
    FV_TRY(fv_train_settings_from_config(setup->config, &setup->settings));
    setup->picture_every = (int)fv_config_integer(setup->config, "train", "picture_every", 1, 0, 1000000);
    setup->picture_samples = (int)fv_config_integer(setup->config, "train", "picture_samples", 4, 1, 16);
    setup->flips = fv_config_flag(setup->config, "eval", "flips", false);
    bool vessels = fv_model_class(&setup->settings.model, "vessel") >= 0;
    setup->choose_threshold =
        fv_config_choice(setup->config, "eval", "threshold", vessels ? 0 : 1, threshold_names) == 0;
    return FV_OK;
}

static fv_status make(const char *config_path, char *const *overrides, int override_count, run_setup *setup) {
    FV_TRY(read_settings(config_path, overrides, override_count, setup));
    FV_TRY(manifest_make(setup));
    FV_TRY(fv_config_finish(setup->config));
    setup->config_text = fv_config_resolved(setup->config);
    return setup->config_text ? FV_OK : fv_fail_memory("the settings", 65536);
}

fv_status run_setup_make(const char *config_path, char *const *overrides, int override_count, run_setup *setup) {
    *setup = (run_setup){0};
    fv_status status = make(config_path, overrides, override_count, setup);
    if (status != FV_OK) run_setup_free(setup);
    return status;
}

void run_setup_free(run_setup *setup) {
    fv_manifest_free(&setup->manifest);
    fv_config_free(setup->config);
    free(setup->config_text);
    *setup = (run_setup){0};
}

fv_status run_settings_read(const char *config_path, char *const *overrides, int override_count,
                            fv_train_settings *settings) {
    run_setup setup = {0};
    phantom_set set;
    fv_status status = read_settings(config_path, overrides, override_count, &setup);
    if (status == FV_OK && names_manifest(setup.config)) {
        status = fv_config_check(setup.config); /* the keys about the photographs are left to those who read them */
    } else if (status == FV_OK) {
        status = phantoms_from_config(setup.config, &set);
        if (status == FV_OK) status = fv_config_finish(setup.config);
    }
    *settings = setup.settings;
    run_setup_free(&setup);
    return status;
}

char *run_settings_standard(void) {
    run_setup setup = {0};
    phantom_set set;
    fv_status status = read_settings(NULL, NULL, 0, &setup);
    if (status == FV_OK) status = phantoms_from_config(setup.config, &set);
    char *text = status == FV_OK ? fv_config_resolved(setup.config) : NULL;
    run_setup_free(&setup);
    return text;
}

fv_status run_flips(const char *word, bool *flips) {
    char path[FV_PATH_MAX];
    fv_config *config;
    if (!fv_folder_exists(word)) return FV_OK;
    FV_TRY(fv_path_join(path, word, "config.ini"));
    if (!fv_file_exists(path)) return FV_OK; /* a folder with nothing but a model */
    FV_TRY(fv_config_read(path, &config));
    *flips |= fv_config_flag(config, "eval", "flips", false);
    fv_status status = fv_config_check(config);
    fv_config_free(config);
    return status;
}

fv_status run_model_path(const char *word, char model_path[FV_PATH_MAX]) {
    if (!fv_folder_exists(word)) return fv_path_join(model_path, "", word);
    FV_TRY(fv_path_join(model_path, word, "best.safetensors"));
    if (fv_file_exists(model_path)) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "the folder %s holds no trained model (best.safetensors): name a run folder that has been trained, "
                   "or a model file",
                   word);
}
