#include "smooth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

/* ---- Gaussian of small sigma ---- */

enum { MAX_RADIUS = 60 };

static int gaussian_weights(double sigma, float weights[MAX_RADIUS + 1]) {
    int radius = (int)lrint(6 * sigma + 1) / 2; /* OpenCV's kernel has round(6 sigma + 1) | 1 taps */
    if (radius > MAX_RADIUS) radius = MAX_RADIUS;
    double sum = 0;
    for (int k = -radius; k <= radius; k++) sum += exp(-0.5 * k * k / (sigma * sigma));
    for (int k = 0; k <= radius; k++) weights[k] = (float)(exp(-0.5 * k * k / (sigma * sigma)) / sum);
    return radius;
}

static int reflect(int i, int count) {
    if (count == 1) return 0;
    int period = 2 * (count - 1), phase = abs(i) % period;
    return phase < count ? phase : period - phase;
}

/* One row blurred along itself; `wide` holds it with `radius` reflected pixels on both sides. */
static void blur_row(const uint8_t *row, int width, int radius, const float *weights, float *wide, float *out) {
    for (int x = -radius; x < width + radius; x++) wide[x + radius] = row[reflect(x, width)];
    for (int x = 0; x < width; x++) out[x] = weights[0] * wide[x + radius];
    for (int k = 1; k <= radius; k++) {
        const float *left = wide + radius - k, *right = wide + radius + k;
        for (int x = 0; x < width; x++) out[x] += weights[k] * (left[x] + right[x]);
    }
}

static void blur_column(const float *rows, int width, int height, int y, int radius, const float *weights, float *sum) {
    const float *middle = rows + (size_t)y * (size_t)width;
    for (int x = 0; x < width; x++) sum[x] = weights[0] * middle[x];
    for (int k = 1; k <= radius; k++) {
        const float *above = rows + (size_t)reflect(y - k, height) * (size_t)width;
        const float *below = rows + (size_t)reflect(y + k, height) * (size_t)width;
        for (int x = 0; x < width; x++) sum[x] += weights[k] * (above[x] + below[x]);
    }
}

fv_status fv_gaussian_grey(const fv_image *grey, double sigma, fv_image *blurred) {
    float weights[MAX_RADIUS + 1];
    int radius = gaussian_weights(sigma, weights), width = grey->width, height = grey->height;
    FV_TRY(fv_image_make_unset(width, height, 1, blurred));
    float *rows = fv_allocate((size_t)width * (size_t)height, sizeof *rows, "a blurred image");
    float *line = fv_allocate((size_t)width + 2 * MAX_RADIUS, sizeof *line, "a blurred image");
    bool complete = rows && line;
    for (int y = 0; complete && y < height; y++)
        blur_row(grey->data + (size_t)y * (size_t)width, width, radius, weights, line,
                 rows + (size_t)y * (size_t)width);
    for (int y = 0; complete && y < height; y++) {
        blur_column(rows, width, height, y, radius, weights, line);
        for (int x = 0; x < width; x++) blurred->data[(size_t)y * (size_t)width + (size_t)x] = (uint8_t)lrintf(line[x]);
    }
    free(rows);
    free(line);
    if (complete) return FV_OK;
    fv_image_free(blurred);
    return FV_NO_RESOURCE;
}

/* ---- moments over a neighbourhood of any size ---- */

enum { PASSES = 3 };

/* Radii of the boxes whose variances add up to sigma's nearly: the sizes differ by 2 at most. */
static void box_radii(double sigma, int radii[PASSES]) {
    int lower = (int)sqrt(12 * sigma * sigma / PASSES + 1);
    if (lower % 2 == 0) lower--;
    double excess = (12 * sigma * sigma - PASSES * lower * (double)lower - 4 * PASSES * lower - 3 * PASSES);
    int small = (int)lrint(excess / (-4 * lower - 4));
    for (int i = 0; i < PASSES; i++) radii[i] = (i < small ? lower : lower + 2) / 2;
}

