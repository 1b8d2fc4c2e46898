/* From an INI file to settings and photographs: what train, eval and data have in common. */
#ifndef FOVEA_APP_RUN_SETUP_H
#define FOVEA_APP_RUN_SETUP_H

#include "fovea/train/train.h"

typedef struct run_setup {
    fv_config *config;
    fv_train_settings settings;
    fv_manifest manifest;
    int picture_every, picture_samples; /* epochs from picture to picture, validation photographs in it */
    bool flips;                         /* test-time flips in the final evaluation */
    bool choose_threshold;              /* on the validation photographs, once trained */
    char *config_text;                  /* resolved */
} run_setup;

/* Reads the INI, applies the overrides, draws the phantoms when no manifest is named, reads the manifests. */
fv_status run_setup_make(const char *config_path, char *const *overrides, int override_count, run_setup *setup);
void run_setup_free(run_setup *setup);

/* Settings only: no data is read, no phantom drawn, and keys about data are taken as they come. */
fv_status run_settings_read(const char *config_path, char *const *overrides, int override_count,
                            fv_train_settings *settings);

/* Test-time flips: of a run folder also where its eval.flips says so; of a model file only when *flips is set. Eval and
   predict share the rule, so that what is measured is what a user gets. */
fv_status run_flips(const char *word, bool *flips);

/* INI text of all settings and their standards, as of an empty file; NULL without memory. Free with free(). */
char *run_settings_standard(void);

/* The model that a word of the command line names: the best weights of a run folder, or a file. */
fv_status run_model_path(const char *word, char model_path[FV_PATH_MAX]);

#endif
