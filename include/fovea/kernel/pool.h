/* The largest of 2x2 pixels: max-pooling with stride 2 and no padding. */
#ifndef FOVEA_KERNEL_POOL_H
#define FOVEA_KERNEL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea/base/cpu.h"
#include "fovea/tensor/tensor.h"

/* A row of windows. Window j covers pixels 2 j and 2 j + 1 of two rows, whose pixels are `stride` elements apart. */
typedef struct fv_pool_row {
    size_t positions, channels, stride;
} fv_pool_row;

typedef struct fv_pool_kernels {
    fv_cpu_level level;
    /* y[j, c] = the largest of a window, tap[j, c] which: 0 to 3 in reading order, the first of equals. NaN is larger
       than all; of several the last one counts. */
    void (*largest)(const fv_pool_row *row, const fv_real *upper, const fv_real *lower, fv_real *y, uint8_t *tap);
    /* The gradient: d[j, c] goes to the pixel that tap[j, c] names, and 0 to the other three; or added, with add. */
    void (*largest_gradient)(const fv_pool_row *row, const fv_real *d, const uint8_t *tap, bool add, fv_real *upper,
                             fv_real *lower);
} fv_pool_kernels;

/* The best variant that fv_cpu() allows now. */
const fv_pool_kernels *fv_pool_choose(void);

/* The variants, best first, plain C last, then NULL. */
extern const fv_pool_kernels *const fv_pool_variants[];

#endif
