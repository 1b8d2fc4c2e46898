/* Networks as TensorFlow Lite (LiteRT) files: input "input" {1, height, width, channels} and output "output" of the
   list's size, batch 1, float32 unless other ends are asked for; a signature "serving_default" with these names.
   TensorFlow Lite's layout is fovea's (NHWC). Format: tensorflow/tensorflow, schema.fbs, version 3;
   src/exchange/tflite.fbs is what we use of it. */
#ifndef FOVEA_EXCHANGE_TFLITE_WRITE_H
#define FOVEA_EXCHANGE_TFLITE_WRITE_H

#include "fovea/exchange/metadata.h"
#include "fovea/exchange/quantise.h"

typedef struct fv_tflite_settings {
    fv_export_precision precision;
    const fv_ranges *ranges; /* FV_PRECISION_INT8: of the list; else NULL */
    bool integer_ends;       /* FV_PRECISION_INT8: input and output are int8; their steps stand in the file */
    /* NULL: the input is prepared and normalised. Else levels 0..255 (uint8) of the prepared work image, which are
       normalised inside. */
    const fv_preprocess *preprocess;
    const fv_metadata *metadata; /* NULL: none */
    const char *title;           /* a sentence about the model */
} fv_tflite_settings;

/* Writes the list atomically; the same list gives the same bytes.
   float16, float16_storage  kernels are stored as halves, each behind a DEQUANTIZE; what is computed in is the
                             runtime's choice: float32 on a CPU
   int8                      kernels int8 with a step a filter, results int8, biases int32, after TensorFlow Lite's
                             quantization specification: integer arithmetic from the first layer to the sigmoid
   FV_BAD_INPUT when a layer has no counterpart in TensorFlow Lite (in int8: group norm), a weight none among the halves
   (65504 is the largest), or the file would exceed 2 GiB. */
fv_status fv_tflite_write(const fv_folded *folded, const fv_tflite_settings *settings, const char *path);

#endif
