/* PNG out, by stb_image_write on zlib: its own compressor takes four times as long. */
#include "fovea/image/image_file.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"

/* What stb_image_write calls for the pixels; NULL when out of memory. Level 3: masks stay tiny, photographs are within
   a few percent of level 6 at half its time. */
static unsigned char *compress_pixels(const unsigned char *data, int bytes, int *compressed_bytes, int quality) {
    (void)quality;
    uLongf room = compressBound((uLong)bytes);
    unsigned char *out = malloc(room);
    if (!out || compress2(out, &room, data, (uLong)bytes, 3) != Z_OK) {
        free(out);
        return NULL;
    }
    *compressed_bytes = (int)room;
    return out;
}

#define STBIW_ZLIB_COMPRESS compress_pixels
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include <stb_image_write.h>

/* stb_image_write does not survive a failed realloc(), so its worst case (filtered rows, and the compressed stream
   while it moves to a buffer of twice the size) is asked for beforehand. */
static fv_status reserve_check(size_t bytes) {
    size_t peak = 5 * bytes + ((size_t)8 << 20);
    void *memory = malloc(peak);
    if (memory == NULL) return fv_fail_memory("writing a PNG file", peak);
    free(memory);
    return FV_OK;
}

static void write_to_stream(void *stream, void *data, int bytes) {
    fwrite(data, 1, (size_t)bytes, stream); /* a short write is found by fv_file_commit() */
}

fv_status fv_image_write_png(const fv_image *image, const char *path) {
    if (image->data == NULL) return fv_fail(FV_BAD_INPUT, "%s: there is no image to write (it was never made)", path);
    /* stb_image_write counts bytes in int and doubles its buffers. */
    size_t bytes = fv_size_multiply((size_t)image->width * (size_t)image->channels + 1, (size_t)image->height);
    if (bytes > INT_MAX / 4)
        return fv_fail(FV_BAD_INPUT, "%s: an image of %d x %d pixels is too large for a PNG (at most %d MB of pixels)",
                       path, image->width, image->height, INT_MAX / 4 / 1000000);
    FV_TRY(reserve_check(bytes));
    fv_file file;
    FV_TRY(fv_file_begin(&file, path));
    int stride = image->width * image->channels;
    if (!stbi_write_png_to_func(write_to_stream, file.stream, image->width, image->height, image->channels, image->data,
                                stride)) {
        fv_file_abandon(&file);
        return fv_fail_memory("writing a PNG file", bytes);
    }
    return fv_file_commit(&file);
}
