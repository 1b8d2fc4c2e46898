/* Changes of light and colour, for augmentation. */
#ifndef FOVEA_DATASET_LIGHT_H
#define FOVEA_DATASET_LIGHT_H

#include "fovea/dataset/augment.h"

/* On {size, size, 3} of range 0..255, in place, cut to 0..255: contrast and brightness, gamma, saturation and hue,
   blur, noise, each only where drawn. scratch: fv_light_scratch_floats(size) floats. */
size_t fv_light_scratch_floats(int size);
void fv_light_change(const fv_augment_draw *draw, int size, float *rgb, float *scratch);

#endif
