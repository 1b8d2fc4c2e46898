/* Augmentation: draws, one geometry for photograph and masks, changes of light. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/dataset/augment.h"

enum { MOST = 256 * 256 };

static float input[MOST * 3], other[MOST * 3], target[MOST * 2], scratch[MOST * 3];

static fv_rng test_rng(uint64_t sample) {
    return fv_rng_make(7, 0, sample, FV_PURPOSE_TEST);
}

static fv_image random_image(int size, int channels) {
    fv_image image;
    fv_rng rng = test_rng((uint64_t)size);
    assert_int_equal(fv_image_make(size, size, channels, &image), FV_OK);
    for (int i = 0; i < size * size * channels; i++) image.data[i] = (uint8_t)fv_rng_below(&rng, 256);
    return image;
}

static fv_image plain_image(int size, int channels, int level) {
    fv_image image;
    assert_int_equal(fv_image_make(size, size, channels, &image), FV_OK);
    memset(image.data, level, (size_t)size * size * channels);
    return image;
}

static fv_preprocess make_settings(int work_size, int size) {
    return (fv_preprocess){.work_size = work_size, .size = size};
}

static fv_augment standard_augment(void) {
    fv_config *config = NULL;
    fv_augment augment;
    assert_int_equal(fv_config_read(NULL, &config), FV_OK);
    fv_augment_from_config(config, &augment);
    assert_int_equal(fv_config_finish(config), FV_OK);
    fv_config_free(config);
    return augment;
}

static fv_window whole(const fv_image *work) {
    return (fv_window){0, 0, work->width, work->height};
}

static void apply_with_masks(const fv_augment *augment, const fv_preprocess *settings, const fv_image *work,
                             const fv_image *masks, int mask_count, uint64_t sample, float *truth) {
    fv_rng rng = test_rng(sample);
    fv_window window = whole(work);
    fv_augment_apply(augment, settings, work, masks, mask_count, &window, &rng, input, truth, scratch);
}

static void apply(const fv_augment *augment, const fv_preprocess *settings, const fv_image *work, uint64_t sample) {
    apply_with_masks(augment, settings, work, NULL, 0, sample, NULL);
}

static void without_changes_it_is_the_plain_sample(void **state) {
    (void)state;
    static const int pairs[][2] = {{512, 256}, {100, 64}, {64, 64}, {300, 100}, {50, 80}, {256, 64}};
    const fv_augment none = {0};
    for (int p = 0; p < 6; p++) {
        fv_preprocess settings = make_settings(pairs[p][0], pairs[p][1]);
        settings.normalise = (fv_normalise)(p % 3);
        size_t bytes = (size_t)pairs[p][1] * pairs[p][1] * 3 * sizeof(float);
        fv_image work = random_image(pairs[p][0], 3);
        fv_preprocess_sample(&settings, &work, other);
        fv_window window = whole(&work);
        fv_augment_apply(NULL, &settings, &work, NULL, 0, &window, NULL, input, NULL, NULL);
        assert_memory_equal(input, other, bytes);
        apply(&none, &settings, &work, 3);
        assert_memory_equal(input, other, bytes);
        fv_image_free(&work);
    }
}

static void equal_draws_give_equal_bits(void **state) {
    (void)state;
    fv_augment augment = standard_augment();
    augment.noise_probability = augment.blur_probability = 1;
    fv_preprocess settings = make_settings(128, 64);
    fv_image work = random_image(128, 3);
    apply(&augment, &settings, &work, 5);
    memcpy(other, input, 64 * 64 * 3 * sizeof *input);
    apply(&augment, &settings, &work, 5);
    assert_memory_equal(input, other, 64 * 64 * 3 * sizeof *input);
    apply(&augment, &settings, &work, 6);
    assert_memory_not_equal(input, other, 64 * 64 * 3 * sizeof *input);
    fv_image_free(&work);
}

static void photograph_and_masks_get_the_same_geometry(void **state) {
    (void)state;
    fv_augment augment = standard_augment();
    augment.brightness_probability = augment.contrast_probability = augment.gamma_probability = 0;
    augment.saturation_probability = augment.hue_probability = augment.blur_probability = 0;
    augment.noise_probability = 0;
    fv_preprocess settings = make_settings(128, 64);
    fv_image masks[2] = {random_image(128, 1), {0}}, work = plain_image(128, 3, 0);
    for (int i = 0; i < 128 * 128 * 3; i++) work.data[i] = masks[0].data[i / 3];
    for (uint64_t sample = 0; sample < 20; sample++) {
        memset(target, 0xff, sizeof target);
        apply_with_masks(&augment, &settings, &work, masks, 2, sample, target);
        for (int i = 0; i < 64 * 64; i++) {
            assert_true(input[3 * i] == target[2 * i]);
            assert_true(target[2 * i] >= 0 && target[2 * i] <= 1);
            assert_true(target[2 * i + 1] == 0); /* absent */
        }
    }
    fv_image_free(&work);
    fv_image_free(&masks[0]);
}

