/* From photograph to network input: resizing, place of the photograph, sampling, normalisation; the blur and the warp
 * below it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/rng.h"
#include "fovea/base/cpu.h"
#include "fovea/image/blur.h"
#include "fovea/image/clahe.h"
#include "fovea/image/mask.h"
#include "fovea/image/preprocess.h"
#include "fovea/image/warp.h"

static fv_image random_image(int width, int height, int channels) {
    fv_image image;
    fv_rng rng = fv_rng_make(1, (uint64_t)width, (uint64_t)height, FV_PURPOSE_TEST);
    assert_int_equal(fv_image_make(width, height, channels, &image), FV_OK);
    for (int i = 0; i < width * height * channels; i++) image.data[i] = (uint8_t)fv_rng_below(&rng, 256);
    return image;
}

static fv_image plain_image(int width, int height, int channels, int level) {
    fv_image image;
    assert_int_equal(fv_image_make(width, height, channels, &image), FV_OK);
    memset(image.data, level, (size_t)width * (size_t)height * (size_t)channels);
    return image;
}

static int level_at(const fv_image *image, int x, int y, int c) {
    return image->data[((size_t)y * image->width + x) * image->channels + c];
}

static fv_preprocess make_settings(int work_size, int size, fv_fit fit) {
    return (fv_preprocess){.size = size, .work_size = work_size, .fit = fit, .enhance = fv_enhance_standard()};
}

/* The enhanced image alone. */
static fv_status enhance(const fv_preprocess *settings, const fv_image *photo, fv_image *image) {
    fv_work work;
    fv_status status = fv_preprocess_enhance(settings, photo, NULL, &work);
    fv_image_free(&work.fov);
    *image = work.image;
    return status;
}

static fv_status fit_mask(const fv_preprocess *settings, const fv_image *mask, fv_image *fitted) {
    fv_frame frame;
    assert_int_equal(fv_preprocess_frame(settings, mask->width, mask->height, NULL, &frame), FV_OK);
    return fv_preprocess_fit_mask(&frame, mask, fitted);
}

/* From a photograph to the network's input of `side` px. */
static fv_mapping mapping_of(const fv_preprocess *settings, int width, int height, int side) {
    fv_frame frame;
    assert_int_equal(fv_preprocess_frame(settings, width, height, NULL, &frame), FV_OK);
    return fv_frame_mapping(&frame, (double)side / settings->work_size);
}

/* The share of source pixel i in the output pixel that covers [begin, end). */
static double overlap(int i, double begin, double end) {
    double covered = fmin(i + 1, end) - fmax(i, begin);
    return covered > 0 ? covered / (end - begin) : 0;
}

/* Mean of the source over the box of output pixel (x, y), pixel by pixel. */
static double box_mean(const fv_image *image, int size, int x, int y, int c) {
    double scale_x = (double)image->width / size, scale_y = (double)image->height / size, sum = 0;
    for (int j = 0; j < image->height; j++) {
        double down = overlap(j, y * scale_y, (y + 1) * scale_y);
        for (int i = 0; i < image->width && down > 0; i++) {
            sum += down * overlap(i, x * scale_x, (x + 1) * scale_x) * level_at(image, i, j, c);
        }
    }
    return sum;
}

static void shrinking_is_the_exact_area_average(void **state) {
    (void)state;
    static const int sizes[][2] = {{37, 23}, {64, 48}, {17, 16}, {200, 31}};
    fv_preprocess settings = make_settings(16, 16, FV_FIT_STRETCH);
    for (int s = 0; s < 4; s++) {
        fv_image photo = random_image(sizes[s][0], sizes[s][1], 3), work;
        assert_int_equal(enhance(&settings, &photo, &work), FV_OK);
        for (int i = 0; i < 16 * 16 * 3; i++) {
            double expected = box_mean(&photo, 16, i / 3 % 16, i / 48, i % 3);
            assert_true(fabs(work.data[i] - expected) <= 0.5 + 1e-3); /* nothing but the rounding to bytes */
        }
        fv_image_free(&photo);
        fv_image_free(&work);
    }
}

