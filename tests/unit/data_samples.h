/* Small data sets in a temporary folder, for the tests of manifests, loader and data check. */
#ifndef FOVEA_TESTS_DATA_SAMPLES_H
#define FOVEA_TESTS_DATA_SAMPLES_H

#include "fovea/dataset/manifest.h"

/* A fresh folder below /tmp; one at a time. */
const char *sample_folder_make(void);
/* Removes it with all that is in it. */
void sample_folder_remove(void);
/* Path of a file in the folder; good until the eighth call after it. */
const char *sample_path(const char *name);
void sample_write_text(const char *name, const char *text);
/* RGB noise whose every pixel follows from (seed, x, y). */
void sample_write_photo(const char *name, int width, int height, uint64_t seed);
/* Grey image, `inside` within the box x0 <= x < x1, y0 <= y < y1, `outside` elsewhere. */
void sample_write_mask(const char *name, int width, int height, const int box[4], int inside, int outside);
/* A model of disc and cup, or of vessels when `vessel`. */
fv_model_spec sample_spec(bool vessel);
/* Folder of the real photographs: FOVEA_DATA or ../shared/data. */
const char *sample_real_data(void);

#endif
