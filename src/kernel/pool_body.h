/* The loops of kernel/pool.h, compiled once per instruction set: the includer defines FAMILY and LEVEL and gets its
   vector code from the compiler. Taps are narrowed to bytes, and widened, in loops of their own, since one loop over
   numbers of two sizes makes poor vectors. */
#include "fovea/kernel/pool.h"

/* "omp simd" is a permission: without optimisation nothing comes of it. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

#define TILE 256 /* channels at once */

static void largest_tile(size_t count, size_t stride, const fv_real *restrict upper, const fv_real *restrict lower,
                         fv_real *restrict y, uint8_t *restrict tap) {
    int32_t which[TILE];
    const fv_real *restrict x1 = upper + stride, *restrict x3 = lower + stride;
#pragma omp simd
    for (size_t c = 0; c < count; c++) {
        fv_real best = upper[c];
        int32_t place = 0;
        bool wins = (x1[c] > best) | (x1[c] != x1[c]);
        best = wins ? x1[c] : best;
        place = wins ? 1 : place;
        wins = (lower[c] > best) | (lower[c] != lower[c]);
        best = wins ? lower[c] : best;
        place = wins ? 2 : place;
        wins = (x3[c] > best) | (x3[c] != x3[c]);
        y[c] = wins ? x3[c] : best;
        which[c] = wins ? 3 : place;
    }
    for (size_t c = 0; c < count; c++) tap[c] = (uint8_t)which[c];
}

static void largest(const fv_pool_row *row, const fv_real *upper, const fv_real *lower, fv_real *y, uint8_t *tap) {
    size_t channels = row->channels, stride = row->stride;
    for (size_t j = 0; j < row->positions; j++) {
        for (size_t c = 0; c < channels; c += TILE) {
            size_t count = channels - c < TILE ? channels - c : TILE, in = 2 * j * stride + c, out = j * channels + c;
            largest_tile(count, stride, upper + in, lower + in, y + out, tap + out);
        }
    }
}

/* d where its tap is `here`. */
static void gradient_part(size_t count, const fv_real *restrict d, const int32_t *restrict which, int32_t here,
                          bool add, fv_real *restrict out) {
    if (add) {
#pragma omp simd
        for (size_t c = 0; c < count; c++) {
            fv_real value = d[c]; /* loaded without a condition, so that the loop becomes vectors */
            out[c] += which[c] == here ? value : 0;
        }
    } else {
#pragma omp simd
        for (size_t c = 0; c < count; c++) {
            fv_real value = d[c];
            out[c] = which[c] == here ? value : 0;
        }
    }
}

static void gradient_tile(size_t count, size_t stride, const fv_real *d, const uint8_t *restrict tap, bool add,
                          fv_real *upper, fv_real *lower) {
    int32_t which[TILE];
    for (size_t c = 0; c < count; c++) which[c] = tap[c];
    gradient_part(count, d, which, 0, add, upper);
    gradient_part(count, d, which, 1, add, upper + stride);
    gradient_part(count, d, which, 2, add, lower);
    gradient_part(count, d, which, 3, add, lower + stride);
}

static void largest_gradient(const fv_pool_row *row, const fv_real *d, const uint8_t *tap, bool add, fv_real *upper,
                             fv_real *lower) {
    size_t channels = row->channels, stride = row->stride;
    for (size_t j = 0; j < row->positions; j++) {
        for (size_t c = 0; c < channels; c += TILE) {
            size_t count = channels - c < TILE ? channels - c : TILE, in = 2 * j * stride + c, out = j * channels + c;
            gradient_tile(count, stride, d + out, tap + out, add, upper + in, lower + in);
        }
    }
}

const fv_pool_kernels FAMILY = {LEVEL, largest, largest_gradient};