static double bilinear(const fv_image *image, double x, double y, int c) {
    x = fmin(fmax(x - 0.5, 0), image->width - 1);
    y = fmin(fmax(y - 0.5, 0), image->height - 1);
    int x0 = (int)x, y0 = (int)y, x1 = x0 + (x0 + 1 < image->width), y1 = y0 + (y0 + 1 < image->height);
    double fx = x - x0, fy = y - y0;
    return (level_at(image, x0, y0, c) * (1 - fx) + level_at(image, x1, y0, c) * fx) * (1 - fy) +
           (level_at(image, x0, y1, c) * (1 - fx) + level_at(image, x1, y1, c) * fx) * fy;
}

static void enlarging_is_bilinear_at_half_pixel_centres(void **state) {
    (void)state;
    fv_preprocess settings = make_settings(23, 23, FV_FIT_STRETCH);
    fv_image photo = random_image(9, 6, 3), work;
    assert_int_equal(enhance(&settings, &photo, &work), FV_OK);
    for (int y = 0; y < 23; y++) {
        for (int x = 0; x < 23; x++) {
            double expected = bilinear(&photo, (x + 0.5) * 9 / 23, (y + 0.5) * 6 / 23, 1);
            assert_true(fabs(level_at(&work, x, y, 1) - expected) <= 0.5 + 1e-3);
        }
    }
    fv_image_free(&photo);
    fv_image_free(&work);
}

static void the_same_size_is_a_copy(void **state) {
    (void)state;
    fv_preprocess settings = make_settings(31, 31, FV_FIT_LETTERBOX);
    fv_image photo = random_image(31, 31, 3), work;
    assert_int_equal(enhance(&settings, &photo, &work), FV_OK);
    assert_memory_equal(work.data, photo.data, 31 * 31 * 3);
    fv_image_free(&photo);
    fv_image_free(&work);
}

static void letterbox_bars_are_black_and_centred(void **state) {
    (void)state;
    fv_preprocess settings = make_settings(64, 64, FV_FIT_LETTERBOX);
    fv_image photo = plain_image(100, 50, 3, 200), work;
    assert_int_equal(enhance(&settings, &photo, &work), FV_OK);
    for (int y = 0; y < 64; y++) {
        for (int x = 0; x < 64; x++) assert_int_equal(level_at(&work, x, y, 2), y >= 16 && y < 48 ? 200 : 0);
    }
    fv_image_free(&work);
    fv_image_free(&photo);

    photo = plain_image(1, 1000, 3, 200); /* one pixel wide at least */
    assert_int_equal(enhance(&settings, &photo, &work), FV_OK);
    assert_int_equal(level_at(&work, 31, 0, 0), 200);
    assert_int_equal(level_at(&work, 30, 32, 0), 0);
    assert_int_equal(level_at(&work, 32, 32, 0), 0);
    fv_image_free(&work);
    fv_image_free(&photo);
}

static fv_image draw_disc(int width, int height, double x, double y, double radius) {
    fv_image mask = plain_image(width, height, 1, 0);
    for (int i = 0; i < width * height; i++) {
        if (hypot(i % width + 0.5 - x, i / width + 0.5 - y) <= radius) mask.data[i] = 255;
    }
    return mask;
}

/* Centre of mass in continuous coordinates, and mass in full pixels. */
static void measure(const float *values, int size, int stride, double *x, double *y, double *mass) {
    double sum = 0, sum_x = 0, sum_y = 0;
    for (int i = 0; i < size * size; i++) {
        double value = values[(size_t)i * stride];
        sum += value;
        sum_x += value * (i % size + 0.5);
        sum_y += value * (i / size + 0.5);
    }
    *x = sum_x / sum;
    *y = sum_y / sum;
    *mass = sum;
}

