/* What an export of low precision computes, simulated in fovea: the folded network with its weights, and each layer's
   result, rounded to the numbers that the file's runtime has. Sums are those of float32. */
#ifndef FOVEA_EXCHANGE_ROUNDED_H
#define FOVEA_EXCHANGE_ROUNDED_H

#include "fovea/exchange/quantise.h"

/* A model that predicts as the exported one would. `folded` ends in logits; `spec` is the model's; `ranges` those that
   the file is written with (FV_PRECISION_INT8), else NULL. FV_PRECISION_FLOAT32 rounds nothing: the folded network. */
fv_status fv_rounded_make(const fv_model_spec *spec, const fv_folded *folded, fv_export_precision precision,
                          const fv_ranges *ranges, fv_model **model);

#endif
