#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"
#include "fovea/image/image_file.h"
#include "image_expect.h"
#include "image_samples.h"

/* Every pixel of the 8 x 8 blocks, `columns` of them in a row, has the color of its sample block. */
static void expect_blocks(const fv_image *image, int columns, const int blocks[6]) {
    assert_int_equal(image->channels, 3);
    assert_int_equal(image->width, 8 * columns);
    assert_int_equal(image->height, 8 * 6 / columns);
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            const uint8_t *color = sample_blocks[blocks[y / 8 * columns + x / 8]];
            assert_memory_equal(image->data + (y * image->width + x) * 3, color, 3);
        }
}

static void jpeg_baseline_and_progressive(void **state) {
    (void)state;
    static const int as_stored[6] = {0, 1, 2, 3, 4, 5};
    for (int kind = SAMPLE_JPEG_BASELINE; kind <= SAMPLE_JPEG_PROGRESSIVE; kind++) {
        sample_file file = sample_jpeg((sample_jpeg_kind)kind);
        fv_image image;
        expect_decoded(&file, 0, &image);
        expect_blocks(&image, 3, as_stored);
        fv_image_free(&image);
        free(file.data);
    }
}

static void jpeg_channels(void **state) {
    (void)state;
    sample_file grey = sample_jpeg(SAMPLE_JPEG_GREY);
    fv_image image;
    expect_decoded(&grey, 0, &image);
    assert_int_equal(image.channels, 1);
    assert_int_equal(image.data[0], 50);
    assert_int_equal(image.data[15], 200);
    fv_image_free(&image);
    expect_decoded(&grey, 3, &image);
    assert_int_equal(image.channels, 3);
    assert_memory_equal(image.data + 7 * 3, ((uint8_t[]){50, 50, 50, 200, 200, 200}), 6);
    fv_image_free(&image);
    free(grey.data);
    sample_file color = sample_jpeg(SAMPLE_JPEG_BASELINE);
    expect_decoded(&color, 1, &image);
    assert_int_equal(image.channels, 1);
    assert_int_equal(image.data[0], (77 * 200 + 150 * 40 + 29 * 40) >> 8);
    assert_int_equal(image.data[23], (77 * 40 + 150 * 40 + 29 * 200) >> 8);
    fv_image_free(&image);
    assert_int_equal(fv_image_decode(color.data, color.bytes, "sample", 2, &image), FV_BAD_INPUT);
    free(color.data);
}

/* Blocks of the upright picture for each orientation, as the EXIF standard's drawings have them. */
static const struct {
    int columns, blocks[6];
} oriented[9] = {
    [1] = {3, {0, 1, 2, 3, 4, 5}}, [2] = {3, {2, 1, 0, 5, 4, 3}}, [3] = {3, {5, 4, 3, 2, 1, 0}},
    [4] = {3, {3, 4, 5, 0, 1, 2}}, [5] = {2, {0, 3, 1, 4, 2, 5}}, [6] = {2, {3, 0, 4, 1, 5, 2}},
    [7] = {2, {5, 2, 4, 1, 3, 0}}, [8] = {2, {2, 5, 1, 4, 0, 3}},
};

static void jpeg_orientations(void **state) {
    (void)state;
    for (int orientation = 1; orientation <= 8; orientation++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            sample_file file = sample_jpeg_oriented(orientation, big_endian);
            fv_image image;
            expect_decoded(&file, 0, &image);
            expect_blocks(&image, oriented[orientation].columns, oriented[orientation].blocks);
            fv_image_free(&image);
            int width, height;
            assert_int_equal(fv_file_write(test_path("oriented.jpg"), file.data, file.bytes), FV_OK);
            assert_int_equal(fv_image_read_size(test_path("oriented.jpg"), &width, &height), FV_OK);
            assert_int_equal(width, 8 * oriented[orientation].columns);
            assert_int_equal(height, 8 * 6 / oriented[orientation].columns);
            free(file.data);
        }
    sample_file odd = sample_jpeg_oriented(9, false); /* not an orientation: as stored */
    fv_image image;
    expect_decoded(&odd, 0, &image);
    expect_blocks(&image, 3, oriented[1].blocks);
    fv_image_free(&image);
    free(odd.data);
}

static void jpeg_truncated(void **state) {
    (void)state;
    for (int kind = SAMPLE_JPEG_BASELINE; kind <= SAMPLE_JPEG_GREY; kind++)
        expect_truncations_refused(sample_jpeg((sample_jpeg_kind)kind));
    /* The thumbnail's end marker does not count for the picture's. */
    expect_truncations_refused(sample_jpeg_oriented(6, true));
    sample_file file = sample_jpeg(SAMPLE_JPEG_BASELINE);
    file.bytes -= 20;
    expect_refused(file, "truncated");
}