static void a_disc_lands_where_the_mapping_says(void **state) {
    (void)state;
    static const int sizes[][2] = {{1024, 877}, {333, 500}, {97, 61}};
    static float sampled[128 * 128];
    for (int s = 0; s < 6; s++) {
        int width = sizes[s / 2][0], height = sizes[s / 2][1];
        double x = width * 0.3, y = height * 0.6, radius = height * 0.15, found_x, found_y, mass;
        fv_preprocess settings = make_settings(256, 128, s % 2 ? FV_FIT_STRETCH : FV_FIT_LETTERBOX);
        fv_image mask = draw_disc(width, height, x, y, radius), work;
        double ink = 0, true_x = 0, true_y = 0; /* of the disc as drawn with whole pixels */
        for (int i = 0; i < width * height; i++) {
            ink += mask.data[i] / 255.0;
            true_x += mask.data[i] / 255.0 * (i % width + 0.5);
            true_y += mask.data[i] / 255.0 * (i / width + 0.5);
        }
        assert_int_equal(fit_mask(&settings, &mask, &work), FV_OK);
        fv_affine map = fv_affine_scale(256, 128);
        fv_warp(&work, &map, 128, fv_warp_taps(256, 128), sampled, 1);
        measure(sampled, 128, 1, &found_x, &found_y, &mass);
        fv_mapping mapping = mapping_of(&settings, width, height, 128);
        assert_float_equal(found_x, true_x / ink * mapping.scale_x + mapping.offset_x, 0.02);
        assert_float_equal(found_y, true_y / ink * mapping.scale_y + mapping.offset_y, 0.02);
        assert_float_equal(mass / 255 / (ink * mapping.scale_x * mapping.scale_y), 1, 0.01);
        fv_image_free(&mask);
        fv_image_free(&work);
    }
}

static void the_mapping_knows_rounded_sizes(void **state) {
    (void)state;
    fv_preprocess settings = make_settings(512, 256, FV_FIT_LETTERBOX);
    fv_mapping work = mapping_of(&settings, 1024, 877, 512); /* 438.5 px high: 439 */
    assert_true(work.scale_x == 0.5 && work.offset_x == 0);
    assert_true(work.scale_y == 439.0 / 877 && work.offset_y == 36);
    fv_mapping input = mapping_of(&settings, 1024, 877, 256);
    assert_true(input.scale_x == 0.25 && input.offset_y == 18);
    settings.fit = FV_FIT_STRETCH;
    fv_mapping stretched = mapping_of(&settings, 1024, 877, 256);
    assert_true(stretched.scale_y == 256.0 / 877 && stretched.offset_y == 0);
}

static void enhancing_is_clahe_of_the_fitted_photograph(void **state) {
    (void)state;
    fv_preprocess settings = make_settings(64, 64, FV_FIT_LETTERBOX);
    fv_image photo = random_image(90, 70, 3), plain, enhanced;
    assert_int_equal(enhance(&settings, &photo, &plain), FV_OK);
    settings.enhance.steps[settings.enhance.count++] = FV_ENHANCE_LAB_CLAHE;
    assert_int_equal(enhance(&settings, &photo, &enhanced), FV_OK);
    assert_memory_not_equal(enhanced.data, plain.data, 64 * 64 * 3);
    assert_int_equal(fv_clahe_lab(&plain, 2, 8), FV_OK);
    assert_memory_equal(enhanced.data, plain.data, 64 * 64 * 3);
    fv_image_free(&photo);
    fv_image_free(&plain);
    fv_image_free(&enhanced);
}

static void a_grey_photograph_gets_three_equal_channels(void **state) {
    (void)state;
    fv_preprocess settings = make_settings(24, 24, FV_FIT_LETTERBOX);
    fv_image photo = random_image(50, 40, 1), work, mask;
    assert_int_equal(enhance(&settings, &photo, &work), FV_OK);
    assert_int_equal(fit_mask(&settings, &photo, &mask), FV_OK);
    assert_int_equal(work.channels, 3);
    for (int i = 0; i < 24 * 24 * 3; i++) assert_int_equal(work.data[i], mask.data[i / 3]);
    fv_image_free(&photo);
    fv_image_free(&work);
    fv_image_free(&mask);
}

