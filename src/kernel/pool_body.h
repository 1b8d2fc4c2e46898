/* The loops of kernel/pool.h, compiled once per instruction set: the includer defines FAMILY and LEVEL, and gets its
   vector code from the compiler. Taps are narrowed to bytes, and widened again, in loops of their own, and the gradient
   takes one pixel of the window after the other: one loop over numbers of two sizes, or with four places to write to,
   stays scalar or makes poor vectors. */
#include "fovea/kernel/pool.h"

/* "omp simd" is a permission: without optimisation nothing comes of it. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

#define TILE 256 /* channels at once, whose taps stay in first-level cache */

static size_t tile_of(size_t channels, size_t first) {
    return channels - first < TILE ? channels - first : TILE;
}

static void window_best(size_t channels, size_t stride, const fv_real *restrict upper, const fv_real *restrict lower,
                        fv_real *restrict y, uint8_t *restrict tap) {
    int32_t which[TILE];
#pragma omp simd
    for (size_t c = 0; c < channels; c++) {
        fv_real x1 = upper[stride + c], x2 = lower[c], x3 = lower[stride + c], best = upper[c];
        int32_t at = 0;
        bool wins = (x1 > best) | (x1 != x1);
        best = wins ? x1 : best;
        at = wins ? 1 : at;
        wins = (x2 > best) | (x2 != x2);
        best = wins ? x2 : best;
        at = wins ? 2 : at;
        wins = (x3 > best) | (x3 != x3);
        y[c] = wins ? x3 : best;
        which[c] = wins ? 3 : at;
    }
    for (size_t c = 0; c < channels; c++) tap[c] = (uint8_t)which[c];
}

static void forward(const fv_pool_row *row, const fv_real *upper, const fv_real *lower, fv_real *y) {
    for (size_t j = 0; j < row->windows; j++) {
        for (size_t c = 0; c < row->channels; c += TILE) {
            size_t pixel = 2 * j * row->stride + c, result = j * row->channels + c;
            window_best(tile_of(row->channels, c), row->stride, upper + pixel, lower + pixel, y + result,
                        row->tap + result);
        }
    }
}

/* d_y to the pixel `here` where that won. */
static void pixel_gradient(size_t channels, const fv_real *restrict d_y, const int32_t *restrict which, int32_t here,
                           fv_real *restrict d_x, bool add) {
    if (add) {
#pragma omp simd
        for (size_t c = 0; c < channels; c++) {
            fv_real d = d_y[c]; /* loaded without a condition, so that the loop becomes vectors */
            d_x[c] += which[c] == here ? d : 0;
        }
    } else {
#pragma omp simd
        for (size_t c = 0; c < channels; c++) {
            fv_real d = d_y[c];
            d_x[c] = which[c] == here ? d : 0;
        }
    }
}

static void window_gradient(size_t channels, size_t stride, const fv_real *d_y, const uint8_t *restrict tap,
                            fv_real *upper, fv_real *lower, bool add) {
    int32_t which[TILE];
    for (size_t c = 0; c < channels; c++) which[c] = tap[c];
    pixel_gradient(channels, d_y, which, 0, upper, add);
    pixel_gradient(channels, d_y, which, 1, upper + stride, add);
    pixel_gradient(channels, d_y, which, 2, lower, add);
    pixel_gradient(channels, d_y, which, 3, lower + stride, add);
}

static void gradient(const fv_pool_row *row, const fv_real *d_y, fv_real *upper, fv_real *lower, bool add) {
    for (size_t j = 0; j < row->windows; j++) {
        for (size_t c = 0; c < row->channels; c += TILE) {
            size_t pixel = 2 * j * row->stride + c, result = j * row->channels + c;
            window_gradient(tile_of(row->channels, c), row->stride, d_y + result, row->tap + result, upper + pixel,
                            lower + pixel, add);
        }
    }
}

const fv_pool_kernels FAMILY = {.level = LEVEL, .forward = forward, .gradient = gradient};
