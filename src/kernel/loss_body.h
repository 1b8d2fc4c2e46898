/* The inner loops of kernel/loss.h, compiled once per instruction set: the includer defines FAMILY, LEVEL and, where
   the CPU has it, FUSED_MULTIPLY_ADD, and gets its vector code from the compiler. The loops are written once, with the
   question of a focal loss as a constant that the compiler takes out. */
#include "exponential_body.h"
#include "fovea/kernel/loss.h"

/* "omp simd" is a permission: without optimisation nothing comes of it. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

#define INLINE static inline __attribute__((always_inline))

/* From e = exp(-|z|) <= 1: neither overflows. */
INLINE fv_real probability_of(fv_real z, fv_real e) {
    return (z > 0 ? 1 : e) / (1 + e);
}

INLINE fv_real exp_minus_abs(fv_real z) {
    return exp_negative(z > 0 ? -z : z);
}

INLINE fv_real cross_entropy_of(fv_real z, fv_real t, fv_real e) {
    return (z < 0 ? 0 : z) - z * t + log1p_unit(e);
}

/* 1 - p_t = p (1 - t) + (1 - p) t without the cancellation of 1 - p, and no less than the smallest normal number. */
INLINE fv_real miss_of(fv_real p, fv_real not_p, fv_real t) {
    fv_real miss = p * (1 - t) + not_p * t, least = (fv_real)1.2e-38;
    return miss < least ? least : miss;
}

INLINE fv_real focal_of(fv_real gamma, fv_real z, fv_real t, fv_real e) {
    fv_real miss = miss_of(probability_of(z, e), probability_of(-z, e), t);
    return power_of_unit(miss, gamma) * cross_entropy_of(z, t, e);
}

/* Its derivative by z. p (1 - p) is no larger than the miss, so that their quotient is harmless. */
INLINE fv_real focal_slope(fv_real gamma, fv_real z, fv_real t, fv_real e) {
    fv_real p = probability_of(z, e), not_p = probability_of(-z, e), miss = miss_of(p, not_p, t);
    fv_real turn = gamma * (p * not_p / miss) * (1 - 2 * t) * cross_entropy_of(z, t, e);
    return power_of_unit(miss, gamma) * (p - t + turn);
}

INLINE void add_up(bool focal, fv_real gamma, const fv_real *restrict z, const fv_real *restrict t, size_t rows,
                   size_t width, fv_real *restrict sums) {
    fv_real *restrict cross_entropy = sums, *restrict overlap = sums + width;
    fv_real *restrict probability = sums + 2 * width, *restrict target = sums + 3 * width;
    fv_real *restrict focal_sum = sums + 4 * width;
    memset(sums, 0, FV_LOSS_SUMS * width * sizeof *sums);
    for (size_t r = 0; r < rows; r++, z += width, t += width) {
#pragma omp simd
        for (size_t c = 0; c < width; c++) {
            fv_real e = exp_minus_abs(z[c]), p = probability_of(z[c], e);
            cross_entropy[c] += cross_entropy_of(z[c], t[c], e);
            overlap[c] += p * t[c];
            probability[c] += p;
            target[c] += t[c];
            if (focal) focal_sum[c] += focal_of(gamma, z[c], t[c], e);
        }
    }
}

static void block_sums(double gamma, const fv_real *z, const fv_real *t, size_t rows, size_t width, fv_real *sums) {
    if (gamma < 0)
        add_up(false, 0, z, t, rows, width, sums);
    else
        add_up(true, (fv_real)gamma, z, t, rows, width, sums);
}

INLINE void write_gradient(bool add, bool focal, const fv_loss_slopes *slopes, const fv_real *z, const fv_real *t,
                           size_t rows, size_t width, fv_real *d_z) {
    const fv_real *restrict cross_entropy = slopes->cross_entropy, *restrict overlap = slopes->overlap;
    const fv_real *restrict whole = slopes->whole, *restrict focal_part = slopes->focal;
    fv_real gamma = (fv_real)slopes->gamma;
    for (size_t r = 0; r < rows; r++, z += width, t += width, d_z += width) {
#pragma omp simd
        for (size_t c = 0; c < width; c++) {
            fv_real e = exp_minus_abs(z[c]), p = probability_of(z[c], e);
            fv_real d = cross_entropy[c] * (p - t[c]) + p * (1 - p) * (whole[c] - overlap[c] * t[c]);
            if (focal) d += focal_part[c] * focal_slope(gamma, z[c], t[c], e);
            d_z[c] = add ? d_z[c] + d : d;
        }
    }
}

static void gradient(const fv_real *z, const fv_real *t, size_t rows, size_t width, const fv_loss_slopes *slopes,
                     fv_real *d_z, bool add) {
    if (slopes->focal && add)
        write_gradient(true, true, slopes, z, t, rows, width, d_z);
    else if (slopes->focal)
        write_gradient(false, true, slopes, z, t, rows, width, d_z);
    else if (add)
        write_gradient(true, false, slopes, z, t, rows, width, d_z);
    else
        write_gradient(false, false, slopes, z, t, rows, width, d_z);
}

const fv_loss_kernels FAMILY = {LEVEL, block_sums, gradient};