static void normalisations_are_exact(void **state) {
    (void)state;
    const float pixels[6] = {0, 255, 51, 255, 0, 128};
    static const float mean[3] = {0.485F, 0.456F, 0.406F}, deviation[3] = {0.229F, 0.224F, 0.225F};
    float unit[6], sign[6], imagenet[6];
    memcpy(unit, pixels, sizeof pixels);
    memcpy(sign, pixels, sizeof pixels);
    memcpy(imagenet, pixels, sizeof pixels);
    fv_preprocess_normalise(FV_NORMALISE_UNIT, unit, 2);
    fv_preprocess_normalise(FV_NORMALISE_SIGNED, sign, 2);
    fv_preprocess_normalise(FV_NORMALISE_IMAGENET, imagenet, 2);
    for (int i = 0; i < 6; i++) {
        assert_true(unit[i] == pixels[i] / 255.0F);
        assert_true(sign[i] == pixels[i] / 127.5F - 1);
        assert_true(imagenet[i] == (pixels[i] / 255.0F - mean[i % 3]) / deviation[i % 3]);
    }
    assert_true(unit[1] == 1 && sign[0] == -1 && sign[1] == 1);
}

/* A whole ratio of work size to size gives the exact mean of each block. */
static void check_block_mean(int ratio) {
    enum { SIZE = 12 };
    float out[SIZE * SIZE * 3];
    fv_preprocess settings = make_settings(SIZE * ratio, SIZE, FV_FIT_STRETCH);
    fv_image work = random_image(SIZE * ratio, SIZE * ratio, 3);
    fv_preprocess_sample(&settings, &work, out);
    for (int i = 0; i < SIZE * SIZE * 3; i++) {
        int x = i / 3 % SIZE * ratio, y = i / 3 / SIZE * ratio, sum = 0;
        for (int k = 0; k < ratio * ratio; k++) sum += level_at(&work, x + k % ratio, y + k / ratio, i % 3);
        float expected = (float)sum / (float)(ratio * ratio) / 255;
        if (ratio == 1 || ratio == 2 || ratio == 4) { /* no rounding on the way */
            assert_true(out[i] == expected);
        } else {
            assert_float_equal(out[i], expected, 1e-6);
        }
    }
    fv_image_free(&work);
}

static void denormalising_gives_the_levels_back(void **state) {
    (void)state;
    for (int how = FV_NORMALISE_UNIT; how <= FV_NORMALISE_IMAGENET; how++)
        for (int level = 0; level < 256; level++) {
            float values[3] = {(float)level, (float)(255 - level), 128};
            uint8_t back[3];
            fv_preprocess_normalise((fv_normalise)how, values, 1);
            fv_preprocess_denormalise((fv_normalise)how, values, 1, back);
            assert_true(back[0] == level && back[1] == 255 - level && back[2] == 128);
        }
    const float beyond[3] = {-0.1F, 1.1F, 0.5F};
    uint8_t bounded[3];
    fv_preprocess_denormalise(FV_NORMALISE_UNIT, beyond, 1, bounded);
    assert_true(bounded[0] == 0 && bounded[1] == 255 && bounded[2] == 128);
}

static void sampling_averages_blocks(void **state) {
    (void)state;
    check_block_mean(1);
    check_block_mean(2);
    check_block_mean(3);
    check_block_mean(4);
    check_block_mean(5);
    check_block_mean(6);
}

