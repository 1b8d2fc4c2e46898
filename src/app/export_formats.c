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

static fv_status write_fovea(const export_job *job) {
    if (job->shape.preprocessing || job->shape.logits)
        return fv_fail(FV_BAD_INPUT, "--%s does not go with --fovea: fovea does that with every model file",
                       job->shape.logits ? "logits" : "with-preprocessing");
    if (job->shape.precision != FV_PRECISION_FLOAT16_STORAGE)
        return fv_fail(FV_BAD_INPUT, "--fovea goes with --fp16: it writes the model file with half as many bytes");
    return fv_model_file_halve(job->model_path, job->path);
}

const export_format export_formats[] = {
    {.option = "onnx",
     .help = "as ONNX, opset 17: input \"input\" and output \"output\", NCHW, any batch",
     .layout = "NCHW",
     .free_size = true,
     .write = write_onnx},
    {.option = "fovea",
     .help = "as fovea's own model file: with --fp16 half as large",
     .layout = "NHWC",
     .free_size = true,
     .own = true,
     .write = write_fovea},
};
const int export_format_count = sizeof export_formats / sizeof *export_formats;
