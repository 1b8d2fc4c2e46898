/* Augmentation: quarter turns, elastic, grid and optical distortion; groups of changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../src/dataset/bend.h"
#include "fovea/base/cpu.h"
#include "fovea/dataset/augment.h"

enum { SIDE = 96 };

static float input[SIDE * SIDE * 3], other[SIDE * SIDE * 3], target[SIDE * SIDE];
static float scratch[SIDE * SIDE * 4];

static fv_rng test_rng(uint64_t sample) {
    return fv_rng_make(11, 0, sample, FV_PURPOSE_TEST);
}

static fv_image random_image(int width, int height, int channels) {
    fv_image image;
    fv_rng rng = test_rng((uint64_t)width);
    assert_int_equal(fv_image_make(width, height, channels, &image), FV_OK);
    for (int i = 0; i < width * height * channels; i++) image.data[i] = (uint8_t)fv_rng_below(&rng, 256);
    return image;
}

static fv_bend bend_of(const fv_augment_draw *draw) {
    assert_true(fv_bend_scratch_floats(SIDE) <= sizeof scratch / sizeof *scratch);
    return fv_bend_make(draw, SIDE, scratch);
}

static fv_status parse(const char *text, fv_augment *augment) {
    fv_config *config = NULL;
    assert_int_equal(fv_config_parse(text, "test.ini", &config), FV_OK);
    fv_augment_from_config(config, augment);
    fv_status status = fv_config_finish(config);
    fv_config_free(config);
    return status;
}

static fv_augment parsed(const char *text) {
    fv_augment augment;
    assert_int_equal(parse(text, &augment), FV_OK);
    return augment;
}

static void apply(const fv_augment *augment, const fv_image *work, const fv_image *mask, uint64_t sample) {
    const fv_preprocess settings = {.size = SIDE, .work_size = work->width};
    fv_window window = {0, 0, work->width, work->height};
    fv_rng rng = test_rng(sample);
    assert_true(fv_augment_scratch_floats(SIDE) <= sizeof scratch / sizeof *scratch);
    fv_augment_apply(augment, &settings, work, mask, mask ? 1 : 0, &window, &rng, input, target, scratch);
}

/* ---- the warp ---- */

static void shifts_of_0_are_the_plain_warp(void **state) {
    (void)state;
    static float zeros[SIDE * SIDE];
    const fv_bend none = {zeros, zeros};
    const fv_affine map = {1.1, -0.3, 12, 0.25, 0.9, -4};
    for (int i = 0; i < 12; i++) {
        int channels = i % 2 ? 1 : 3, taps = i % 3 + 1;
        fv_image image = random_image(90 + i, 130, channels);
        fv_warp(&image, &map, SIDE, taps, input, 3);
        fv_warp_bent(&image, &map, &none, SIDE, taps, other, 3);
        for (int p = 0; p < SIDE * SIDE; p++)
            assert_memory_equal(input + 3 * p, other + 3 * p, (size_t)channels * sizeof *input);
        fv_image_free(&image);
    }
}

static void whole_shifts_move_whole_pixels(void **state) {
    (void)state;
    static float x[SIDE * SIDE], y[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) {
        x[i] = (float)(i % 7 - 3);
        y[i] = (float)(i % 5 - 2);
    }
    const fv_bend bend = {x, y};
    const fv_affine map = {2, 0, 5, 0, 2, 8}; /* two pixels of the image a pixel of the output */
    fv_image image = random_image(210, 230, 1);
    fv_warp_bent(&image, &map, &bend, SIDE, 1, input, 1);
    for (int i = 0; i < SIDE * SIDE; i++) {
        int left = 2 * (i % SIDE + i % 7 - 3) + 5, top = 2 * (i / SIDE + i % 5 - 2) + 8, sum = 0;
        for (int k = 0; k < 4; k++) {
            int px = left + k % 2, py = top + k / 2;
            bool inside = left >= -1 && top >= -1 && left < 209 && top < 229;
            int cx = px < 0 ? 0 : px, cy = py < 0 ? 0 : py;
            sum += inside ? image.data[cy * 210 + cx] : 0;
        }
        assert_true(input[i] == (float)sum / 4);
    }
    fv_image_free(&image);
}

