/* PNG out, compressed by libdeflate. */
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"
#include "fovea/image/image_file.h"

enum { FILTER_UP = 2, MOST_BYTES = 1 << 30 /* half of the longest chunk */ };

static void put_be32(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void write_chunk(FILE *stream, const char type[4], const uint8_t *content, size_t bytes) {
    uint8_t frame[8], sum[4];
    put_be32(frame, (uint32_t)bytes);
    memcpy(frame + 4, type, 4);
    put_be32(sum, libdeflate_crc32(libdeflate_crc32(0, frame + 4, 4), content, bytes));
    fwrite(frame, 1, sizeof frame, stream);
    fwrite(content, 1, bytes, stream);
    fwrite(sum, 1, sizeof sum, stream); /* a short write is found by fv_file_commit() */
}

static void write_header(FILE *stream, const fv_image *image) {
    uint8_t header[13] = {[8] = 8, [9] = image->channels == 3 ? 2 : 0};
    put_be32(header, (uint32_t)image->width);
    put_be32(header + 4, (uint32_t)image->height);
    fwrite("\x89PNG\r\n\x1A\n", 1, 8, stream);
    write_chunk(stream, "IHDR", header, sizeof header);
}

/* Each pixel less the one above it. Of the five filters the one that makes photographs smallest at the quick levels of
   compression, and no worse than others for masks. */
static void filter_rows(const fv_image *image, uint8_t *filtered) {
    size_t stride = (size_t)image->width * (size_t)image->channels;
    for (int y = 0; y < image->height; y++, filtered += stride + 1) {
        const uint8_t *row = image->data + (size_t)y * stride, *above = row - stride;
        uint8_t *out = filtered + 1;
        filtered[0] = FILTER_UP;
        if (y == 0)
            memcpy(out, row, stride);
        else
            for (size_t i = 0; i < stride; i++) out[i] = (uint8_t)(row[i] - above[i]);
    }
}

/* Level 1 takes half the time of level 2 for photographs, which come out a tenth larger; for masks level 2 is quicker.
 */
static struct libdeflate_compressor *compressor_for(const fv_image *image) {
    return libdeflate_alloc_compressor(image->channels == 3 ? 1 : 2);
}

/* The image's zlib stream in fresh memory: free(). */
static fv_status compress_pixels(const fv_image *image, size_t bytes, uint8_t **stream, size_t *stream_bytes) {
    struct libdeflate_compressor *compressor = compressor_for(image);
    size_t room = libdeflate_zlib_compress_bound(compressor, bytes);
    uint8_t *filtered = malloc(bytes);
    *stream = malloc(room);
    fv_status status = FV_OK;
    if (compressor && filtered && *stream) {
        filter_rows(image, filtered);
        *stream_bytes = libdeflate_zlib_compress(compressor, filtered, bytes, *stream, room);
    } else {
        status = fv_fail_memory("writing a PNG file", bytes + room);
        free(*stream);
    }
    free(filtered);
    libdeflate_free_compressor(compressor);
    return status;
}

fv_status fv_image_write_png(const fv_image *image, const char *path) {
    if (image->data == NULL) return fv_fail(FV_BAD_INPUT, "%s: there is no image to write (it was never made)", path);
    size_t bytes = fv_size_multiply((size_t)image->width * (size_t)image->channels + 1, (size_t)image->height);
    if (bytes > MOST_BYTES)
        return fv_fail(FV_BAD_INPUT, "%s: an image of %d x %d pixels is too large for a PNG (at most %d MB of pixels)",
                       path, image->width, image->height, MOST_BYTES / 1000000);
    uint8_t *stream;
    size_t stream_bytes = 0;
    fv_file file;
    FV_TRY(compress_pixels(image, bytes, &stream, &stream_bytes));
    fv_status status = fv_file_begin(&file, path);
    if (status == FV_OK) {
        write_header(file.stream, image);
        write_chunk(file.stream, "IDAT", stream, stream_bytes);
        write_chunk(file.stream, "IEND", (const uint8_t *)"", 0);
        status = fv_file_commit(&file);
    }
    free(stream);
    return status;
}