static void jpeg_with_bytes_behind_the_end(void **state) {
    (void)state;
    sample_file file = sample_jpeg(SAMPLE_JPEG_BASELINE);
    file.data = realloc(file.data, file.bytes + 100);
    memset(file.data + file.bytes, 0x5A, 100);
    file.bytes += 100;
    fv_image image;
    expect_decoded(&file, 0, &image);
    expect_blocks(&image, 3, oriented[1].blocks);
    fv_image_free(&image);
    free(file.data);
}

static void jpeg_of_other_kinds(void **state) {
    (void)state;
    static const uint8_t lossless[] = {0xFF, 0xD8, 0xFF, 0xC3, 0, 8, 8, 0, 1, 0, 1, 1, 0xFF, 0xD9};
    static const uint8_t deep[] = {0xFF, 0xD8, 0xFF, 0xC1, 0, 8, 12, 0, 1, 0, 1, 1, 0xFF, 0xD9};
    sample_file file = {malloc(sizeof lossless), sizeof lossless};
    memcpy(file.data, lossless, sizeof lossless);
    expect_refused(file, "lossless or arithmetic coding");
    file = (sample_file){malloc(sizeof deep), sizeof deep};
    memcpy(file.data, deep, sizeof deep);
    expect_refused(file, "not 8 bits per sample");
}

enum { PNG_GREY = 0, PNG_RGB = 2, PNG_PALETTE = 3, PNG_GREY_ALPHA = 4, PNG_RGB_ALPHA = 6 };

static void png_8_bit(void **state) {
    (void)state;
    static const uint8_t rows[] = {1, 2, 3, 4, 5, 6, 250, 251, 252, 253, 254, 255,
                                   9, 8, 7, 6, 5, 4, 3,   2,   1,   0,   77,  99};
    expect_pixels(sample_png(6, 4, 8, PNG_GREY, rows, 6), 0, 6, 4, 1, rows);
    expect_pixels(sample_png(4, 2, 8, PNG_RGB, rows, 12), 0, 4, 2, 3, rows);
    expect_pixels(sample_png(3, 4, 8, PNG_GREY_ALPHA, rows, 6), 0, 3, 4, 1,
                  (uint8_t[]){1, 3, 5, 250, 252, 254, 9, 7, 5, 3, 1, 77});
    expect_pixels(sample_png(3, 2, 8, PNG_RGB_ALPHA, rows, 12), 0, 3, 2, 3,
                  (uint8_t[]){1, 2, 3, 5, 6, 250, 252, 253, 254, 9, 8, 7, 5, 4, 3, 1, 0, 77});
    expect_pixels(sample_png(2, 2, 8, PNG_RGB, rows, 6), 1, 2, 2, 1,
                  (uint8_t[]){(77 + 300 + 87) >> 8, (77 * 4 + 150 * 5 + 29 * 6) >> 8,
                              (77 * 250 + 150 * 251 + 29 * 252) >> 8, (77 * 253 + 150 * 254 + 29 * 255) >> 8});
    expect_pixels(sample_png(10, 1, 1, PNG_GREY, (uint8_t[]){0xA5, 0x40}, 2), 0, 10, 1, 1,
                  (uint8_t[]){255, 0, 255, 0, 0, 255, 0, 255, 0, 255});
}

/* 16 bits become v * 255 / 65535, rounded: 0x80 is not 128 * 257 but everything nearer to it than to its neighbours. */
static void png_16_bit(void **state) {
    (void)state;
    static const uint8_t rows[] = {0x00, 0x00, 0x00, 0x80, 0x00, 0x81, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0x7E,
                                   0x80, 0x80, 0x12, 0x34, 0x12, 0x92, 0x01, 0x01, 0x01, 0x81, 0x01, 0x82};
    static const uint8_t grey[] = {0, 0, 1, 255, 255, 254, 128, 18, 18, 1, 1, 2};
    for (size_t i = 0; i < sizeof grey; i++) {
        int v = rows[2 * i] << 8 | rows[2 * i + 1];
        assert_int_equal(grey[i], (int)(v * 255.0 / 65535.0 + 0.5));
    }
    expect_pixels(sample_png(6, 2, 16, PNG_GREY, rows, 12), 0, 6, 2, 1, grey);
    expect_pixels(sample_png(2, 2, 16, PNG_RGB, rows, 12), 0, 2, 2, 3, grey);
    expect_pixels(sample_png(3, 2, 16, PNG_GREY_ALPHA, rows, 12), 0, 3, 2, 1, (uint8_t[]){0, 1, 255, 128, 18, 1});
    expect_pixels(sample_png(3, 1, 16, PNG_RGB_ALPHA, rows, 24), 0, 3, 1, 3,
                  (uint8_t[]){0, 0, 1, 255, 254, 128, 18, 1, 1});
}

