/* The thresholds of a trained run. */
#ifndef FOVEA_APP_THRESHOLDS_H
#define FOVEA_APP_THRESHOLDS_H

#include "fovea/eval/evaluate.h"

/* Chooses the thresholds on the validation photographs, tells them, and writes them into the model file with where they
   come from. FV_BAD_INPUT without validation photographs. */
fv_status thresholds_choose(const char *model_path, const fv_manifest *manifest, const fv_evaluate_settings *settings);

/* The thresholds that the file has become those of `spec`, where they differ. */
fv_status thresholds_fix(const char *model_path, const fv_model_spec *spec);

#endif
