/* Where training windows lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "../../src/dataset/window.h"

enum { WIDTH = 200, HEIGHT = 150, SIZE = 64, DRAWS = 4000 };

static fv_sample make_sample(void) {
    fv_sample sample = {0};
    assert_int_equal(fv_image_make(WIDTH, HEIGHT, 3, &sample.work.image), FV_OK);
    assert_int_equal(fv_image_make(WIDTH, HEIGHT, 1, &sample.work.fov), FV_OK);
    assert_int_equal(fv_image_make(WIDTH, HEIGHT, 1, &sample.mask[0]), FV_OK);
    memset(sample.work.fov.data, 255, WIDTH * HEIGHT);
    return sample;
}

static fv_loader_settings make_settings(void) {
    return (fv_loader_settings){.preprocess = {.size = SIZE, .fit = FV_FIT_NATIVE, .windows = true},
                                .windows_per_photo = 4};
}

static fv_window place(const fv_loader_settings *settings, const fv_sample *sample, int index) {
    fv_rng rng = fv_rng_make(5, 1, (uint64_t)index, FV_PURPOSE_WINDOW);
    return fv_window_place(settings, sample, 1, index, &rng);
}

static void without_windows_it_is_the_whole(void **state) {
    (void)state;
    fv_sample sample = make_sample();
    fv_loader_settings settings = make_settings();
    settings.preprocess.windows = false;
    fv_window window = place(&settings, &sample, 0);
    assert_true(window.x == 0 && window.y == 0 && window.width == WIDTH && window.height == HEIGHT);
    fv_sample_free(&sample);
}

static void windows_lie_within_the_image(void **state) {
    (void)state;
    fv_sample sample = make_sample();
    fv_loader_settings settings = make_settings();
    double sum_x = 0, sum_y = 0;
    for (int i = 0; i < DRAWS; i++) {
        fv_window window = place(&settings, &sample, i);
        assert_true(window.x >= 0 && window.x <= WIDTH - SIZE && window.y >= 0 && window.y <= HEIGHT - SIZE);
        assert_true(window.x == floor(window.x) &&
                    window.y == floor(window.y)); /* nothing is blurred by half a pixel */
        assert_true(window.width == SIZE && window.height == SIZE);
        sum_x += window.x;
        sum_y += window.y;
    }
    assert_float_equal(sum_x / DRAWS, (WIDTH - SIZE) / 2.0, 3); /* in the middle on the mean: 4 standard errors */
    assert_float_equal(sum_y / DRAWS, (HEIGHT - SIZE) / 2.0, 3);
    fv_sample_free(&sample);
}

/* One lit pixel of the mask at (120, 80): so many windows have it in their middle as foreground says, and a few of the
   others. */
static void the_wanted_share_is_centred_on_a_mask(void **state) {
    (void)state;
    fv_sample sample = make_sample();
    fv_loader_settings settings = make_settings();
    for (int y = 70; y < 90; y++) memset(sample.mask[0].data + y * WIDTH + 110, 255, 20);
    settings.foreground = 0.7;
    int centred = 0;
    for (int i = 0; i < DRAWS; i++) {
        fv_window window = place(&settings, &sample, i);
        double x = window.x + SIZE / 2, y = window.y + SIZE / 2;
        centred += x >= 110 && x < 130 && y >= 70 && y < 90;
    }
    double expected = 0.7 + 0.3 * 20 * 20 / (WIDTH * HEIGHT); /* those drawn anywhere meet it by chance */
    assert_float_equal((double)centred / DRAWS, expected, 4 * sqrt(0.25 / DRAWS));
    fv_sample_free(&sample);
}

static void the_others_are_centred_in_the_field(void **state) {
    (void)state;
    fv_sample sample = make_sample();
    fv_loader_settings settings = make_settings();
    memset(sample.work.fov.data, 0, WIDTH * HEIGHT);
    for (int y = 60; y < 100; y++) memset(sample.work.fov.data + y * WIDTH + 80, 255, 50);
    for (int i = 0; i < DRAWS; i++) {
        fv_window window = place(&settings, &sample, i);
        double x = window.x + SIZE / 2, y = window.y + SIZE / 2;
        assert_true(x >= 80 && x < 130 && y >= 60 && y < 100);
    }
    settings.foreground = 1; /* an empty mask: still a window within the image */
    assert_true(place(&settings, &sample, 0).x >= 0);
    fv_sample_free(&sample);
}

static void a_grid_covers_the_image_evenly(void **state) {
    (void)state;
    fv_sample sample = make_sample();
    fv_loader_settings settings = make_settings();
    settings.grid = 3;
    settings.windows_per_photo = 9;
    for (int i = 0; i < 9; i++) {
        fv_window window = place(&settings, &sample, i);
        assert_true(window.x == i % 3 * (WIDTH - SIZE) / 2 && window.y == i / 3 * (HEIGHT - SIZE) / 2);
    }
    fv_sample_free(&sample);
}

static void a_small_image_lies_in_the_window_s_middle(void **state) {
    (void)state;
    fv_sample sample = make_sample();
    fv_loader_settings settings = make_settings();
    settings.preprocess.size = 300;
    for (settings.grid = 0; settings.grid < 3; settings.grid++) {
        fv_window window = place(&settings, &sample, 0);
        assert_true(window.x == (WIDTH - 300) / 2 && window.y == (HEIGHT - 300) / 2 && window.width == 300);
    }
    fv_sample_free(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_windows_it_is_the_whole),
        cmocka_unit_test(windows_lie_within_the_image),
        cmocka_unit_test(the_wanted_share_is_centred_on_a_mask),
        cmocka_unit_test(the_others_are_centred_in_the_field),
        cmocka_unit_test(a_grid_covers_the_image_evenly),
        cmocka_unit_test(a_small_image_lies_in_the_window_s_middle),
    };
    return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