static void sampling_at_odd_ratios_is_bilinear_and_keeps_the_rim(void **state) {
    (void)state;
    static float out[80 * 80 * 3];
    static const int pairs[][2] = {{50, 80}, {70, 64}, {100, 51}};
    for (int p = 0; p < 3; p++) {
        int from = pairs[p][0], to = pairs[p][1];
        fv_preprocess settings = make_settings(from, to, FV_FIT_STRETCH);
        fv_image work = random_image(from, from, 3);
        fv_preprocess_sample(&settings, &work, out);
        for (int i = 0; i < to * to * 3; i++) {
            double x = (i / 3 % to + 0.5) * from / to, y = (i / 3 / to + 0.5) * from / to;
            assert_float_equal(out[i] * 255, bilinear(&work, x, y, i % 3), 1e-3);
        }
        fv_image_free(&work);
    }
}

static void every_pixel_is_read_when_sampling_shrinks_much(void **state) {
    (void)state;
    float out[10 * 10 * 3];
    fv_preprocess settings = make_settings(75, 10, FV_FIT_STRETCH);
    assert_int_equal(fv_warp_taps(75, 10), 8);
    assert_int_equal(fv_warp_taps(20, 10), 1);
    assert_int_equal(fv_warp_taps(80, 10), 4);
    assert_int_equal(fv_warp_taps(21, 10), 3);
    for (int i = 0; i < 75; i += 7) {
        fv_image work = plain_image(75, 75, 3, 0);
        work.data[((size_t)i * 75 + (74 - i)) * 3] = 255;
        fv_preprocess_sample(&settings, &work, out);
        double sum = 0;
        for (int k = 0; k < 300; k++) sum += out[k];
        assert_true(sum > 0.5 / 56.25 && sum < 1.6 / 56.25); /* near its share of an output pixel */
        fv_image_free(&work);
    }
}

static void the_warp_is_zero_outside_and_follows_its_map(void **state) {
    (void)state;
    float out[16];
    fv_image image = random_image(4, 4, 1);
    fv_affine shifted = {.xx = 1, .x0 = 2, .yy = 1, .y0 = -1};
    fv_warp(&image, &shifted, 4, 1, out, 1);
    for (int i = 0; i < 16; i++) {
        int x = i % 4 + 2, y = i / 4 - 1;
        assert_true(out[i] == (x < 4 && y >= 0 ? (float)level_at(&image, x, y, 0) : 0));
    }
    fv_affine turned = {.xy = 1, .yx = -1, .y0 = 4}; /* a quarter turn */
    fv_warp(&image, &turned, 4, 1, out, 1);
    for (int i = 0; i < 16; i++) assert_true(out[i] == (float)level_at(&image, i / 4, 3 - i % 4, 0));
    fv_image_free(&image);
}

/* From image to output at one level of the CPU: bits of every float, also of those between the pixels' channels. */
static void warp_at(fv_cpu_level level, const fv_image *image, const fv_affine *map, int size, int stride, float *out) {
    fv_cpu_limit(level);
    for (int i = 0; i < size * size * stride; i++) out[i] = -7;
    fv_warp(image, map, size, 1, out, stride);
}

static void the_warp_has_the_same_bits_at_every_level(void **state) {
    (void)state;
    enum { MOST = 70 };
    static float plain[MOST * MOST * 5], vectors[MOST * MOST * 5];
    static const int sides[][2] = {{1, 1}, {2, 3}, {3, 2}, {4, 4}, {5, 9}, {17, 16}, {64, 33}, {129, 140}};
    static const int sizes[] = {1, 7, 8, 9, 64, 65, MOST};
    for (int i = 0; i < 8 * 7 * 12; i++) {
        int side = i % 8, size = sizes[i / 8 % 7], turn = i / 56, channels = turn % 2 ? 1 : 3,
            stride = channels + turn % 3;
        fv_image image = random_image(sides[side][0], sides[side][1], channels);
        double scale = (double)image.width / size, angle = turn * 0.55, c = scale * cos(angle), s = scale * sin(angle);
        fv_affine map = {c, -s, image.width * 0.5 * (1 - cos(angle) + sin(angle)), s, c, image.height * 0.07};
        warp_at(FV_CPU_SCALAR, &image, &map, size, stride, plain);
        warp_at(FV_CPU_AVX512, &image, &map, size, stride, vectors);
        if (memcmp(plain, vectors, (size_t)(size * size * stride) * sizeof *plain) != 0)
            fail_msg("image %d x %d x %d, size %d, stride %d, angle %g", image.width, image.height, channels, size,
                     stride, angle);
        fv_image_free(&image);
    }
}

