/* JPEG files of kinds that only a real encoder writes: subsampled colours, progressive scans, CMYK, damaged pixels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "image_expect.h"
#include "image_samples.h"

enum { WIDTH = 61, HEIGHT = 43 };

typedef struct jpeg_kind {
    J_COLOR_SPACE pixels, stored; /* as given to the encoder, as in the file */
    int channels, subsampling;    /* 2 for 4:2:0 */
    bool progressive, adobe;
} jpeg_kind;

/* Smooth slopes, which survive subsampling and quantisation. */
static uint8_t slope(int x, int y, int channel) {
    switch (channel) {
    case 0:
        return (uint8_t)(40 + 3 * x);
    case 1:
        return (uint8_t)(220 - 4 * y);
    case 2:
        return (uint8_t)(60 + x + 2 * y);
    default:
        return (uint8_t)(255 - x - y);
    }
}

static sample_file encode(const jpeg_kind *kind) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long bytes = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &bytes);
    jpeg.image_width = WIDTH;
    jpeg.image_height = HEIGHT;
    jpeg.input_components = kind->channels;
    jpeg.in_color_space = kind->pixels;
    jpeg_set_defaults(&jpeg);
    jpeg_set_colorspace(&jpeg, kind->stored);
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = kind->subsampling;
    jpeg.write_Adobe_marker = kind->adobe;
    if (kind->progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < HEIGHT; y++) {
        uint8_t line[WIDTH * 4];
        for (int i = 0; i < WIDTH * kind->channels; i++) line[i] = slope(i / kind->channels, y, i % kind->channels);
        JSAMPROW row = line;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return (sample_file){data, bytes};
}

static void subsampled_and_progressive(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        jpeg_kind kind = {JCS_RGB, i & 4 ? JCS_RGB : JCS_YCbCr, 3, i & 4 ? 1 : 1 + (i & 1), i & 2, false};
        sample_file file = encode(&kind);
        fv_image image;
        expect_decoded(&file, 0, &image);
        assert_true(image.width == WIDTH && image.height == HEIGHT && image.channels == 3);
        for (int j = 0; j < WIDTH * HEIGHT * 3; j++)
            assert_true(abs(image.data[j] - slope(j / 3 % WIDTH, j / 3 / WIDTH, j % 3)) <= 6);
        fv_image_free(&image);
        free(file.data);
    }
}

/* The part of the light that an ink leaves, times the part that black leaves. */
static void cmyk_becomes_rgb(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        bool adobe = i > 0; /* whose files hold what is left, the others the ink */
        jpeg_kind kind = {JCS_CMYK, i == 2 ? JCS_YCCK : JCS_CMYK, 4, 1, false, adobe};
        sample_file file = encode(&kind);
        fv_image image;
        expect_decoded(&file, 0, &image);
        assert_true(image.width == WIDTH && image.height == HEIGHT && image.channels == 3);
        for (int j = 0; j < WIDTH * HEIGHT * 3; j++) {
            int x = j / 3 % WIDTH, y = j / 3 / WIDTH, ink = slope(x, y, j % 3), black = slope(x, y, 3);
            int expected = adobe ? ink * black / 255 : (255 - ink) * (255 - black) / 255;
            assert_true(abs(image.data[j] - expected) <= 6);
        }
        fv_image_free(&image);
        free(file.data);
    }
}

/* The end marker set into the middle of the coded pixels: the file is whole by its markers, its pixels are not. libjpeg
   alone would make the rest grey. */
static void pixels_that_end_early(void **state) {
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        jpeg_kind kind = {JCS_RGB, JCS_YCbCr, 3, 2, progressive, false};
        sample_file file = encode(&kind);
        memcpy(file.data + file.bytes - 60, "\xFF\xD9", 2);
        expect_refused(file, "damaged");
    }
}

static void huffman_table_with_too_many_codes(void **state) {
    (void)state;
    jpeg_kind kind = {JCS_RGB, JCS_YCbCr, 3, 1, false, false};
    sample_file file = encode(&kind);
    for (size_t i = 0; i + 8 < file.bytes; i++)
        if (file.data[i] == 0xFF && file.data[i + 1] == 0xC4) memset(file.data + i + 5, 0xFF, 3);
    expect_refused(file, "damaged");
}

static void size_stated_twice(void **state) {
    (void)state;
    jpeg_kind kind = {JCS_RGB, JCS_YCbCr, 3, 1, false, false};
    sample_file file = encode(&kind);
    sample_file twice = {malloc(file.bytes + 19), file.bytes + 19};
    size_t frame = 2;
    while (file.data[frame + 1] != 0xC0) frame += 2 + ((size_t)file.data[frame + 2] << 8 | file.data[frame + 3]);
    memcpy(twice.data, file.data, frame + 19);
    memcpy(twice.data + frame + 19, file.data + frame, file.bytes - frame);
    free(file.data);
    expect_refused(twice, "damaged");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subsampled_and_progressive), cmocka_unit_test(cmyk_becomes_rgb),
        cmocka_unit_test(pixels_that_end_early),      cmocka_unit_test(huffman_table_with_too_many_codes),
        cmocka_unit_test(size_stated_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
