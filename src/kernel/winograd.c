/* A convolution runs in one of two ways. With many tiles the weights are transformed once, and every task takes a group
   of tiles from pixels to results in its own level-2 cache, fetching the weights from beyond it. With few tiles and
   many weights, the tiles are transformed first, and a task transforms the weights of a chunk of filters, some channels
   at a time, and takes all tiles to results: so weights are looked at once. Tasks follow from the shape alone, and
   every result is made by one of them, so nothing depends on the number of threads. */
#include <string.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/moments.h"
#include "winograd_grid.h"

#define SMALL_WEIGHTS 600000   /* elements of transformed weights, 2.3 MiB: few tiles are worth fetching them */
#define FEW_TILES 256          /* that are not worth fetching more */
#define GROUP_ELEMENTS 294912  /* of a task's planes: 1.1 MiB */
#define STAGE_ELEMENTS 4194304 /* of the planes of all tasks: 16 MiB */
#define BLOCK_CHANNELS 128     /* whose weights a task transforms at once */
#define LEAST_TILES 28         /* of a group */
#define TASKS 16               /* wished for */
#define STAGE_TILES 8          /* of a task that only transforms */

typedef struct winograd_plan {
    bool staged;
    int64_t tiles;
    int64_t group; /* tiles of a task; staged: tiles between two stages */
    int64_t groups;
    int filters, channels; /* whose weights are transformed together: all of them unless staged */
    size_t weight_bytes, input_bytes, slots_bytes; /* shared work memory, in this order, */
    size_t worker_bytes, sums_bytes, turned_bytes; /* and then that of each worker, with these two inside */
} winograd_plan;

/* Equal groups of at most `most` tiles. */
static int64_t equal_groups(int64_t tiles, int64_t most) {
    return divide_up(tiles, divide_up(tiles, most));
}

static int64_t staged_group(int64_t tiles, int c_in) {
    return equal_groups(tiles, larger(STAGE_ELEMENTS / (PLANES * row_size_of(c_in)), 2 * LEAST_TILES));
}

static int64_t fused_group(int64_t tiles, int c_in, int c_out) {
    int64_t fits = GROUP_ELEMENTS / (PLANES * (row_size_of(c_in) + row_size_of(c_out)));
    int64_t shared = divide_up(divide_up(tiles, TASKS), LEAST_TILES) * LEAST_TILES;
    return smaller(tiles, larger(LEAST_TILES, smaller(fits / LEAST_TILES * LEAST_TILES, shared)));
}

static size_t packed_bytes(int channels, int filters) {
    return fv_align_up(PLANES * fv_gemm_packed_count(filters, channels) * sizeof(fv_real));
}

static winograd_plan plan_of(const fv_window *w, int c_in, int c_out) {
    winograd_plan plan = {.tiles = tiles_of(w)};
    plan.staged = plan.tiles < FEW_TILES && (int64_t)PLANES * c_in * c_out > SMALL_WEIGHTS;
    plan.group = plan.staged ? staged_group(plan.tiles, c_in) : fused_group(plan.tiles, c_in, c_out);
    plan.groups = divide_up(plan.tiles, plan.group);
    plan.filters = !plan.staged ? c_out : c_out >= 8 * FV_GEMM_PANEL_MAX ? 2 * FV_GEMM_PANEL_MAX : FV_GEMM_PANEL_MAX;
    plan.channels = plan.staged ? (int)smaller(c_in, BLOCK_CHANNELS) : c_in;
    plan.turned_bytes = fv_align_up(9 * (size_t)plan.channels * (size_t)FV_GEMM_PANEL_MAX * 2 * sizeof(fv_real));
    size_t weights = packed_bytes(plan.channels, plan.filters), input = planes_bytes(plan.group, c_in);
    plan.sums_bytes = fv_align_up((size_t)row_size_of(plan.filters) * sizeof(fv_real));
    plan.worker_bytes = planes_bytes(plan.group, plan.filters) + 3 * plan.sums_bytes + plan.turned_bytes;
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
    return fv_window_is_3x3(w) && c_in >= 8 && c_out >= 8 && w->out_h >= 3 && w->out_w >= 3;
}

size_t fv_winograd_work(const fv_window *w, int c_in, int c_out) {
    winograd_plan plan = plan_of(w, c_in, c_out);
    return plan.weight_bytes + plan.input_bytes + plan.slots_bytes + (size_t)fv_threads() * plan.worker_bytes;
}

/* Running ----------------------------------------------------------------------------------------------- */