static void png_filters(void **state) {
    (void)state;
    enum { WIDTH = 23, HEIGHT = 17 };
    static const struct {
        int color_type, samples, kept;
    } kinds[] = {{PNG_GREY, 1, 1}, {PNG_GREY_ALPHA, 2, 1}, {PNG_RGB, 3, 3}, {PNG_RGB_ALPHA, 4, 3}};
    for (int k = 0; k < 4; k++) {
        uint8_t pixels[WIDTH * HEIGHT * 4], expected[WIDTH * HEIGHT * 3];
        for (int i = 0; i < WIDTH * HEIGHT * 4; i++) pixels[i] = (uint8_t)(i * i * 31 / 7 + i / 50);
        for (int i = 0; i < WIDTH * HEIGHT * kinds[k].kept; i++)
            expected[i] = pixels[i / kinds[k].kept * kinds[k].samples + i % kinds[k].kept];
        expect_pixels(sample_png_filtered(WIDTH, HEIGHT, kinds[k].color_type, (size_t)kinds[k].samples, pixels), 0,
                      WIDTH, HEIGHT, kinds[k].kept, expected);
    }
}

static void png_truncated(void **state) {
    (void)state;
    static const uint8_t rows[36] = {1, 2, 3};
    expect_truncations_refused(sample_png(4, 3, 8, PNG_RGB, rows, 12));
    expect_truncations_refused(sample_png(6, 3, 16, PNG_GREY, rows, 12));
    expect_refused(sample_png(4, 4, 8, PNG_RGB, NULL, 0), "damaged");
}

static void png_damaged(void **state) {
    (void)state;
    static const uint8_t rows[36] = {1, 2, 3};
    sample_file file = sample_png(4, 3, 8, PNG_RGB, rows, 12);
    file.data[33 + 8 + 20] ^= 1; /* a pixel: the check sum of its chunk no longer fits */
    expect_refused(file, "check sum of a chunk");
    file = sample_png(4, 3, 8, PNG_RGB, rows, 12);
    file.data[19] ^= 8; /* the width */
    expect_refused(file, "check sum of IHDR");
    file = sample_png(4, 3, 8, PNG_RGB, rows, 12);
    file.data[19] = 0;
    sample_png_seal(&file, 8);
    expect_refused(file, "no pixels");
    file = sample_png(4, 3, 8, PNG_RGB, rows, 12);
    file.data[12] = 'i';
    expect_refused(file, "IHDR");
}

static void bmp_both_ways_up(void **state) {
    (void)state;
    uint8_t rgb[5 * 3 * 3];
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)(i * 5);
    expect_pixels(sample_bmp(5, 3, rgb, false), 0, 5, 3, 3, rgb);
    expect_pixels(sample_bmp(5, 3, rgb, true), 0, 5, 3, 3, rgb);
    expect_truncations_refused(sample_bmp(5, 3, rgb, false));
    sample_file file = sample_bmp(5, 3, rgb, false);
    file.data[14] = 41; /* a kind of header that doesn't exist is left to stb_image to refuse */
    expect_refused(file, "BMP");
    file = sample_bmp(5, 3, rgb, false);
    file.data[14] = 3;
    expect_refused(file, "unknown kind of header");
}