static void light_leaves_the_masks_alone(void **state) {
    (void)state;
    fv_augment augment = standard_augment(), all_light = augment;
    all_light.brightness_probability = all_light.contrast_probability = all_light.gamma_probability = 1;
    all_light.saturation_probability = all_light.hue_probability = all_light.blur_probability = 1;
    all_light.noise_probability = 1;
    fv_preprocess settings = make_settings(64, 64);
    fv_image work = random_image(64, 3), mask = random_image(64, 1);
    apply_with_masks(&augment, &settings, &work, &mask, 1, 1, target);
    apply_with_masks(&all_light, &settings, &work, &mask, 1, 1, other);
    assert_memory_equal(target, other, 64 * 64 * sizeof *target);
    fv_image_free(&work);
    fv_image_free(&mask);
}

static void flips_are_exact(void **state) {
    (void)state;
    const fv_augment across = {.flip_horizontal = 1}, down = {.flip_vertical = 1};
    for (int work_size = 64; work_size <= 256; work_size *= 2) {
        fv_preprocess settings = make_settings(work_size, 64);
        fv_image work = random_image(work_size, 3);
        fv_preprocess_sample(&settings, &work, other);
        apply(&across, &settings, &work, 1);
        for (int i = 0; i < 64 * 64; i++) {
            assert_memory_equal(input + 3 * i, other + 3 * (i / 64 * 64 + 63 - i % 64), 3 * sizeof *input);
        }
        apply(&down, &settings, &work, 1);
        for (int i = 0; i < 64 * 64; i++) {
            assert_memory_equal(input + 3 * i, other + 3 * ((63 - i / 64) * 64 + i % 64), 3 * sizeof *input);
        }
        fv_image_free(&work);
    }
}

/* Where a point of the work image must come to lie in the output: flipped, scaled and turned about the centre, shifted.
 */
static void move(const fv_augment_draw *draw, const fv_preprocess *settings, double *x, double *y) {
    double centre = settings->work_size / 2.0, angle = draw->rotate_degrees * M_PI / 180;
    double dx = (*x - centre) * (draw->flip_horizontal ? -1 : 1) * draw->scale;
    double dy = (*y - centre) * (draw->flip_vertical ? -1 : 1) * draw->scale;
    double ratio = (double)settings->size / settings->work_size;
    *x = (centre + cos(angle) * dx - sin(angle) * dy + draw->shift_x * settings->work_size) * ratio;
    *y = (centre + sin(angle) * dx + cos(angle) * dy + draw->shift_y * settings->work_size) * ratio;
}

static void a_point_moves_as_drawn(void **state) {
    (void)state;
    fv_augment augment = standard_augment();
    augment.rotate_probability = augment.shift_probability = augment.scale_probability = 1;
    fv_preprocess settings = make_settings(256, 128);
    fv_image work = plain_image(256, 3, 0), mask = plain_image(256, 1, 0);
    double full = 0;
    for (int i = 0; i < 256 * 256; i++) { /* a soft spot at (100, 154) */
        mask.data[i] = (uint8_t)lrint(255 * exp(-(pow(i % 256 + 0.5 - 100, 2) + pow(i / 256 + 0.5 - 154, 2)) / 128));
        full += mask.data[i] / 255.0 / 4;
    }
    for (uint64_t sample = 0; sample < 30; sample++) {
        fv_rng rng = test_rng(sample);
        fv_augment_draw draw = fv_augment_make_draw(&augment, &rng);
        double x = 100, y = 154, mass = 0, sum_x = 0, sum_y = 0;
        move(&draw, &settings, &x, &y);
        apply_with_masks(&augment, &settings, &work, &mask, 1, sample, target);
        for (int i = 0; i < 128 * 128; i++) {
            mass += target[i];
            sum_x += target[i] * (i % 128 + 0.5);
            sum_y += target[i] * (i / 128 + 0.5);
        }
        assert_float_equal(sum_x / mass, x, 0.02);
        assert_float_equal(sum_y / mass, y, 0.02);
        assert_float_equal(mass / (full * draw.scale * draw.scale), 1, 0.005);
    }
    fv_image_free(&work);
    fv_image_free(&mask);
}