/* A mask is sampled near what is set in it only; the same levels in three channels are sampled everywhere. */
static void a_mask_is_warped_like_a_photograph(void **state) {
    (void)state;
    enum { SIDE = 60, SIZE = 45 };
    static float one[SIZE * SIZE], three[SIZE * SIZE * 3];
    for (int i = 0; i < 400; i++) {
        fv_rng rng = fv_rng_make(9, (uint64_t)i, 0, FV_PURPOSE_TEST);
        fv_image mask = plain_image(SIDE, SIDE, 1, 0), photo = plain_image(SIDE, SIDE, 3, 0);
        int left = (int)fv_rng_below(&rng, SIDE), top = (int)fv_rng_below(&rng, SIDE), side = i % 5 ? i % 17 : 0;
        for (int y = top; y < SIDE && y < top + side; y++)
            for (int x = left; x < SIDE && x < left + side; x++)
                for (int c = 0; c < 3; c++)
                    photo.data[(y * SIDE + x) * 3 + c] = mask.data[y * SIDE + x] = (uint8_t)(90 + x);
        double angle = i % 3 ? fv_rng_range(&rng, -3, 3) : i % 4 * M_PI / 2, scale = fv_rng_range(&rng, 0.3, 2.5);
        double c = scale * round(cos(angle) * 1e6) / 1e6, s = scale * round(sin(angle) * 1e6) / 1e6;
        fv_affine map = {c, -s, SIDE * 0.5 * (1 - c + s), s, c, SIDE * 0.5 * (1 - c - s)};
        fv_warp(&mask, &map, SIZE, 1, one, 1);
        fv_warp(&photo, &map, SIZE, 1, three, 3);
        for (int j = 0; j < SIZE * SIZE; j++) assert_true(one[j] == three[3 * j]);
        fv_image_free(&mask);
        fv_image_free(&photo);
    }
}

static void the_blur_is_gaussian(void **state) {
    (void)state;
    enum { W = 21, H = 19 };
    static float image[W * H * 3], scratch[W * H * 3];
    for (int i = 0; i < W * H * 3; i++) image[i] = i % 3 == 1 ? 100 : 0;
    image[(9 * W + 10) * 3] = 1000;
    fv_blur(image, W, H, 3, 1.5, scratch);
    double total = 0;
    for (int k = -5; k <= 5; k++) total += exp(-k * k / 4.5);
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            const float *pixel = image + (y * W + x) * 3;
            int dx = x - 10, dy = y - 9;
            bool near = abs(dx) <= 5 && abs(dy) <= 5;
            assert_float_equal(pixel[0], near ? 1000 * exp(-(dx * dx + dy * dy) / 4.5) / (total * total) : 0, 1e-3);
            assert_float_equal(pixel[1], 100, 1e-3); /* the rim is repeated */
            assert_true(pixel[2] == 0);
        }
    }
}

static void the_blur_may_be_wider_than_the_image(void **state) {
    (void)state;
    float image[3 * 2] = {10, 20, 30, 10, 20, 30}, scratch[6];
    fv_blur(image, 3, 2, 1, FV_BLUR_MAX_SIGMA, scratch);
    for (int i = 0; i < 6; i++) assert_true(image[i] > 10 && image[i] < 30);
    assert_float_equal(image[1], 20, 1e-3);
    assert_true(image[0] < image[1] && image[1] < image[2]);
}

/* A lit disc on black. */
static fv_image lit_disc(int width, int height, double x, double y, double radius) {
    fv_image disc = draw_disc(width, height, x, y, radius), photo = plain_image(width, height, 3, 0);
    for (int i = 0; i < 3 * width * height; i++) photo.data[i] = disc.data[i / 3] ? 150 : 0;
    fv_image_free(&disc);
    return photo;
}

