#include "fovea/kernel/gemm.h"

#include <cblas.h>
#include <pthread.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"

/* OpenBLAS multiplies without packing up to this many multiply-accumulates, which is the quicker way for the few
   channels of early layers; tiles keep below it where that leaves them at least SMALL_ROWS rows. */
#define SMALL_PRODUCT 1000000
#define SMALL_ROWS 96
#define TILE_ROWS 256
#define MAX_TILE_ROWS 1024
#define TILE_COLUMNS 112 /* no narrower when the columns are split */
#define TASKS 32         /* wished for: two for each of 16 threads */

static void silence_openblas(void) {
    openblas_set_num_threads(1);
}

void fv_gemm(bool transpose_a, bool transpose_b, int m, int n, int k, const fv_real *a, int lda, const fv_real *b,
             int ldb, bool add, fv_real *c, int ldc) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, silence_openblas);
    CBLAS_TRANSPOSE ta = transpose_a ? CblasTrans : CblasNoTrans, tb = transpose_b ? CblasTrans : CblasNoTrans;
#ifdef FV_DOUBLE
    cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, add ? 1 : 0, c, ldc);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, add ? 1 : 0, c, ldc);
#endif
}

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* The size of equal blocks, a multiple of 16, when `total` is cut into about `blocks`. */
static int64_t block_size(int64_t total, int64_t blocks) {
    return smaller(total, divide_up(divide_up(total, larger(blocks, 1)), 16) * 16);
}

fv_tiling fv_gemm_tiling(int64_t m, int n, int k, int row_limit) {
    int64_t small = SMALL_PRODUCT / larger((int64_t)n * k, 1);
    int64_t rows = small >= SMALL_ROWS ? smaller(small / 16 * 16, MAX_TILE_ROWS) : TILE_ROWS;
    if (divide_up(m, rows) < TASKS) rows = smaller(rows, larger(block_size(m, TASKS), SMALL_ROWS));
    rows = larger(1, smaller(smaller(rows, row_limit), m));
    fv_tiling tiling = {.rows = (int)rows, .row_tiles = divide_up(m, rows)};
    int64_t column_tiles = smaller(divide_up(TASKS / 2, tiling.row_tiles), n / TILE_COLUMNS);
    tiling.columns = (int)block_size(n, column_tiles);
    tiling.column_tiles = (int)divide_up(n, tiling.columns);
    return tiling;
}

/* Row tiles ------------------------------------------------------------------------------------------- */

typedef struct rows_task {
    fv_gemm_rows product;
    fv_tiling tiling;
} rows_task;

static void multiply_tile(void *context, int64_t index, int worker) {
    (void)worker;
    const rows_task *task = context;
    const fv_gemm_rows *p = &task->product;
    const fv_tiling *t = &task->tiling;
    int64_t row = index / t->column_tiles * t->rows;
    int column = (int)(index % t->column_tiles) * t->columns;
    int rows = (int)smaller(t->rows, p->m - row), columns = (int)smaller(t->columns, p->n - column);
    fv_real *y = p->y + row * p->n + column;
    if (p->bias) {
        for (int i = 0; i < rows; i++) {
            fv_real *line = y + (int64_t)i * p->n;
            for (int j = 0; j < columns; j++) line[j] = p->add ? line[j] + p->bias[column + j] : p->bias[column + j];
        }
    }
    const fv_real *b = p->transpose_b ? p->b + (int64_t)column * p->k : p->b + column;
    fv_gemm(false, p->transpose_b, rows, columns, p->k, p->x + row * p->k, p->k, b, p->transpose_b ? p->k : p->n,
            p->add || p->bias, y, p->n);
}

/* OpenBLAS is quick on small products only when B is not transposed. */
static bool worth_transposing(int n, int k) {
    return (int64_t)n * k <= SMALL_PRODUCT / SMALL_ROWS;
}

size_t fv_gemm_rows_work(int n, int k, bool transpose_b) {
    return transpose_b && worth_transposing(n, k) ? fv_align_up((size_t)n * (size_t)k * sizeof(fv_real)) : 0;
}

