/* The steps of enhancement against OpenCV's results (tests/golden/enhance.bin), and their behaviour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/image/enhance.h"

enum { WIDTH = 101, HEIGHT = 67, PIXELS = WIDTH * HEIGHT };

/* The same formula stands in make_enhance_golden.py. */
static fv_image synthetic(void) {
    fv_image image;
    assert_int_equal(fv_image_make(WIDTH, HEIGHT, 3, &image), FV_OK);
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            uint8_t *at = image.data + (y * WIDTH + x) * 3;
            at[0] = (uint8_t)(x * 255 / (WIDTH - 1));
            at[1] = (uint8_t)(60 + (x * y / 8 + 3 * x) % 90);
            at[2] = (uint8_t)(y * 255 / (HEIGHT - 1));
        }
    }
    return image;
}

static fv_image disc_mask(void) {
    fv_image mask;
    assert_int_equal(fv_image_make(WIDTH, HEIGHT, 1, &mask), FV_OK);
    for (int i = 0; i < PIXELS; i++) {
        int x = i % WIDTH - 50, y = i / WIDTH - 33;
        mask.data[i] = x * x + y * y <= 30 * 30 ? 255 : 0;
    }
    return mask;
}

static void apply(const char *chain, fv_image *image, const fv_image *fov) {
    fv_enhance enhance = fv_enhance_standard();
    assert_int_equal(fv_enhance_parse(chain, &enhance), FV_OK);
    assert_int_equal(fv_enhance_apply(&enhance, image, fov), FV_OK);
}

static void chains_equal_opencv(void **state) {
    (void)state;
    void *golden;
    size_t bytes;
    assert_int_equal(fv_file_read("tests/golden/enhance.bin", 1 << 20, &golden, &bytes), FV_OK);
    assert_int_equal(bytes, 8 + PIXELS * 4 + 96 * 80);
    const uint8_t *each = (const uint8_t *)golden + 8, *vessels = each + PIXELS * 3;
    fv_image image = synthetic();
    apply("clahe", &image, NULL);
    assert_memory_equal(image.data, each, PIXELS * 3);
    fv_image_free(&image);
    image = synthetic();
    apply("green clahe unsharp stretch", &image, NULL);
    for (int i = 0; i < PIXELS * 3; i++) assert_int_equal(image.data[i], vessels[i / 3]);
    fv_image_free(&image);
    free(golden);
}

static void outside_is_dark_after_fov_and_plain_after_the_normalising_steps(void **state) {
    (void)state;
    static const struct {
        const char *chain;
        int level;
    } cases[] = {{"fov", 0}, {"standardise", 128}, {"local", 128}, {"clahe, fov", 0}};
    fv_image mask = disc_mask();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        fv_image image = synthetic();
        apply(cases[k].chain, &image, &mask);
        for (int i = 0; i < PIXELS * 3; i++)
            if (!mask.data[i / 3]) assert_int_equal(image.data[i], cases[k].level);
        fv_image_free(&image);
    }
    fv_image_free(&mask);
}

static void standardise_gives_mean_and_deviation_inside(void **state) {
    (void)state;
    fv_image image = synthetic(), mask = disc_mask();
    apply("standardise", &image, &mask);
    for (int c = 0; c < 3; c++) {
        double count = 0, sum = 0, squares = 0;
        for (int i = 0; i < PIXELS; i++) {
            if (!mask.data[i]) continue;
            double v = image.data[3 * i + c];
            count++, sum += v, squares += v * v;
        }
        double mean = sum / count;
        assert_true(fabs(mean - 128) < 0.5);
        assert_true(fabs(sqrt(squares / count - mean * mean) - 48) < 1);
    }
    fv_image_free(&image);
    fv_image_free(&mask);
}

static void stretch_looks_inside_only(void **state) {
    (void)state;
    fv_image image = synthetic(), mask = disc_mask();
    for (int i = 0; i < PIXELS * 3; i++)
        image.data[i] = mask.data[i / 3] ? (uint8_t)(100 + i % 21) : (uint8_t)(i % 256);
    apply("stretch", &image, &mask);
    int low = 255, high = 0;
    for (int i = 0; i < PIXELS * 3; i++) {
        if (!mask.data[i / 3]) continue;
        if (image.data[i] < low) low = image.data[i];
        if (image.data[i] > high) high = image.data[i];
    }
    assert_int_equal(low, 0);
    assert_int_equal(high, 255);
    fv_image_free(&image);
    fv_image_free(&mask);
}

