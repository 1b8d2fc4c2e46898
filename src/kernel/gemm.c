#include "fovea/kernel/gemm.h"

#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/moments.h"

#define TILE_ELEMENTS 131072 /* of A in a tile: 512 KiB */
#define TILE_ROWS 112        /* at least: a packed B is then read eight times or more */
#define MAX_TILE_ROWS 1008
#define TASKS 32       /* wished for: two for each of 16 threads */
#define AS_IT_IS 65536 /* elements of a B so small that packing it gains nothing */

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* The size of equal blocks, a multiple of `unit`, when `total` is cut into about `blocks`. */
static int64_t block_size(int64_t total, int64_t blocks, int64_t unit) {
    return divide_up(divide_up(total, larger(blocks, 1)), unit) * unit;
}

fv_tiling fv_gemm_tiling(int64_t m, int n, int k, int row_limit) {
    int64_t rows = larger(TILE_ROWS, smaller(MAX_TILE_ROWS, TILE_ELEMENTS / larger(k, 1) / TILE_ROWS * TILE_ROWS));
    rows = smaller(rows, larger(TILE_ROWS, block_size(m, TASKS, 14)));
    rows = larger(1, smaller(smaller(rows, row_limit), m));
    fv_tiling tiling = {.rows = (int)rows, .row_tiles = divide_up(m, rows)};
    int64_t column_tiles = smaller(divide_up(TASKS / 2, tiling.row_tiles), n / (2 * FV_GEMM_PANEL_MAX));
    tiling.columns = (int)block_size(n, column_tiles, FV_GEMM_PANEL_MAX);
    tiling.column_tiles = (int)divide_up(n, tiling.columns);
    return tiling;
}

/* Packing --------------------------------------------------------------------------------------------- */

static void pack_panel(const fv_gemm_pack *p, int column, int columns, fv_real *out) {
    for (int64_t i = 0; i < p->k; i++, out += p->panel) {
        const fv_real *in = p->b + i * p->ld + column;
        for (int j = 0; j < columns; j++) out[j] = in[j];
        for (int j = columns; j < p->panel; j++) out[j] = 0;
    }
}

#define STEPS 16 /* of k: as many elements as a cache line has, so that every line of B is fetched once */

static void pack_panel_transposed(const fv_gemm_pack *p, int column, int columns, fv_real *out) {
    for (int64_t i = 0; i < p->k; i += STEPS, out += STEPS * (int64_t)p->panel) {
        int steps = (int)smaller(STEPS, p->k - i);
        for (int j = 0; j < columns; j++) {
            const fv_real *in = p->b + (column + j) * p->ld + i;
            for (int s = 0; s < steps; s++) out[s * p->panel + j] = in[s];
        }
        for (int s = 0; s < steps; s++)
            for (int j = columns; j < p->panel; j++) out[s * p->panel + j] = 0;
    }
}

void fv_gemm_pack_columns(const fv_gemm_pack *p, int column, int columns) {
    for (int j = column; j < column + columns; j += p->panel) {
        int count = (int)smaller(p->panel, column + columns - j);
        fv_real *out = p->packed + j / p->panel * p->next;
        if (p->transpose) {
            pack_panel_transposed(p, j, count, out);
        } else {
            pack_panel(p, j, count, out);
        }
    }
}

/* Row tiles ------------------------------------------------------------------------------------------- */

typedef struct rows_task {
    const fv_gemm_rows *product;
    const fv_gemm_tiles *tiles;
    fv_tiling tiling;
    bool packs; /* with one row of tiles, each tile packs the columns that it alone needs */
    fv_gemm_pack pack;
    fv_gemm_right b;
    double *slots; /* moments of each row of tiles */
    fv_real *sums; /* and the sums that they are made of */
} rows_task;

/* Three sums a column, those of every row of tiles in cache lines of their own. */
static int64_t sums_row(int n) {
    return divide_up(n, 16) * 16;
}

static size_t slots_bytes(const fv_tiling *tiling, int n) {
    return fv_align_up((size_t)tiling->row_tiles * fv_moments_slot_count(n) * sizeof(double));
}

static fv_result_sums sums_at(const rows_task *task, int64_t row_tile, int column) {
    int64_t row = sums_row(task->product->n);
    fv_real *first = task->sums + row_tile * 3 * row + column;
    return (fv_result_sums){first, first + row, first + 2 * row};
}

static size_t packed_bytes(int n, int k) {
    return fv_align_up(fv_gemm_packed_count(n, k) * sizeof(fv_real));
}

size_t fv_gemm_rows_work(int64_t m, int n, int k) {
    fv_tiling tiling = fv_gemm_tiling(m, n, k, MAX_TILE_ROWS);
    size_t sums = (size_t)tiling.row_tiles * 3 * (size_t)sums_row(n) * sizeof(fv_real);
    return packed_bytes(n, k) + slots_bytes(&tiling, n) + sums;
}

