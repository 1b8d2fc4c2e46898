#include "light.h"

#include <math.h>
#include <stddef.h>

#include "fovea/image/blur.h"

enum { GAMMA_STEPS = 1024, LANES = 8 };

/* In the form that becomes two instructions and no branch. */
static inline float cut(float value) {
    float above = value > 0 ? value : 0;
    return above < 255 ? above : 255;
}

/* In lanes that do not wait for each other. */
static float mean_of(const float *values, size_t count) {
    double lanes[LANES] = {0}, sum = 0;
    size_t whole = count - count % LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) lanes[lane] += values[i + lane];
    }
    for (size_t i = whole; i < count; i++) sum += values[i];
    for (size_t lane = 0; lane < LANES; lane++) sum += lanes[lane];
    return (float)(sum / (double)count);
}

static void change_contrast(float contrast, float brightness, float *rgb, size_t count) {
    float offset = mean_of(rgb, count) * (1 - contrast) + brightness;
    for (size_t i = 0; i < count; i++) rgb[i] = cut(rgb[i] * contrast + offset);
}

/* By a table with straight pieces: a power for each value would take longer than all the rest together. */
static void change_gamma(double gamma, float *rgb, size_t count) {
    float table[GAMMA_STEPS + 2];
    for (int i = 0; i <= GAMMA_STEPS; i++) table[i] = (float)(255 * pow((double)i / GAMMA_STEPS, gamma));
    table[GAMMA_STEPS + 1] = table[GAMMA_STEPS]; /* so that 255 itself has a right neighbour */
    for (size_t i = 0; i < count; i++) {
        float position = rgb[i] * (GAMMA_STEPS / 255.0F);
        int step = (int)position;
        rgb[i] = table[step] + (table[step + 1] - table[step]) * (position - (float)step);
    }
}

/* Saturation s draws a pixel towards its grey (ITU-R BT.601), then hue turns the colour about the axis of greys
 * (Rodrigues). */
static void colour_matrix(double saturation, double hue_degrees, float matrix[3][3]) {
    static const double grey[3] = {0.299, 0.587, 0.114};
    double angle = hue_degrees * M_PI / 180, cosine = cos(angle), sine = sin(angle) / sqrt(3), rest = (1 - cosine) / 3;
    double turn[3] = {cosine + rest, rest - sine, rest + sine}; /* first row; the others are it moved round */
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            double sum = 0;
            for (int k = 0; k < 3; k++) {
                double saturated = (1 - saturation) * grey[j] + (k == j ? saturation : 0);
                sum += turn[(k - i + 3) % 3] * saturated;
            }
            matrix[i][j] = (float)sum;
        }
    }
}

static void change_colour(double saturation, double hue_degrees, float *rgb, size_t pixels) {
    float m[3][3];
    colour_matrix(saturation, hue_degrees, m);
    for (size_t i = 0; i < pixels; i++, rgb += 3) {
        float r = rgb[0], g = rgb[1], b = rgb[2];
        for (int c = 0; c < 3; c++) rgb[c] = cut(m[c][0] * r + m[c][1] * g + m[c][2] * b);
    }
}

/* The sum of four uniform 16-bit numbers has a bell shape close to Gauss's, for one random word a value. */
static void add_noise(double deviation, uint64_t seed, float *rgb, size_t count) {
    fv_rng rng = fv_rng_make(seed, 0, 0, FV_PURPOSE_AUGMENT);
    float scale = (float)(deviation * sqrt(3) / 65536), middle = 2 * 65535;
    for (size_t i = 0; i < count; i++) {
        uint64_t word = fv_rng_next(&rng);
        uint32_t sum = (uint32_t)(word & 0xffff) + (uint32_t)(word >> 16 & 0xffff) + (uint32_t)(word >> 32 & 0xffff) +
                       (uint32_t)(word >> 48);
        rgb[i] = cut(rgb[i] + ((float)sum - middle) * scale);
    }
}

size_t fv_light_scratch_floats(int size) {
    return 3 * (size_t)size * (size_t)size;
}

void fv_light_change(const fv_augment_draw *draw, int size, float *rgb, float *scratch) {
    size_t pixels = (size_t)size * (size_t)size;
    if (draw->contrast != 1 || draw->brightness != 0) {
        change_contrast((float)draw->contrast, (float)draw->brightness, rgb, 3 * pixels);
    }
    if (draw->gamma != 1) change_gamma(draw->gamma, rgb, 3 * pixels);
    if (draw->saturation != 1 || draw->hue_degrees != 0) {
        change_colour(draw->saturation, draw->hue_degrees, rgb, pixels);
    }
    if (draw->blur_sigma > 0) fv_blur(rgb, size, size, 3, draw->blur_sigma, scratch);
    if (draw->noise_deviation > 0) add_noise(draw->noise_deviation, draw->noise_seed, rgb, 3 * pixels);
}