/* A header that claims 30000 x 30000 pixels costs no memory, whatever the format. */
static void too_large(void **state) {
    (void)state;
    size_t before = fv_memory_peak();
    expect_refused(sample_png(30000, 30000, 8, PNG_RGB, NULL, 0),
                   "30000 x 30000 pixels are too many, at most 120 million");
    expect_refused(sample_png(0xFFFFFFFF, 0xFFFFFFFF, 16, PNG_RGB_ALPHA, NULL, 0), "4294967295 x 4294967295 pixels");
    sample_file bmp = sample_bmp(1, 1, (uint8_t[]){1, 2, 3}, false);
    memcpy(bmp.data + 18, (uint8_t[]){0x30, 0x75, 0, 0, 0x30, 0x75, 0, 0}, 8);
    expect_refused(bmp, "30000 x 30000");
    bmp = sample_bmp(1, 1, (uint8_t[]){1, 2, 3}, false);
    memcpy(bmp.data + 18, (uint8_t[]){0x30, 0x75, 0, 0, 0, 0, 0, 0x80}, 8); /* a height of -2^31 */
    expect_refused(bmp, "30000 x 2147483648");
    sample_file gif = sample_gif(test_folder, &(sample_gif_frame){1, 1, 0, 0, 1, 1, (uint8_t[]){0}, false, false});
    memcpy(gif.data + 6, (uint8_t[]){0x30, 0x75, 0x30, 0x75}, 4);
    expect_refused(gif, "30000 x 30000");
    sample_file jpeg = sample_jpeg(SAMPLE_JPEG_BASELINE);
    for (size_t i = 0; i + 8 < jpeg.bytes; i++)
        if (jpeg.data[i] == 0xFF && jpeg.data[i + 1] == 0xC0)
            memcpy(jpeg.data + i + 5, (uint8_t[]){0x75, 0x30, 0x75, 0x30}, 4);
    expect_refused(jpeg, "30000 x 30000");
    sample_tiff_kind kind = {1, 1, 8, 1, PHOTOMETRIC_MINISBLACK, COMPRESSION_NONE, 0, 0, false, false};
    sample_file tiff = sample_tiff(test_folder, &kind, (uint8_t[]){7});
    for (size_t i = 0; i + 12 <= tiff.bytes; i++) /* directory entries: tag, type SHORT, count 1, value */
        if ((tiff.data[i] == 0 || tiff.data[i] == 1) && memcmp(tiff.data + i + 1, "\1\3\0\1\0\0\0\1\0", 9) == 0)
            memcpy(tiff.data + i + 8, (uint8_t[]){0x30, 0x75}, 2);
    expect_refused(tiff, "30000 x 30000");
    assert_true(fv_memory_peak() - before < (size_t)20 << 20);
}

/* A small file whose stream unpacks to far more than its header says may not take the memory that the stream asks for.
 */
static void png_bomb(void **state) {
    (void)state;
    size_t before = fv_memory_peak();
    expect_refused(sample_png_bomb((size_t)200 << 20), "PNG");
    assert_true(fv_memory_peak() - before < (size_t)20 << 20);
}

static void not_images(void **state) {
    (void)state;
    fv_image image;
    int width, height;
    assert_int_equal(fv_file_write(test_path("empty.png"), "", 0), FV_OK);
    assert_int_equal(fv_image_read(test_path("empty.png"), 0, &image), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "empty.png is empty"));
    assert_int_equal(strncmp(fv_error(), test_folder, strlen(test_folder)), 0);
    assert_int_equal(fv_image_read_size(test_path("empty.png"), &width, &height), FV_BAD_INPUT);
    assert_int_equal(fv_file_write(test_path("text.jpg"), "name,fundus\n", 12), FV_OK);
    assert_int_equal(fv_image_read(test_path("text.jpg"), 0, &image), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "text.jpg is not a JPEG, PNG, BMP, GIF or TIFF image"));
    assert_int_equal(fv_image_read(test_path("missing.jpg"), 0, &image), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "missing.jpg"));
    assert_null(image.data);
    assert_int_equal(fv_image_read_size(test_path("missing.jpg"), &width, &height), FV_BAD_INPUT);
    assert_int_equal(width, 0);
    assert_int_equal(fv_image_read(test_folder, 0, &image), FV_BAD_INPUT);
}

