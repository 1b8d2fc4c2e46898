#include "fovea/image/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

/* Along one axis: output i is the sum of source[first[i] + k] * weights[i * most + k] over k < count[i]. */
typedef struct axis {
    int most;
    int *first, *count;
    float *weights;
} axis;

/* A pixel counts by the share of the output pixel that it covers. */
static void set_area(axis *a, int i, double scale, int from) {
    double begin = i * scale, end = (i + 1) * scale;
    int first = (int)begin, last = (int)ceil(end) - 1;
    if (last >= from) last = from - 1;
    a->first[i] = first;
    a->count[i] = last - first + 1;
    for (int k = first; k <= last; k++) {
        double covered = fmin(k + 1, end) - fmax(k, begin);
        a->weights[(size_t)i * a->most + (k - first)] = (float)(covered / scale);
    }
}

/* The two pixels whose centres are nearest to the output's centre; the rim is repeated. */
static void set_bilinear(axis *a, int i, double scale, int from) {
    double position = fmin(fmax((i + 0.5) * scale - 0.5, 0), from - 1);
    int first = (int)position, inside = first + 1 < from;
    float *weights = a->weights + (size_t)i * a->most;
    a->first[i] = first;
    a->count[i] = inside ? 2 : 1;
    weights[0] = inside ? (float)(1 - (position - first)) : 1;
    weights[1] = (float)(position - first);
}

static void axis_free(axis *a) {
    free(a->first);
    free(a->count);
    free(a->weights);
}

static fv_status axis_make(int from, int to, axis *a) {
    double scale = (double)from / to;
    *a = (axis){.most = from > to ? (int)scale + 3 : 2};
    a->first = fv_allocate((size_t)to, sizeof *a->first, "resizing");
    a->count = fv_allocate((size_t)to, sizeof *a->count, "resizing");
    a->weights = fv_allocate((size_t)to, (size_t)a->most * sizeof *a->weights, "resizing");
    if (!a->first || !a->count || !a->weights) {
        axis_free(a);
        return FV_NO_RESOURCE;
    }
    for (int i = 0; i < to; i++) {
        if (from > to) {
            set_area(a, i, scale, from);
        } else {
            set_bilinear(a, i, scale, from);
        }
    }
    return FV_OK;
}

/* sum[i] = the weighted rows; two rows a pass halve the traffic of the sums. */
static void mix_rows(const uint8_t *rows, size_t length, const float *weights, int count, float *restrict sum) {
    memset(sum, 0, length * sizeof *sum);
    for (int k = 0; k < count; k += 2) {
        const uint8_t *upper = rows + (size_t)k * length, *lower = k + 1 < count ? upper + length : upper;
        float a = weights[k], b = k + 1 < count ? weights[k + 1] : 0;
        for (size_t i = 0; i < length; i++) sum[i] += a * upper[i] + b * lower[i];
    }
}

static inline uint8_t round_byte(float value) {
    long rounded = lrintf(value);
    return (uint8_t)(rounded < 0 ? 0 : rounded > 255 ? 255 : rounded);
}

static void mix_colour_columns(const axis *a, const float *row, int width, uint8_t *out) {
    for (int x = 0; x < width; x++, out += 3) {
        const float *weights = a->weights + (size_t)x * a->most, *from = row + (size_t)a->first[x] * 3;
        float red = 0, green = 0, blue = 0;
        for (int k = 0; k < a->count[x]; k++, from += 3) {
            red += weights[k] * from[0];
            green += weights[k] * from[1];
            blue += weights[k] * from[2];
        }
        out[0] = round_byte(red);
        out[1] = round_byte(green);
        out[2] = round_byte(blue);
    }
}

static void mix_grey_columns(const axis *a, const float *row, int width, uint8_t *out) {
    for (int x = 0; x < width; x++) {
        const float *weights = a->weights + (size_t)x * a->most, *from = row + a->first[x];
        float sum = 0;
        for (int k = 0; k < a->count[x]; k++) sum += weights[k] * from[k];
        out[x] = round_byte(sum);
    }
}

static void resize_rows(const fv_image *source, fv_image *target, fv_place place, const axis *across, const axis *down,
                        float *row) {
    int channels = source->channels;
    size_t length = (size_t)source->width * (size_t)channels;
    for (int y = 0; y < place.height; y++) {
        mix_rows(source->data + (size_t)down->first[y] * length, length, down->weights + (size_t)y * down->most,
                 down->count[y], row);
        uint8_t *out = target->data + ((size_t)(place.y + y) * target->width + place.x) * channels;
        if (channels == 3) {
            mix_colour_columns(across, row, place.width, out);
        } else {
            mix_grey_columns(across, row, place.width, out);
        }
    }
}

fv_status fv_resize_into(const fv_image *source, fv_image *target, fv_place place) {
    axis across, down;
    FV_TRY(axis_make(source->width, place.width, &across));
    fv_status status = axis_make(source->height, place.height, &down);
    if (status == FV_OK) {
        float *row = fv_allocate((size_t)source->width, (size_t)source->channels * sizeof *row, "resizing");
        if (row) {
            resize_rows(source, target, place, &across, &down, row);
            free(row);
        } else {
            status = FV_NO_RESOURCE;
        }
        axis_free(&down);
    }
    axis_free(&across);
    return status;
}
