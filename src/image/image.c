#include "fovea/image/image.h"

#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

fv_status fv_image_make(int width, int height, int channels, fv_image *image) {
    *image = (fv_image){0};
    if (width < 1 || height < 1 || (channels != 1 && channels != 3))
        return fv_fail(
            FV_BAD_INPUT,
            "an image of %d x %d pixels and %d channels can't be made: at least 1 x 1 pixel and 1 (grey) or 3 "
            "(RGB) channels are needed",
            width, height, channels);
    size_t row = fv_size_multiply((size_t)width, (size_t)channels);
    uint8_t *data = fv_allocate((size_t)height, row, "an image");
    if (data == NULL) return FV_NO_RESOURCE;
    *image = (fv_image){.width = width, .height = height, .channels = channels, .data = data};
    return FV_OK;
}

void fv_image_free(fv_image *image) {
    free(image->data);
    *image = (fv_image){0};
}

fv_status fv_image_copy(const fv_image *source, fv_image *copy) {
    fv_image made;
    FV_TRY(fv_image_make(source->width, source->height, source->channels, &made));
    memcpy(made.data, source->data, (size_t)source->width * (size_t)source->height * (size_t)source->channels);
    *copy = made;
    return FV_OK;
}
