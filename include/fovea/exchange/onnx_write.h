/* Networks as ONNX files: opset 17, input "input", output "output", NCHW, any batch. Format: onnx/onnx, docs/IR.md,
   docs/Operators.md. */
#ifndef FOVEA_EXCHANGE_ONNX_WRITE_H
#define FOVEA_EXCHANGE_ONNX_WRITE_H

#include "fovea/exchange/metadata.h"
#include "fovea/exchange/quantise.h"

typedef struct fv_onnx_settings {
    fv_export_precision precision;
    const fv_ranges *ranges; /* FV_PRECISION_INT8: of the list; else NULL */
    bool dynamic_size;       /* any height and width that the network takes, instead of the list's */
    /* NULL: the input is float32, prepared and normalised. Else levels 0..255 (uint8), normalised inside; of models of
       whole photographs any size, resized (bilinear at half-pixel centres) and letterboxed inside. */
    const fv_preprocess *preprocess;
    const fv_metadata *metadata; /* NULL: none */
    const char *title;           /* the graph's name */
} fv_onnx_settings;

/* Writes the list atomically. Weights are stored once and in the precision's type, as raw data:
   float16          everything computes in half precision but group norms and a last sigmoid; casts stand at the ends
   float16_storage  each weight is followed by a cast to float32, which runtimes do once, when they load the file
   int8             kernels int8 per filter, results uint8, each behind a pair of QuantizeLinear and DequantizeLinear
                    (QDQ), which runtimes join with the layer into integer arithmetic; a last sigmoid is float32
   FV_BAD_INPUT when a layer has no counterpart in ONNX, or a weight none among the halves (65504 is the largest). */
fv_status fv_onnx_write(const fv_folded *folded, const fv_onnx_settings *settings, const char *path);

#endif