static void the_bent_warp_has_the_same_bits_at_every_level(void **state) {
    (void)state;
    static const int sides[][2] = {{1, 1}, {3, 2}, {5, 90}, {70, 40}, {120, 100}, {200, 260}};
    fv_cpu_level level = fv_cpu();
    for (int i = 0; i < 24; i++) {
        int channels = i % 2 ? 1 : 3;
        fv_image image = random_image(sides[i % 6][0], sides[i % 6][1], channels);
        fv_augment_draw draw = {.elastic_amplitude = 4, .elastic_sigma = 6, .bend_seed = (uint64_t)i};
        fv_bend bend = bend_of(&draw);
        double across = (double)image.width / SIDE, down = (double)image.height / SIDE;
        const fv_affine map = {across, 0.1 * i / 6, -1, -0.1, down, 2};
        fv_cpu_limit(FV_CPU_SCALAR);
        fv_warp_bent(&image, &map, &bend, SIDE, 1, input, channels);
        fv_cpu_limit(level);
        fv_warp_bent(&image, &map, &bend, SIDE, 1, other, channels);
        assert_memory_equal(input, other, (size_t)(SIDE * SIDE * channels) * sizeof *input);
        fv_image_free(&image);
    }
}

/* ---- the fields ---- */

static void limits_of_0_bend_nothing(void **state) {
    (void)state;
    const fv_augment still = {
        .elastic_probability = 1, .elastic_sigma = 8, .grid_probability = 1, .grid_steps = 5, .optical_probability = 1};
    const fv_augment none = {0};
    fv_image work = random_image(2 * SIDE, 2 * SIDE, 3);
    apply(&none, &work, NULL, 1);
    memcpy(other, input, sizeof other);
    apply(&still, &work, NULL, 1);
    assert_memory_equal(input, other, sizeof other);
    fv_image_free(&work);
}

static void the_elastic_field_has_its_amplitude_and_smoothness(void **state) {
    (void)state;
    double squares = 0, slopes = 0, cross = 0, most = 0;
    const double sigma = 6, amplitude = 2;
    enum { FIELDS = 60 };
    for (uint64_t seed = 0; seed < FIELDS; seed++) {
        const fv_augment_draw draw = {.elastic_amplitude = amplitude, .elastic_sigma = sigma, .bend_seed = seed};
        fv_bend bend = bend_of(&draw);
        for (int i = 0; i < SIDE * SIDE; i++) {
            double slope = i % SIDE ? bend.x[i] - bend.x[i - 1] : 0;
            squares += bend.x[i] * bend.x[i] + bend.y[i] * bend.y[i];
            cross += bend.x[i] * bend.y[i];
            slopes += slope * slope;
            most = fmax(most, fmax(fabsf(bend.x[i]), fabsf(bend.y[i])));
        }
    }
    double count = (double)FIELDS * SIDE * SIDE;
    assert_float_equal(sqrt(squares / (2 * count)), amplitude, 0.05 * amplitude);
    assert_float_equal(cross / count, 0, 0.1 * amplitude * amplitude);
    /* White noise smoothed by a Gaussian of sigma has slopes of amplitude / (sqrt(2) sigma). */
    assert_float_equal(sqrt(slopes / count), amplitude / (sqrt(2) * sigma), 0.1 * amplitude / sigma);
    assert_true(most < 3.7 * amplitude);
}

