/* CLAHE and LAB against OpenCV's results (tests/golden/clahe.bin, made by make_clahe_golden.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/image/lab.h"
#include "fovea/base/file.h"
#include "fovea/image/clahe.h"
#include "fovea/image/image_file.h"

typedef struct record {
    char name[64];
    uint32_t width, height, channels, samples, tiles;
    double clip_limit;
    const uint8_t *pixels;
} record;

enum { HEADER_BYTES = 64 + 5 * 4 + 8, MAX_RECORDS = 64 };

static record records[MAX_RECORDS];
static int record_count;
static void *golden;

static int read_golden(void **state) {
    (void)state;
    size_t bytes;
    if (fv_file_read("tests/golden/clahe.bin", 1 << 20, &golden, &bytes) != FV_OK) return -1;
    const uint8_t *at = golden, *end = at + bytes;
    if (memcmp(at, "FVCLAHE1", 8) != 0) return -1;
    for (at += 8; at + HEADER_BYTES <= end && record_count < MAX_RECORDS; record_count++) {
        record *r = &records[record_count];
        memcpy(r->name, at, 64);
        memcpy(&r->width, at + 64, 20);
        memcpy(&r->clip_limit, at + 84, 8);
        r->pixels = at + HEADER_BYTES;
        at = r->pixels + (size_t)r->samples * r->channels;
    }
    return at == end ? 0 : -1;
}

static int free_golden(void **state) {
    (void)state;
    free(golden);
    return 0;
}

static const record *find(const char *name) {
    for (int i = 0; i < record_count; i++) {
        if (strcmp(records[i].name, name) == 0) return &records[i];
    }
    fail_msg("no record %s in tests/golden/clahe.bin", name);
    return NULL;
}

/* Which pixel sample k is: scattered, or all in order. */
static size_t sample_place(const record *r, size_t k) {
    size_t count = (size_t)r->width * r->height;
    return r->samples == count ? k : k * 1000003 % count;
}

/* The share of the record's pixels whose channels are all within `levels` of the image's. */
static double share_within(const record *r, const fv_image *image, int levels) {
    uint32_t good = 0;
    assert_int_equal(image->width, r->width);
    assert_int_equal(image->height, r->height);
    for (size_t k = 0; k < r->samples; k++) {
        const uint8_t *expected = r->pixels + k * r->channels, *found = image->data + sample_place(r, k) * r->channels;
        int worst = 0;
        for (uint32_t c = 0; c < r->channels; c++) {
            int apart = abs(expected[c] - found[c]);
            if (apart > worst) worst = apart;
        }
        good += worst <= levels;
    }
    return (double)good / r->samples;
}

static void all_colours(uint8_t colours[4096 * 3]) {
    for (int i = 0; i < 4096; i++) {
        colours[3 * i] = (uint8_t)((i >> 8) * 17);
        colours[3 * i + 1] = (uint8_t)((i >> 4 & 15) * 17);
        colours[3 * i + 2] = (uint8_t)((i & 15) * 17);
    }
}

static void rgb_to_lab_equals_opencv(void **state) {
    (void)state;
    static uint8_t rgb[4096 * 3], lightness[4096], ab[4096 * 2];
    const record *r = find("rgb_to_lab");
    all_colours(rgb);
    fv_lab_from_rgb(rgb, 4096, lightness, ab);
    for (int i = 0; i < 4096; i++) {
        assert_int_equal(lightness[i], r->pixels[3 * i]);
        assert_int_equal(ab[2 * i], r->pixels[3 * i + 1]);
        assert_int_equal(ab[2 * i + 1], r->pixels[3 * i + 2]);
    }
}

static void lab_to_rgb_equals_opencv(void **state) {
    (void)state;
    static uint8_t lab[4096 * 3], lightness[4096], ab[4096 * 2], rgb[4096 * 3];
    const record *r = find("lab_to_rgb");
    all_colours(lab);
    for (int i = 0; i < 4096; i++) {
        lightness[i] = lab[3 * i];
        memcpy(ab + 2 * i, lab + 3 * i + 1, 2);
    }
    fv_lab_to_rgb(lightness, ab, 4096, rgb);
    assert_memory_equal(rgb, r->pixels, sizeof rgb);
}

static void lab_and_back_keeps_greys_and_nearly_all_else(void **state) {
    (void)state;
    static uint8_t rgb[4096 * 3], lightness[4096], ab[4096 * 2], back[4096 * 3];
    double apart = 0;
    all_colours(rgb);
    fv_lab_from_rgb(rgb, 4096, lightness, ab);
    fv_lab_to_rgb(lightness, ab, 4096, back);
    for (size_t i = 0; i < sizeof rgb; i++) apart += abs(rgb[i] - back[i]);
    assert_true(apart / sizeof rgb < 1.5); /* three bytes hold LAB coarsely */
    for (int i = 0; i < 4096; i += 273) {  /* r = g = b */
        assert_in_range(ab[2 * i], 127, 129);
        for (int c = 0; c < 3; c++) assert_in_range(back[3 * i + c] + 1, rgb[3 * i + c], rgb[3 * i + c] + 2);
    }
    assert_int_equal(lightness[0], 0);
    assert_int_equal(lightness[4095], 255);
}

