#include "conv_tile.h"
#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/conv.h"

#define TASKS 32              /* wished for */
#define BLOCK_COLUMNS 128     /* channels times taps of a block, at least, where there are as many */
#define CHUNK_PIXELS 256      /* at least */
#define PARTS_LIMIT (4 << 20) /* elements of all partial sums together */

/* dW is split into blocks of taps and the window positions into chunks; a task is one block of one chunk, which it
   walks in tiles. */
typedef struct weight_plan {
    int taps, block_taps, blocks, chunks;
    int64_t pixels, chunk_pixels;
    int tile_rows;
    size_t scratch;
} weight_plan;

typedef struct weight_task {
    const fv_conv_weight *product;
    const fv_gemm_tiles *tiles;
    weight_plan plan;
} weight_task;

static weight_plan plan_weight(const fv_window *w, int wide_channels, int narrow_channels) {
    weight_plan plan = {.taps = w->kernel_h * w->kernel_w, .pixels = fv_window_out_pixels(w)};
    int wished = (BLOCK_COLUMNS + wide_channels - 1) / wide_channels;
    plan.blocks = wished >= plan.taps ? 1 : plan.taps / wished;
    plan.block_taps = (plan.taps + plan.blocks - 1) / plan.blocks;
    plan.blocks = (plan.taps + plan.block_taps - 1) / plan.block_taps;
    int64_t limit = PARTS_LIMIT / ((int64_t)plan.taps * wide_channels * narrow_channels);
    int64_t chunks = fv_conv_smaller(fv_conv_smaller(TASKS / plan.blocks, plan.pixels / CHUNK_PIXELS), limit);
    if (chunks < 1) chunks = 1;
    plan.chunk_pixels = (plan.pixels + chunks - 1) / chunks;
    plan.chunks = (int)((plan.pixels + plan.chunk_pixels - 1) / plan.chunk_pixels);
    int64_t width = (int64_t)plan.block_taps * wide_channels;
    plan.tile_rows = (int)fv_conv_smaller(fv_conv_row_limit(width), plan.chunk_pixels);
    plan.scratch = fv_align_up((size_t)plan.tile_rows * (size_t)width * sizeof(fv_real));
    return plan;
}

/* Adds the windows [begin, end) to `sums`, the rows of dW of taps [tap, tap_end). */
static void multiply_columns(const weight_task *task, int taps, int rows, const fv_real *columns, const fv_real *narrow,
                             fv_gemm_result *sums) {
    const fv_conv_weight *p = task->product;
    int width = taps * p->wide_channels, panel = task->tiles->panel;
    if (!p->swap) {
        fv_gemm_left a = {columns, 1, width, false};
        fv_gemm_right b = {narrow, p->narrow_stride, panel};
        task->tiles->multiply(width, p->narrow_channels, rows, &a, &b, sums);
        return;
    }
    for (int t = 0; t < taps; t++) {
        fv_gemm_left a = {narrow, 1, p->narrow_stride, false};
        fv_gemm_right b = {columns + (int64_t)t * p->wide_channels, width, panel};
        fv_gemm_result tap = fv_gemm_result_at(sums, (int64_t)t * p->narrow_channels, 0);
        task->tiles->multiply(p->narrow_channels, p->wide_channels, rows, &a, &b, &tap);
    }
}

static void run_task(void *context, int64_t index, int worker) {
    const weight_task *task = context;
    const fv_conv_weight *p = task->product;
    const weight_plan *plan = &task->plan;
    int tap = (int)(index % plan->blocks) * plan->block_taps;
    int tap_end = (int)fv_conv_smaller(tap + plan->block_taps, plan->taps);
    int64_t chunk = index / plan->blocks, begin = chunk * plan->chunk_pixels;
    int64_t end = fv_conv_smaller(begin + plan->chunk_pixels, plan->pixels);
    int row_count = p->swap ? p->narrow_channels : p->wide_channels;
    int stride = plan->chunks == 1 ? p->dw_stride : p->swap ? p->wide_channels : p->narrow_channels;
    fv_real *sums = plan->chunks == 1 ? p->dw : (fv_real *)p->parts + chunk * plan->taps * row_count * stride;
    fv_gemm_result result = {.c = sums + (int64_t)tap * row_count * stride, .ld = stride};
    result.add = plan->chunks == 1 && p->add;
    fv_real *columns = (fv_real *)((char *)p->scratch + (size_t)worker * plan->scratch);
    fv_conv_source source = {p->wide, p->wide_stride, p->wide_channels};
    for (; begin < end; begin += plan->tile_rows, result.add = true) {
        int64_t tile_end = fv_conv_smaller(begin + plan->tile_rows, end);
        fv_conv_gather(&p->window, &source, tap, tap_end, begin, tile_end, columns);
        fv_gemm_prefetch(p->narrow + begin * p->narrow_stride, p->narrow_stride, tile_end - begin, p->narrow_channels);
        multiply_columns(task, tap_end - tap, (int)(tile_end - begin), columns, p->narrow + begin * p->narrow_stride,
                         &result);
    }
}

size_t fv_conv_weight_scratch(const fv_window *window, int wide_channels, int narrow_channels) {
    return plan_weight(window, wide_channels, narrow_channels).scratch;
}

size_t fv_conv_weight_parts(const fv_window *window, int wide_channels, int narrow_channels) {
    weight_plan plan = plan_weight(window, wide_channels, narrow_channels);
    if (plan.chunks == 1) return 0;
    size_t elements = (size_t)plan.taps * (size_t)wide_channels * (size_t)narrow_channels;
    return fv_align_up((size_t)plan.chunks * elements * sizeof(fv_real));
}

void fv_conv_weight_run(const fv_conv_weight *product) {
    weight_task task = {product, fv_gemm_tiles_choose(),
                        plan_weight(&product->window, product->wide_channels, product->narrow_channels)};
    const weight_plan *plan = &task.plan;
    fv_parallel_for((int64_t)plan->blocks * plan->chunks, run_task, &task);
    if (plan->chunks == 1) return;
    int rows = product->swap ? product->narrow_channels : product->wide_channels;
    int columns = product->swap ? product->wide_channels : product->narrow_channels;
    fv_parts parts = {product->parts, plan->chunks, plan->taps * rows, columns,
                      product->add,   product->dw,  product->dw_stride};
    fv_parts_sum(&parts);
}