typedef struct winograd_task {
    const fv_conv3x3_product *product;
    const fv_winograd_transforms *transforms;
    const fv_gemm_tiles *tiles;
    winograd_plan plan;
    fv_winograd_grid grid;
    fv_real *packed, *input;
    double *slots;
    char *workers;
    int64_t stage; /* the group that is between its stages */
} winograd_task;

/* A worker's memory, cut as plan_of() has counted it. */
typedef struct worker_memory {
    fv_real *results, *turned, *rest; /* rest: weights or input */
    fv_result_sums sums;
} worker_memory;

static fv_real *take(char **at, size_t bytes) {
    fv_real *memory = (fv_real *)(void *)*at;
    *at += bytes;
    return memory;
}

static worker_memory memory_of(const winograd_task *task, int worker) {
    const winograd_plan *plan = &task->plan;
    char *at = task->workers + (size_t)worker * plan->worker_bytes;
    worker_memory memory = {.results = take(&at, planes_bytes(plan->group, plan->filters)),
                            .turned = take(&at, plan->turned_bytes)};
    memory.sums.shift = take(&at, plan->sums_bytes);
    memory.sums.sum = take(&at, plan->sums_bytes);
    memory.sums.squares = take(&at, plan->sums_bytes);
    memory.rest = take(&at, 0);
    return memory;
}

#define TURN 16 /* rows and columns turned at once: a cache line of each */

/* The block [c, c + channels) x [f, f + filters) of {3,3,c_out,c_in} as {9, channels, filters}. */
static void turn_block(const fv_conv3x3_product *p, int c, int channels, int f, int filters, fv_real *turned) {
    for (int tap = 0; tap < 9; tap++, turned += (int64_t)channels * filters) {
        const fv_real *from = p->weight + ((int64_t)tap * p->c_out + f) * p->c_in + c;
        for (int i = 0; i < channels; i += TURN)
            for (int j = 0; j < filters; j++)
                for (int k = i; k < i + TURN && k < channels; k++)
                    turned[(int64_t)k * filters + j] = from[(int64_t)j * p->c_in + k];
    }
}

/* The weights of some channels and, up to two panels, filters. */
static void transform_weights(const winograd_task *task, int c, int channels, int f, int filters, fv_real *turned,
                              fv_real *packed) {
    const fv_conv3x3_product *p = task->product;
    fv_winograd_taps taps = {
        p->weight + (int64_t)c * p->c_out + f, (int64_t)p->c_in * p->c_out, p->c_out, channels, filters, false};
    if (p->backward) {
        turn_block(p, c, channels, f, filters, turned);
        taps = (fv_winograd_taps){turned, (int64_t)channels * filters, filters, channels, filters, true};
    }
    task->transforms->weight(&taps, task->tiles->panel, packed);
}

static void weight_task(void *context, int64_t index, int worker) {
    const winograd_task *task = context;
    int c_in = task->product->c_in, first = (int)index * FV_GEMM_PANEL_MAX;
    int filters = (int)smaller(FV_GEMM_PANEL_MAX, task->product->c_out - first);
    transform_weights(task, 0, c_in, first, filters, memory_of(task, worker).turned,
                      task->packed + (int64_t)first * PLANES * c_in);
}

/* Results of tiles [begin, end): those at the edges may be cut. */
static int64_t pixels_of(const fv_winograd_grid *grid, int64_t begin, int64_t end) {
    int64_t pixels = 0;
    for (int64_t t = begin; t < end; t++) {
        int y = (int)(t / grid->tiles_x % grid->tiles_y) * TILE, x = (int)(t % grid->tiles_x) * TILE;
        pixels += smaller(TILE, grid->out_h - y) * smaller(TILE, grid->out_w - x);
    }
    return pixels;
}

static fv_winograd_planes results_of(const winograd_task *task, const worker_memory *memory) {
    return planes_of(memory->results, task->plan.group, task->plan.filters);
}

static int64_t group_end(const winograd_task *task, int64_t group) {
    return smaller((group + 1) * task->plan.group, task->plan.tiles);
}

/* The products of all planes: channels [c, c + channels) of a group's transformed tiles with their packed weights. */
static void multiply_planes(const winograd_task *task, int64_t tiles, const fv_winograd_planes *input, int c,
                            int channels, int filters, const fv_real *packed, const fv_winograd_planes *results) {
    int64_t plane = (int64_t)channels * task->tiles->panel;
    for (int i = 0; i < PLANES; i++) {
        fv_gemm_left a = {input->data + i * input->plane_size + c, input->row_size, 1, false};
        fv_gemm_right b = {packed + i * plane, task->tiles->panel, PLANES * plane};
        fv_gemm_result m = {.c = results->data + i * results->plane_size, .ld = results->row_size, .add = c > 0};
        task->tiles->multiply(tiles, filters, channels, &a, &b, &m);
    }
}

