/* Unsharp mask. The blur runs down the image with a ring of rows already blurred sideways, so that it stays in cache.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "enhance_steps.h"
#include "fovea/base/memory.h"

enum { MAX_RADIUS = 60 }; /* 3 FV_UNSHARP_MAX_SIGMA */

typedef struct unsharp {
    const fv_image *source;
    int radius, taps;
    float weights[MAX_RADIUS + 1]; /* by distance; both sides sum to 1 */
    float *padded;                 /* a row with `radius` pixels reflected at both ends */
    float *ring;                   /* taps rows: row y lies at y mod taps */
    float *blurred;                /* a row */
} unsharp;

static int reflect(int i, int count) {
    if (count == 1) return 0;
    int period = 2 * (count - 1), phase = (i % period + period) % period;
    return phase < count ? phase : period - phase;
}

/* As OpenCV's for 8-bit images: round(6 sigma + 1) taps, made odd; weights are multiples of 1/256, what each loses is
   passed on to the next one inwards, and the middle makes the sum 1. Two passes of such sums are exact in a float. */
static void make_weights(unsharp *job, double sigma) {
    job->taps = (int)lrint(6 * sigma + 1) | 1;
    job->radius = job->taps / 2;
    double sum = 0, lost = 0, middle = 256;
    for (int k = -job->radius; k <= job->radius; k++) sum += exp(-0.5 * k * k / (sigma * sigma));
    for (int k = job->radius; k > 0; k--) {
        double exact = 256 * exp(-0.5 * k * k / (sigma * sigma)) / sum + lost, rounded = rint(exact);
        lost = exact - rounded;
        middle -= 2 * rounded;
        job->weights[k] = (float)(rounded / 256);
    }
    job->weights[0] = (float)(middle / 256);
}

static void blur_sideways(const unsharp *job, int y) {
    const fv_image *image = job->source;
    int channels = image->channels, length = image->width * channels, radius = job->radius;
    const uint8_t *row = image->data + (size_t)y * (size_t)length;
    for (int x = -radius; x < image->width + radius; x++) {
        const uint8_t *pixel = row + (size_t)reflect(x, image->width) * (size_t)channels;
        for (int c = 0; c < channels; c++) job->padded[(x + radius) * channels + c] = pixel[c];
    }
    const float *centre = job->padded + radius * channels;
    float *restrict out = job->ring + (size_t)(y % job->taps) * (size_t)length;
    for (int i = 0; i < length; i++) out[i] = job->weights[0] * centre[i];
    for (int k = 1; k <= radius; k++) {
        const float *left = centre - k * channels, *right = centre + k * channels;
        float weight = job->weights[k];
        for (int i = 0; i < length; i++) out[i] += weight * (left[i] + right[i]);
    }
}

static const float *ring_row(const unsharp *job, int y) {
    size_t length = (size_t)job->source->width * (size_t)job->source->channels;
    return job->ring + (size_t)(reflect(y, job->source->height) % job->taps) * length;
}

static void blur_downwards(const unsharp *job, int y) {
    int length = job->source->width * job->source->channels;
    float *restrict out = job->blurred;
    const float *centre = ring_row(job, y);
    for (int i = 0; i < length; i++) out[i] = job->weights[0] * centre[i];
    for (int k = 1; k <= job->radius; k++) {
        const float *upper = ring_row(job, y - k), *lower = ring_row(job, y + k);
        float weight = job->weights[k];
        for (int i = 0; i < length; i++) out[i] += weight * (upper[i] + lower[i]);
    }
}

/* The blur is rounded to a level first, as OpenCV's is. */
static void sharpen_row(const float *blurred, int length, float amount, uint8_t *row) {
    for (int i = 0; i < length; i++) {
        float level = (1 + amount) * (float)row[i] - amount * floorf(blurred[i] + 0.5F);
        row[i] = (uint8_t)lrintf(level < 0 ? 0 : level > 255 ? 255 : level);
    }
}

/* Rows above have been read into the ring before they are changed. */
static void sharpen(const unsharp *job, fv_image *image, float amount) {
    int length = image->width * image->channels, ready = 0;
    for (int y = 0; y < image->height; y++) {
        for (; ready < image->height && ready <= y + job->radius; ready++) blur_sideways(job, ready);
        blur_downwards(job, y);
        sharpen_row(job->blurred, length, amount, image->data + (size_t)y * (size_t)length);
    }
}

fv_status fv_unsharp(fv_image *image, double amount, double sigma) {
    unsharp job = {.source = image};
    make_weights(&job, sigma);
    size_t channels = (size_t)image->channels, length = (size_t)image->width * channels;
    job.padded = fv_allocate(length + 2 * (size_t)job.radius * channels, sizeof(float), "a blurred row");
    job.ring = fv_allocate(length * (size_t)job.taps, sizeof(float), "blurred rows");
    job.blurred = fv_allocate(length, sizeof(float), "a blurred row");
    bool good = job.padded && job.ring && job.blurred;
    if (good) sharpen(&job, image, (float)amount);
    free(job.padded);
    free(job.ring);
    free(job.blurred);
    return good ? FV_OK : FV_NO_RESOURCE;
}
