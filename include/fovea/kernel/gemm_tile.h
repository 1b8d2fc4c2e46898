/* The innermost loops of matrix products: a family of functions, plain C first, overridden by what the processor has.

   C{m,n} = A{m,k} B{k,n}, tile by tile: some rows by two vectors of columns stay in registers while k runs. A is read
   element by element with any two strides, so the same loop takes A as it is (rows of pixels: row stride, 1) and
   transposed (the weight gradient: 1, row stride). B is read by vectors of columns: from panels, as wide as a tile,
   that fv_gemm_pack_columns() has made, or as it is. */
#ifndef FOVEA_KERNEL_GEMM_TILE_H
#define FOVEA_KERNEL_GEMM_TILE_H

#include <stdbool.h>
#include <stdint.h>

#include "fovea/base/cpu.h"
#include "fovea/tensor/tensor.h"

/* Element (i, p) of A stands at data[i * row + p * step]; row or step is 1. `far`: it comes from memory, so that rows
   are asked for ahead of their turn. */
typedef struct fv_gemm_left {
    const fv_real *data;
    int64_t row, step;
    bool far;
} fv_gemm_left;

/* Whether a matrix that has just been written is likely to have left the level-2 cache. */
static inline bool fv_gemm_is_far(int64_t rows, int64_t columns) {
    return (size_t)(rows * columns) * sizeof(fv_real) > ((size_t)1 << 20);
}

/* Columns j .. j + panel - 1 of row p of B stand at data[j / panel * next + p * row], side by side; `panel` is the
   family's. Packed: row = panel, next = k * panel (or more); a row-major matrix as it is: row = its ld, next = panel.
 */
typedef struct fv_gemm_right {
    const fv_real *data;
    int64_t row, next;
} fv_gemm_right;

/* Sums over the rows of a result, per column: of c - shift and of its square, where shift is the first row. */
typedef struct fv_result_sums {
    fv_real *shift, *sum, *squares;
} fv_result_sums;

/* Where a product goes, and what becomes of it on the way: c[i * ld + j] = value, or += with `add`, and with `finish`
   min(max(value scale[j] + offset[j] + residual[i * residual_ld + j], low), high), where any of scale, offset and
   residual may be NULL and, with `add`, value is the sum with what c held. `residual` may be c. Without `add`, what c
   held before (even NaN) does not matter. With `stream`, c is written past the caches: for results that are too large
   to be found there again. `sums` (NULL: none) receives those of what is written. */
typedef struct fv_gemm_result {
    fv_real *c;
    int64_t ld;
    bool add, finish, stream;
    const fv_result_sums *sums;
    const fv_real *scale, *offset, *residual;
    int64_t residual_ld;
    fv_real low, high;
} fv_gemm_result;

#define FV_STREAM_BYTES ((size_t)8 << 20) /* no cache keeps it until it is read again */

/* Whether a result of rows x columns is better written with `stream`: it is large and its rows are whole cache lines.
 */
static inline bool fv_gemm_streams(const fv_gemm_result *result, int64_t rows, int columns) {
    const int line = 64 / (int)sizeof(fv_real);
    return !result->add && (uintptr_t)result->c % 64 == 0 && result->ld % line == 0 && columns % line == 0 &&
           (size_t)rows * (size_t)columns * sizeof(fv_real) > FV_STREAM_BYTES;
}

/* The result from row `row` and column `column` on; sums are the caller's to set. */
static inline fv_gemm_result fv_gemm_result_at(const fv_gemm_result *result, int64_t row, int64_t column) {
    fv_gemm_result part = *result;
    part.c += row * result->ld + column;
    if (part.scale) part.scale += column;
    if (part.offset) part.offset += column;
    if (part.residual) part.residual += row * result->residual_ld + column;
    return part;
}

/* Asks memory for a matrix in order. A product that walks down its columns would ask for lines that lie far apart,
   which is slow. */
static inline void fv_gemm_prefetch(const fv_real *data, int64_t stride, int64_t rows, int columns) {
    for (int64_t i = 0; i < rows; i++)
        for (int j = 0; j < columns; j += 64 / (int)sizeof *data) __builtin_prefetch(data + i * stride + j, 0, 2);
}

typedef struct fv_gemm_tiles {
    fv_cpu_level level;
    const char *name;
    int rows, panel; /* of a tile; panel: columns */
    /* m, n >= 1, k >= 0. One thread. */
    void (*multiply)(int64_t m, int n, int64_t k, const fv_gemm_left *a, const fv_gemm_right *b,
                     const fv_gemm_result *result);
} fv_gemm_tiles;

/* The family for fv_cpu() as it is now. */
const fv_gemm_tiles *fv_gemm_tiles_choose(void);

/* The variants, best first, then NULL. Where the processor has no vectors of ours, OpenBLAS is quicker than plain C,
   which comes last and is there to be compared with. */
extern const fv_gemm_tiles *const fv_gemm_tiles_variants[];
extern const fv_gemm_tiles fv_gemm_tiles_scalar, fv_gemm_tiles_openblas, fv_gemm_tiles_avx2, fv_gemm_tiles_avx512,
    fv_gemm_tiles_neon;

#endif