static void rotation_is_clockwise_and_outside_is_black(void **state) {
    (void)state;
    fv_preprocess settings = make_settings(64, 64);
    fv_augment_draw draw = {.rotate_degrees = 90, .scale = 1};
    fv_affine map = fv_augment_map(&draw, &(fv_window){0, 0, 64, 64}, 64);
    /* The upper left corner of the output shows the lower left one of the photograph. */
    assert_float_equal(map.x0, 0, 1e-9);
    assert_float_equal(map.y0, 64, 1e-9);
    const fv_augment shrink = {.scale_probability = 1, .scale_low = 0.5, .scale_high = 0.5};
    fv_image work = plain_image(64, 3, 200);
    apply(&shrink, &settings, &work, 1);
    for (int i = 0; i < 64 * 64; i++) {
        bool inside = i % 64 >= 16 && i % 64 < 48 && i / 64 >= 16 && i / 64 < 48;
        assert_true(input[3 * i] == (inside ? 200.0F / 255 : 0));
    }
    fv_image_free(&work);
}

/* The same pixels, whether the window is cut out beforehand or seen within a work image that is not square. */
static void a_window_is_moved_about_its_own_centre(void **state) {
    (void)state;
    enum { LEFT = 24, TOP = 40, SIDE = 64, MARGIN = 20 };
    fv_preprocess settings = make_settings(SIDE, SIDE);
    fv_image work, part;
    assert_int_equal(fv_image_make(LEFT + SIDE + 10, TOP + SIDE + 50, 3, &work), FV_OK);
    assert_int_equal(fv_image_make(SIDE, SIDE, 3, &part), FV_OK);
    fv_rng pixels = test_rng(3);
    for (int i = 0; i < work.width * work.height * 3; i++) work.data[i] = (uint8_t)fv_rng_below(&pixels, 256);
    for (int y = 0; y < SIDE; y++)
        memcpy(part.data + y * SIDE * 3, work.data + ((TOP + y) * work.width + LEFT) * 3, SIDE * 3);
    fv_augment augment = standard_augment();
    augment.brightness_probability = augment.contrast_probability = augment.gamma_probability = 0;
    augment.noise_probability = augment.blur_probability = 0;
    const fv_window window = {LEFT, TOP, SIDE, SIDE};
    for (uint64_t sample = 0; sample < 20; sample++) {
        apply(&augment, &settings, &part, sample);
        memcpy(other, input, SIDE * SIDE * 3 * sizeof *input);
        fv_rng rng = test_rng(sample);
        fv_augment_apply(&augment, &settings, &work, NULL, 0, &window, &rng, input, NULL, scratch);
        for (int i = 0; i < SIDE * SIDE * 3; i++) { /* the middle, which no draw moves out of the cut part */
            int x = i / 3 % SIDE, y = i / 3 / SIDE;
            if (x < MARGIN || y < MARGIN || x >= SIDE - MARGIN || y >= SIDE - MARGIN) continue;
            assert_float_equal(input[i], other[i], 1e-5);
        }
    }
    fv_image_free(&work);
    fv_image_free(&part);
}

