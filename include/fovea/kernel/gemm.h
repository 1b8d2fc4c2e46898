/* Matrix products on OpenBLAS, and their split over threads. Matrices are row-major; `ld` is the distance of two rows
   in elements. Tiles follow from the shapes alone, so the bits do not depend on the number of threads. */
#ifndef FOVEA_KERNEL_GEMM_H
#define FOVEA_KERNEL_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "fovea/tensor/tensor.h"

/* C{m,n} = op(A){m,k} op(B){k,n}, or C += with add; op transposes where asked. One thread, whatever OpenBLAS was told
   by its environment. m, n >= 1; k = 0 is a sum of nothing. Without `add`, what C held before (even NaN) does not
   matter. */
void fv_gemm(bool transpose_a, bool transpose_b, int m, int n, int k, const fv_real *a, int lda, const fv_real *b,
             int ldb, bool add, fv_real *c, int ldc);

/* A grid of tiles over an m x n result. */
typedef struct fv_tiling {
    int rows, columns; /* of a tile; those at the end may be smaller */
    int64_t row_tiles;
    int column_tiles;
} fv_tiling;

/* Tiles for a product {m,k}{k,n}: OpenBLAS is quick on them and there are enough for 16 threads. No more than
   `row_limit` rows each. */
fv_tiling fv_gemm_tiling(int64_t m, int n, int k, int row_limit);

/* Y{m,n} = X{m,k} B + bias, or Y += with add, in parallel: a pointwise convolution. B is {k,n}, or {n,k} with
   transpose_b (the gradient by the convolution's input). `bias` {n} may be NULL. All matrices are contiguous. */
typedef struct fv_gemm_rows {
    int64_t m;
    int n, k;
    const fv_real *x, *b, *bias;
    bool transpose_b, add;
    fv_real *y;
    void *work; /* fv_gemm_rows_work() bytes */
} fv_gemm_rows;

size_t fv_gemm_rows_work(int n, int k, bool transpose_b);
void fv_gemm_rows_run(const fv_gemm_rows *product);

/* dW{c,f} = X{m,c}^T dY{m,f}, or dW += with add, in parallel over blocks of dW and chunks of rows, whose partial sums
   are added in order: the gradient of a pointwise convolution by its weight. All matrices are contiguous. */
typedef struct fv_gemm_weight {
    int64_t m;
    int c, f;
    const fv_real *x, *dy;
    bool add;
    fv_real *dw;
    void *work; /* fv_gemm_weight_work() bytes */
} fv_gemm_weight;

size_t fv_gemm_weight_work(int64_t m, int c, int f);
void fv_gemm_weight_run(const fv_gemm_weight *product);

/* sums[j] = sum of a{m,n} over its rows, or += with add: the gradient by a bias. Needs fv_column_sums_work() bytes. */
size_t fv_column_sums_work(int64_t m, int n);
void fv_column_sums(int64_t m, int n, const fv_real *a, bool add, fv_real *sums, void *work);

/* out{rows,columns} (rows `ld` apart) = parts[0] + parts[1] + ..., or += with add, added in this order; every part is
   contiguous and they lie behind each other. Parallel over blocks of rows. */
typedef struct fv_parts {
    const fv_real *parts;
    int count, rows, columns;
    bool add;
    fv_real *out;
    int ld;
} fv_parts;

void fv_parts_sum(const fv_parts *parts);

#endif
