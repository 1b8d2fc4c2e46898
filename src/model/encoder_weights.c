/* ImageNet weights of the encoder: files with names like "b3.dw.gamma" and PyTorch's OIHW kernels. */
#include <stdio.h>
#include <string.h>

#include "fovea/base/log.h"
#include "fovea/model/model.h"

static fv_status encoder_tensor_check(const fv_param *param, const fv_safetensor *tensor, const char *path,
                                      const char *name) {
    if (!tensor)
        return fv_fail(FV_BAD_INPUT, "%s has no tensor \"%s\"; expected the weights of a MobileNetV2 encoder", path,
                       name);
    if (strcmp(tensor->dtype, "F32") != 0)
        return fv_fail(FV_BAD_INPUT, "%s: tensor \"%s\" is %s; expected F32", path, name, tensor->dtype);
    fv_shape s = param->shape;
    bool kernel = tensor->dims == 4 && tensor->shape[0] == s.c && tensor->shape[1] == s.w && tensor->shape[2] == s.n &&
                  tensor->shape[3] == s.h;
    bool vector = tensor->dims == 1 && tensor->shape[0] == s.c && param->count == (size_t)s.c;
    if (kernel || vector) return FV_OK;
    return fv_fail(
        FV_BAD_INPUT,
        "%s: tensor \"%s\" has %d dimensions, first %lld; the encoder needs %dx%dx%dx%d (out, in, height, width): is "
        "model.width the one of the file?",
        path, name, tensor->dims, tensor->dims ? (long long)tensor->shape[0] : 0LL, s.c, s.w, s.n, s.h);
}

/* OIHW -> {kh, kw, in, out}; a vector is the case 1x1x1. */
static void kernel_transpose(const char *oihw, fv_shape s, fv_real *hwio) {
    size_t kh = (size_t)s.n, kw = (size_t)s.h, in = (size_t)s.w, out = (size_t)s.c;
    for (size_t u = 0; u < kh; u++)
        for (size_t v = 0; v < kw; v++)
            for (size_t c = 0; c < in; c++)
                for (size_t f = 0; f < out; f++)
                    memcpy(&hwio[((u * kw + v) * in + c) * out + f],
                           oihw + (((f * in + c) * kh + u) * kw + v) * sizeof(float),
                           sizeof(float)); /* the file's data may be unaligned */
}

/* The files say in their metadata which padding they were trained with. */
static void warn_of_other_convention(const fv_model *model, const fv_safetensors *file, const char *path) {
    const char *padding = fv_safetensors_metadata(file, "padding");
    if (!padding) return;
    fv_convention told = strcmp(padding, "tf_same") == 0 ? FV_CONVENTION_KERAS : FV_CONVENTION_TORCHVISION;
    if (told != model->spec.convention)
        fv_log_warning("%s holds weights of the %s convention, the model uses %s: set model.convention = %s", path,
                       fv_convention_names[told], fv_convention_names[model->spec.convention],
                       fv_convention_names[told]);
}

fv_status fv_model_load_encoder(fv_model *model, const char *path) {
    fv_safetensors file;
    if (!fv_network_has_encoder(model->spec.network))
        return fv_fail(FV_BAD_INPUT, "%s can't begin with the weights of %s: it has no MobileNetV2 encoder",
                       model->spec.network, path);
    FV_TRY(fv_safetensors_read(path, &file));
    fv_status status = FV_OK;
    for (int pass = 0; pass < 2 && status == FV_OK; pass++) /* all is checked before the first value changes */
        for (int i = 0; i < model->params.count && status == FV_OK; i++) {
            const fv_param *param = &model->params.list[i];
            if (!fv_param_is_encoder(param)) continue;
            const char *name = param->name + strlen("encoder.");
            const fv_safetensor *tensor = fv_safetensors_find(&file, name);
            if (pass == 0)
                status = encoder_tensor_check(param, tensor, path, name);
            else
                kernel_transpose(tensor->data, param->shape, model->params.values + param->offset);
        }
    if (status == FV_OK) warn_of_other_convention(model, &file, path);
    fv_safetensors_free(&file);
    return status;
}