static void an_oblong_window_is_turned_in_pixels_of_the_work_image(void **state) {
    (void)state;
    const fv_window window = {10, 20, 60, 30};
    const fv_augment_draw still = {.scale = 1}, turned = {.rotate_degrees = 90, .scale = 1};
    fv_affine map = fv_augment_map(&still, &window, 30);
    assert_true(map.xx == 2 && map.yy == 1 && map.xy == 0 && map.yx == 0 && map.x0 == 10 && map.y0 == 20);
    map = fv_augment_map(&turned, &window, 30);
    /* The output's upper left corner lies 30 px to the left of and 15 px above the centre (40, 35) before the turn. */
    assert_float_equal(map.x0, 40 - 15, 1e-9);
    assert_float_equal(map.y0, 35 + 30, 1e-9);
    assert_float_equal(map.xy, 1, 1e-9);
    assert_float_equal(map.yx, -2, 1e-9);
}

static void check_range(double value, double low, double high, double neutral, int *changes) {
    assert_true(value == neutral || (value >= low && value <= high));
    *changes += value != neutral;
}

static void draws_keep_to_ranges_and_probabilities(void **state) {
    (void)state;
    enum { DRAWS = 4000 };
    fv_augment a = standard_augment();
    int changes[13] = {0};
    double most_turned = 0;
    for (uint64_t sample = 0; sample < DRAWS; sample++) {
        fv_rng rng = test_rng(sample);
        fv_augment_draw draw = fv_augment_make_draw(&a, &rng);
        changes[0] += draw.flip_horizontal;
        changes[1] += draw.flip_vertical;
        check_range(draw.rotate_degrees, -25, 25, 0, &changes[2]);
        check_range(draw.shift_x, -0.05, 0.05, 0, &changes[3]);
        check_range(draw.shift_y, -0.05, 0.05, 0, &changes[4]);
        check_range(draw.scale, 0.85, 1.15, 1, &changes[5]);
        check_range(draw.brightness, -25.5, 25.5, 0, &changes[6]);
        check_range(draw.contrast, 0.8, 1.2, 1, &changes[7]);
        check_range(draw.gamma, 0.8, 1.25, 1, &changes[8]);
        check_range(draw.saturation, 0.8, 1.2, 1, &changes[9]);
        check_range(draw.hue_degrees, -8, 8, 0, &changes[10]);
        check_range(draw.blur_sigma, 0.3, 1, 0, &changes[11]);
        check_range(draw.noise_deviation, 1, 5, 0, &changes[12]);
        most_turned = fmax(most_turned, fabs(draw.rotate_degrees));
    }
    static const double probability[13] = {0.5, 0.5, 0.7, 0.5, 0.5, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.1, 0.2};
    for (int i = 0; i < 13; i++) assert_float_equal((double)changes[i] / DRAWS, probability[i], 0.03);
    assert_true(most_turned > 24.5);
}

static void probabilities_0_and_1_mean_never_and_always(void **state) {
    (void)state;
    fv_augment never = standard_augment(), always = never;
    never.rotate_probability = never.noise_probability = never.flip_vertical = 0;
    always.rotate_probability = always.noise_probability = always.flip_vertical = 1;
    for (uint64_t sample = 0; sample < 500; sample++) {
        fv_rng first = test_rng(sample), second = test_rng(sample);
        fv_augment_draw a = fv_augment_make_draw(&never, &first), b = fv_augment_make_draw(&always, &second);
        assert_true(a.rotate_degrees == 0 && a.noise_deviation == 0 && !a.flip_vertical);
        assert_true(b.rotate_degrees != 0 && b.noise_deviation >= 1 && b.flip_vertical);
        /* All else is as it was. */
        assert_true(a.flip_horizontal == b.flip_horizontal && a.shift_x == b.shift_x && a.shift_y == b.shift_y);
        assert_true(a.scale == b.scale && a.brightness == b.brightness && a.contrast == b.contrast);
        assert_true(a.gamma == b.gamma && a.saturation == b.saturation && a.hue_degrees == b.hue_degrees);
        assert_true(a.blur_sigma == b.blur_sigma && a.noise_seed == b.noise_seed);
        assert_memory_equal(&first, &second, sizeof first);
    }
}

