#include "fovea/clinical/distance.h"

#include <math.h>
#include <stdlib.h>

#include "fovea/base/memory.h"

/* The lower envelope of the parabolas (x - at)^2 + height, one for each column that has background. */
typedef struct envelope {
    double *heights; /* squared distances within columns, px^2; INFINITY where a column has no background */
    int *at;         /* columns of the envelope's parabolas */
    double *begins;  /* where each becomes the lowest */
    int count;
} envelope;

/* Distances to the nearest background of the same column. */
static void scan_columns(const fv_image *mask, float *distance_px) {
    const size_t width = (size_t)mask->width, height = (size_t)mask->height;
    for (size_t i = 0; i < width * height; i++)
        distance_px[i] = mask->data[i] == 0 ? 0 : i < width ? INFINITY : distance_px[i - width] + 1;
    for (size_t i = width * (height - 1); i-- > 0;)
        if (distance_px[i] > distance_px[i + width] + 1) distance_px[i] = distance_px[i + width] + 1;
}

/* Where the parabola of column b falls below that of column a < b. */
static double crossing(const envelope *e, int a, int b) {
    return (e->heights[b] - e->heights[a] + (double)b * b - (double)a * a) / (2.0 * (b - a));
}

static void build(envelope *e, int width) {
    e->count = 0;
    for (int x = 0; x < width; x++) {
        if (isinf(e->heights[x])) continue;
        double begin = -INFINITY;
        for (; e->count > 0; e->count--) {
            begin = crossing(e, e->at[e->count - 1], x);
            if (begin > e->begins[e->count - 1]) break;
            begin = -INFINITY;
        }
        e->at[e->count] = x;
        e->begins[e->count++] = begin;
    }
}

static void scan_row(envelope *e, int width, float *row) {
    for (int x = 0; x < width; x++) e->heights[x] = (double)row[x] * row[x];
    build(e, width);
    if (e->count == 0) return;
    for (int x = 0, k = 0; x < width; x++) {
        while (k + 1 < e->count && e->begins[k + 1] <= x) k++;
        const double dx = x - e->at[k];
        row[x] = (float)sqrt(dx * dx + e->heights[e->at[k]]);
    }
}

fv_status fv_distance_within(const fv_image *mask, float *distance_px) {
    if (mask->data == NULL || mask->channels != 1)
        return fv_fail(FV_BAD_INPUT, "a mask with 1 channel is needed for distances, not an image with %d channels",
                       mask->channels);
    const size_t width = (size_t)mask->width;
    envelope e = {.heights = fv_allocate_unset(width, sizeof(double), "distances in a mask"),
                  .at = fv_allocate_unset(width, sizeof(int), "distances in a mask"),
                  .begins = fv_allocate_unset(width, sizeof(double), "distances in a mask")};
    const fv_status status = e.heights && e.at && e.begins ? FV_OK : FV_NO_RESOURCE;
    if (status == FV_OK) {
        scan_columns(mask, distance_px);
        for (int y = 0; y < mask->height; y++) scan_row(&e, mask->width, distance_px + (size_t)y * width);
    }
    free(e.heights);
    free(e.at);
    free(e.begins);
    return status;
}
