/* Matrix products and their split over threads. Matrices are row-major; `ld` is the distance of two rows in elements.
   Tiles follow from the shapes alone, and every element is one sum over k in order, so the bits do not depend on the
   number of threads. The inner loops are those of kernel/gemm_tile.h; OpenBLAS serves where there are none for the
   processor (fv_gemm_tiles_choose() decides). */
#ifndef FOVEA_KERNEL_GEMM_H
#define FOVEA_KERNEL_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "fovea/kernel/gemm_tile.h"

/* Widest panel of any family: what memory for packed matrices is sized by, whatever FOVEA_CPU says at the time. */
#define FV_GEMM_PANEL_MAX 32

/* A grid of tiles over an m x n result. */
typedef struct fv_tiling {
    int rows, columns; /* of a tile; those at the end may be smaller; columns: a multiple of FV_GEMM_PANEL_MAX */
    int64_t row_tiles;
    int column_tiles;
} fv_tiling;

/* Tiles for a product {m,k}{k,n}: rows of A that stay in the level-2 cache, and enough tiles for 16 threads. No more
   than `row_limit` rows each. */
fv_tiling fv_gemm_tiling(int64_t m, int n, int k, int row_limit);

/* Elements of a {k,n} matrix in panels. */
static inline size_t fv_gemm_packed_count(int n, int64_t k) {
    return ((size_t)n + FV_GEMM_PANEL_MAX - 1) / FV_GEMM_PANEL_MAX * FV_GEMM_PANEL_MAX * (size_t)k;
}

/* Writes columns [column, column + columns) of B{k,n}, or of the transposed of a row-major {n,k}, as panels: column j
   of row p stands at packed[j / panel * next + p * panel + j % panel], zeros behind the last column. `column` is a
   multiple of `panel`; `packed` is where the panels of column 0 would begin. */
typedef struct fv_gemm_pack {
    const fv_real *b;
    int64_t ld;
    bool transpose;
    int64_t k;
    int panel;
    int64_t next; /* distance of two panels, at least k * panel */
    fv_real *packed;
} fv_gemm_pack;

void fv_gemm_pack_columns(const fv_gemm_pack *pack, int column, int columns);

/* result{m,n} = X{m,k} B in parallel: a pointwise convolution. B is {k,n}, or {n,k} with transpose_b (the gradient by
   the convolution's input). Rows of X stand x_stride elements apart. `moments` (NULL: none) receives, for every column,
   the mean over all rows and then the sum of squared differences from it: 2 n doubles. */
typedef struct fv_gemm_rows {
    int64_t m;
    int n, k;
    const fv_real *x, *b;
    int64_t x_stride;
    bool transpose_b;
    const fv_real *packed; /* NULL, or B as fv_gemm_rows_pack() left it, which saves packing it in this call */
    fv_gemm_result result;
    double *moments;
    void *work; /* fv_gemm_rows_work() bytes */
} fv_gemm_rows;

size_t fv_gemm_rows_work(int64_t m, int n, int k);
void fv_gemm_rows_run(const fv_gemm_rows *product);
/* B{k,n} as panels, in parallel, for products on the same processor: fv_gemm_rows_packed() bytes, 0 where B is better
   left as it is. */
size_t fv_gemm_rows_packed(int n, int k);
void fv_gemm_rows_pack(const fv_real *b, int n, int k, fv_real *packed);

/* dW{c,f} = X{m,c}^T dY{m,f}, or dW += with add, in parallel over blocks of dW and chunks of rows, whose partial sums
   are added in order: the gradient of a pointwise convolution by its weight. dW is contiguous; rows of X and dY stand
   x_stride and dy_stride apart. */
typedef struct fv_gemm_weight {
    int64_t m;
    int c, f;
    const fv_real *x, *dy;
    int64_t x_stride, dy_stride;
    bool add;
    fv_real *dw;
    void *work; /* fv_gemm_weight_work() bytes */
} fv_gemm_weight;

size_t fv_gemm_weight_work(int64_t m, int c, int f);
void fv_gemm_weight_run(const fv_gemm_weight *product);

/* sums[j] = sum of a{m,n} over its rows, `stride` apart, or += with add: the gradient by a bias. Needs
   fv_column_sums_work() bytes. */
size_t fv_column_sums_work(int64_t m, int n);
void fv_column_sums(int64_t m, int n, const fv_real *a, int64_t stride, bool add, fv_real *sums, void *work);

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
