/* The weight gradient of 3x3 convolutions by F(3x3, 4x4). A task takes a run of tiles and a block of channels and
   filters whose transformed gradient stays in its level-2 cache, transforms both sides some tiles at a time, and adds
   their products up. Blocks transform the same tiles again, which costs less than to fetch them from beyond the cache.
   Where there are several runs, their sums are added in order afterwards. */
#include <string.h>

#include "fovea/base/threads.h"
#include "winograd_grid.h"

#define BLOCK 64               /* channels and filters: 576 KiB of sums */
#define GROUP_ELEMENTS 221184  /* of tiles transformed at once: 864 KiB more */
#define PARTS_ELEMENTS 8388608 /* of all sums: 32 MiB */
#define LEAST_TILES 32         /* of a group */
#define TASKS 32               /* wished for */
#define SUM_CHANNELS 4         /* of a task that sums runs */

typedef struct weight_plan {
    int64_t tiles, group, run, runs; /* tiles in all, transformed together, of a task */
    int block_c, block_f, blocks_c, blocks_f;
    size_t sums_bytes, input_bytes, gradient_bytes; /* planes of a task */
} weight_plan;

/* Equal blocks of at most BLOCK, in whole vectors. */
static int block_of(int channels) {
    int64_t blocks = divide_up(channels, BLOCK);
    return (int)smaller(channels, divide_up(divide_up(channels, blocks), 16) * 16);
}

static weight_plan plan_of(const fv_window *w, int c_in, int c_out) {
    weight_plan plan = {.tiles = tiles_of(w), .block_c = block_of(c_in), .block_f = block_of(c_out)};
    plan.blocks_c = (int)divide_up(c_in, plan.block_c);
    plan.blocks_f = (int)divide_up(c_out, plan.block_f);
    int64_t blocks = (int64_t)plan.blocks_c * plan.blocks_f;
    plan.sums_bytes = planes_bytes(plan.block_c, plan.block_f);
    plan.group = GROUP_ELEMENTS / (PLANES * (row_size_of(plan.block_c) + row_size_of(plan.block_f)));
    plan.group = smaller(plan.tiles, larger(LEAST_TILES, plan.group));
    int64_t most = PARTS_ELEMENTS * (int64_t)sizeof(fv_real) / ((int64_t)plan.sums_bytes * blocks);
    int64_t runs = larger(1, smaller(smaller(divide_up(TASKS, blocks), most), plan.tiles / plan.group));
    plan.run = divide_up(plan.tiles, runs);
    plan.runs = divide_up(plan.tiles, plan.run);
    plan.input_bytes = planes_bytes(plan.group, plan.block_c);
    plan.gradient_bytes = planes_bytes(plan.group, plan.block_f);
    return plan;
}

/* A single run is finished by the task that made it, and a worker's memory does for its sums. */
static size_t sums_count(const weight_plan *plan) {
    if (plan->runs == 1) return (size_t)fv_threads();
    return (size_t)plan->runs * (size_t)plan->blocks_c * (size_t)plan->blocks_f;
}

size_t fv_winograd_weight_work(const fv_window *w, int c_in, int c_out) {
    weight_plan plan = plan_of(w, c_in, c_out);
    return sums_count(&plan) * plan.sums_bytes + (size_t)fv_threads() * (plan.input_bytes + plan.gradient_bytes);
}

typedef struct weight_task {
    const fv_conv3x3_weight *product;
    const fv_winograd_transforms *transforms;
    const fv_gemm_tiles *tiles;
    weight_plan plan;
    fv_winograd_grid grid;
    char *sums, *planes;
} weight_task;

/* The channels and filters of a block. */
typedef struct block {
    int c, f, channels, filters;
} block;

static block block_at(const weight_task *task, int64_t number) {
    const weight_plan *plan = &task->plan;
    block b = {.c = (int)(number / plan->blocks_f) * plan->block_c,
               .f = (int)(number % plan->blocks_f) * plan->block_f};
    b.channels = (int)smaller(plan->block_c, task->product->c_in - b.c);
    b.filters = (int)smaller(plan->block_f, task->product->c_out - b.f);
    return b;
}

/* The sums number `number`: those of run r of block b are number b * runs + r. */
static fv_winograd_planes sums_at(const weight_task *task, int64_t number) {
    fv_real *data = (fv_real *)(void *)(task->sums + (size_t)number * task->plan.sums_bytes);
    return planes_of(data, task->plan.block_c, task->plan.block_f);
}

static fv_norm_map channels_of_map(const fv_norm_map *map, int c) {
    return (fv_norm_map){map->center + c, map->scale + c, map->offset + c, map->low, map->high};
}

