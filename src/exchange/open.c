#include "fovea/exchange/open.h"

#include "fovea/exchange/foreign.h"
#include "fovea/exchange/onnx_read.h"

fv_status fv_model_open(const char *path, fv_model **model) {
    *model = NULL;
    if (fv_onnx_is_file(path)) return fv_onnx_read(path, model);
    if (fv_foreign_is_file(path))
        return fv_fail(FV_BAD_INPUT,
                       "%s has weights of another framework, no fovea model; make one of them with fovea import %s "
                       "--as model --network NAME --out model.safetensors",
                       path, path);
    return fv_model_load(path, model);
}
