/* Small image files of every kind that is read, built for the tests. */
#ifndef FOVEA_TESTS_IMAGE_SAMPLES_H
#define FOVEA_TESTS_IMAGE_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sample_file {
    uint8_t *data; /* free() */
    size_t bytes;
} sample_file;

/* JPEG: 24 x 16 pixels in blocks of 8 x 8 (three in a row) whose colors are sample_blocks[0 .. 5]; written with 4:4:4
   sampling at quality 90, at which these colors come back exactly. */
extern const uint8_t sample_blocks[6][3];
typedef enum sample_jpeg_kind {
    SAMPLE_JPEG_BASELINE,
    SAMPLE_JPEG_PROGRESSIVE,
    SAMPLE_JPEG_GREY, /* 16 x 8 pixels, left half 50, right half 200 */
} sample_jpeg_kind;
sample_file sample_jpeg(sample_jpeg_kind kind);
/* With an EXIF segment behind the start marker, in either byte order, which also holds what looks like a small JPEG
 * file. */
sample_file sample_jpeg_oriented(int orientation, bool big_endian);

/* PNG of any depth and color type with the rows given (each width * samples * depth / 8 bytes, without filter byte). */
sample_file sample_png(uint32_t width, uint32_t height, int depth, int color_type, const uint8_t *rows,
                       size_t row_bytes);
/* 8-bit PNG whose row y has filter y % 5, its pixels in two chunks; `samples` a pixel, as the color type has. */
sample_file sample_png_filtered(uint32_t width, uint32_t height, int color_type, size_t samples, const uint8_t *pixels);
/* Replaces the check sum of the chunk that begins at `offset`. */
void sample_png_seal(sample_file *png, size_t offset);

/* PNG whose header says 1 x 1 pixel and whose stream unpacks to many zeros. */
sample_file sample_png_bomb(size_t unpacked_bytes);

/* 24-bit BMP; rows from the bottom, or from the top. */
sample_file sample_bmp(int32_t width, int32_t height, const uint8_t *rgb, bool top_down);

/* GIF with a canvas and one frame of palette indices. */
typedef struct sample_gif_frame {
    int canvas_width, canvas_height, left, top, width, height;
    const uint8_t *indices;
    bool interlaced, local_palette;
} sample_gif_frame;
/* Palette: entry i is (i * 10, 255 - i, i); a local palette has (i, i * 10, 7) instead. Background: entry 3. */
sample_file sample_gif(const char *folder, const sample_gif_frame *frame);

typedef struct sample_tiff_kind {
    int width, height, bits, samples, photometric, compression, orientation;
    int tile; /* px, 0 for strips of 3 rows */
    bool separate, big_endian;
} sample_tiff_kind;
/* `pixels`: samples in reading order, uint8_t or uint16_t as `bits` says (1 bit: packed rows). */
sample_file sample_tiff(const char *folder, const sample_tiff_kind *kind, const void *pixels);

#endif
