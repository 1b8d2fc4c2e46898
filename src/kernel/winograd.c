/* A convolution runs in one of two ways. Where the transformed weights are small, they are made once, and every task
   takes a group of tiles from pixels to results in its own level-2 cache. Where they are large there are few tiles:
   then the tiles are transformed first, as many as a share of the last cache takes, and a task transforms the weights
   of a chunk of filters and takes all these tiles to results. Either way a result is one sum over the channels in
   order, so it does not depend on the way or on the number of threads. */
#include <string.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/moments.h"
#include "winograd_grid.h"

#define SMALL_WEIGHTS 393216   /* elements of transformed weights that stay in a level-2 cache: 1.5 MiB */
#define GROUP_ELEMENTS 196608  /* of a task's planes: 768 KiB */
#define STAGE_ELEMENTS 4194304 /* of the planes of all tasks: 16 MiB */
#define LEAST_TILES 14         /* of a group */
#define TASKS 16               /* wished for */
#define STAGE_TILES 8          /* of a task that only transforms */

typedef struct winograd_plan {
    bool staged;
    int64_t tiles;
    int64_t group; /* tiles of a task; staged: tiles between two stages */
    int64_t groups;
    int chunk;                                                   /* filters of a task: all of them unless staged */
    size_t turned_bytes, weight_bytes, input_bytes, slots_bytes; /* shared work memory, in this order */
    size_t worker_bytes;                                         /* and then that of each worker */
} winograd_plan;

static int64_t staged_group(int64_t tiles, int c_in) {
    return smaller(tiles, larger(STAGE_ELEMENTS / (PLANES * row_size_of(c_in)), 4 * LEAST_TILES));
}

static int64_t fused_group(int64_t tiles, int c_in, int c_out) {
    int64_t fits = GROUP_ELEMENTS / (PLANES * (row_size_of(c_in) + row_size_of(c_out)));
    int64_t shared = divide_up(divide_up(tiles, TASKS), LEAST_TILES) * LEAST_TILES;
    return smaller(tiles, larger(LEAST_TILES, smaller(fits / LEAST_TILES * LEAST_TILES, shared)));
}

static size_t packed_bytes(int c_in, int filters) {
    return fv_align_up(PLANES * fv_gemm_packed_count(filters, c_in) * sizeof(fv_real));
}

static winograd_plan plan_of(const fv_window *w, int c_in, int c_out) {
    winograd_plan plan = {.tiles = tiles_of(w), .staged = (int64_t)PLANES * c_in * c_out > SMALL_WEIGHTS};
    plan.turned_bytes = fv_align_up(9 * (size_t)c_in * (size_t)c_out * sizeof(fv_real));
    plan.group = plan.staged ? staged_group(plan.tiles, c_in) : fused_group(plan.tiles, c_in, c_out);
    plan.groups = divide_up(plan.tiles, plan.group);
    plan.chunk = !plan.staged ? c_out : c_out >= 8 * FV_GEMM_PANEL_MAX ? 2 * FV_GEMM_PANEL_MAX : FV_GEMM_PANEL_MAX;
    size_t weights = packed_bytes(c_in, plan.chunk), input = planes_bytes(plan.group, c_in);
    plan.worker_bytes =
        planes_bytes(plan.group, plan.chunk) + 3 * fv_align_up(row_size_of(plan.chunk) * sizeof(fv_real));
    if (plan.staged) {
        plan.input_bytes = input;
        plan.worker_bytes += weights;
    } else {
        plan.weight_bytes = weights;
        plan.worker_bytes += input;
    }
    plan.slots_bytes = fv_align_up((size_t)plan.groups * fv_moments_slot_count(c_out) * sizeof(double));
    return plan;
}

bool fv_winograd_accepts(const fv_window *w, int c_in, int c_out) {
    bool fits =
        w->kernel_h == 3 && w->kernel_w == 3 && w->stride == 1 && w->dilation == 1 && w->top <= 2 && w->left <= 2;
    return fits && c_in >= 8 && c_out >= 8 && w->out_h >= 3 && w->out_w >= 3;
}

size_t fv_winograd_work(const fv_window *w, int c_in, int c_out) {
    winograd_plan plan = plan_of(w, c_in, c_out);
    return plan.turned_bytes + plan.weight_bytes + plan.input_bytes + plan.slots_bytes +
           (size_t)fv_threads() * plan.worker_bytes;
}

