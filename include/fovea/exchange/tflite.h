/* Networks as TensorFlow Lite (LiteRT) files, by the published schema: float32, float32 with weights stored as float16,
   or integers of 8 bits throughout. TensorFlow Lite's layout is fovea's (NHWC), so results are equal but for rounding.

   A file has one input "input" {1, height, width, 3} and one output "output" {1, height, width, classes}, both float32,
   and a signature "serving_default" with these names. The size is fixed. */
#ifndef FOVEA_EXCHANGE_TFLITE_H
#define FOVEA_EXCHANGE_TFLITE_H

#include "fovea/exchange/ranges.h"

typedef struct fv_tflite_metadata {
    const char *name, *text;
} fv_tflite_metadata;

typedef enum fv_tflite_type {
    FV_TFLITE_FLOAT32,
    FV_TFLITE_FLOAT16, /* weights are stored so and made float32 when the file is loaded */
    FV_TFLITE_INT8,    /* weights with a step a filter, layers' results with a step a layer; sums in 32 bits */
} fv_tflite_type;

typedef struct fv_tflite_options {
    fv_tflite_type type;
    const fv_ranges *ranges; /* of FV_TFLITE_INT8: without join_concat */
    bool integer_ends;       /* of FV_TFLITE_INT8: input and output are int8 too; their scale and zero point stand in
                                the file */
    const char *description; /* a sentence for people; NULL: none */
    const fv_tflite_metadata *metadata; /* texts for programs */
    int metadata_count;
} fv_tflite_options;

/* Writes the list of layers to `path` (fv_file). FV_BAD_INPUT with a sentence for a layer that TensorFlow Lite has no
   operator for, weights that are too large for float16, more than 2 GiB, or a path that can't be written. The same
   list gives the same bytes. */
fv_status fv_tflite_write(const fv_folded *folded, const fv_tflite_options *options, const char *path);

#endif