static void pack_tile(void *context, int64_t index, int worker) {
    (void)worker;
    const rows_task *task = context;
    int column = (int)index * FV_GEMM_PANEL_MAX;
    fv_gemm_pack_columns(&task->pack, column, (int)smaller(FV_GEMM_PANEL_MAX, task->product->n - column));
}

static void multiply_tile(void *context, int64_t index, int worker) {
    (void)worker;
    const rows_task *task = context;
    const fv_gemm_rows *p = task->product;
    const fv_tiling *t = &task->tiling;
    int64_t row_tile = index / t->column_tiles, row = row_tile * t->rows;
    int column = (int)(index % t->column_tiles) * t->columns;
    int rows = (int)smaller(t->rows, p->m - row), columns = (int)smaller(t->columns, p->n - column);
    if (task->packs) fv_gemm_pack_columns(&task->pack, column, columns);
    fv_gemm_left a = {p->x + row * p->x_stride, p->x_stride, 1, fv_gemm_is_far(p->m, p->k)};
    fv_gemm_right b = task->b;
    b.data += column / task->tiles->panel * b.next;
    fv_gemm_result result = fv_gemm_result_at(&p->result, row, column);
    fv_result_sums sums = sums_at(task, row_tile, column);
    result.stream = fv_gemm_streams(&p->result, p->m, p->n);
    result.sums = p->moments ? &sums : NULL;
    task->tiles->multiply(rows, columns, p->k, &a, &b, &result);
    if (!p->moments) return;
    fv_moments_slot slot = {task->slots + row_tile * (int64_t)fv_moments_slot_count(p->n), p->n, column, columns};
    fv_moments_fill(&slot, rows, &sums);
}

void fv_gemm_rows_run(const fv_gemm_rows *product) {
    rows_task task = {.product = product,
                      .tiles = fv_gemm_tiles_choose(),
                      .tiling = fv_gemm_tiling(product->m, product->n, product->k, MAX_TILE_ROWS)};
    const fv_tiling *t = &task.tiling;
    int panel = task.tiles->panel;
    if (!product->transpose_b && (int64_t)product->n * product->k <= AS_IT_IS) {
        task.b = (fv_gemm_right){product->b, product->n, panel};
    } else {
        int64_t next = (int64_t)panel * product->k;
        task.pack = (fv_gemm_pack){.b = product->b,
                                   .ld = product->transpose_b ? product->k : product->n,
                                   .transpose = product->transpose_b,
                                   .k = product->k,
                                   .panel = panel,
                                   .next = next,
                                   .packed = product->work};
        task.b = (fv_gemm_right){product->work, panel, next};
        task.packs = t->row_tiles == 1;
        if (!task.packs) fv_parallel_for(divide_up(product->n, FV_GEMM_PANEL_MAX), pack_tile, &task);
    }
    task.slots = (double *)(void *)((char *)product->work + packed_bytes(product->n, product->k));
    task.sums = (fv_real *)(void *)((char *)task.slots + slots_bytes(t, product->n));
    fv_parallel_for(t->row_tiles * t->column_tiles, multiply_tile, &task);
    if (product->moments) fv_moments_merge(task.slots, t->row_tiles, product->n, product->moments);
}

/* Weight gradient ------------------------------------------------------------------------------------- */

#define WEIGHT_BLOCK 256 /* rows and columns of dW */
#define CHUNK_ROWS 256   /* of X and dY, at least */
#define PIECE 32768      /* elements of X and dY that are multiplied at once: 128 KiB */

typedef struct weight_plan {
    int block_c, block_f, blocks_c, blocks_f, chunks;
    int64_t chunk_rows, piece_rows;
} weight_plan;

typedef struct weight_task {
    const fv_gemm_weight *product;
    const fv_gemm_tiles *tiles;
    weight_plan plan;
    fv_real *out; /* dw, or the first of the partial sums */
} weight_task;

static weight_plan plan_weight(int64_t m, int c, int f) {
    weight_plan plan = {.block_c = (int)block_size(c, divide_up(c, WEIGHT_BLOCK), 14),
                        .block_f = (int)block_size(f, divide_up(f, WEIGHT_BLOCK), FV_GEMM_PANEL_MAX)};
    plan.blocks_c = (int)divide_up(c, plan.block_c);
    plan.blocks_f = (int)divide_up(f, plan.block_f);
    int64_t blocks = (int64_t)plan.blocks_c * plan.blocks_f;
    int64_t chunks = larger(1, smaller(TASKS / blocks, m / CHUNK_ROWS));
    plan.chunk_rows = divide_up(m, chunks);
    plan.chunks = (int)divide_up(m, plan.chunk_rows);
    plan.piece_rows = PIECE / (smaller(plan.block_c, c) + smaller(plan.block_f, f));
    return plan;
}

