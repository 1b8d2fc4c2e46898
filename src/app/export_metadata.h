/* The metadata of an exported file: what the model says, and what its run folder knows besides. */
#ifndef FOVEA_APP_EXPORT_METADATA_H
#define FOVEA_APP_EXPORT_METADATA_H

#include "fovea/exchange/metadata.h"

/* fv_metadata_of_model(), the origin of the thresholds from the model file ("fovea.thresholds"), and from the run
   folder `word`, where it is one, its evaluation ("fovea.evaluation", of the test split, else of validation) with a
   sentence for people ("metrics"). */
fv_status export_metadata(const fv_model_spec *spec, const fv_export_shape *shape, const char *model_path,
                          const char *word, fv_metadata *metadata);

#endif
