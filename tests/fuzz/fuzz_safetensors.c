/* libFuzzer: no bytes may break the reader, and what it accepts must be readable to the last byte; as weights of
   another framework too. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "fovea/tensor/safetensors.h"
#include "fuzz_foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fv_safetensors file;
    fuzz_foreign(data, size);
    if (fv_safetensors_parse(data, size, "fuzz", &file) != FV_OK) {
        if (file.file || file.header || file.list) abort();
        return 0;
    }
    volatile uint8_t sum = 0;
    for (int i = 0; i < file.count; i++) {
        const fv_safetensor *tensor = &file.list[i];
        for (size_t j = 0; j < tensor->bytes; j++) sum = (uint8_t)(sum + ((const uint8_t *)tensor->data)[j]);
        if (fv_safetensors_find(&file, tensor->name) != tensor) abort();
    }
    fv_safetensors_metadata(&file, "config");
    fv_safetensors_free(&file);
    return 0;
}
