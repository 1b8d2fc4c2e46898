#include "export_formats.h"

#include "fovea/exchange/onnx_write.h"
#include "fovea/exchange/tflite_write.h"

static fv_status write_onnx(const export_job *job) {
    const fv_onnx_settings settings = {.precision = job->shape.precision,
                                       .ranges = job->ranges,
                                       .dynamic_size = job->shape.height == 0,
                                       .preprocess = job->shape.preprocessing ? &job->spec->preprocess : NULL,
                                       .metadata = job->metadata,
                                       .title = job->spec->network};
    return fv_onnx_write(job->folded, &settings, job->path);
}

static fv_status write_tflite(const export_job *job) {
    const fv_tflite_settings settings = {.precision = job->shape.precision,
                                         .ranges = job->ranges,
                                         .integer_ends = job->shape.integer_ends,
                                         .preprocess = job->shape.preprocessing ? &job->spec->preprocess : NULL,
                                         .metadata = job->metadata,
                                         .title = job->spec->network};
    if (job->shape.preprocessing && !job->spec->preprocess.windows)
        return fv_fail(FV_BAD_INPUT,
                       "--with-preprocessing: a TensorFlow Lite input has one size, so that this model's whole "
                       "photographs can't be resized inside it; leave it out, or export to ONNX");
    return fv_tflite_write(job->folded, &settings, job->path);
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
     .write = write_tflite},
};
const int export_format_count = sizeof export_formats / sizeof *export_formats;