static void names(void **state) {
    (void)state;
    static const char *const images[] = {"a.jpg", "a.JPEG", "dir.x/a.png", "a.BMP", "a.gif", "a.tif", "a.b.TIFF"};
    static const char *const others[] = {"a", "a.txt", "a.jpg.txt", "jpg", ".png", "dir.png/a", "dir/.jpg", "", "a.pn"};
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) assert_true(fv_image_is_name(images[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_false(fv_image_is_name(others[i]));
}

static void write_and_read_back(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        fv_image image, copy, back;
        assert_int_equal(fv_image_make(131, 67, channels, &image), FV_OK);
        for (int i = 0; i < 131 * 67 * channels; i++) image.data[i] = (uint8_t)(i * i / 7);
        assert_int_equal(fv_image_copy(&image, &copy), FV_OK);
        assert_int_equal(fv_image_write_png(&image, test_path("written.png")), FV_OK);
        assert_memory_equal(image.data, copy.data, (size_t)(131 * 67 * channels));
        assert_int_equal(fv_image_read(test_path("written.png"), 0, &back), FV_OK);
        assert_int_equal(back.channels, channels);
        assert_memory_equal(back.data, copy.data, (size_t)(131 * 67 * channels));
        int width, height;
        assert_int_equal(fv_image_read_size(test_path("written.png"), &width, &height), FV_OK);
        assert_int_equal(width, 131);
        assert_int_equal(height, 67);
        fv_image_free(&image);
        fv_image_free(&copy);
        fv_image_free(&back);
    }
}

static void write_refused(void **state) {
    (void)state;
    fv_image image;
    assert_int_equal(fv_image_make(2, 2, 1, &image), FV_OK);
    assert_int_equal(fv_image_write_png(&image, test_path("no/such/folder.png")), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "no/such/folder.png"));
    fv_image_free(&image);
    fv_image_free(&image);
    assert_int_equal(fv_image_write_png(&image, test_path("nothing.png")), FV_BAD_INPUT);
    assert_false(fv_file_exists(test_path("nothing.png")));
}

static void make_refused(void **state) {
    (void)state;
    fv_image image;
    assert_int_equal(fv_image_make(0, 5, 1, &image), FV_BAD_INPUT);
    assert_int_equal(fv_image_make(5, -1, 3, &image), FV_BAD_INPUT);
    assert_int_equal(fv_image_make(5, 5, 2, &image), FV_BAD_INPUT);
    assert_null(image.data);
    assert_int_equal(fv_image_make(3, 2, 3, &image), FV_OK);
    for (int i = 0; i < 18; i++) assert_int_equal(image.data[i], 0);
    fv_image_free(&image);
}

/* Sizes of the image and of its mask agree, and the mask holds something. */
static void expect_pair(const char *root, const char *image_path, const char *mask_path) {
    char path[FV_PATH_MAX];
    fv_image image, mask;
    assert_int_equal(fv_path_join(path, root, image_path), FV_OK);
    if (fv_image_read(path, 0, &image) != FV_OK) fail_msg("%s", fv_error());
    int width, height;
    assert_int_equal(fv_image_read_size(path, &width, &height), FV_OK);
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    assert_int_equal(image.channels, 3);
    assert_int_equal(fv_path_join(path, root, mask_path), FV_OK);
    if (fv_image_read(path, 1, &mask) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(mask.width, width);
    assert_int_equal(mask.height, height);
    assert_non_null(memchr(mask.data, 255, (size_t)width * (size_t)height));
    fv_image_free(&image);
    fv_image_free(&mask);
}

static void real_photographs(void **state) {
    (void)state;
    const char *data = getenv("FOVEA_DATA");
    char root[FV_PATH_MAX], index[FV_PATH_MAX], line[4096];
    assert_int_equal(fv_path_join(root, data ? data : "../shared/data", "drishti"), FV_OK);
    assert_int_equal(fv_path_join(index, root, "index.csv"), FV_OK);
    FILE *stream = fopen(index, "r");
    if (stream == NULL) {
        printf("skip: %s is not there\n", index);
        skip();
    }
    int pairs = 0;
    assert_non_null(fgets(line, sizeof line, stream)); /* name,fundus,od,oc,... */
    while (fgets(line, sizeof line, stream)) {
        char *rest = line;
        strsep(&rest, ",");
        const char *fundus = strsep(&rest, ","), *disc = strsep(&rest, ",");
        expect_pair(root, fundus, disc);
        pairs++;
    }
    fclose(stream);
    assert_int_equal(pairs, 101);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_baseline_and_progressive),
        cmocka_unit_test(jpeg_channels),
        cmocka_unit_test(jpeg_orientations),
        cmocka_unit_test(jpeg_truncated),
        cmocka_unit_test(jpeg_with_bytes_behind_the_end),
        cmocka_unit_test(jpeg_of_other_kinds),
        cmocka_unit_test(png_8_bit),
        cmocka_unit_test(png_16_bit),
        cmocka_unit_test(png_filters),
        cmocka_unit_test(png_truncated),
        cmocka_unit_test(png_damaged),
        cmocka_unit_test(png_bomb),
        cmocka_unit_test(bmp_both_ways_up),
        cmocka_unit_test(too_large),
        cmocka_unit_test(not_images),
        cmocka_unit_test(names),
        cmocka_unit_test(write_and_read_back),
        cmocka_unit_test(write_refused),
        cmocka_unit_test(make_refused),
        cmocka_unit_test(real_photographs),
    };
    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
