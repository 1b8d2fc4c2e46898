/* Where a training sample's window lies in its photograph's work image. */
#ifndef FOVEA_SRC_DATASET_WINDOW_H
#define FOVEA_SRC_DATASET_WINDOW_H

#include "fovea/dataset/loader.h"

/* Window `index` of a photograph (fv_loader_settings): the whole work image, or preprocess.size px of it, which lie
   within the image where it is large enough and are centred on it where not. */
fv_window fv_window_place(const fv_loader_settings *settings, const fv_sample *sample, int classes, int index,
                          fv_rng *rng);

#endif
