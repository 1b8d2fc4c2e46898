/* What travels with an exported network so that nobody has to remember it: pairs of a key and a text, the same in every
   format. The keys are listed in docs/export.md. */
#ifndef FOVEA_EXCHANGE_METADATA_H
#define FOVEA_EXCHANGE_METADATA_H

#include "fovea/exchange/precision.h"
#include "fovea/model/model.h"

typedef struct fv_metadata_pair {
    char *key, *text;
} fv_metadata_pair;

typedef struct fv_metadata {
    fv_metadata_pair *pairs;
    int count;
} fv_metadata;

/* What the network's input and output are, beside its spec. */
typedef struct fv_export_shape {
    const char *layout; /* "NCHW" or "NHWC" */
    int height, width;  /* px; 0: any multiple of fv_model_step() */
    bool preprocessing; /* resizing and normalisation are inside: the input are levels 0..255 */
    bool integer_ends;  /* input and output are int8 numbers of the steps in the file */
    bool logits;        /* the output is before the sigmoid */
    fv_export_precision precision;
} fv_export_shape;

/* Adds a pair, both copied. A NULL text adds nothing. */
fv_status fv_metadata_add(fv_metadata *metadata, const char *key, const char *text);
/* All that follows from the model: "fovea.model" (the JSON of the model file), "fovea.version", and sentences for
   people. On failure nothing stays allocated. */
fv_status fv_metadata_of_model(const fv_model_spec *spec, const fv_export_shape *shape, fv_metadata *metadata);
/* NULL when there is no such key. */
const char *fv_metadata_find(const fv_metadata *metadata, const char *key);
/* Accepts a zeroed struct. */
void fv_metadata_free(fv_metadata *metadata);

#endif