/* A slope of light and a factor of contrast are what another camera changes; the rim outside must not matter at all. */
static void local_takes_light_away_and_ignores_what_is_outside(void **state) {
    (void)state;
    fv_image mask = disc_mask(), images[2];
    for (int k = 0; k < 2; k++) {
        images[k] = synthetic();
        for (int i = 0; i < PIXELS * 3; i++) {
            int x = i / 3 % WIDTH, stripe = x / 3 % 5 == 0 ? -20 : 0;
            int light = k == 0 ? 120 + stripe : 60 + x + 2 * stripe;
            images[k].data[i] = mask.data[i / 3] ? (uint8_t)light : k ? 255 : 0;
        }
        apply("local", &images[k], &mask);
    }
    double apart = 0, count = 0;
    for (int i = 0; i < PIXELS; i++) {
        int x = i % WIDTH - 50, y = i / WIDTH - 33;
        if (x * x + y * y > 20 * 20) continue;
        apart += abs(images[0].data[3 * i] - images[1].data[3 * i]), count++;
    }
    assert_true(apart / count < 8); /* of a deviation of 48 */
    fv_image_free(&images[0]);
    fv_image_free(&images[1]);
    fv_image_free(&mask);
}

static void local_leaves_noise_small(void **state) {
    (void)state;
    fv_image image = synthetic();
    for (int i = 0; i < PIXELS * 3; i++) image.data[i] = (uint8_t)(90 + i / 3 * 7919 % 3 - 1);
    apply("local", &image, NULL);
    for (int i = 0; i < PIXELS * 3; i++) assert_in_range(image.data[i], 128 - 20, 128 + 20); /* 1 level: 48 / 4 */
    fv_image_free(&image);
}

static void text_and_steps_agree(void **state) {
    (void)state;
    char text[FV_ENHANCE_TEXT];
    fv_enhance enhance = fv_enhance_standard();
    assert_int_equal(fv_enhance_parse("green, clahe unsharp,stretch", &enhance), FV_OK);
    fv_enhance_text(&enhance, text);
    assert_string_equal(text, "green clahe unsharp stretch");
    assert_true(fv_enhance_has(&enhance, FV_ENHANCE_UNSHARP));
    assert_false(fv_enhance_has(&enhance, FV_ENHANCE_LOCAL));
    assert_int_equal(fv_enhance_parse("none", &enhance), FV_OK);
    fv_enhance_text(&enhance, text);
    assert_string_equal(text, "none");
    assert_false(fv_enhance_needs_fov(&enhance));
}

static void wrong_input_is_explained(void **state) {
    (void)state;
    fv_enhance enhance = fv_enhance_standard();
    assert_int_equal(fv_enhance_parse("green sharpen", &enhance), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "\"sharpen\""));
    assert_int_equal(fv_enhance_parse("fov fov fov fov fov fov fov fov fov", &enhance), FV_BAD_INPUT);
    char endless[400];
    memset(endless, ' ', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    assert_int_equal(fv_enhance_parse(endless, &enhance), FV_BAD_INPUT);
    assert_int_equal(fv_enhance_parse("local", &enhance), FV_OK);
    fv_image image = synthetic(), mask = disc_mask(), other;
    assert_int_equal(fv_image_make(8, 8, 1, &other), FV_OK);
    assert_int_equal(fv_enhance_apply(&enhance, &image, &other), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "8 x 8"));
    memset(mask.data, 0, PIXELS);
    assert_int_equal(fv_enhance_apply(&enhance, &image, &mask), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "empty"));
    enhance.local_sigma = NAN;
    assert_int_equal(fv_enhance_apply(&enhance, &image, NULL), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "expected 1..1000"));
    fv_image_free(&image);
    fv_image_free(&mask);
    fv_image_free(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_equal_opencv),
        cmocka_unit_test(outside_is_dark_after_fov_and_plain_after_the_normalising_steps),
        cmocka_unit_test(standardise_gives_mean_and_deviation_inside),
        cmocka_unit_test(stretch_looks_inside_only),
        cmocka_unit_test(local_takes_light_away_and_ignores_what_is_outside),
        cmocka_unit_test(local_leaves_noise_small),
        cmocka_unit_test(text_and_steps_agree),
        cmocka_unit_test(wrong_input_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
