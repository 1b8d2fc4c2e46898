/* Small networks to export, and their ONNX files. */
#ifndef TESTS_UNIT_EXPORT_SAMPLES_H
#define TESTS_UNIT_EXPORT_SAMPLES_H

#include "fovea/exchange/onnx_write.h"

#define EXPORT_SIDE 64             /* px, of all inputs */
#define EXPORT_FILE "network.onnx" /* in the temporary folder */

/* Random weights, batch norms with statistics as of a trained network, one class "vessel" with threshold 0.375. */
fv_model *export_sample_model(const char *network, fv_norm_kind norm);
/* Values -2 .. 2, the same every time. */
void export_sample_input(float *input, size_t count);
/* On that input. */
fv_ranges export_sample_ranges(const fv_folded *folded);

/* How a file is asked for. */
typedef struct export_request {
    fv_export_precision precision;
    bool dynamic, preprocessing, logits;
} export_request;

/* Writes EXPORT_FILE; its bytes. */
size_t export_sample_write(const fv_model *model, const export_request *r);

#endif