fv_window fv_winograd_backward_window(const fv_window *w) {
    fv_window back = *w;
    back.in_h = w->out_h;
    back.in_w = w->out_w;
    back.out_h = w->in_h;
    back.out_w = w->in_w;
    back.top = 2 - w->top;
    back.left = 2 - w->left;
    return back;
}

/* Running ----------------------------------------------------------------------------------------------- */

typedef struct winograd_task {
    const fv_winograd_product *product;
    const fv_winograd_transforms *transforms;
    const fv_gemm_tiles *tiles;
    winograd_plan plan;
    fv_winograd_grid grid;
    const fv_real *weight; /* {3,3,c_in,c_out} */
    fv_real *turned, *packed, *input;
    double *slots;
    char *workers;
    int64_t stage; /* the group that is between its stages */
} winograd_task;

/* A worker's memory, cut as plan_of() has counted it. */
typedef struct worker_memory {
    fv_real *results, *rest; /* rest: weights or input */
    fv_winograd_sums sums;
} worker_memory;

static worker_memory memory_of(const winograd_task *task, int worker) {
    char *at = task->workers + (size_t)worker * task->plan.worker_bytes;
    size_t row = fv_align_up(row_size_of(task->plan.chunk) * sizeof(fv_real));
    worker_memory memory = {.results = (fv_real *)(void *)at};
    at += planes_bytes(task->plan.group, task->plan.chunk);
    memory.sums =
        (fv_winograd_sums){(fv_real *)(void *)at, (fv_real *)(void *)(at + row), (fv_real *)(void *)(at + 2 * row)};
    memory.rest = (fv_real *)(void *)(at + 3 * row);
    return memory;
}

#define TURN 16 /* rows and columns turned at once: a cache line of each */

/* {3,3,c_out,c_in} -> {3,3,c_in,c_out}, one tap and TURN rows a task. */
static void turn_rows(void *context, int64_t index, int worker) {
    (void)worker;
    const winograd_task *task = context;
    int c_in = task->product->c_in, c_out = task->product->c_out;
    int64_t blocks = divide_up(c_out, TURN), tap = index / blocks;
    int begin = (int)(index % blocks) * TURN, end = (int)smaller(begin + TURN, c_out);
    const fv_real *from = task->product->weight + tap * c_in * c_out;
    fv_real *to = task->turned + tap * c_in * c_out;
    for (int c = 0; c < c_in; c += TURN)
        for (int f = begin; f < end; f++)
            for (int i = c; i < c + TURN && i < c_in; i++) to[(int64_t)i * c_out + f] = from[(int64_t)f * c_in + i];
}

static void transform_weights(const winograd_task *task, int begin, int end, fv_real *packed) {
    const fv_winograd_product *p = task->product;
    task->transforms->weight(task->weight, p->c_in, p->c_out, p->backward, task->tiles->panel, begin, end, packed);
}

static void weight_task(void *context, int64_t index, int worker) {
    (void)worker;
    const winograd_task *task = context;
    int begin = (int)index * FV_GEMM_PANEL_MAX;
    transform_weights(task, begin, (int)smaller(begin + FV_GEMM_PANEL_MAX, task->product->c_out), task->packed);
}

static void slot_fill(const winograd_task *task, int64_t group, int first, int filters, int64_t begin, int64_t end,
                      const fv_winograd_sums *sums) {
    int c_out = task->product->c_out;
    double *slot = task->slots + group * (int64_t)fv_moments_slot_count(c_out), pixels = 0;
    for (int64_t t = begin; t < end; t++) {
        int y = (int)(t / task->grid.tiles_x % task->grid.tiles_y) * TILE, x = (int)(t % task->grid.tiles_x) * TILE;
        pixels += (double)(smaller(TILE, task->grid.out_h - y) * smaller(TILE, task->grid.out_w - x));
    }
    if (first == 0) slot[0] = pixels;
    for (int f = 0; f < filters; f++)
        fv_moments_of_sums(pixels, (double)sums->shift[f], (double)sums->sum[f], (double)sums->squares[f],
                           &slot[1 + first + f], &slot[1 + c_out + first + f]);
}

