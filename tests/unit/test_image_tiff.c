#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "fovea/base/file.h"
#include "fovea/image/image_file.h"
#include "image_expect.h"
#include "image_samples.h"

enum { WIDTH = 37, HEIGHT = 19, SAMPLES = WIDTH * HEIGHT * 4 };
static uint8_t samples_8[SAMPLES];
static uint16_t samples_16[SAMPLES];

static int fill_samples(void **state) {
    for (int i = 0; i < SAMPLES; i++) {
        samples_8[i] = (uint8_t)(i * 31 + i / 50);
        samples_16[i] = (uint16_t)(i * 7919 + i / 3);
    }
    return test_folder_make(state);
}

/* What the picture should be: alpha dropped, 16 bits rounded to 8, white-is-zero turned round. */
static void expected_pixels(const sample_tiff_kind *kind, uint8_t *out) {
    int channels = kind->samples >= 3 ? 3 : 1;
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        for (int c = 0; c < channels; c++) {
            int at = i * kind->samples + c;
            int v = kind->bits == 16 ? (int)(samples_16[at] * 255.0 / 65535.0 + 0.5) : samples_8[at];
            out[i * channels + c] = (uint8_t)(kind->photometric == PHOTOMETRIC_MINISWHITE ? 255 - v : v);
        }
}

static sample_file make(const sample_tiff_kind *kind) {
    const void *pixels = kind->bits == 16 ? (const void *)samples_16 : (const void *)samples_8;
    return sample_tiff(test_folder, kind, pixels);
}

static void expect_kind(const sample_tiff_kind *kind) {
    uint8_t expected[WIDTH * HEIGHT * 3];
    expected_pixels(kind, expected);
    expect_pixels(make(kind), 0, WIDTH, HEIGHT, kind->samples >= 3 ? 3 : 1, expected);
}

/* 8 and 16 bits, grey, RGB and RGBA, three compressions, strips and tiles, planes together and apart, both byte orders.
 */
static void plain_kinds(void **state) {
    (void)state;
    static const int colors[4][2] = {
        {PHOTOMETRIC_MINISBLACK, 1}, {PHOTOMETRIC_MINISWHITE, 1}, {PHOTOMETRIC_RGB, 3}, {PHOTOMETRIC_RGB, 4}};
    static const int compressions[3] = {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE};
    for (int i = 0; i < 4 * 3 * 2 * 2 * 2 * 2; i++) {
        int variant = i / 12;
        sample_tiff_kind kind = {.width = WIDTH,
                                 .height = HEIGHT,
                                 .bits = variant & 1 ? 16 : 8,
                                 .photometric = colors[i % 4][0],
                                 .samples = colors[i % 4][1],
                                 .compression = compressions[i / 4 % 3],
                                 .tile = variant & 2 ? 16 : 0,
                                 .separate = variant & 4,
                                 .big_endian = variant & 8};
        expect_kind(&kind);
    }
}

static void one_bit_masks(void **state) {
    (void)state;
    static const uint8_t rows[] = {0xA5, 0x40, 0xFF, 0xC0, 0x00, 0x00};
    uint8_t expected[30] = {255, 0, 255, 0, 0, 255, 0, 255, 0, 255};
    memset(expected + 10, 255, 10);
    sample_tiff_kind kind = {10, 3, 1, 1, PHOTOMETRIC_MINISBLACK, COMPRESSION_NONE, 0, 0, false, false};
    expect_pixels(sample_tiff(test_folder, &kind, rows), 0, 10, 3, 1, expected);
    kind.compression = COMPRESSION_CCITTFAX4;
    expect_pixels(sample_tiff(test_folder, &kind, rows), 0, 10, 3, 1, expected);
    kind.photometric = PHOTOMETRIC_MINISWHITE;
    for (int i = 0; i < 30; i++) expected[i] ^= 255;
    expect_pixels(sample_tiff(test_folder, &kind, rows), 0, 10, 3, 1, expected);
}

