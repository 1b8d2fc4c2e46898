#include "fovea/image/blur.h"

#include <math.h>
#include <stddef.h>

enum { MAX_RADIUS = 60 }; /* 3 FV_BLUR_MAX_SIGMA */

/* weights[k] for distance k; the sum over both sides is 1. */
static int make_weights(double sigma, float weights[MAX_RADIUS + 1]) {
    int radius = (int)ceil(3 * sigma);
    if (radius > MAX_RADIUS) radius = MAX_RADIUS;
    double sum = 0;
    for (int k = -radius; k <= radius; k++) sum += exp(-0.5 * k * k / (sigma * sigma));
    for (int k = 0; k <= radius; k++) weights[k] = (float)(exp(-0.5 * k * k / (sigma * sigma)) / sum);
    return radius;
}

static inline int clamp_index(int i, int count) {
    return i < 0 ? 0 : i >= count ? count - 1 : i;
}

static void add_rim(const float *row, int width, int channels, int shift, float weight, int begin, int end,
                    float *out) {
    for (int x = begin; x < end; x++) {
        const float *left = row + (size_t)clamp_index(x - shift, width) * channels;
        const float *right = row + (size_t)clamp_index(x + shift, width) * channels;
        for (int c = 0; c < channels; c++) out[x * channels + c] += weight * (left[c] + right[c]);
    }
}

/* Adds to each pixel its neighbours `shift` pixels to the left and to the right. */
static void add_shifted(const float *row, int width, int channels, int shift, float weight, float *restrict out) {
    int begin = shift < width ? shift : width, end = width - shift > begin ? width - shift : begin;
    int offset = shift * channels;
    add_rim(row, width, channels, shift, weight, 0, begin, out);
    for (int i = begin * channels; i < end * channels; i++) out[i] += weight * (row[i - offset] + row[i + offset]);
    add_rim(row, width, channels, shift, weight, end, width, out);
}

static void add_row(const float *upper, const float *lower, int length, float weight, float *restrict out) {
    for (int i = 0; i < length; i++) out[i] += weight * (upper[i] + lower[i]);
}

static void scale_row(const float *row, int length, float weight, float *restrict out) {
    for (int i = 0; i < length; i++) out[i] = weight * row[i];
}

void fv_blur(float *image, int width, int height, int channels, double sigma, float *scratch) {
    float weights[MAX_RADIUS + 1];
    int radius = make_weights(sigma, weights), length = width * channels;
    for (int y = 0; y < height; y++) {
        const float *row = image + (size_t)y * length;
        float *out = scratch + (size_t)y * length;
        scale_row(row, length, weights[0], out);
        for (int k = 1; k <= radius; k++) add_shifted(row, width, channels, k, weights[k], out);
    }
    for (int y = 0; y < height; y++) {
        float *out = image + (size_t)y * length;
        scale_row(scratch + (size_t)y * length, length, weights[0], out);
        for (int k = 1; k <= radius; k++) {
            const float *upper = scratch + (size_t)clamp_index(y - k, height) * length;
            add_row(upper, scratch + (size_t)clamp_index(y + k, height) * length, length, weights[k], out);
        }
    }
}
