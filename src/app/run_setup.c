#include "run_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/dataset/phantom.h"

/* The embedded data set: drawn once, kept from run to run. */
static fv_status phantom_manifest(fv_config *config, const fv_model_spec *spec, fv_manifest *manifest) {
    int count = (int)fv_config_integer(config, "data", "phantoms", 120, 8, 100000);
    long seed = fv_config_integer(config, "data", "phantom_seed", 1, 0, 1L << 53);
    int side = (int)fv_config_integer(config, "data", "phantom_side", 512, 64, 4096);
    char standard[128], csv[FV_PATH_MAX];
    snprintf(standard, sizeof standard, "runs/phantoms_%d_%ld_%d", count, seed, side);
    const char *dir = fv_config_text(config, "data", "phantom_dir", standard);
    FV_TRY(fv_config_finish(config)); /* a wrong key is told before any drawing */
    FV_TRY(fv_phantom_write_set(dir, count, (uint64_t)seed, side));
    FV_TRY(fv_path_join(csv, dir, "index.csv"));
    fv_manifest_init(manifest, spec);
    return fv_manifest_append(manifest, &(fv_manifest_source){.csv = csv, .set = "phantoms"});
}

static fv_status manifest_make(run_setup *setup) {
    fv_config *config = setup->config;
    bool given = fv_config_has(config, "data", "manifest") || fv_config_section(config, "set.", 0);
    return given ? fv_manifest_from_config(config, &setup->settings.model, &setup->manifest)
                 : phantom_manifest(config, &setup->settings.model, &setup->manifest);
}

static fv_status make(const char *config_path, char *const *overrides, int override_count, run_setup *setup) {
    FV_TRY(fv_config_read(config_path, &setup->config));
    for (int i = 0; i < override_count; i++) FV_TRY(fv_config_override(setup->config, overrides[i]));
    FV_TRY(fv_train_settings_from_config(setup->config, &setup->settings));
    setup->picture_every = (int)fv_config_integer(setup->config, "train", "picture_every", 1, 0, 1000000);
    setup->picture_samples = (int)fv_config_integer(setup->config, "train", "picture_samples", 4, 1, 16);
    setup->flips = fv_config_flag(setup->config, "eval", "flips", false);
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
