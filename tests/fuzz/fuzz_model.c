/* libFuzzer: no bytes may break the reader of model files. What is not a safetensors file at all is taken as the JSON
   of its settings, so that the fuzzer gets there without guessing a header. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_model(const void *data, size_t size) {
    fv_safetensors file;
    fv_model *model;
    if (fv_safetensors_parse(data, size, "fuzz", &file) != FV_OK) return;
    if (fv_model_from_safetensors(&file, &model) == FV_OK) fv_model_free(model);
    fv_safetensors_free(&file);
}

/* {"__metadata__":{"fovea.model":"<data with quotes and backslashes escaped>"}} */
static void try_settings(const uint8_t *data, size_t size) {
    static const char before[] = "{\"__metadata__\":{\"fovea.model\":\"", after[] = "\"}}";
    char *file = malloc(8 + sizeof before + 2 * size + sizeof after);
    if (!file) return;
    size_t at = 8 + sizeof before - 1;
    memcpy(file + 8, before, sizeof before - 1);
    for (size_t i = 0; i < size; i++) {
        if (data[i] < 0x20 || data[i] > 0x7e) continue;
        if (data[i] == '"' || data[i] == '\\') file[at++] = '\\';
        file[at++] = (char)data[i];
    }
    memcpy(file + at, after, sizeof after - 1);
    at += sizeof after - 1;
    uint64_t header = at - 8;
    memcpy(file, &header, 8);
    try_model(file, at);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_model(data, size);
    try_settings(data, size);
    return 0;
}
