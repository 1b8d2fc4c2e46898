#include "fovea/image/image.h"

#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

typedef void *allocator(size_t count, size_t size, const char *what);

static fv_status make(int width, int height, int channels, allocator *allocate, fv_image *image) {
    *image = (fv_image){0};
    if (width < 1 || height < 1 || (channels != 1 && channels != 3))
        return fv_fail(
            FV_BAD_INPUT,
            "an image of %d x %d pixels and %d channels can't be made: at least 1 x 1 pixel and 1 (grey) or 3 "
            "(RGB) channels are needed",
            width, height, channels);
    size_t row = fv_size_multiply((size_t)width, (size_t)channels);
    uint8_t *data = allocate((size_t)height, row, "an image");
    if (data == NULL) return FV_NO_RESOURCE;
    *image = (fv_image){.width = width, .height = height, .channels = channels, .data = data};
    return FV_OK;
}

fv_status fv_image_make(int width, int height, int channels, fv_image *image) {
    return make(width, height, channels, fv_allocate, image);
}

fv_status fv_image_make_unset(int width, int height, int channels, fv_image *image) {
    return make(width, height, channels, fv_allocate_unset, image);
}

void fv_image_free(fv_image *image) {
    free(image->data);
    *image = (fv_image){0};
}

fv_status fv_image_copy(const fv_image *source, fv_image *copy) {
    fv_image made;
    FV_TRY(fv_image_make_unset(source->width, source->height, source->channels, &made));
    memcpy(made.data, source->data, (size_t)source->width * (size_t)source->height * (size_t)source->channels);
    *copy = made;
    return FV_OK;
}

fv_status fv_image_crop(const fv_image *source, int x, int y, int width, int height, fv_image *part) {
    FV_TRY(fv_image_make_unset(width, height, source->channels, part));
    size_t channels = (size_t)source->channels, row_bytes = (size_t)width * channels;
    for (int i = 0; i < height; i++) {
        size_t at = ((size_t)(y + i) * (size_t)source->width + (size_t)x) * channels;
        memcpy(part->data + (size_t)i * row_bytes, source->data + at, row_bytes);
    }
    return FV_OK;
}