/* Filters [first, first + filters) of a group from the planes to the picture. */
static void finish_group(const winograd_task *task, int64_t group, int first, int filters,
                         const worker_memory *memory) {
    const fv_conv3x3_product *p = task->product;
    int64_t begin = group * task->plan.group, end = group_end(task, group);
    fv_winograd_planes results = results_of(task, memory);
    fv_gemm_result result = fv_gemm_result_at(&p->result, 0, first);
    result.stream = fv_gemm_streams(&p->result, fv_window_out_pixels(&p->window), p->c_out);
    result.sums = p->moments ? &memory->sums : NULL;
    task->transforms->output(&task->grid, &results, filters, begin, end, &result);
    if (!p->moments) return;
    fv_moments_slot slot = {task->slots + group * (int64_t)fv_moments_slot_count(p->c_out), p->c_out, first, filters};
    fv_moments_fill(&slot, pixels_of(&task->grid, begin, end), &memory->sums);
}

static void fused_task(void *context, int64_t group, int worker) {
    const winograd_task *task = context;
    const fv_conv3x3_product *p = task->product;
    worker_memory memory = memory_of(task, worker);
    int64_t begin = group * task->plan.group, end = group_end(task, group);
    fv_winograd_planes input = planes_of(memory.rest, task->plan.group, p->c_in), results = results_of(task, &memory);
    task->transforms->input(&task->grid, p->in, p->in_stride, p->c_in, p->in_map, begin, end, &input);
    multiply_planes(task, end - begin, &input, 0, p->c_in, p->c_out, task->packed, &results);
    finish_group(task, group, 0, p->c_out, &memory);
}

static void input_task(void *context, int64_t index, int worker) {
    (void)worker;
    const winograd_task *task = context;
    const fv_conv3x3_product *p = task->product;
    int64_t first = task->stage * task->plan.group, last = smaller(first + task->plan.group, task->plan.tiles);
    int64_t begin = first + index * STAGE_TILES, end = smaller(begin + STAGE_TILES, last);
    fv_winograd_planes input = planes_of(task->input, task->plan.group, p->c_in);
    input.data += index * STAGE_TILES * input.row_size;
    task->transforms->input(&task->grid, p->in, p->in_stride, p->c_in, p->in_map, begin, end, &input);
}

static void chunk_task(void *context, int64_t index, int worker) {
    const winograd_task *task = context;
    const winograd_plan *plan = &task->plan;
    worker_memory memory = memory_of(task, worker);
    int c_in = task->product->c_in, first = (int)index * plan->filters;
    int filters = (int)smaller(plan->filters, task->product->c_out - first);
    int64_t tiles = group_end(task, task->stage) - task->stage * plan->group;
    fv_winograd_planes input = planes_of(task->input, plan->group, c_in), results = results_of(task, &memory);
    for (int c = 0; c < c_in; c += plan->channels) {
        int channels = (int)smaller(plan->channels, c_in - c);
        transform_weights(task, c, channels, first, filters, memory.turned, memory.rest);
        multiply_planes(task, tiles, &input, c, channels, filters, memory.rest, &results);
    }
    finish_group(task, task->stage, first, filters, &memory);
}

static void run_staged(winograd_task *task) {
    for (task->stage = 0; task->stage < task->plan.groups; task->stage++) {
        int64_t tiles = smaller(task->plan.group, task->plan.tiles - task->stage * task->plan.group);
        fv_parallel_for(divide_up(tiles, STAGE_TILES), input_task, task);
        fv_parallel_for(divide_up(task->product->c_out, task->plan.filters), chunk_task, task);
    }
}

void fv_winograd_run(const fv_conv3x3_product *p) {
    winograd_task task = {.product = p,
                          .transforms = fv_winograd_transforms_choose(),
                          .tiles = fv_gemm_tiles_choose(),
                          .plan = plan_of(&p->window, p->c_in, p->c_out),
                          .grid = grid_of(&p->window)};
    char *at = p->work;
    task.packed = take(&at, task.plan.weight_bytes);
    task.input = take(&at, task.plan.input_bytes);
    task.slots = (double *)(void *)at;
    task.workers = at + task.plan.slots_bytes;
    if (task.plan.staged) {
        run_staged(&task);
    } else {
        fv_parallel_for(divide_up(p->c_out, FV_GEMM_PANEL_MAX), weight_task, &task);
        fv_parallel_for(task.plan.groups, fused_task, &task);
    }
    if (p->moments) fv_moments_merge(task.slots, task.plan.groups, p->c_out, p->moments);
}