static void the_grid_is_monotone_and_keeps_the_rim(void **state) {
    (void)state;
    double narrowest = 9, widest = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        const fv_augment_draw draw = {.grid_limit = 0.6, .grid_steps = (int)(seed % 8) + 1, .bend_seed = seed};
        fv_bend bend = bend_of(&draw);
        for (int i = 0; i < SIDE * SIDE; i++) {
            int x = i % SIDE, y = i / SIDE;
            assert_true(bend.x[i] == bend.x[x] && bend.y[i] == bend.y[y * SIDE]);
            double step_x = x ? 1 + bend.x[i] - bend.x[i - 1] : 1, step_y = y ? 1 + bend.y[i] - bend.y[i - SIDE] : 1;
            assert_true(step_x > 0 && step_y > 0);
            narrowest = fmin(narrowest, fmin(step_x, step_y));
            widest = fmax(widest, fmax(step_x, step_y));
        }
        /* Half a pixel from the rim, at most half a pixel's stretch away from it. */
        assert_true(fabsf(bend.x[0]) < 1.5 && fabsf(bend.x[SIDE - 1]) < 1.5 && fabsf(bend.y[0]) < 1.5);
        if (draw.grid_steps > 1) continue;
        assert_float_equal(bend.x[SIDE / 2], 0, 1e-4); /* one step fills the side whatever its stretch */
    }
    assert_true(narrowest < 0.5 && widest > 1.5);
}

static void optical_shifts_follow_the_formula(void **state) {
    (void)state;
    const fv_augment_draw draw = {.optical_strength = 0.3, .optical_x = 0.1, .optical_y = -0.05};
    fv_bend bend = bend_of(&draw);
    for (int i = 0; i < SIDE * SIDE; i++) {
        double x = (i % SIDE + 0.5) / SIDE - 0.6, y = (i / SIDE + 0.5) / SIDE - 0.45, square = x * x + y * y;
        double more = 0.3 * square + 0.3 * square * square;
        assert_float_equal(bend.x[i], x * more * SIDE, 1e-4);
        assert_float_equal(bend.y[i], y * more * SIDE, 1e-4);
    }
}

static void distortions_add_up(void **state) {
    (void)state;
    static float sum[2 * SIDE * SIDE];
    const fv_augment_draw parts[3] = {{.elastic_amplitude = 2, .elastic_sigma = 9, .bend_seed = 4},
                                      {.grid_limit = 0.4, .grid_steps = 5, .bend_seed = 4},
                                      {.optical_strength = -0.2}};
    const fv_augment_draw all = {.elastic_amplitude = 2,
                                 .elastic_sigma = 9,
                                 .bend_seed = 4,
                                 .grid_limit = 0.4,
                                 .grid_steps = 5,
                                 .optical_strength = -0.2};
    memset(sum, 0, sizeof sum);
    for (int p = 0; p < 3; p++) {
        fv_bend bend = bend_of(&parts[p]);
        for (int i = 0; i < SIDE * SIDE; i++) {
            sum[i] += bend.x[i];
            sum[SIDE * SIDE + i] += bend.y[i];
        }
    }
    fv_bend bend = bend_of(&all);
    for (int i = 0; i < SIDE * SIDE; i++) {
        assert_float_equal(bend.x[i], sum[i], 1e-4);
        assert_float_equal(bend.y[i], sum[SIDE * SIDE + i], 1e-4);
    }
}

/* ---- samples ---- */

static void photograph_and_mask_are_bent_alike(void **state) {
    (void)state;
    const fv_augment bends = parsed("[augment]\nrotate90_probability = 0.5\nelastic_probability = 0.7\n"
                                    "grid_probability = 0.7\noptical_probability = 0.7\noptical_shift = 0.05\n"
                                    "brightness_probability = 0\ncontrast_probability = 0\ngamma_probability = 0\n"
                                    "saturation_probability = 0\nhue_probability = 0\nblur_probability = 0\n"
                                    "noise_probability = 0\n");
    for (uint64_t sample = 0; sample < 40; sample++) {
        int width = sample % 4 ? 2 * SIDE : 5 * SIDE, height = sample % 3 ? width : width - 30;
        fv_image mask = random_image(width, height, 1), work;
        assert_int_equal(fv_image_make(width, height, 3, &work), FV_OK);
        for (int i = 0; i < width * height && sample % 2; i++) /* only part of it is set, so only this is sampled */
            if (i % width < width / 3 || i / width > height / 2) mask.data[i] = 0;
        for (int i = 0; i < width * height * 3; i++) work.data[i] = mask.data[i / 3];
        apply(&bends, &work, &mask, sample);
        double differs = 0;
        for (int i = 0; i < SIDE * SIDE; i++) {
            assert_true(input[3 * i] == target[i] && input[3 * i + 2] == target[i]);
            differs += target[i] != target[0];
        }
        assert_true(differs > SIDE);
        fv_image_free(&mask);
        fv_image_free(&work);
    }
}

