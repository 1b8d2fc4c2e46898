/* Mean and squared differences of the columns of a matrix, block by block as a product writes it. */
#ifndef FOVEA_KERNEL_MOMENTS_H
#define FOVEA_KERNEL_MOMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "fovea/tensor/tensor.h"

/* A slot holds the moments of some rows: their number, mean{channels}, and squares{channels}, the sums of squared
   differences from the mean. */
static inline size_t fv_moments_slot_count(int channels) {
    return 1 + 2 * (size_t)channels;
}

/* Fills columns [column, column + columns) of a slot of `channels` from y{rows, columns}, rows `stride` elements apart;
   and, with the first columns, its number of rows. */
void fv_moments_measure(const fv_real *y, int64_t stride, int64_t rows, int channels, int column, int columns,
                        double *slot);
/* Makes mean and squares of sums over `rows` values: of their differences from `shift`, and of those' squares. */
void fv_moments_of_sums(double rows, double shift, double sum, double sum_of_squares, double *mean, double *squares);
/* Moments of y{rows, channels}, rows `stride` elements apart, in parallel: for results that were written without. Needs
   fv_moments_work() bytes. */
size_t fv_moments_work(int64_t rows, int channels);
void fv_moments_run(const fv_real *y, int64_t stride, int64_t rows, int channels, double *moments, void *work);
/* Merges slots in order into moments{2 channels}: mean and squares (Chan, Golub and LeVeque 1979). */
void fv_moments_merge(const double *slots, int64_t count, int channels, double *moments);

#endif