void fv_gemm_rows_run(const fv_gemm_rows *product) {
    rows_task task = {*product, fv_gemm_tiling(product->m, product->n, product->k, MAX_TILE_ROWS)};
    if (product->transpose_b && worth_transposing(product->n, product->k)) {
        fv_real *b = product->work;
        for (int i = 0; i < product->n; i++) {
            for (int j = 0; j < product->k; j++) b[(size_t)j * product->n + i] = product->b[(size_t)i * product->k + j];
        }
        task.product.b = b;
        task.product.transpose_b = false;
    }
    fv_parallel_for(task.tiling.row_tiles * task.tiling.column_tiles, multiply_tile, &task);
}

/* Weight gradient ------------------------------------------------------------------------------------- */

#define WEIGHT_BLOCK_ROWS 160 /* of dW */
#define WEIGHT_BLOCK_COLUMNS 320
#define CHUNK_ROWS 256 /* of X and dY, at least */

typedef struct weight_plan {
    int block_c, block_f, blocks_c, blocks_f, chunks;
    int64_t chunk_rows;
    int piece_rows; /* of one call of OpenBLAS */
} weight_plan;

typedef struct weight_task {
    fv_gemm_weight product;
    weight_plan plan;
    fv_real *out; /* dw, or the first of the partial sums */
} weight_task;

static weight_plan plan_weight(int64_t m, int c, int f) {
    weight_plan plan = {.block_c = (int)block_size(c, divide_up(c, WEIGHT_BLOCK_ROWS)),
                        .block_f = (int)block_size(f, divide_up(f, WEIGHT_BLOCK_COLUMNS))};
    plan.blocks_c = (int)divide_up(c, plan.block_c);
    plan.blocks_f = (int)divide_up(f, plan.block_f);
    int64_t blocks = (int64_t)plan.blocks_c * plan.blocks_f;
    int64_t chunks = larger(1, smaller(TASKS / blocks, m / CHUNK_ROWS));
    plan.chunk_rows = divide_up(m, chunks);
    plan.chunks = (int)divide_up(m, plan.chunk_rows);
    int64_t small = SMALL_PRODUCT / ((int64_t)plan.block_c * plan.block_f);
    plan.piece_rows = (int)smaller(plan.chunk_rows, small >= 64 ? small : 4096);
    return plan;
}

static void multiply_block(void *context, int64_t index, int worker) {
    (void)worker;
    const weight_task *task = context;
    const fv_gemm_weight *p = &task->product;
    const weight_plan *plan = &task->plan;
    int blocks = plan->blocks_c * plan->blocks_f, block = (int)(index % blocks);
    int64_t chunk = index / blocks;
    int c = block / plan->blocks_f * plan->block_c, f = block % plan->blocks_f * plan->block_f;
    int block_c = (int)smaller(plan->block_c, p->c - c), block_f = (int)smaller(plan->block_f, p->f - f);
    int64_t row = chunk * plan->chunk_rows, end = smaller(row + plan->chunk_rows, p->m);
    bool add = plan->chunks == 1 && p->add;
    fv_real *out = task->out + chunk * p->c * p->f + (int64_t)c * p->f + f;
    for (; row < end; row += plan->piece_rows, add = true) {
        fv_gemm(true, false, block_c, block_f, (int)smaller(plan->piece_rows, end - row), p->x + row * p->c + c, p->c,
                p->dy + row * p->f + f, p->f, add, out, p->f);
    }
}

size_t fv_gemm_weight_work(int64_t m, int c, int f) {
    weight_plan plan = plan_weight(m, c, f);
    if (plan.chunks == 1) return 0;
    return fv_align_up((size_t)plan.chunks * (size_t)c * (size_t)f * sizeof(fv_real));
}

void fv_gemm_weight_run(const fv_gemm_weight *product) {
    weight_task task = {*product, plan_weight(product->m, product->c, product->f), product->dw};
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
        const fv_real *line = task->a + row * task->n;
        for (int j = 0; j < task->n; j++) sums[j] += line[j];
    }
}

size_t fv_column_sums_work(int64_t m, int n) {
    return fv_align_up((size_t)divide_up(m, sums_chunk_rows(m)) * (size_t)n * sizeof(fv_real));
}

void fv_column_sums(int64_t m, int n, const fv_real *a, bool add, fv_real *sums, void *work) {
    sums_task task = {m, sums_chunk_rows(m), n, a, work};
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
