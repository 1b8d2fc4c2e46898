/* The loops of kernel/optimizer.h, compiled once per instruction set: the includer defines FAMILY and LEVEL and gets
   its vector code from the compiler. No products are fused with sums, so that all variants give the same bits. */
#include <tgmath.h>

#include "fovea/kernel/optimizer.h"

#ifdef __clang__ /* gcc never fuses in -std=c17 */
#pragma STDC FP_CONTRACT OFF
/* "omp simd" is a permission: without optimisation nothing comes of it. */
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

#define LANES 16 /* sums kept apart, whatever the width of vectors */

static void adam(const fv_adam_rule *rule, size_t count, const fv_real *restrict g, fv_real *restrict w,
                 fv_real *restrict m, fv_real *restrict v) {
    const fv_adam_rule r = *rule;
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        fv_real d = g[i] * r.scale + r.decay * w[i];
        m[i] = r.beta1 * m[i] + (1 - r.beta1) * d;
        v[i] = r.beta2 * v[i] + (1 - r.beta2) * d * d;
        w[i] = w[i] * r.shrink - r.rate * m[i] / (sqrt(v[i] * r.correction2) + r.epsilon);
    }
}

static double sum_of_squares(size_t count, const fv_real *a) {
    double sums[LANES] = {0}, total = 0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t k = 0; k < LANES; k++) sums[k] += (double)a[i + k] * (double)a[i + k];
    for (size_t k = 0; i < count; i++, k++) sums[k] += (double)a[i] * (double)a[i];
    for (size_t k = 0; k < LANES; k++) total += sums[k];
    return total;
}

static void average(size_t count, fv_real keep, const fv_real *restrict w, fv_real *restrict mean) {
#pragma omp simd
    for (size_t i = 0; i < count; i++) mean[i] = keep * mean[i] + (1 - keep) * w[i];
}

const fv_optimizer_kernels FAMILY = {LEVEL, adam, sum_of_squares, average};
