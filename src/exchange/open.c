#include "fovea/exchange/open.h"

#include <stdio.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/exchange/onnx_read.h"

/* ONNX has no mark of its own: a file is one when its first field is what every exporter writes first (ir_version,
   field 1, a number) and not the length of a safetensors header. */
static bool looks_like_onnx(const char *path) {
    unsigned char head[9] = {0};
    FILE *stream = fopen(path, "rb");
    if (!stream) return false;
    size_t bytes = fread(head, 1, sizeof head, stream);
    fclose(stream);
    return bytes == sizeof head && head[0] == 0x08 && head[8] != '{';
}

static bool has_onnx_name(const char *path) {
    size_t length = strlen(path);
    return length > 5 && strcmp(path + length - 5, ".onnx") == 0;
}

fv_status fv_model_open(const char *path, fv_model **model) {
    *model = NULL;
    if (!fv_folder_exists(path) && (has_onnx_name(path) || looks_like_onnx(path))) return fv_onnx_read(path, model);
    return fv_model_load(path, model);
}