static void palette(void **state) {
    (void)state;
    sample_tiff_kind kind = {3, 2, 8, 1, PHOTOMETRIC_PALETTE, COMPRESSION_LZW, 0, 0, false, false};
    expect_pixels(sample_tiff(test_folder, &kind, (uint8_t[]){0, 1, 2, 100, 200, 255}), 0, 3, 2, 3,
                  (uint8_t[]){0, 0, 0, 1, 2, 3, 2, 4, 6, //
                              100, 200, 44, 200, 144, 88, 255, 254, 253});
}

/* Pixels 1 2 3 / 4 5 6 as each orientation shows them. */
static void orientations(void **state) {
    (void)state;
    static const uint8_t stored[6] = {1, 2, 3, 4, 5, 6};
    static const uint8_t upright[9][6] = {
        [1] = {1, 2, 3, 4, 5, 6}, [2] = {3, 2, 1, 6, 5, 4}, [3] = {6, 5, 4, 3, 2, 1}, [4] = {4, 5, 6, 1, 2, 3},
        [5] = {1, 4, 2, 5, 3, 6}, [6] = {4, 1, 5, 2, 6, 3}, [7] = {6, 3, 5, 2, 4, 1}, [8] = {3, 6, 2, 5, 1, 4}};
    for (int orientation = 1; orientation <= 8; orientation++) {
        int columns = orientation >= 5 ? 2 : 3;
        sample_tiff_kind kind = {3, 2, 8, 1, PHOTOMETRIC_MINISBLACK, COMPRESSION_NONE, orientation, 0, false, false};
        expect_pixels(sample_tiff(test_folder, &kind, stored), 0, columns, 6 / columns, 1, upright[orientation]);
        sample_file file = sample_tiff(test_folder, &kind, stored);
        int width, height;
        assert_int_equal(fv_file_write(test_path("oriented.tif"), file.data, file.bytes), FV_OK);
        assert_int_equal(fv_image_read_size(test_path("oriented.tif"), &width, &height), FV_OK);
        assert_int_equal(width, columns);
        assert_int_equal(height, 6 / columns);
        free(file.data);
        /* The same through libtiff's own conversion, which would like to turn the picture itself. */
        kind.photometric = PHOTOMETRIC_PALETTE;
        uint8_t colors[18];
        for (int i = 0; i < 6; i++)
            for (int c = 0; c < 3; c++) colors[3 * i + c] = (uint8_t)(upright[orientation][i] * (c + 1));
        expect_pixels(sample_tiff(test_folder, &kind, stored), 0, columns, 6 / columns, 3, colors);
    }
}

static void truncated(void **state) {
    (void)state;
    sample_tiff_kind kind = {WIDTH, HEIGHT, 8, 3, PHOTOMETRIC_RGB, COMPRESSION_LZW, 0, 0, false, false};
    expect_truncations_refused(make(&kind));
    kind =
        (sample_tiff_kind){WIDTH, HEIGHT, 16, 1, PHOTOMETRIC_MINISBLACK, COMPRESSION_ADOBE_DEFLATE, 0, 16, false, true};
    expect_truncations_refused(make(&kind));
}

static void unsupported(void **state) {
    (void)state;
    sample_tiff_kind kind = {4, 3, 32, 1, PHOTOMETRIC_MINISBLACK, COMPRESSION_NONE, 0, 0, false, false};
    expect_refused(sample_tiff(test_folder, &kind, samples_8), "32-bit");
    sample_file rubbish = {malloc(64), 64};
    memset(rubbish.data, 0xEE, 64);
    memcpy(rubbish.data, "II*\0", 4);
    expect_refused(rubbish, "TIFF image is damaged");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_kinds),  cmocka_unit_test(one_bit_masks), cmocka_unit_test(palette),
        cmocka_unit_test(orientations), cmocka_unit_test(truncated),     cmocka_unit_test(unsupported),
    };
    return cmocka_run_group_tests(tests, fill_samples, test_folder_remove);
}
