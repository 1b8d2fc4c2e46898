/* PNG files of 8 bits a sample, neither interlaced nor with a palette: what photographs and masks nearly always are.
   libdeflate inflates them whole in a third of the time that stb_image takes; the filters (ISO/IEC 15948, 9.2) are
   undone here. */
#include "image_format.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum { IHDR_AT = 8, CHUNK_FRAME_BYTES = 12 };
enum { FILTER_NONE, FILTER_SUB, FILTER_UP, FILTER_AVERAGE, FILTER_PAETH };

bool fv_png_is_plain(const fv_image_source *source) {
    const uint8_t *ihdr = source->data + IHDR_AT + 8; /* width, height, depth, colour type, three methods */
    return ihdr[8] == 8 && (ihdr[9] == 0 || ihdr[9] == 2 || ihdr[9] == 4 || ihdr[9] == 6) && ihdr[10] == 0 &&
           ihdr[11] == 0 && ihdr[12] == 0;
}

/* Samples a pixel of the file's colour type. */
static int stored_channels(const fv_image_source *source) {
    static const int samples[7] = {[0] = 1, [2] = 3, [4] = 2, [6] = 4};
    return samples[source->data[IHDR_AT + 8 + 9]];
}

/* Puts the contents of all IDAT chunks together; their frames were checked before. */
static size_t join_pixels(const fv_image_source *source, uint8_t *joined) {
    size_t bytes = 0;
    for (size_t at = IHDR_AT; memcmp(source->data + at + 4, "IEND", 4) != 0;) {
        const uint8_t *chunk = source->data + at;
        size_t length = fv_be32(chunk);
        if (memcmp(chunk + 4, "IDAT", 4) == 0) {
            memcpy(joined + bytes, chunk + 8, length);
            bytes += length;
        }
        at += CHUNK_FRAME_BYTES + length;
    }
    return bytes;
}

/* The neighbour that is nearest to left + above - corner. */
static inline int paeth(int left, int above, int corner) {
    int to_left = abs(above - corner), to_above = abs(left - corner), to_corner = abs(left + above - 2 * corner);
    int nearer = to_above < to_left ? above : left, distance = to_above < to_left ? to_above : to_left;
    return to_corner < distance ? corner : nearer;
}

/* `channels` is a constant when inlined; `above` is a row of zeros for the first row. */
static inline void undo_channels(uint8_t *row, const uint8_t *above, size_t stride, size_t channels, int filter) {
    uint8_t left[4] = {0}, corner[4] = {0};
    for (size_t at = 0; at < stride; at += channels) {
        for (size_t c = 0; c < channels; c++) {
            int guess = filter == FILTER_SUB       ? left[c]
                        : filter == FILTER_AVERAGE ? (left[c] + above[at + c]) >> 1
                                                   : paeth(left[c], above[at + c], corner[c]);
            left[c] = row[at + c] = (uint8_t)(row[at + c] + guess);
            corner[c] = above[at + c];
        }
    }
}

static inline void undo_filter(uint8_t *row, const uint8_t *above, size_t stride, size_t channels, int filter) {
    if (filter == FILTER_UP)
        for (size_t i = 0; i < stride; i++) row[i] = (uint8_t)(row[i] + above[i]);
    if (filter == FILTER_SUB) undo_channels(row, above, stride, channels, FILTER_SUB);
    if (filter == FILTER_AVERAGE) undo_channels(row, above, stride, channels, FILTER_AVERAGE);
    if (filter == FILTER_PAETH) undo_channels(row, above, stride, channels, FILTER_PAETH);
}

static void undo_row(uint8_t *row, const uint8_t *above, size_t stride, int channels, int filter) {
    switch (channels) {
    case 1:
        undo_filter(row, above, stride, 1, filter);
        break;
    case 2:
        undo_filter(row, above, stride, 2, filter);
        break;
    case 3:
        undo_filter(row, above, stride, 3, filter);
        break;
    default:
        undo_filter(row, above, stride, 4, filter);
    }
}

/* A row without its alpha. */
static void keep_colours(const uint8_t *row, int width, int stored, int kept, uint8_t *out) {
    if (stored == kept) {
        memcpy(out, row, (size_t)width * (size_t)kept);
        return;
    }
    for (int x = 0; x < width; x++)
        for (int c = 0; c < kept; c++) out[x * kept + c] = row[x * stored + c];
}

/* false for a filter that does not exist. `rows`: each behind the byte of its filter. */
static bool undo_all(uint8_t *rows, const uint8_t *zeros, int stored, fv_image *image) {
    size_t stride = (size_t)image->width * (size_t)stored, kept = (size_t)image->width * (size_t)image->channels;
    const uint8_t *above = zeros;
    for (int y = 0; y < image->height; y++, rows += stride + 1) {
        if (rows[0] > FILTER_PAETH) return false;
        undo_row(rows + 1, above, stride, stored, rows[0]);
        keep_colours(rows + 1, image->width, stored, image->channels, image->data + (size_t)y * kept);
        above = rows + 1;
    }
    return true;
}

static bool inflate(const uint8_t *joined, size_t joined_bytes, uint8_t *rows, size_t bytes) {
    struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
    bool good = decompressor &&
                libdeflate_zlib_decompress(decompressor, joined, joined_bytes, rows, bytes, NULL) == LIBDEFLATE_SUCCESS;
    libdeflate_free_decompressor(decompressor);
    return good;
}

bool fv_png_decode_plain(const fv_image_source *source, const fv_image_header *header, fv_image *image) {
    int stored = stored_channels(source);
    size_t stride = (size_t)header->width * (size_t)stored, bytes = (stride + 1) * (size_t)header->height;
    *image = (fv_image){0};
    uint8_t *joined = malloc(source->bytes), *rows = malloc(bytes), *zeros = calloc(stride, 1);
    bool good = joined && rows && zeros && inflate(joined, join_pixels(source, joined), rows, bytes) &&
                fv_image_make_unset((int)header->width, (int)header->height, stored <= 2 ? 1 : 3, image) == FV_OK &&
                undo_all(rows, zeros, stored, image);
    if (!good) fv_image_free(image);
    free(joined);
    free(rows);
    free(zeros);
    return good;
}
