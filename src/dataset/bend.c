#include "bend.h"

#include <math.h>
#include <string.h>

/* Integral of the squared cubic B-spline: the share of white noise's power that it leaves. */
#define SPLINE_SQUARES (151.0 / 315)

/* {size, size} each. */
typedef struct shift_field {
    float *x, *y;
} shift_field;

/* Each part draws from a stream of its own. */
enum { STREAM_ELASTIC_X, STREAM_ELASTIC_Y, STREAM_GRID_X, STREAM_GRID_Y };

static fv_rng stream(const fv_augment_draw *draw, uint64_t which) {
    return fv_rng_make(draw->bend_seed, 0, which, FV_PURPOSE_AUGMENT);
}

bool fv_bend_is_drawn(const fv_augment_draw *draw) {
    return draw->elastic_amplitude > 0 || draw->grid_limit > 0 || draw->optical_strength != 0;
}

/* Nodes of the elastic field along a side at most: their step is sqrt(3) FV_ELASTIC_LEAST_SIGMA or more. */
static size_t most_nodes(int size) {
    return (size_t)(size / (sqrt(3) * FV_ELASTIC_LEAST_SIGMA)) + 4;
}

size_t fv_bend_scratch_floats(int size) {
    size_t side = (size_t)size;
    return 2 * side * side + most_nodes(size) * (side + 1);
}

/* ---- elastic ---- */

/* Weights of the four nodes from floor(t) on at place t, in steps; returns floor(t). */
static int spline_weights(double t, float weights[4]) {
    int cell = (int)t;
    double s = t - cell, r = 1 - s;
    weights[0] = (float)(r * r * r / 6);
    weights[1] = (float)((3 * s * s * s - 6 * s * s + 4) / 6);
    weights[2] = (float)((3 * r * r * r - 6 * r * r + 4) / 6);
    weights[3] = (float)(s * s * s / 6);
    return cell;
}

/* A row of nodes, interpolated at every pixel's centre. */
static void spread_nodes(const float *nodes, double step, int size, float *row) {
    for (int x = 0; x < size; x++) {
        float w[4];
        const float *n = nodes + spline_weights((x + 0.5) / step, w);
        row[x] = w[0] * n[0] + w[1] * n[1] + w[2] * n[2] + w[3] * n[3];
    }
}

/* out += the spread rows of nodes (size floats each), interpolated at row y. */
static void add_spread_rows(const float *rows, double step, int size, int y, float *restrict out) {
    float w[4];
    const float *a = rows + (size_t)spline_weights((y + 0.5) / step, w) * (size_t)size;
    const float *b = a + size, *c = b + size, *d = c + size;
    for (int x = 0; x < size; x++) out[x] += w[0] * a[x] + w[1] * b[x] + w[2] * c[x] + w[3] * d[x];
}

/* spare: the spread rows of nodes {count, size}, then one row of nodes {count}. */
static void add_elastic(const fv_augment_draw *draw, uint64_t which, int size, float *field, float *spare) {
    double step = sqrt(3) * draw->elastic_sigma, most = sqrt(3) * draw->elastic_amplitude / SPLINE_SQUARES;
    int count = (int)(size / step) + 4;
    float *nodes = spare + (size_t)count * (size_t)size;
    fv_rng rng = stream(draw, which);
    for (int r = 0; r < count; r++) {
        for (int i = 0; i < count; i++) nodes[i] = (float)fv_rng_range(&rng, -most, most);
        spread_nodes(nodes, step, size, spare + (size_t)r * (size_t)size);
    }
    for (int y = 0; y < size; y++) add_spread_rows(spare, step, size, y, field + (size_t)y * (size_t)size);
}

/* ---- grid ---- */

/* shifts[u] of the pixels along a side. */
static void find_grid_shifts(const fv_augment_draw *draw, uint64_t which, int size, float *shifts) {
    int steps = draw->grid_steps;
    double ends[FV_GRID_MOST_STEPS + 1] = {0}; /* where each step is read from; the last is the whole side */
    fv_rng rng = stream(draw, which);
    for (int i = 0; i < steps; i++)
        ends[i + 1] = ends[i] + fv_rng_range(&rng, 1 - draw->grid_limit, 1 + draw->grid_limit);
    for (int u = 0; u < size; u++) {
        double t = (u + 0.5) * steps / size;
        int step = (int)t;
        double from = ends[step] + (ends[step + 1] - ends[step]) * (t - step);
        shifts[u] = (float)(from / ends[steps] * size - (u + 0.5));
    }
}

/* spare: size floats. */
static void add_grid(const fv_augment_draw *draw, int size, const shift_field *field, float *spare) {
    size_t side = (size_t)size;
    find_grid_shifts(draw, STREAM_GRID_X, size, spare);
    for (size_t i = 0; i < side * side; i += side)
        for (size_t x = 0; x < side; x++) field->x[i + x] += spare[x];
    find_grid_shifts(draw, STREAM_GRID_Y, size, spare);
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++) field->y[y * side + x] += spare[y];
}

/* ---- optical ---- */

static void add_optical_row(float k, float dy, float centre_x, int size, float *restrict out_x, float *restrict out_y) {
    float unit = 1.0F / (float)size;
    for (int x = 0; x < size; x++) {
        float dx = (float)x + 0.5F - centre_x, square = (dx * dx + dy * dy) * unit * unit;
        float more = k * square * (1 + square);
        out_x[x] += dx * more;
        out_y[x] += dy * more;
    }
}

static void add_optical(const fv_augment_draw *draw, int size, const shift_field *field) {
    float centre_x = (float)((0.5 + draw->optical_x) * size), centre_y = (float)((0.5 + draw->optical_y) * size);
    for (int y = 0; y < size; y++) {
        size_t row = (size_t)y * (size_t)size;
        add_optical_row((float)draw->optical_strength, (float)y + 0.5F - centre_y, centre_x, size, field->x + row,
                        field->y + row);
    }
}

fv_bend fv_bend_make(const fv_augment_draw *draw, int size, float *scratch) {
    size_t pixels = (size_t)size * (size_t)size;
    shift_field field = {scratch, scratch + pixels};
    float *spare = scratch + 2 * pixels;
    memset(scratch, 0, 2 * pixels * sizeof *scratch);
    if (draw->elastic_amplitude > 0) {
        add_elastic(draw, STREAM_ELASTIC_X, size, field.x, spare);
        add_elastic(draw, STREAM_ELASTIC_Y, size, field.y, spare);
    }
    if (draw->grid_limit > 0) add_grid(draw, size, &field, spare);
    if (draw->optical_strength != 0) add_optical(draw, size, &field);
    return (fv_bend){field.x, field.y};
}
