#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "image_expect.h"
#include "image_samples.h"

enum { WIDTH = 7, HEIGHT = 13 };
static uint8_t indices[WIDTH * HEIGHT];

static void fill_indices(void) {
    for (int i = 0; i < WIDTH * HEIGHT; i++) indices[i] = (uint8_t)(i * 7 % 16);
}

static void expected_pixels(bool local_palette, uint8_t rgb[3 * WIDTH * HEIGHT]) {
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        int v = indices[i];
        uint8_t global[3] = {(uint8_t)(v * 10), (uint8_t)(255 - v), (uint8_t)v};
        uint8_t local[3] = {(uint8_t)v, (uint8_t)(v * 10), 7};
        memcpy(rgb + 3 * i, local_palette ? local : global, 3);
    }
}

static void palettes_and_interlacing(void **state) {
    (void)state;
    fill_indices();
    for (int kind = 0; kind < 4; kind++) {
        sample_gif_frame frame = {WIDTH, HEIGHT, 0, 0, WIDTH, HEIGHT, indices, (kind & 1) != 0, (kind & 2) != 0};
        uint8_t rgb[3 * WIDTH * HEIGHT];
        expected_pixels(frame.local_palette, rgb);
        expect_pixels(sample_gif(test_folder, &frame), 0, WIDTH, HEIGHT, 3, rgb);
        expect_truncations_refused(sample_gif(test_folder, &frame));
    }
}

/* Heights at which passes of the interlacing are empty. */
static void interlaced_low_pictures(void **state) {
    (void)state;
    fill_indices();
    uint8_t rgb[3 * WIDTH * HEIGHT];
    expected_pixels(false, rgb);
    for (int height = 1; height <= HEIGHT; height++) {
        sample_gif_frame frame = {WIDTH, height, 0, 0, WIDTH, height, indices, true, false};
        expect_pixels(sample_gif(test_folder, &frame), 0, WIDTH, height, 3, rgb);
    }
}

/* A frame that covers a part of the canvas: the rest has the background color, entry 3 of the palette. */
static void frame_on_a_canvas(void **state) {
    (void)state;
    sample_gif_frame frame = {4, 3, 1, 2, 2, 1, (uint8_t[]){5, 9}, false, false};
    uint8_t rgb[4 * 3 * 3];
    for (int i = 0; i < 12; i++) memcpy(rgb + 3 * i, (uint8_t[]){30, 252, 3}, 3);
    memcpy(rgb + 3 * (2 * 4 + 1), (uint8_t[]){50, 250, 5, 90, 246, 9}, 6);
    expect_pixels(sample_gif(test_folder, &frame), 0, 4, 3, 3, rgb);
}

static void damaged(void **state) {
    (void)state;
    fill_indices();
    sample_gif_frame frame = {WIDTH, HEIGHT, 0, 0, WIDTH, HEIGHT, indices, false, false};
    sample_file file = sample_gif(test_folder, &frame);
    file.data[6] = WIDTH - 1; /* the canvas's width */
    expect_refused(file, "reaches beyond the canvas");
    file = sample_gif(test_folder, &frame);
    file.data[8] = file.data[9] = 0;
    expect_refused(file, "no pixels");
    file = sample_gif(test_folder, &frame);
    size_t picture = 13 + 3 * 16;
    file.data[picture] = ';'; /* the end marker in the place of the comment */
    expect_refused(file, "it holds no picture");
    file = sample_gif(test_folder, &frame);
    file.data[picture] = 0x55; /* no such record */
    expect_refused(file, "GIF image is damaged");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(palettes_and_interlacing),
        cmocka_unit_test(interlaced_low_pictures),
        cmocka_unit_test(frame_on_a_canvas),
        cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
