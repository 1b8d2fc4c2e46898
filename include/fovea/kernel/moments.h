/* Mean and squared differences of the columns of a matrix, block by block as a product writes it. */
#ifndef FOVEA_KERNEL_MOMENTS_H
#define FOVEA_KERNEL_MOMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "fovea/kernel/gemm_tile.h"

/* A slot holds the moments of some rows: their number, mean{channels}, and squares{channels}, the sums of squared
   differences from the mean. */
static inline size_t fv_moments_slot_count(int channels) {
    return 1 + 2 * (size_t)channels;
}

/* Columns [column, column + columns) of a slot. */
typedef struct fv_moments_slot {
    double *data;
    int channels, column, columns;
} fv_moments_slot;

/* Fills them from sums around a shift, the first result, in fv_real: the variance is right to about 1e-6 of itself plus
   that of the shift's distance from the mean, squared.
   Fills them from the sums of `rows` results; and, with the first columns, the slot's number of rows. */
void fv_moments_fill(const fv_moments_slot *slot, int64_t rows, const fv_result_sums *sums);
/* The same from y{rows, columns} itself, rows `stride` elements apart: while it is still in a cache. */
void fv_moments_measure(const fv_moments_slot *slot, int64_t rows, const fv_real *y, int64_t stride);
/* Moments of y{rows, channels}, rows `stride` elements apart, in parallel: for results that were written without. Needs
   fv_moments_work() bytes. */
size_t fv_moments_work(int64_t rows, int channels);
void fv_moments_run(const fv_real *y, int64_t stride, int64_t rows, int channels, double *moments, void *work);
/* Merges slots in order into moments{2 channels}: mean and squares (Chan, Golub and LeVeque 1979). */
void fv_moments_merge(const double *slots, int64_t count, int channels, double *moments);

#endif
