#include "export_formats.h"

#include <stdlib.h>

#include "fovea/base/memory.h"
#include "fovea/exchange/onnx_read.h"
#include "fovea/exchange/onnx_write.h"
#include "fovea/exchange/tflite_write.h"
#include "fovea/infer/int8_net.h"

static fv_status write_onnx(const export_job *job) {
    const fv_onnx_settings settings = {.precision = job->shape.precision,
                                       .ranges = job->ranges,
                                       .dynamic_size = job->shape.height == 0,
                                       .preprocess = job->shape.preprocessing ? &job->spec->preprocess : NULL,
                                       .metadata = job->metadata,
                                       .title = job->spec->network};
    return fv_onnx_write(job->folded, &settings, job->path);
}

static fv_status check_tflite(const export_job *job) {
    if (!job->shape.preprocessing || job->spec->preprocess.windows) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "--with-preprocessing: a TensorFlow Lite input has one size, so that this model's whole photographs "
                   "can't be resized inside it; leave it out, or export to ONNX");
}

static fv_status write_tflite(const export_job *job) {
    const fv_tflite_settings settings = {.precision = job->shape.precision,
                                         .ranges = job->ranges,
                                         .integer_ends = job->shape.integer_ends,
                                         .preprocess = job->shape.preprocessing ? &job->spec->preprocess : NULL,
                                         .metadata = job->metadata,
                                         .title = job->spec->network};
    return fv_tflite_write(job->folded, &settings, job->path);
}

/* The network is made in 8 bits, for the sentence about a layer that can't be. */
static fv_status try_int8(const fv_folded *folded, const fv_ranges *ranges) {
    fv_int8_net *net;
    FV_TRY(fv_int8_net_make(folded, ranges, &net));
    fv_int8_net_free(net);
    return FV_OK;
}

/* With any ranges: none are measured yet. */
static fv_status check_int8(const fv_folded *folded) {
    fv_ranges ranges = {.input = {-1, 1}, .count = folded->count};
    ranges.layers = fv_allocate((size_t)folded->count, sizeof *ranges.layers, "ranges");
    if (!ranges.layers) return FV_NO_RESOURCE;
    for (int i = 0; i < folded->count; i++) ranges.layers[i] = ranges.input;
    fv_status status = try_int8(folded, &ranges);
    fv_ranges_free(&ranges);
    return status;
}

static fv_status check_fovea(const export_job *job) {
    if (job->shape.preprocessing || job->shape.logits)
        return fv_fail(FV_BAD_INPUT, "--%s does not go with --fovea: fovea does that with every model file",
                       job->shape.logits ? "logits" : "with-preprocessing");
    if (job->shape.precision == FV_PRECISION_FLOAT32)
        return fv_fail(FV_BAD_INPUT, "--fovea goes with --fp16 or --int8: without them it is the model file itself");
    if (fv_onnx_is_file(job->model_path))
        return fv_fail(FV_BAD_INPUT,
                       "%s is an ONNX network, and --fovea makes model files smaller: make one of it with fovea import "
                       "--as model, and export that",
                       job->model_path);
    return job->shape.precision == FV_PRECISION_INT8 ? check_int8(job->folded) : FV_OK;
}

static fv_status write_int8(const export_job *job) {
    FV_TRY(try_int8(job->folded, job->ranges));
    char *ranges = fv_ranges_to_json(job->folded, job->ranges);
    fv_status status = ranges ? fv_model_file_halve(job->model_path, ranges, job->path)
                              : fv_fail_memory("the ranges of 8-bit results", 4096);
    free(ranges);
    return status;
}

static fv_status write_fovea(const export_job *job) {
    if (job->shape.precision == FV_PRECISION_INT8) return write_int8(job);
    return fv_model_file_halve(job->model_path, NULL, job->path);
}

const export_format export_formats[] = {
    {.option = "onnx",
     .help = "as ONNX, opset 17: input \"input\" and output \"output\", NCHW, any batch",
     .layout = "NCHW",
     .free_size = true,
     .write = write_onnx},
    {.option = "tflite",
     .help = "as TensorFlow Lite (LiteRT): the same names, NHWC, one photograph or window of fixed size",
     .layout = "NHWC",
     .integer_ends = true,
     .check = check_tflite,
     .write = write_tflite},
    {.option = "fovea",
     .help = "as fovea's own model file: with --fp16 half as large, with --int8 predicted with in 8 bits",
     .layout = "NHWC",
     .free_size = true,
     .own = true,
     .check = check_fovea,
     .write = write_fovea},
};
const int export_format_count = sizeof export_formats / sizeof *export_formats;