static void contrast_gamma_and_saturation_do_what_they_say(void **state) {
    (void)state;
    fv_preprocess settings = make_settings(64, 64);
    fv_image work = random_image(64, 3);
    double mean = 0;
    for (int i = 0; i < 64 * 64 * 3; i++) mean += work.data[i] / (64.0 * 64 * 3);

    const fv_augment contrast = {.contrast_probability = 1, .contrast_low = 1.5, .contrast_high = 1.5};
    apply(&contrast, &settings, &work, 1);
    for (int i = 0; i < 64 * 64 * 3; i++) {
        double expected = fmin(fmax((work.data[i] - mean) * 1.5 + mean, 0), 255);
        assert_float_equal(input[i] * 255, expected, 1e-3);
    }
    const fv_augment gamma = {.gamma_probability = 1, .gamma_low = 0.5, .gamma_high = 0.5};
    apply(&gamma, &settings, &work, 1);
    for (int i = 0; i < 64 * 64 * 3; i++) assert_float_equal(input[i], sqrt(work.data[i] / 255.0), 1e-3);

    const fv_augment grey = {.saturation_probability = 1}; /* factor 0 */
    apply(&grey, &settings, &work, 1);
    for (int i = 0; i < 64 * 64; i++) {
        const uint8_t *rgb = work.data + 3 * i;
        double expected = (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) / 255;
        for (int c = 0; c < 3; c++) assert_float_equal(input[3 * i + c], expected, 1e-5);
    }
    fv_image_free(&work);
}

static void brightness_is_added(void **state) {
    (void)state;
    const fv_augment brightness = {.brightness_probability = 1, .brightness = 0.2};
    fv_preprocess settings = make_settings(64, 64);
    fv_image work = plain_image(64, 3, 100);
    for (uint64_t sample = 0; sample < 20; sample++) {
        fv_rng rng = test_rng(sample);
        fv_augment_draw draw = fv_augment_make_draw(&brightness, &rng);
        apply(&brightness, &settings, &work, sample);
        assert_true(fabs(draw.brightness) <= 51);
        for (int i = 0; i < 64 * 64 * 3; i++) assert_float_equal(input[i] * 255, 100 + draw.brightness, 1e-3);
    }
    fv_image_free(&work);
}

static void hue_turns_colours_and_keeps_greys(void **state) {
    (void)state;
    const fv_augment hue = {.hue_probability = 1, .hue_degrees = 30};
    fv_preprocess settings = make_settings(64, 64);
    fv_image work = plain_image(64, 3, 90);
    for (int i = 0; i < 64 * 32; i++) work.data[3 * i] = 150; /* upper half reddish */
    for (uint64_t sample = 0; sample < 20; sample++) {
        fv_rng rng = test_rng(sample);
        fv_augment_draw draw = fv_augment_make_draw(&hue, &rng);
        apply(&hue, &settings, &work, sample);
        const float *red = input, *grey = input + 64 * 63 * 3;
        for (int c = 0; c < 3; c++) assert_float_equal(grey[c] * 255, 90, 1e-3);
        assert_float_equal((red[0] + red[1] + red[2]) * 255, 330, 1e-2);
        /* Towards yellow (more green than blue) for positive degrees, as in HSV; the angle about the grey axis is as
         * drawn. */
        double angle = atan2(sqrt(3) * (red[1] - red[2]), 2 * red[0] - red[1] - red[2]) * 180 / M_PI;
        assert_float_equal(angle, draw.hue_degrees, 0.01);
    }
    fv_image_free(&work);
}

static void blur_and_noise_have_their_size(void **state) {
    (void)state;
    fv_preprocess settings = make_settings(256, 256);
    fv_image work = plain_image(256, 3, 128);
    const fv_augment noise = {.noise_probability = 1, .noise_low = 5, .noise_high = 5};
    apply(&noise, &settings, &work, 1);
    double sum = 0, squares = 0, neighbours = 0;
    for (int i = 0; i < 256 * 256 * 3; i++) {
        double value = input[i] * 255 - 128, next = i ? input[i - 1] * 255 - 128 : 0;
        sum += value;
        squares += value * value;
        neighbours += value * next;
    }
    int count = 256 * 256 * 3;
    assert_float_equal(sum / count, 0, 0.05);
    assert_float_equal(sqrt(squares / count), 5, 0.05);
    assert_float_equal(neighbours / squares, 0, 0.01);

    const fv_augment blur = {.blur_probability = 1, .blur_low = 2, .blur_high = 2};
    memset(work.data, 0, 256 * 256 * 3);
    work.data[(128 * 256 + 128) * 3] = 255;
    apply(&blur, &settings, &work, 1);
    assert_float_equal(input[(128 * 256 + 128) * 3], 1 / (2 * M_PI * 4), 1e-3);
    assert_float_equal(input[(128 * 256 + 130) * 3] / input[(128 * 256 + 128) * 3], exp(-0.5), 1e-4);
    fv_image_free(&work);
}

