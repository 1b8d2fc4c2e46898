/* Photographs for an export: those that the ranges of 8-bit values are found on. */
#ifndef FOVEA_APP_EXPORT_PHOTOS_H
#define FOVEA_APP_EXPORT_PHOTOS_H

#include "fovea/dataset/manifest.h"
#include "fovea/exchange/ranges.h"
#include "options.h"

#define EXPORT_MASK_THRESHOLD 127 /* of masks of the field in tables that the command line names */

/* Inputs as the network gets them, of at most `most` photographs spread evenly over the records of the split
   (FV_SPLIT_NONE: all): the whole photograph, or, for models of windows, four windows of each; fields of view
   and cameras' angles are the records' where they have them. `inputs` is owned. */
typedef struct export_inputs {
    float *inputs;
    fv_calibration calibration;
    int photographs;
} export_inputs;

fv_status export_inputs_of_manifest(const fv_model_spec *spec, const fv_manifest *manifest, fv_split split,
                                    int mask_threshold, int most, export_inputs *inputs);
/* The same from tables (CSV), photographs and folders of them. */
fv_status export_inputs_of_words(const fv_model_spec *spec, const option_list *words, int most, export_inputs *inputs);
/* Accepts a zeroed struct. */
void export_inputs_free(export_inputs *inputs);

#endif