static fv_preprocess field_settings(fv_fit fit, int fov_diameter) {
    return (fv_preprocess){
        .size = 64, .fit = fit, .fov_diameter = fov_diameter, .windows = true, .enhance = fv_enhance_standard()};
}

/* Two cameras, one resolution: the field is as large in both work images. */
static void the_field_is_brought_to_its_diameter(void **state) {
    (void)state;
    static const struct {
        int width, height;
        double x, y, radius;
    } photos[] = {{300, 260, 140, 130, 100}, {900, 700, 500, 350, 320}, {120, 200, 60, 90, 50}};
    fv_preprocess settings = field_settings(FV_FIT_FOV, 160);
    for (int i = 0; i < 3; i++) {
        fv_image photo = lit_disc(photos[i].width, photos[i].height, photos[i].x, photos[i].y, photos[i].radius);
        fv_work work;
        assert_int_equal(fv_preprocess_enhance(&settings, &photo, NULL, &work), FV_OK);
        assert_int_equal(work.image.width, 160);
        assert_int_equal(work.image.height, 160);
        assert_float_equal(fv_mask_count(&work.fov), M_PI * 80 * 80, 0.01 * M_PI * 80 * 80);
        fv_mapping mapping = fv_frame_mapping(&work.frame, 1); /* the field's centre lands in the middle */
        assert_float_equal(photos[i].x * mapping.scale_x + mapping.offset_x, 80, 1.5);
        assert_float_equal(photos[i].y * mapping.scale_y + mapping.offset_y, 80, 1.5);
        assert_int_equal(level_at(&work.image, 80, 80, 0), 150);
        fv_image_free(&photo);
        fv_work_free(&work);
    }
}

/* 16 px a degree: DRIVE's 45 degrees become 720 px, CHASE_DB1's 30 become 480, HRF's 60 become 960. */
static void the_field_is_as_wide_as_its_angle(void **state) {
    (void)state;
    static const double degrees[] = {45, 30, 60, 20.03};
    static const int diameters[] = {720, 480, 960, 320};
    fv_preprocess settings = field_settings(FV_FIT_FOV, 720);
    assert_int_equal(fv_preprocess_for_camera(&settings, 30).fov_diameter, 720); /* no angle asked for */
    settings.fov_degrees = 45;
    assert_int_equal(fv_preprocess_for_camera(&settings, NAN).fov_diameter, 720);
    for (int i = 0; i < 4; i++)
        assert_int_equal(fv_preprocess_for_camera(&settings, degrees[i]).fov_diameter, diameters[i]);
    settings.fit = FV_FIT_NATIVE;
    assert_int_equal(fv_preprocess_for_camera(&settings, 30).fov_diameter, 720);
}

static void native_cuts_the_field_out_as_it_is(void **state) {
    (void)state;
    fv_image photo = lit_disc(200, 150, 90, 80, 50);
    photo.data[3 * (80 * 200 + 90)] = 77;
    fv_preprocess settings = field_settings(FV_FIT_NATIVE, 0);
    fv_work work;
    assert_int_equal(fv_preprocess_enhance(&settings, &photo, NULL, &work), FV_OK);
    assert_int_equal(work.image.width, 100);
    assert_int_equal(level_at(&work.image, 50, 50, 0), 77);
    fv_work_free(&work);
    fv_image known = draw_disc(200, 150, 90, 80, 30); /* a data set's own field goes before what is found */
    assert_int_equal(fv_preprocess_enhance(&settings, &photo, &known, &work), FV_OK);
    assert_int_equal(work.image.width, 60);
    fv_work_free(&work);
    fv_image_free(&known);
    fv_image_free(&photo);
}