/* The same formula stands in make_clahe_golden.py. */
static void make_synthetic(const record *r, fv_image *image) {
    int width = (int)r->width, height = (int)r->height;
    assert_int_equal(fv_image_make(width, height, (int)r->channels, image), FV_OK);
    uint8_t *at = image->data;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            if (r->channels == 3) {
                *at++ = (uint8_t)(x * 255 / (width - 1));
                *at++ = (uint8_t)(y * 255 / (height - 1));
            }
            *at++ = (uint8_t)((x * y / 8 + 3 * x) % 256);
        }
    }
}

static void synthetic_images_equal_opencv(void **state) {
    (void)state;
    int compared = 0;
    for (int i = 0; i < record_count; i++) {
        const record *r = &records[i];
        if (strncmp(r->name, "synthetic_", 10) != 0) continue;
        fv_image image;
        make_synthetic(r, &image);
        fv_status status = r->channels == 3 ? fv_clahe_lab(&image, r->clip_limit, (int)r->tiles)
                                            : fv_clahe(&image, r->clip_limit, (int)r->tiles);
        assert_int_equal(status, FV_OK);
        assert_true(share_within(r, &image, 0) == 1);
        fv_image_free(&image);
        compared++;
    }
    assert_int_equal(compared, 8);
}

/* At most one grey level apart on 99.9 % of pixels is what is asked for; the arithmetic is OpenCV's own, so nearly all
 * are equal. */
static void photographs_equal_opencv(void **state) {
    (void)state;
    const char *data = getenv("FOVEA_DATA");
    int compared = 0;
    for (int i = 0; i < record_count; i++) {
        const record *r = &records[i];
        if (!strchr(r->name, '/')) continue;
        char path[FV_PATH_MAX];
        assert_int_equal(fv_path_join(path, data ? data : "../shared/data", r->name), FV_OK);
        if (!fv_file_exists(path)) {
            printf("skip: CLAHE of photographs: no %s\n", path);
            skip();
        }
        fv_image photo;
        assert_int_equal(fv_image_read(path, 3, &photo), FV_OK);
        assert_int_equal(fv_clahe_lab(&photo, r->clip_limit, (int)r->tiles), FV_OK);
        assert_true(share_within(r, &photo, 1) >= 0.999);
        assert_true(share_within(r, &photo, 0) >= 0.99);
        fv_image_free(&photo);
        compared++;
    }
    assert_int_equal(compared, 10);
}

static void plain_and_tiny_images_are_handled(void **state) {
    (void)state;
    fv_image image;
    assert_int_equal(fv_image_make(40, 30, 1, &image), FV_OK);
    memset(image.data, 77, 40 * 30);
    assert_int_equal(fv_clahe(&image, 2, 8), FV_OK);
    for (int i = 1; i < 40 * 30; i++) assert_int_equal(image.data[i], image.data[0]);
    fv_image_free(&image);
    assert_int_equal(fv_image_make(1, 1, 3, &image), FV_OK);
    assert_int_equal(fv_clahe_lab(&image, 2, 8), FV_OK);
    fv_image_free(&image);
}

static void a_higher_clip_limit_gives_more_contrast(void **state) {
    (void)state;
    int spread[2];
    for (int i = 0; i < 2; i++) {
        fv_image image;
        assert_int_equal(fv_image_make(64, 64, 1, &image), FV_OK);
        for (int p = 0; p < 64 * 64; p++) image.data[p] = (uint8_t)(120 + p * 7 % 11);
        assert_int_equal(fv_clahe(&image, i ? 8 : 2, 2), FV_OK);
        int low = 255, high = 0;
        for (int p = 0; p < 64 * 64; p++) {
            if (image.data[p] < low) low = image.data[p];
            if (image.data[p] > high) high = image.data[p];
        }
        spread[i] = high - low;
        fv_image_free(&image);
    }
    assert_true(spread[0] > 10);
    assert_true(spread[1] > 2 * spread[0]);
}

static void wrong_arguments_are_explained(void **state) {
    (void)state;
    fv_image image;
    assert_int_equal(fv_image_make(8, 8, 3, &image), FV_OK);
    assert_int_equal(fv_clahe(&image, 2, 8), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "CLAHE: the image has 3 channels, expected 1");
    assert_int_equal(fv_clahe_lab(&image, 0, 8), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "clip limit 0"));
    assert_int_equal(fv_clahe_lab(&image, 2, 0), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "0 tiles a side, expected 1..256"));
    assert_int_equal(fv_clahe_lab(&image, 2, 257), FV_BAD_INPUT);
    fv_image_free(&image);
    assert_int_equal(fv_clahe_lab(&image, 2, 8), FV_BAD_INPUT); /* zeroed */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rgb_to_lab_equals_opencv),
        cmocka_unit_test(lab_to_rgb_equals_opencv),
        cmocka_unit_test(lab_and_back_keeps_greys_and_nearly_all_else),
        cmocka_unit_test(synthetic_images_equal_opencv),
        cmocka_unit_test(photographs_equal_opencv),
        cmocka_unit_test(plain_and_tiny_images_are_handled),
        cmocka_unit_test(a_higher_clip_limit_gives_more_contrast),
        cmocka_unit_test(wrong_arguments_are_explained),
    };
    return cmocka_run_group_tests(tests, read_golden, free_golden);
}