/* Sums over 2 radius + 1 pixels of each row, what lies outside counting 0. */
static void sum_rows(const float *from, int width, int height, int radius, float *to) {
    for (int y = 0; y < height; y++, from += width, to += width) {
        double sum = 0;
        for (int x = 0; x < radius && x < width; x++) sum += (double)from[x];
        for (int x = 0; x < width; x++) {
            if (x + radius < width) sum += (double)from[x + radius];
            if (x > radius) sum -= (double)from[x - radius - 1];
            to[x] = (float)sum;
        }
    }
}

static void add_row(const float *row, int width, double sign, double *sums) {
    for (int x = 0; x < width; x++) sums[x] += sign * (double)row[x];
}

/* The same down the columns, scaled. */
static void sum_columns(const float *from, int width, int height, int radius, float scale, double *sums, float *to) {
    memset(sums, 0, (size_t)width * sizeof *sums);
    for (int y = 0; y < radius && y < height; y++) add_row(from + (size_t)y * (size_t)width, width, 1, sums);
    for (int y = 0; y < height; y++) {
        if (y + radius < height) add_row(from + (size_t)(y + radius) * (size_t)width, width, 1, sums);
        if (y > radius) add_row(from + (size_t)(y - radius - 1) * (size_t)width, width, -1, sums);
        for (int x = 0; x < width; x++) to[(size_t)y * (size_t)width + (size_t)x] = scale * (float)sums[x];
    }
}

typedef struct smoother {
    int width, height, radii[PASSES];
    float *spare;
    double *sums;
} smoother;

static void smooth(const smoother *s, float *plane) {
    for (int i = 0; i < PASSES; i++) {
        float side = (float)(2 * s->radii[i] + 1);
        sum_rows(plane, s->width, s->height, s->radii[i], s->spare);
        sum_columns(s->spare, s->width, s->height, s->radii[i], 1 / (side * side), s->sums, plane);
    }
}

/* Levels are counted from the middle: their squares stay small, and so does the rounding of the variance. */
static const float origin = 128;

static void measure(const smoother *s, const fv_image *grey, const fv_image *fov, float *inside,
                    fv_local_moments *moments) {
    size_t pixels = (size_t)s->width * (size_t)s->height, count = 0;
    double deviations = 0;
    for (size_t i = 0; i < pixels; i++) {
        float value = (float)grey->data[i] - origin;
        inside[i] = !fov || fov->data[i] ? 1 : 0;
        moments->mean[i] = inside[i] * value;
        moments->variance[i] = inside[i] * value * value;
    }
    smooth(s, moments->mean);
    smooth(s, moments->variance);
    smooth(s, inside);
    for (size_t i = 0; i < pixels; i++) {
        float share = inside[i], mean = share > 1e-6F ? moments->mean[i] / share : 0;
        float variance = share > 1e-6F ? moments->variance[i] / share - mean * mean : 0;
        moments->mean[i] = mean + origin;
        moments->variance[i] = variance > 0 ? variance : 0;
        if (fov && !fov->data[i]) continue;
        deviations += sqrt((double)moments->variance[i]);
        count++;
    }
    moments->mean_deviation = count ? (float)(deviations / (double)count) : 0;
}

fv_status fv_local_moments_make(const fv_image *grey, const fv_image *fov, double sigma, fv_local_moments *moments) {
    size_t pixels = (size_t)grey->width * (size_t)grey->height;
    smoother s = {.width = grey->width, .height = grey->height};
    box_radii(sigma, s.radii);
    *moments = (fv_local_moments){0};
    moments->mean = fv_allocate(pixels, sizeof(float), "local means");
    moments->variance = fv_allocate(pixels, sizeof(float), "local variances");
    float *inside = fv_allocate(pixels, sizeof(float), "local means");
    s.spare = fv_allocate(pixels, sizeof(float), "local means");
    s.sums = fv_allocate((size_t)grey->width, sizeof(double), "local means");
    bool complete = moments->mean && moments->variance && inside && s.spare && s.sums;
    if (complete) measure(&s, grey, fov, inside, moments);
    free(inside);
    free(s.spare);
    free(s.sums);
    if (complete) return FV_OK;
    fv_local_moments_free(moments);
    return FV_NO_RESOURCE;
}

void fv_local_moments_free(fv_local_moments *moments) {
    free(moments->mean);
    free(moments->variance);
    *moments = (fv_local_moments){0};
}
