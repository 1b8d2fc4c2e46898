/* What the three products of kernel/conv.h have in common. */
#ifndef FOVEA_SRC_KERNEL_CONV_TILE_H
#define FOVEA_SRC_KERNEL_CONV_TILE_H

#include <stdint.h>
#include <string.h>

#include "fovea/kernel/gemm_tile.h"

/* Elements of a worker's columns: 256 KiB, which a level-2 cache holds, and no tile with less than a few rows. */
#define FV_CONV_COLUMNS (1 << 16)
#define FV_CONV_MIN_ROWS 112
#define FV_CONV_MAX_ROWS 1024

/* The most window positions a tile may have when each has `width` columns. */
static inline int fv_conv_row_limit(int64_t width) {
    int64_t rows = FV_CONV_COLUMNS / (width < 1 ? 1 : width);
    return rows < FV_CONV_MIN_ROWS ? FV_CONV_MIN_ROWS : rows > FV_CONV_MAX_ROWS ? FV_CONV_MAX_ROWS : (int)rows;
}

static inline int64_t fv_conv_smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

#define FV_CONV_PIECE 4 /* elements that are copied at once */

/* For the few channels of a photograph, for which a call of memcpy() would cost more than the copy: pieces of constant
   size, the last of which overlaps the one before it. */
static inline void fv_conv_copy(fv_real *restrict out, const fv_real *restrict in, int64_t count) {
    if (count > 64) {
        memcpy(out, in, (size_t)count * sizeof *out);
    } else if (count >= FV_CONV_PIECE) {
        for (int64_t i = 0; i < count - FV_CONV_PIECE; i += FV_CONV_PIECE)
            memcpy(out + i, in + i, FV_CONV_PIECE * sizeof *out);
        memcpy(out + count - FV_CONV_PIECE, in + count - FV_CONV_PIECE, FV_CONV_PIECE * sizeof *out);
    } else {
        for (int64_t i = 0; i < count; i++) out[i] = in[i];
    }
}

static inline void fv_conv_clear(fv_real *restrict out, int64_t count) {
    for (int64_t i = 0; i < count; i++) out[i] = 0;
}

/* Packed weights of `width` rows from column `column` on, a multiple of the panel. */
static inline fv_gemm_right fv_conv_packed(const fv_real *packed, int panel, int64_t width, int column) {
    return (fv_gemm_right){packed + column * width, panel, panel * width};
}

#endif
