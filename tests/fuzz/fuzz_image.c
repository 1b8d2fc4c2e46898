/* libFuzzer target: any bytes as an image file.
   clang -fsanitize=fuzzer,address,undefined -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION ... */
#include <stdint.h>
#include <stdlib.h>

#include "fovea/image/image_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    fv_image image;
    if (fv_image_decode(data, bytes, "fuzz", 0, &image) != FV_OK) {
        if (image.data != NULL) abort(); /* a failure must leave a zeroed image */
        return 0;
    }
    unsigned sum = 0;
    size_t count = (size_t)image.width * (size_t)image.height * (size_t)image.channels;
    for (size_t i = 0; i < count; i++) sum += image.data[i]; /* every byte is there */
    fv_image_free(&image);
    volatile unsigned used = sum;
    (void)used;
    return 0;
}
