/* What the products of kernel/winograd.h have in common: the tiles of a window and the memory of planes. */
#ifndef FOVEA_SRC_KERNEL_WINOGRAD_GRID_H
#define FOVEA_SRC_KERNEL_WINOGRAD_GRID_H

#include "fovea/base/memory.h"
#include "fovea/kernel/winograd.h"

#define PLANES FV_WINOGRAD_PLANES
#define TILE 4 /* results of a tile in each direction */

static inline int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static inline int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static inline fv_winograd_grid grid_of(const fv_window *w) {
    return (fv_winograd_grid){.in_h = w->in_h,
                              .in_w = w->in_w,
                              .out_h = w->out_h,
                              .out_w = w->out_w,
                              .top = w->top,
                              .left = w->left,
                              .tiles_y = (int)divide_up(w->out_h, TILE),
                              .tiles_x = (int)divide_up(w->out_w, TILE)};
}

static inline int64_t tiles_of(const fv_window *w) {
    return w->n * divide_up(w->out_h, TILE) * divide_up(w->out_w, TILE);
}

/* Length of a row of planes: whole vectors, and no multiple of 1 KiB, for rows that far apart share the sets of a
 * cache.
 */
static inline int64_t row_size_of(int columns) {
    int64_t size = divide_up(columns, 16) * 16;
    return size % 256 == 0 ? size + 16 : size;
}

/* Planes that begin at `data` (elements), one cache line apart from a power of two. */
static inline fv_winograd_planes planes_of(fv_real *data, int64_t rows, int columns) {
    int64_t row_size = row_size_of(columns);
    return (fv_winograd_planes){data, rows * row_size + 16, row_size};
}

static inline size_t planes_bytes(int64_t rows, int columns) {
    return fv_align_up(PLANES * (size_t)(rows * row_size_of(columns) + 16) * sizeof(fv_real));
}

#endif
