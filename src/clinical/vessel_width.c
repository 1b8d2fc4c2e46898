#include "vessel_width.h"

#include <math.h>
#include <stdlib.h>

#include "fovea/base/memory.h"

/* The neighbour of (x, y) farthest from the background, or (x, y) itself. */
static void climb(const float *distance_px, int width, int height, int *x, int *y) {
    const int x0 = *x, y0 = *y;
    float highest = distance_px[(size_t)y0 * (size_t)width + (size_t)x0];
    for (int v = y0 > 0 ? y0 - 1 : 0; v <= y0 + 1 && v < height; v++)
        for (int u = x0 > 0 ? x0 - 1 : 0; u <= x0 + 1 && u < width; u++) {
            const float distance = distance_px[(size_t)v * (size_t)width + (size_t)u];
            if (distance > highest) highest = distance, *x = u, *y = v;
        }
}

/* Distance at the top of the ridge, which may lie between pixels. */
static float ridge_px(const float *middle, int image_width, int image_height, int x, int y) {
    static const int steps[4][2] = {{1, 0}, {0, 1}, {1, 1}, {1, -1}};
    float ridge = *middle, steepest = 0;
    for (int i = 0; i < 4; i++) {
        const int dx = steps[i][0], dy = steps[i][1];
        if (x < dx || x + dx >= image_width || y < abs(dy) || y + abs(dy) >= image_height) continue;
        const ptrdiff_t step = (ptrdiff_t)dy * image_width + dx;
        const float a = middle[-step], b = middle[step];
        const float fall = (2 * *middle - a - b) / (i < 2 ? 1 : (float)M_SQRT2);
        if (fall <= steepest) continue;
        steepest = fall;
        ridge = *middle + fabsf(b - a) / 2;
    }
    return ridge;
}

float vessel_width(const float *distance_px, int image_width, int image_height, int x, int y) {
    for (int i = 0; i < 2; i++) climb(distance_px, image_width, image_height, &x, &y);
    const float *middle = distance_px + (size_t)y * (size_t)image_width + (size_t)x;
    if (isinf(*middle)) return NAN;
    const bool along_rows = *middle == floorf(*middle);
    return 2 * ridge_px(middle, image_width, image_height, x, y) - (along_rows ? 1.0f : 0.5f);
}

typedef struct weighted {
    float width_px;
    double weight;
} weighted;

static int by_width(const void *a, const void *b) {
    const float x = ((const weighted *)a)->width_px, y = ((const weighted *)b)->width_px;
    return (x > y) - (x < y);
}

/* Least width up to which lies `share` of the weight. */
static double percentile(const weighted *items, int count, double total, double share) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
        sum += items[i].weight;
        if (sum >= share * total) return items[i].width_px;
    }
    return items[count - 1].width_px;
}

fv_status vessel_widths(const vessel_graph *graph, fv_vessels *vessels) {
    weighted *items = fv_allocate_unset((size_t)graph->count + 1, sizeof *items, "the widths of vessels");
    if (items == NULL) return FV_NO_RESOURCE;
    int count = 0;
    double total = 0, sum = 0;
    for (int i = 0; i < graph->count; i++) {
        if (isnan(graph->points[i].width_px)) continue;
        items[count] = (weighted){graph->points[i].width_px, vessel_point_weight(graph, i)};
        total += items[count].weight;
        sum += items[count].weight * items[count].width_px;
        count++;
    }
    if (count > 0) {
        qsort(items, (size_t)count, sizeof *items, by_width);
        vessels->mean_width_px = sum / total;
        vessels->width_p10_px = percentile(items, count, total, 0.1);
        vessels->width_median_px = percentile(items, count, total, 0.5);
        vessels->width_p90_px = percentile(items, count, total, 0.9);
    }
    free(items);
    return FV_OK;
}