static void a_quarter_turn_is_exact(void **state) {
    (void)state;
    const fv_augment none = {0}, turn = {.rotate90_probability = 1};
    int seen[4] = {0};
    fv_image work = random_image(2 * SIDE, 2 * SIDE, 3);
    apply(&none, &work, NULL, 0);
    memcpy(other, input, sizeof other);
    for (uint64_t sample = 0; sample < 30; sample++) {
        fv_rng rng = test_rng(sample);
        int quarters = fv_augment_make_draw(&turn, &rng).quarter_turns;
        seen[quarters]++;
        apply(&turn, &work, NULL, sample);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                int from_x = x, from_y = y;
                for (int q = 0; q < quarters; q++) { /* clockwise: what is above was at the left */
                    int left = from_y;
                    from_y = SIDE - 1 - from_x;
                    from_x = left;
                }
                assert_memory_equal(input + 3 * (y * SIDE + x), other + 3 * (from_y * SIDE + from_x), 12);
            }
    }
    assert_true(seen[0] == 0 && seen[1] > 2 && seen[2] > 2 && seen[3] > 2);
    fv_image_free(&work);
}

/* ---- groups ---- */

static void one_of_a_group_happens_as_often_as_it_says(void **state) {
    (void)state;
    enum { DRAWS = 20000 };
    const fv_augment a = parsed("[augment]\none_of = elastic grid, optical\none_of_probability = 0.2\n"
                                "grid_probability = 0.5\none_of_2 = blur noise\none_of_2_probability = 1\n");
    int count[5] = {0};
    for (uint64_t sample = 0; sample < DRAWS; sample++) {
        fv_rng rng = test_rng(sample);
        fv_augment_draw draw = fv_augment_make_draw(&a, &rng);
        bool happens[5] = {draw.elastic_amplitude > 0, draw.grid_limit > 0, draw.optical_strength != 0,
                           draw.blur_sigma > 0, draw.noise_deviation > 0};
        assert_true(happens[0] + happens[1] + happens[2] <= 1);
        assert_true(happens[3] + happens[4] == 1);
        for (int i = 0; i < 5; i++) count[i] += happens[i];
    }
    static const double expected[5] = {0.08, 0.04, 0.08, 0.5, 0.5};
    for (int i = 0; i < 5; i++) {
        double deviation = sqrt(expected[i] * (1 - expected[i]) / DRAWS);
        assert_float_equal((double)count[i] / DRAWS, expected[i], 4 * deviation);
    }
}

static void what_goes_together_happens_together(void **state) {
    (void)state;
    enum { DRAWS = 20000 };
    const fv_augment a = parsed("[augment]\ntogether = shift scale rotate\ntogether_probability = 0.4\n"
                                "rotate_probability = 0.5\n");
    int together = 0, turned = 0;
    for (uint64_t sample = 0; sample < DRAWS; sample++) {
        fv_rng rng = test_rng(sample);
        fv_augment_draw draw = fv_augment_make_draw(&a, &rng);
        bool scaled = draw.scale != 1;
        assert_true(scaled == (draw.shift_x != 0) && scaled == (draw.shift_y != 0));
        assert_true(scaled || draw.rotate_degrees == 0);
        together += scaled;
        turned += draw.rotate_degrees != 0;
    }
    assert_float_equal((double)together / DRAWS, 0.4, 0.014);
    assert_float_equal((double)turned / DRAWS, 0.2, 0.0115);
}

/* Every number of a draw but those of elastic, grid, optical and quarter turns. */
static void assert_rest_equal(const fv_augment_draw *a, const fv_augment_draw *b) {
    assert_true(a->flip_horizontal == b->flip_horizontal && a->flip_vertical == b->flip_vertical);
    assert_true(a->rotate_degrees == b->rotate_degrees && a->scale == b->scale && a->contrast == b->contrast);
    assert_true(a->shift_x == b->shift_x && a->shift_y == b->shift_y && a->brightness == b->brightness);
    assert_true(a->gamma == b->gamma && a->saturation == b->saturation && a->hue_degrees == b->hue_degrees);
    assert_true(a->blur_sigma == b->blur_sigma && a->noise_deviation == b->noise_deviation);
    assert_true(a->noise_seed == b->noise_seed && a->bend_seed == b->bend_seed);
}

