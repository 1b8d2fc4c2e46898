#include "fovea/exchange/open.h"

#include "fovea/exchange/onnx_read.h"

fv_status fv_model_open(const char *path, fv_model **model) {
    return fv_onnx_is_file(path) ? fv_onnx_read(path, model) : fv_model_load(path, model);
}