static void values_stay_within_0_and_255(void **state) {
    (void)state;
    fv_augment augment = standard_augment();
    augment.brightness = 1;
    augment.noise_high = 50;
    augment.contrast_high = 4;
    augment.saturation_high = 4;
    fv_preprocess settings = make_settings(64, 64);
    fv_image work = random_image(64, 3);
    for (uint64_t sample = 0; sample < 100; sample++) {
        apply(&augment, &settings, &work, sample);
        for (int i = 0; i < 64 * 64 * 3; i++) assert_true(input[i] >= 0 && input[i] <= 1);
    }
    fv_image_free(&work);
}

static fv_status parse(const char *text, fv_augment *augment) {
    fv_config *config = NULL;
    assert_int_equal(fv_config_parse(text, "test.ini", &config), FV_OK);
    fv_augment_from_config(config, augment);
    fv_status status = fv_config_finish(config);
    fv_config_free(config);
    return status;
}

static void settings_come_from_the_section(void **state) {
    (void)state;
    fv_augment augment;
    const char *text = "[augment]\nflip_vertical = 0\nrotate_degrees = 10\nscale = 0.9..1.3\nblur = 0.5\n"
                       "noise_probability = 1\n";
    assert_int_equal(parse(text, &augment), FV_OK);
    assert_true(augment.flip_vertical == 0 && augment.flip_horizontal == 0.5 && augment.rotate_degrees == 10);
    assert_true(augment.scale_low == 0.9 && augment.scale_high == 1.3 && augment.noise_probability == 1);
    assert_true(augment.blur_low == 0.5 && augment.blur_high == 0.5 && augment.gamma_high == 1.25);

    const fv_augment none = {0};
    assert_int_equal(parse("[augment]\nenabled = no\nflip_vertical = 1\nhue_degrees = 5\n", &augment), FV_OK);
    assert_memory_equal(&augment, &none, sizeof none);
}

static void wrong_settings_are_explained(void **state) {
    (void)state;
    fv_augment augment;
    assert_int_equal(parse("[augment]\nscale = 0..1\n", &augment), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "scale"));
    assert_non_null(strstr(fv_error(), "0.1..10"));
    assert_true(augment.scale_low == 0.85);
    assert_int_equal(parse("[augment]\ncontrast = 1.2..0.8\n", &augment), FV_BAD_INPUT);
    assert_int_equal(parse("[augment]\nflip_horizontal = 1.5\n", &augment), FV_BAD_INPUT);
    assert_int_equal(parse("[augment]\nflip_horizontally = 1\n", &augment), FV_BAD_INPUT);
    assert_int_equal(parse("[augment]\nenabled = no\nblur = 3..100\n", &augment), FV_BAD_INPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_changes_it_is_the_plain_sample),
        cmocka_unit_test(equal_draws_give_equal_bits),
        cmocka_unit_test(photograph_and_masks_get_the_same_geometry),
        cmocka_unit_test(light_leaves_the_masks_alone),
        cmocka_unit_test(flips_are_exact),
        cmocka_unit_test(a_point_moves_as_drawn),
        cmocka_unit_test(rotation_is_clockwise_and_outside_is_black),
        cmocka_unit_test(a_window_is_moved_about_its_own_centre),
        cmocka_unit_test(an_oblong_window_is_turned_in_pixels_of_the_work_image),
        cmocka_unit_test(draws_keep_to_ranges_and_probabilities),
        cmocka_unit_test(probabilities_0_and_1_mean_never_and_always),
        cmocka_unit_test(contrast_gamma_and_saturation_do_what_they_say),
        cmocka_unit_test(brightness_is_added),
        cmocka_unit_test(hue_turns_colours_and_keeps_greys),
        cmocka_unit_test(blur_and_noise_have_their_size),
        cmocka_unit_test(values_stay_within_0_and_255),
        cmocka_unit_test(settings_come_from_the_section),
        cmocka_unit_test(wrong_settings_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