static void a_window_beyond_the_image_is_black_there(void **state) {
    (void)state;
    fv_preprocess settings = field_settings(FV_FIT_NATIVE, 0);
    fv_image work = random_image(40, 30, 3);
    static float out[24 * 32 * 3];
    fv_preprocess_window(&settings, &work, (fv_place){20, 10, 32, 24}, out);
    for (int i = 0; i < 24 * 32 * 3; i++) {
        int x = 20 + i / 3 % 32, y = 10 + i / 96;
        double expected = x < 40 && y < 30 ? level_at(&work, x, y, i % 3) / 255.0 : 0;
        assert_float_equal(out[i], expected, 1e-6);
    }
    fv_image_free(&work);
}

static void fits_of_the_field_need_windows(void **state) {
    (void)state;
    fv_preprocess settings = field_settings(FV_FIT_FOV, 160);
    settings.windows = false;
    assert_int_equal(fv_preprocess_check(&settings), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "fit fov"));
    settings = field_settings(FV_FIT_FOV, 0);
    assert_int_equal(fv_preprocess_check(&settings), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "FOV diameter 0 px, expected 1..8192"));
    fv_image dark = plain_image(40, 30, 3, 0);
    fv_work work;
    settings.fov_diameter = 100;
    assert_int_equal(fv_preprocess_enhance(&settings, &dark, NULL, &work), FV_BAD_INPUT);
    assert_null(work.image.data);
    fv_image_free(&dark);
}

static void wrong_arguments_are_explained(void **state) {
    (void)state;
    fv_preprocess settings = make_settings(0, 8, FV_FIT_LETTERBOX);
    fv_image photo = random_image(8, 8, 3), empty = {0}, work;
    assert_int_equal(enhance(&settings, &photo, &work), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "preprocessing: work size 0 px, expected 1..8192");
    assert_null(work.data);
    settings.work_size = 16;
    assert_int_equal(enhance(&settings, &empty, &work), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "the image is empty"));
    assert_int_equal(fit_mask(&settings, &photo, &work), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "the mask has 3 channels, expected 1"));
    settings.enhance.steps[settings.enhance.count++] = FV_ENHANCE_LAB_CLAHE;
    settings.enhance.clahe_tiles = 0;
    assert_int_equal(enhance(&settings, &photo, &work), FV_BAD_INPUT);
    assert_null(work.data);
    fv_image_free(&photo);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shrinking_is_the_exact_area_average),
        cmocka_unit_test(enlarging_is_bilinear_at_half_pixel_centres),
        cmocka_unit_test(the_same_size_is_a_copy),
        cmocka_unit_test(letterbox_bars_are_black_and_centred),
        cmocka_unit_test(a_disc_lands_where_the_mapping_says),
        cmocka_unit_test(the_mapping_knows_rounded_sizes),
        cmocka_unit_test(enhancing_is_clahe_of_the_fitted_photograph),
        cmocka_unit_test(a_grey_photograph_gets_three_equal_channels),
        cmocka_unit_test(normalisations_are_exact),
        cmocka_unit_test(denormalising_gives_the_levels_back),
        cmocka_unit_test(sampling_averages_blocks),
        cmocka_unit_test(sampling_at_odd_ratios_is_bilinear_and_keeps_the_rim),
        cmocka_unit_test(every_pixel_is_read_when_sampling_shrinks_much),
        cmocka_unit_test(the_warp_is_zero_outside_and_follows_its_map),
        cmocka_unit_test(a_mask_is_warped_like_a_photograph),
        cmocka_unit_test(the_warp_has_the_same_bits_at_every_level),
        cmocka_unit_test(the_blur_is_gaussian),
        cmocka_unit_test(the_blur_may_be_wider_than_the_image),
        cmocka_unit_test(the_field_is_brought_to_its_diameter),
        cmocka_unit_test(the_field_is_as_wide_as_its_angle),
        cmocka_unit_test(native_cuts_the_field_out_as_it_is),
        cmocka_unit_test(a_window_beyond_the_image_is_black_there),
        cmocka_unit_test(fits_of_the_field_need_windows),
        cmocka_unit_test(wrong_arguments_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
