/* How the tensor of a column kernel is cut into chunks (tasks) and blocks (calls of an inner loop). */
#ifndef FOVEA_KERNEL_COLUMN_CUT_H
#define FOVEA_KERNEL_COLUMN_CUT_H

#include <stdbool.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/kernel/columns.h"
#include "fovea/tensor/tensor.h"

#define CUT_CHUNK_ELEMENTS 16384 /* of a task, at least */
#define CUT_MOST_CHUNKS 128      /* of all segments together: bounds the memory of their sums */
#define CUT_LEAST_WIDTH 64       /* columns: narrower matrices are folded */

static inline size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Few channels make poor vectors, so `fold` rows are taken as one of width = fold * channels columns, where all tensors
   have their rows side by side. */
typedef struct column_cut {
    fv_columns columns;
    size_t fold, width;
    size_t chunks, chunk_rows; /* of a segment; chunk_rows is a multiple of fold */
} column_cut;

static inline column_cut cut_columns(fv_columns columns, bool side_by_side) {
    column_cut cut = {.columns = columns, .fold = 1};
    if (side_by_side && columns.channels < CUT_LEAST_WIDTH / 2)
        cut.fold = least((CUT_LEAST_WIDTH + columns.channels - 1) / columns.channels, columns.rows);
    cut.width = cut.fold * columns.channels;
    size_t wide_rows = (columns.rows + cut.fold - 1) / cut.fold;
    size_t wanted = least(columns.rows * columns.channels / CUT_CHUNK_ELEMENTS, CUT_MOST_CHUNKS / columns.segments);
    wanted = least(most(wanted, 1), wide_rows);
    cut.chunk_rows = (wide_rows + wanted - 1) / wanted * cut.fold;
    cut.chunks = (columns.rows + cut.chunk_rows - 1) / cut.chunk_rows;
    return cut;
}

/* A coefficient per column, repeated `fold` times for each segment. */
static inline size_t folded_bytes(const column_cut *cut) {
    return fv_align_up(cut->columns.segments * cut->width * sizeof(fv_real));
}

/* Writes `source` so to *cursor and moves it on; NULL for NULL. */
static inline const fv_real *fold_coefficient(const column_cut *cut, const fv_real *source, char **cursor) {
    if (!source) return NULL;
    fv_real *folded = (fv_real *)(void *)*cursor;
    *cursor += folded_bytes(cut);
    size_t channels = cut->columns.channels;
    for (size_t s = 0; s < cut->columns.segments; s++)
        for (size_t f = 0; f < cut->fold; f++)
            memcpy(folded + s * cut->width + f * channels, source + s * channels, channels * sizeof *source);
    return folded;
}

/* Walks the rows of a chunk in units that an inner loop takes: up to `limit` wide rows at once, at the end of a segment
   what is left as one shorter row. */
typedef struct column_block {
    size_t first, rows, width, folds; /* first row of the tensor; width = folds * channels */
    size_t at, end;                   /* rows of the tensor, counted through the segments */
} column_block;

static inline column_block chunk_begin(const column_cut *cut, size_t chunk) {
    size_t segment = chunk / cut->chunks, begin = chunk % cut->chunks * cut->chunk_rows;
    size_t base = segment * cut->columns.rows;
    return (column_block){.at = base + begin, .end = base + least(begin + cut->chunk_rows, cut->columns.rows)};
}

static inline bool next_block(const column_cut *cut, column_block *block, size_t limit) {
    size_t left = block->end - block->at;
    if (left == 0) return false;
    block->first = block->at;
    block->rows = least(left / cut->fold, limit);
    block->folds = block->rows ? cut->fold : left;
    if (block->rows == 0) block->rows = 1;
    block->width = block->folds * cut->columns.channels;
    block->at += block->rows * block->folds;
    return true;
}

#endif
