/* Max pooling by windows of 2x2 that neither overlap nor leave the picture, row by row of windows: what U-Nets use, and
   bound by memory once it is made of vectors. Other windows are the op's own affair. */
#ifndef FOVEA_KERNEL_POOL_H
#define FOVEA_KERNEL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea/base/cpu.h"
#include "fovea/tensor/tensor.h"

/* One row of windows: two rows of the picture, whose pixels stand `stride` elements apart, and one of results, side by
   side. `tap` says which of a window's pixels won: 0 1 in the upper row, 2 3 below. */
typedef struct fv_pool_row {
    size_t windows, channels, stride;
    uint8_t *tap;
} fv_pool_row;

typedef struct fv_pool_kernels {
    fv_cpu_level level;
    /* y = the largest of each window; a NaN wins, the last one. */
    void (*forward)(const fv_pool_row *row, const fv_real *upper, const fv_real *lower, fv_real *y);
    /* d_y goes to the pixel that won, 0 to the others; added with `add`. */
    void (*gradient)(const fv_pool_row *row, const fv_real *d_y, fv_real *upper, fv_real *lower, bool add);
} fv_pool_kernels;

/* The variants, best first, plain C last, then NULL. */
extern const fv_pool_kernels *const fv_pool_variants[];
/* The first that fv_cpu() allows at the moment. */
const fv_pool_kernels *fv_pool_choose(void);

#endif