/* From transformed tiles and weights to results: filters [first, first + filters) of a group. */
static void multiply_group(const winograd_task *task, int64_t group, int first, int filters,
                           const fv_winograd_planes *input, const fv_real *packed, const worker_memory *memory) {
    const fv_winograd_product *p = task->product;
    int64_t begin = group * task->plan.group, end = smaller(begin + task->plan.group, task->plan.tiles);
    int64_t plane = (int64_t)p->c_in * task->tiles->panel;
    fv_winograd_planes results = planes_of(memory->results, task->plan.group, task->plan.chunk);
    for (int i = 0; i < PLANES; i++) {
        fv_gemm_left a = {input->data + i * input->plane_size, input->row_size, 1};
        fv_gemm_right b = {packed + i * plane, task->tiles->panel, PLANES * plane};
        fv_gemm_result m = {.c = results.data + i * results.plane_size, .ld = results.row_size};
        task->tiles->multiply(end - begin, filters, p->c_in, &a, &b, &m);
    }
    fv_gemm_result result = fv_gemm_result_at(&p->result, 0, first);
    const fv_winograd_sums *sums = p->moments ? &memory->sums : NULL;
    task->transforms->output(&task->grid, &results, filters, begin, end, &result, sums);
    if (sums) slot_fill(task, group, first, filters, begin, end, sums);
}

static void fused_task(void *context, int64_t group, int worker) {
    const winograd_task *task = context;
    const fv_winograd_product *p = task->product;
    worker_memory memory = memory_of(task, worker);
    int64_t begin = group * task->plan.group, end = smaller(begin + task->plan.group, task->plan.tiles);
    fv_winograd_planes input = planes_of(memory.rest, task->plan.group, p->c_in);
    task->transforms->input(&task->grid, p->in, p->in_stride, p->c_in, begin, end, &input);
    multiply_group(task, group, 0, p->c_out, &input, task->packed, &memory);
}

static void input_task(void *context, int64_t index, int worker) {
    (void)worker;
    const winograd_task *task = context;
    const fv_winograd_product *p = task->product;
    int64_t first = task->stage * task->plan.group, last = smaller(first + task->plan.group, task->plan.tiles);
    int64_t begin = first + index * STAGE_TILES, end = smaller(begin + STAGE_TILES, last);
    fv_winograd_planes input = planes_of(task->input, task->plan.group, p->c_in);
    input.data += index * STAGE_TILES * input.row_size;
    task->transforms->input(&task->grid, p->in, p->in_stride, p->c_in, begin, end, &input);
}

static void chunk_task(void *context, int64_t index, int worker) {
    const winograd_task *task = context;
    worker_memory memory = memory_of(task, worker);
    int first = (int)index * task->plan.chunk, last = (int)smaller(first + task->plan.chunk, task->product->c_out);
    /* Packed weights begin with those of filter 0: here, `first` is. */
    int64_t skipped = (int64_t)first * PLANES * task->product->c_in;
    transform_weights(task, first, last, memory.rest - skipped);
    fv_winograd_planes input = planes_of(task->input, task->plan.group, task->product->c_in);
    multiply_group(task, task->stage, first, last - first, &input, memory.rest, &memory);
}

static void run_staged(winograd_task *task) {
    for (task->stage = 0; task->stage < task->plan.groups; task->stage++) {
        int64_t tiles = smaller(task->plan.group, task->plan.tiles - task->stage * task->plan.group);
        fv_parallel_for(divide_up(tiles, STAGE_TILES), input_task, task);
        fv_parallel_for(divide_up(task->product->c_out, task->plan.chunk), chunk_task, task);
    }
}

void fv_winograd_run(const fv_winograd_product *p) {
    winograd_task task = {.product = p,
                          .transforms = fv_winograd_transforms_choose(),
                          .tiles = fv_gemm_tiles_choose(),
                          .plan = plan_of(&p->window, p->c_in, p->c_out),
                          .grid = grid_of(&p->window),
                          .weight = p->weight};
    char *at = p->work;
    task.turned = (fv_real *)(void *)at;
    task.packed = (fv_real *)(void *)(at += task.plan.turned_bytes);
    task.input = (fv_real *)(void *)(at += task.plan.weight_bytes);
    task.slots = (double *)(void *)(at += task.plan.input_bytes);
    task.workers = at + task.plan.slots_bytes;
    if (p->backward) {
        fv_parallel_for(9 * divide_up(p->c_out, TURN), turn_rows, &task);
        task.weight = task.turned;
    }
    if (task.plan.staged) {
        run_staged(&task);
    } else {
        fv_parallel_for(divide_up(p->c_out, FV_GEMM_PANEL_MAX), weight_task, &task);
        fv_parallel_for(task.plan.groups, fused_task, &task);
    }
    if (p->moments) fv_moments_merge(task.slots, task.plan.groups, p->c_out, p->moments);
}