static void groups_and_bends_leave_the_other_draws_alone(void **state) {
    (void)state;
    const fv_augment plain = parsed(""), some = parsed("[augment]\nelastic_probability = 0.5\n"),
                     bent = parsed("[augment]\nrotate90_probability = 1\nelastic_probability = 0.5\n"
                                   "grid_probability = 1\noptical_probability = 1\n"),
                     grouped = parsed("[augment]\none_of = elastic grid optical\none_of_probability = 0.9\n");
    for (uint64_t sample = 0; sample < 500; sample++) {
        fv_rng rng[4] = {test_rng(sample), test_rng(sample), test_rng(sample), test_rng(sample)};
        fv_augment_draw a = fv_augment_make_draw(&plain, &rng[0]), b = fv_augment_make_draw(&some, &rng[1]);
        fv_augment_draw c = fv_augment_make_draw(&bent, &rng[2]), d = fv_augment_make_draw(&grouped, &rng[3]);
        assert_rest_equal(&a, &b);
        assert_rest_equal(&a, &c);
        assert_rest_equal(&a, &d);
        assert_true(b.elastic_amplitude == c.elastic_amplitude && c.optical_strength != 0 && c.quarter_turns > 0);
        assert_false(fv_bend_is_drawn(&a));
        for (int i = 1; i < 4; i++) assert_memory_equal(&rng[0], &rng[i], sizeof rng[0]);
    }
}

static void wrong_settings_are_explained(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"one_of = elastic swirl", "\"swirl\" is not a change"},
        {"one_of = elastic", "two changes or more"},
        {"one_of = ", "two changes or more"},
        {"one_of = elastic grid elastic", "elastic is in a group already"},
        {"one_of = elastic grid\ntogether = grid shift", "grid is in a group already"},
        {"one_of_2_probability = 0.3", "list the group's changes in one_of_2"},
        {"one_of = elastic grid\nelastic_probability = 0\ngrid_probability = 0", "are all 0"},
        {"one_of = elastic grid\none_of_probability = 1.5", "one_of_probability"},
        {"optical_limit = 0.4", "give at most 0.36"},
        {"optical_shift = 0.2", "folds the corners"},
        {"grid_limit = 1", "grid_limit"},
        {"grid_steps = 65", "grid_steps"},
        {"elastic = 3..1", "elastic"},
        {"elastic_sigma = 1", "elastic_sigma"},
        {"enabled = no\none_of = swirl twist", "\"swirl\" is not a change"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        fv_augment augment;
        snprintf(text, sizeof text, "[augment]\n%s\n", cases[i][0]);
        assert_int_equal(parse(text, &augment), FV_BAD_INPUT);
        if (!strstr(fv_error(), cases[i][1])) fail_msg("%s: %s", cases[i][0], fv_error());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shifts_of_0_are_the_plain_warp),
        cmocka_unit_test(whole_shifts_move_whole_pixels),
        cmocka_unit_test(the_bent_warp_has_the_same_bits_at_every_level),
        cmocka_unit_test(limits_of_0_bend_nothing),
        cmocka_unit_test(the_elastic_field_has_its_amplitude_and_smoothness),
        cmocka_unit_test(the_grid_is_monotone_and_keeps_the_rim),
        cmocka_unit_test(optical_shifts_follow_the_formula),
        cmocka_unit_test(distortions_add_up),
        cmocka_unit_test(photograph_and_mask_are_bent_alike),
        cmocka_unit_test(a_quarter_turn_is_exact),
        cmocka_unit_test(one_of_a_group_happens_as_often_as_it_says),
        cmocka_unit_test(what_goes_together_happens_together),
        cmocka_unit_test(groups_and_bends_leave_the_other_draws_alone),
        cmocka_unit_test(wrong_settings_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
