/* Statistics and affine maps of the columns of a matrix: what batch and group normalisation are made of.

   Batch normalisation takes a tensor as one segment, group normalisation as one segment a sample: kernel/columns.h. */
#ifndef FOVEA_KERNEL_NORM_H
#define FOVEA_KERNEL_NORM_H

#include <stdbool.h>
#include <stddef.h>

#include "fovea/base/cpu.h"
#include "fovea/kernel/columns.h"
#include "fovea/tensor/tensor.h"

/* y = min(max((x - center) scale + offset, low), high); the arrays are per column. */
typedef struct fv_norm_map {
    const fv_real *center, *scale, *offset;
    fv_real low, high; /* minus and plus INFINITY for none */
} fv_norm_map;

/* Work memory that each of the functions below needs, whatever the strides. */
size_t fv_norm_work_bytes(fv_columns columns);

/* Per column: mean, and the sum of squared differences from it. Both are right to about 1e-7 of the standard deviation
   plus the rounding of x itself, however large the mean is. */
void fv_norm_moments(fv_columns columns, const fv_real *x, double *mean, double *squares, void *work);
/* y = map(x), or with a residual (NULL: none) y = min(max((x - center) scale + offset + residual, low), high); y may be
   x or the residual. */
void fv_norm_apply(fv_columns columns, const fv_norm_map *map, const fv_real *x, const fv_real *residual, fv_real *y,
                   void *work);
/* The gradients. With d = d_out where low < y < high, else 0; y is `out`, what fv_norm_apply() wrote, or where that is
   NULL map(x), found once more.

   Per column: sums[] = sum of d, sums_x[] = sum of d (x - center). With `out` the same pass leaves d, which is the
   gradient by the residual, in d_residual; that may be d_out, or NULL. */
void fv_norm_gradient_sums(fv_columns columns, const fv_norm_map *map, const fv_real *x, const fv_real *out,
                           const fv_real *d_out, fv_real *d_residual, double *sums, double *sums_x, void *work);
/* d_x (+)= scale d + slope (x - center) + constant; slope and constant per column. d_x may be d_out or x. */
void fv_norm_gradient_apply(fv_columns columns, const fv_norm_map *map, const fv_real *slope, const fv_real *constant,
                            const fv_real *x, const fv_real *out, const fv_real *d_out, fv_real *d_x, bool add,
                            void *work);

/* The inner loops, on rows x width and coefficients of `width` numbers. */
typedef struct fv_norm_coefficients {
    const fv_real *center, *scale, *offset, *slope, *constant;
    fv_real low, high;
} fv_norm_coefficients;

typedef struct fv_norm_block {
    size_t rows, width;
    const fv_real *x, *d_out;      /* what a function reads of them */
    const fv_real *residual, *out; /* apply: what is added; gradients: what decides about d; NULL for none */
    fv_real *y;                    /* what it writes: y, d_x or d_residual */
    size_t x_stride, d_out_stride, residual_stride, out_stride, y_stride;
    bool add;
} fv_norm_block;

typedef struct fv_norm_kernels {
    fv_cpu_level level;
    /* Per column: shift = mean of the first (up to 8) rows, sum of x - shift, sum of its squares. Rows that differ from
       the shift widen the variance as well, so that no more than 3 bits cancel in squares - sum^2 / rows. */
    void (*block_moments)(const fv_norm_block *block, fv_real *shift, fv_real *sum, fv_real *squares);
    void (*apply)(const fv_norm_block *block, const fv_norm_coefficients *k);
    /* Per column: sum of d, sum of d (x - center). With `out`, and y not NULL, y = d. */
    void (*block_gradient_sums)(const fv_norm_block *block, const fv_norm_coefficients *k, fv_real *sum,
                                fv_real *sum_x);
    void (*gradient_apply)(const fv_norm_block *block, const fv_norm_coefficients *k);
    /* Mean and squared differences of `count` rows, with `rows` more merged into them that block_moments() made into
       shift, sum and squares: Chan, Golub and LeVeque, "Updating formulae", 1979. */
    void (*merge_moments)(size_t width, double count, double *mean, double *total, double rows, const fv_real *shift,
                          const fv_real *sum, const fv_real *squares);
    /* total[c] += sum[c] */
    void (*add_sums)(size_t width, const fv_real *sum, double *total);
} fv_norm_kernels;

/* The variants, best first, plain C last, then NULL. */
extern const fv_norm_kernels *const fv_norm_variants[];
/* The first that fv_cpu() allows at the moment; the functions above take it. */
const fv_norm_kernels *fv_norm_choose(void);

#endif
