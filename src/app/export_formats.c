#include "export_formats.h"

#include "fovea/exchange/onnx_write.h"

static fv_status write_onnx(const export_job *job) {
    const fv_onnx_settings settings = {.precision = job->shape.precision,
                                       .ranges = job->ranges,
                                       .dynamic_size = job->shape.height == 0,
                                       .preprocess = job->shape.preprocessing ? &job->spec->preprocess : NULL,
                                       .metadata = job->metadata,
                                       .title = job->spec->network};
    return fv_onnx_write(job->folded, &settings, job->path);
}

const export_format export_formats[] = {
    {.option = "onnx",
     .help = "as ONNX, opset 17: input \"input\" and output \"output\", NCHW, any batch",
     .layout = "NCHW",
     .free_size = true,
     .write = write_onnx},
};
const int export_format_count = sizeof export_formats / sizeof *export_formats;