static void multiply_block(void *context, int64_t index, int worker) {
    (void)worker;
    const weight_task *task = context;
    const fv_gemm_weight *p = task->product;
    const weight_plan *plan = &task->plan;
    int blocks = plan->blocks_c * plan->blocks_f, block = (int)(index % blocks);
    int64_t chunk = index / blocks;
    int c = block / plan->blocks_f * plan->block_c, f = block % plan->blocks_f * plan->block_f;
    int block_c = (int)smaller(plan->block_c, p->c - c), block_f = (int)smaller(plan->block_f, p->f - f);
    int64_t row = chunk * plan->chunk_rows, end = smaller(row + plan->chunk_rows, p->m);
    fv_gemm_result sums = {.c = task->out + chunk * p->c * p->f + (int64_t)c * p->f + f, .ld = p->f};
    sums.add = plan->chunks == 1 && p->add;
    for (; row < end; row += plan->piece_rows, sums.add = true) {
        fv_gemm_left x = {p->x + row * p->x_stride + c, 1, p->x_stride, false};
        fv_gemm_right dy = {p->dy + row * p->dy_stride + f, p->dy_stride, task->tiles->panel};
        int64_t rows = smaller(plan->piece_rows, end - row);
        fv_gemm_prefetch(x.data, x.step, rows, block_c);
        fv_gemm_prefetch(dy.data, dy.row, rows, block_f);
        task->tiles->multiply(block_c, block_f, rows, &x, &dy, &sums);
    }
}

size_t fv_gemm_weight_work(int64_t m, int c, int f) {
    weight_plan plan = plan_weight(m, c, f);
    if (plan.chunks == 1) return 0;
    return fv_align_up((size_t)plan.chunks * (size_t)c * (size_t)f * sizeof(fv_real));
}

void fv_gemm_weight_run(const fv_gemm_weight *product) {
    weight_task task = {product, fv_gemm_tiles_choose(), plan_weight(product->m, product->c, product->f), product->dw};
    const weight_plan *plan = &task.plan;
    if (plan->chunks > 1) task.out = product->work;
    fv_parallel_for((int64_t)plan->blocks_c * plan->blocks_f * plan->chunks, multiply_block, &task);
    if (plan->chunks == 1) return;
    fv_parts parts = {task.out, plan->chunks, product->c, product->f, product->add, product->dw, product->f};
    fv_parts_sum(&parts);
}

/* Sums ------------------------------------------------------------------------------------------------ */

#define SUM_ROWS 512
#define SUM_CHUNKS 64

typedef struct sums_task {
    int64_t m, chunk_rows;
    int n;
    const fv_real *a;
    int64_t stride;
    fv_real *parts;
} sums_task;

static int64_t sums_chunk_rows(int64_t m) {
    return larger(SUM_ROWS, divide_up(m, SUM_CHUNKS));
}

static void sum_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const sums_task *task = context;
    fv_real *restrict sums = task->parts + chunk * task->n;
    int64_t row = chunk * task->chunk_rows, end = smaller(row + task->chunk_rows, task->m);
    memset(sums, 0, (size_t)task->n * sizeof *sums);
    for (; row < end; row++) {
        const fv_real *line = task->a + row * task->stride;
        for (int j = 0; j < task->n; j++) sums[j] += line[j];
    }
}

size_t fv_column_sums_work(int64_t m, int n) {
    return fv_align_up((size_t)divide_up(m, sums_chunk_rows(m)) * (size_t)n * sizeof(fv_real));
}

void fv_column_sums(int64_t m, int n, const fv_real *a, int64_t stride, bool add, fv_real *sums, void *work) {
    sums_task task = {m, sums_chunk_rows(m), n, a, stride, work};
    int64_t chunks = divide_up(m, task.chunk_rows);
    fv_parallel_for(chunks, sum_chunk, &task);
    fv_parts parts = {work, (int)chunks, 1, n, add, sums, n};
    fv_parts_sum(&parts);
}

#define PARTS_BLOCK 8192 /* elements, about */

typedef struct parts_task {
    const fv_parts *parts;
    int block_rows;
} parts_task;

static void sum_rows(void *context, int64_t index, int worker) {
    (void)worker;
    const parts_task *task = context;
    const fv_parts *p = task->parts;
    int row = (int)index * task->block_rows, end = (int)smaller(row + task->block_rows, p->rows);
    int64_t size = (int64_t)p->rows * p->columns;
    for (; row < end; row++) {
        fv_real *restrict out = p->out + (int64_t)row * p->ld;
        const fv_real *part = p->parts + (int64_t)row * p->columns;
        if (!p->add) memset(out, 0, (size_t)p->columns * sizeof *out);
        for (int i = 0; i < p->count; i++, part += size) {
            for (int j = 0; j < p->columns; j++) out[j] += part[j];
        }
    }
}

void fv_parts_sum(const fv_parts *parts) {
    parts_task task = {parts, (int)larger(1, PARTS_BLOCK / larger(1, parts->columns))};
    fv_parallel_for(divide_up(parts->rows, task.block_rows), sum_rows, &task);
}
