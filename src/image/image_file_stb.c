/* PNG and BMP pixels by stb_image. It is lenient with files that end early and trusts their sizes, so their
   containers are checked before it sees them (image_file_png.c, image_file_bmp.c). */
#include "image_format.h"

#include <stdlib.h>

static _Thread_local size_t largest_block; /* bytes that a file of the size in hand can need at once */
static _Thread_local bool ran_out;         /* the system refused memory */

/* A few kilobytes of compressed pixels can claim gigabytes: stb_image may not have more than the header justifies. */
static void *bounded_realloc(void *old, size_t bytes) {
    if (bytes > largest_block) return NULL;
    void *memory = realloc(old, bytes ? bytes : 1);
    if (memory == NULL) ran_out = true;
    return memory;
}

#define STBI_MALLOC(bytes) bounded_realloc(NULL, bytes)
#define STBI_REALLOC(old, bytes) bounded_realloc(old, bytes)
#define STBI_FREE(old) free(old)
#define STBI_ASSERT(condition) ((void)0)
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>

/* Samples of the largest layout (16-bit RGBA) in a buffer that doubles as it grows, a filter byte a row, and twice the
 * compressed bytes. */
static size_t needed_block(const fv_image_source *source, const fv_image_header *header) {
    return 16 * (size_t)(header->width + 32) * (size_t)(header->height + 32) + 2 * source->bytes + ((size_t)1 << 20);
}

/* Drops alpha and scales 16 bits to 8, in place: the result is never longer than what was read. */
static uint8_t *pack_samples(void *samples, size_t count, int stored, int kept, bool deep) {
    const uint16_t *wide = samples;
    uint8_t *narrow = samples;
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < kept; c++) {
            size_t from = i * (size_t)stored + (size_t)c, to = i * (size_t)kept + (size_t)c;
            narrow[to] = deep ? fv_sample_8_of_16(wide[from]) : narrow[from];
        }
    uint8_t *shrunk = realloc(samples, count * (size_t)kept);
    return shrunk ? shrunk : narrow;
}

fv_status fv_stb_decode(const fv_image_source *source, const fv_image_header *header, const char *format, bool deep,
                        fv_image *image) {
    *image = (fv_image){0};
    largest_block = needed_block(source, header);
    ran_out = false;
    int width = 0, height = 0, stored = 0, length = (int)source->bytes;
    void *samples = deep ? (void *)stbi_load_16_from_memory(source->data, length, &width, &height, &stored, 0)
                         : (void *)stbi_load_from_memory(source->data, length, &width, &height, &stored, 0);
    if (samples == NULL && ran_out) return fv_fail_memory("decoding an image", largest_block);
    if (samples == NULL) return fv_fail_damaged(source, format, stbi_failure_reason());
    if (width != header->width || height != header->height) {
        free(samples);
        return fv_fail_damaged(source, format, "it states two different sizes");
    }
    int kept = stored <= 2 ? 1 : 3;
    *image = (fv_image){.width = width, .height = height, .channels = kept, .data = samples};
    if (kept != stored || deep) image->data = pack_samples(samples, (size_t)width * (size_t)height, stored, kept, deep);
    return FV_OK;
}