/* sums{channels, filters} (+)= input^T gradient of tiles [begin, end) in every plane. */
static void add_tiles(const weight_task *task, const block *b, int64_t begin, int64_t end, char *planes, bool add,
                      const fv_winograd_planes *sums) {
    const fv_conv3x3_weight *p = task->product;
    fv_winograd_planes input = planes_of((fv_real *)(void *)planes, task->plan.group, task->plan.block_c);
    fv_winograd_planes gradient =
        planes_of((fv_real *)(void *)(planes + task->plan.input_bytes), task->plan.group, task->plan.block_f);
    fv_norm_map map;
    if (p->in_map) map = channels_of_map(p->in_map, b->c);
    task->transforms->input(&task->grid, p->in + b->c, p->in_stride, b->channels, p->in_map ? &map : NULL, begin, end,
                            &input);
    task->transforms->gradient(&task->grid, p->d_out + b->f, p->d_out_stride, b->filters, begin, end, &gradient);
    for (int i = 0; i < PLANES; i++) {
        fv_gemm_left left = {input.data + i * input.plane_size, 1, input.row_size, false};
        fv_gemm_right right = {gradient.data + i * gradient.plane_size, gradient.row_size, task->tiles->panel};
        fv_gemm_result c = {.c = sums->data + i * sums->plane_size, .ld = sums->row_size, .add = add};
        task->tiles->multiply(b->channels, b->filters, end - begin, &left, &right, &c);
    }
}

/* Channels [first, first + channels) of a block from its sums to the gradient. */
static void finish(const weight_task *task, const block *b, int first, int channels, const fv_winograd_planes *sums) {
    const fv_conv3x3_weight *p = task->product;
    fv_winograd_planes rows = *sums;
    rows.data += first * rows.row_size;
    task->transforms->weight_gradient(&rows, channels, b->filters, p->c_in, p->c_out, p->add,
                                      p->dw + (int64_t)(b->c + first) * p->c_out + b->f);
}

static void run_task(void *context, int64_t index, int worker) {
    const weight_task *task = context;
    const weight_plan *plan = &task->plan;
    int64_t blocks = (int64_t)plan->blocks_c * plan->blocks_f, number = index % blocks, run = index / blocks;
    block b = block_at(task, number); /* the blocks of a run follow each other, so that its pixels stay in a cache */
    char *planes = task->planes + (size_t)worker * (plan->input_bytes + plan->gradient_bytes);
    fv_winograd_planes sums = sums_at(task, plan->runs == 1 ? worker : number * plan->runs + run);
    int64_t first = run * plan->run, last = smaller(first + plan->run, plan->tiles);
    for (int64_t begin = first; begin < last; begin += plan->group)
        add_tiles(task, &b, begin, smaller(begin + plan->group, last), planes, begin > first, &sums);
    if (plan->runs == 1) finish(task, &b, 0, b.channels, &sums);
}

/* Adds all runs' rows of some channels of a block to those of the first. */
static void sum_task(void *context, int64_t index, int worker) {
    (void)worker;
    const weight_task *task = context;
    int64_t pieces = divide_up(task->plan.block_c, SUM_CHANNELS), number = index / pieces;
    block b = block_at(task, number);
    int first = (int)(index % pieces) * SUM_CHANNELS, channels = (int)smaller(SUM_CHANNELS, b.channels - first);
    if (channels <= 0) return;
    fv_winograd_planes sums = sums_at(task, number * task->plan.runs);
    for (int64_t run = 1; run < task->plan.runs; run++) {
        fv_winograd_planes part = sums_at(task, number * task->plan.runs + run);
        for (int i = 0; i < PLANES; i++) {
            fv_real *restrict to = sums.data + i * sums.plane_size + first * sums.row_size;
            const fv_real *restrict from = part.data + i * part.plane_size + first * part.row_size;
            for (int64_t j = 0; j < channels * sums.row_size; j++) to[j] += from[j];
        }
    }
    finish(task, &b, first, channels, &sums);
}

void fv_winograd_weight_run(const fv_conv3x3_weight *p) {
    weight_task task = {.product = p,
                        .transforms = fv_winograd_transforms_choose(),
                        .tiles = fv_gemm_tiles_choose(),
                        .plan = plan_of(&p->window, p->c_in, p->c_out),
                        .grid = grid_of(&p->window),
                        .sums = p->work};
    int64_t blocks = (int64_t)task.plan.blocks_c * task.plan.blocks_f;
    task.planes = task.sums + sums_count(&task.plan) * task.plan.sums_bytes;
    fv_parallel_for(blocks * task.plan.runs, run_task, &task);
    if (task.plan.runs > 1) fv_parallel_for(blocks * divide_up(task.plan.block_c, SUM_CHANNELS), sum_task, &task);
}
