/* The inner loops of kernel/loss.h, compiled once per instruction set: the includer defines FAMILY, LEVEL and, where
   the CPU has it, FUSED_MULTIPLY_ADD, and gets its vector code from the compiler. */
#include "exponential_body.h"
#include "fovea/kernel/loss.h"

/* "omp simd" is a permission: without optimisation nothing comes of it. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

/* From e = exp(-|z|) <= 1: neither overflows. */
static inline fv_real probability_of(fv_real z, fv_real e) {
    return (z > 0 ? 1 : e) / (1 + e);
}

static inline fv_real exp_minus_abs(fv_real z) {
    return exp_negative(z > 0 ? -z : z);
}

static void block_sums(const fv_real *restrict z, const fv_real *restrict t, size_t rows, size_t width,
                       fv_real *restrict sums) {
    fv_real *restrict cross_entropy = sums, *restrict overlap = sums + width;
    fv_real *restrict probability = sums + 2 * width, *restrict target = sums + 3 * width;
    memset(sums, 0, 4 * width * sizeof *sums);
    for (size_t r = 0; r < rows; r++, z += width, t += width) {
        for (size_t c = 0; c < width; c++) {
            fv_real e = exp_minus_abs(z[c]), p = probability_of(z[c], e);
            cross_entropy[c] += (z[c] < 0 ? 0 : z[c]) - z[c] * t[c] + log1p_unit(e);
            overlap[c] += p * t[c];
            probability[c] += p;
            target[c] += t[c];
        }
    }
}

static void gradient(const fv_real *z, const fv_real *t, size_t rows, size_t width, const fv_loss_slopes *slopes,
                     fv_real *d_z, bool add) {
    const fv_real *restrict cross_entropy = slopes->cross_entropy, *restrict overlap = slopes->overlap;
    const fv_real *restrict whole = slopes->whole;
    for (size_t r = 0; r < rows; r++, z += width, t += width, d_z += width) {
        if (add) {
#pragma omp simd
            for (size_t c = 0; c < width; c++) {
                fv_real p = probability_of(z[c], exp_minus_abs(z[c]));
                d_z[c] += cross_entropy[c] * (p - t[c]) + p * (1 - p) * (whole[c] - overlap[c] * t[c]);
            }
        } else {
#pragma omp simd
            for (size_t c = 0; c < width; c++) {
                fv_real p = probability_of(z[c], exp_minus_abs(z[c]));
                d_z[c] = cross_entropy[c] * (p - t[c]) + p * (1 - p) * (whole[c] - overlap[c] * t[c]);
            }
        }
    }
}

const fv_loss_kernels FAMILY = {LEVEL, block_sums, gradient};
