/* The loops of kernel/pool.h, compiled once per instruction set: the includer defines FAMILY, LEVEL and LANES (floats
   of a vector: for the gradient the compiler, left alone, goes by the taps' bytes and has no vectors for 32 channels),
   and gets its vector code from the compiler. */
#include "fovea/kernel/pool.h"

/* "omp simd" is a permission: without optimisation nothing comes of it. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

static void window_best(size_t channels, size_t stride, const fv_real *restrict upper, const fv_real *restrict lower,
                        fv_real *restrict y, uint8_t *restrict tap) {
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
        tap[c] = (uint8_t)(wins ? 3 : at);
    }
}

static void forward(const fv_pool_row *row, const fv_real *upper, const fv_real *lower, fv_real *y) {
    for (size_t j = 0; j < row->windows; j++)
        window_best(row->channels, row->stride, upper + 2 * j * row->stride, lower + 2 * j * row->stride,
                    y + j * row->channels, row->tap + j * row->channels);
}

static void window_gradient(size_t channels, size_t stride, const fv_real *restrict d_y, const uint8_t *restrict tap,
                            fv_real *restrict upper, fv_real *restrict lower) {
#pragma omp simd simdlen(LANES)
    for (size_t c = 0; c < channels; c++) {
        fv_real d = d_y[c];
        int32_t at = tap[c];
        upper[c] = at == 0 ? d : 0;
        upper[stride + c] = at == 1 ? d : 0;
        lower[c] = at == 2 ? d : 0;
        lower[stride + c] = at == 3 ? d : 0;
    }
}

static void window_gradient_add(size_t channels, size_t stride, const fv_real *restrict d_y,
                                const uint8_t *restrict tap, fv_real *restrict upper, fv_real *restrict lower) {
#pragma omp simd simdlen(LANES)
    for (size_t c = 0; c < channels; c++) {
        fv_real d = d_y[c];
        int32_t at = tap[c];
        upper[c] += at == 0 ? d : 0;
        upper[stride + c] += at == 1 ? d : 0;
        lower[c] += at == 2 ? d : 0;
        lower[stride + c] += at == 3 ? d : 0;
    }
}

static void gradient(const fv_pool_row *row, const fv_real *d_y, fv_real *upper, fv_real *lower, bool add) {
    for (size_t j = 0; j < row->windows; j++) {
        size_t result = j * row->channels, pixel = 2 * j * row->stride;
        (add ? window_gradient_add : window_gradient)(row->channels, row->stride, d_y + result, row->tap + result,
                                                      upper + pixel, lower + pixel);
    }
}

const fv_pool_kernels FAMILY = {.level = LEVEL, .forward = forward, .gradient = gradient};
