#include "fovea/clinical/fractal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

#define MAX_SIZES 31

/* Boxes of a grid that begins at (-shift_x, -shift_y). `seen` has a byte for each box of the grid. */
static int64_t count_boxes(const fv_image *mask, int exponent, int shift_x, int shift_y, uint8_t *seen) {
    const int columns = ((mask->width + shift_x - 1) >> exponent) + 1;
    const int rows = ((mask->height + shift_y - 1) >> exponent) + 1;
    int64_t count = 0;
    memset(seen, 0, (size_t)columns * (size_t)rows);
    for (int y = 0; y < mask->height; y++) {
        const uint8_t *line = mask->data + (size_t)y * (size_t)mask->width;
        uint8_t *boxes = seen + (size_t)((y + shift_y) >> exponent) * (size_t)columns;
        for (int x = 0; x < mask->width; x++)
            if (line[x]) boxes[(x + shift_x) >> exponent] = 1;
    }
    for (size_t i = 0; i < (size_t)columns * (size_t)rows; i++) count += seen[i];
    return count;
}

static double fewest_boxes(const fv_image *mask, int exponent, uint8_t *seen) {
    const int half = (1 << exponent) / 2;
    int64_t fewest = INT64_MAX;
    for (int i = 0; i < 4; i++) {
        const int64_t count = count_boxes(mask, exponent, i & 1 ? half : 0, i & 2 ? half : 0, seen);
        if (count < fewest) fewest = count;
    }
    return (double)fewest;
}

static void fit_slope(const double *x, const double *y, int count, double *slope, double *r2) {
    double mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < count; i++) mean_x += x[i] / count, mean_y += y[i] / count;
    for (int i = 0; i < count; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
    }
    *slope = xy / xx;
    *r2 = yy > 0 ? xy * xy / (xx * yy) : 1;
}

fv_status fv_fractal_dimension(const fv_image *mask, int smallest_px, int largest_px, double *dimension, double *r2) {
    double sizes[MAX_SIZES], boxes[MAX_SIZES];
    int count = 0;
    *dimension = *r2 = NAN;
    if (mask->data == NULL || mask->channels != 1)
        return fv_fail(FV_BAD_INPUT, "a mask with 1 channel is needed for box counting, not an image with %d channels",
                       mask->channels);
    uint8_t *seen = fv_allocate_unset((size_t)mask->width + 2, (size_t)mask->height + 2, "box counting");
    if (seen == NULL) return FV_NO_RESOURCE;
    for (int k = 0; k < MAX_SIZES - 1 && 1 << k <= largest_px; k++) {
        if (1 << k < smallest_px) continue;
        const double fewest = fewest_boxes(mask, k, seen);
        if (fewest == 0) break;
        sizes[count] = -k * log(2);
        boxes[count++] = log(fewest);
    }
    if (count >= 3) fit_slope(sizes, boxes, count, dimension, r2);
    free(seen);
    return FV_OK;
}
