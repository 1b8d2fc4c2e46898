/* The weight gradient of 3x3 convolutions by F(3x3, 4x4). Few channels have small transformed gradients: then a task
   takes a run of tiles and adds them up in its own, which are summed in order afterwards. With many channels the tiles
   are transformed first, a share of the last cache at a time, and a task takes all of them to a block of channels and
   filters. */
#include <string.h>

#include "fovea/base/threads.h"
#include "winograd_grid.h"

#define SMALL_GRADIENT 147456  /* elements of transformed gradients that stay in a level-2 cache: 576 KiB */
#define GROUP_ELEMENTS 147456  /* of transformed tiles beside them */
#define PARTS_ELEMENTS 4194304 /* of the transformed gradients of all runs: 16 MiB */
#define STAGE_ELEMENTS 6291456 /* of the planes of all tasks */
#define LEAST_TILES 32         /* of a group or a stage */
#define RUNS 32                /* wished for */
#define STAGE_TILES 8          /* of a task that only transforms */
#define SUM_CHANNELS 4         /* of a task that sums runs */

typedef struct weight_plan {
    bool staged;
    int64_t tiles, group; /* group: tiles that are transformed together */
    int64_t run, runs;    /* not staged: tiles of a task */
    int block_c, block_f, blocks_c, blocks_f;
    size_t input_bytes, gradient_bytes; /* planes of a group: of each worker, or shared when staged */
    size_t sums_bytes;                  /* transformed gradient of a run or a block */
} weight_plan;

static void plan_runs(weight_plan *plan, int c_in, int c_out) {
    int64_t row = row_size_of(c_in) + row_size_of(c_out);
    plan->group = larger(LEAST_TILES, GROUP_ELEMENTS / (PLANES * row));
    int64_t most = larger(1, PARTS_ELEMENTS / (PLANES * (int64_t)c_in * row_size_of(c_out)));
    int64_t runs = larger(1, smaller(smaller(RUNS, most), plan->tiles / plan->group));
    plan->run = divide_up(plan->tiles, runs);
    plan->runs = divide_up(plan->tiles, plan->run);
    plan->group = smaller(plan->group, plan->run);
    plan->sums_bytes = planes_bytes(c_in, c_out);
}

static void plan_blocks(weight_plan *plan, int c_in, int c_out) {
    int64_t row = row_size_of(c_in) + row_size_of(c_out);
    int64_t most = larger(LEAST_TILES, STAGE_ELEMENTS / (PLANES * row));
    plan->group = divide_up(plan->tiles, divide_up(plan->tiles, most));
    plan->block_c = c_in >= 256 ? 128 : 64;
    plan->block_f = 64;
    plan->blocks_c = (int)divide_up(c_in, plan->block_c);
    plan->blocks_f = (int)divide_up(c_out, plan->block_f);
    plan->sums_bytes = planes_bytes(plan->block_c, plan->block_f);
}

static weight_plan plan_of(const fv_window *w, int c_in, int c_out) {
    weight_plan plan = {.tiles = tiles_of(w), .staged = PLANES * (int64_t)c_in * row_size_of(c_out) > SMALL_GRADIENT};
    if (plan.staged)
        plan_blocks(&plan, c_in, c_out);
    else
        plan_runs(&plan, c_in, c_out);
    plan.input_bytes = planes_bytes(plan.group, c_in);
    plan.gradient_bytes = planes_bytes(plan.group, c_out);
    return plan;
}

/* With one stage a block is finished when it is made, and a worker's memory does for it. */
static size_t sums_count(const weight_plan *plan) {
    if (!plan->staged) return (size_t)plan->runs;
    return plan->group == plan->tiles ? (size_t)fv_threads() : (size_t)plan->blocks_c * (size_t)plan->blocks_f;
}

size_t fv_winograd_weight_work(const fv_window *w, int c_in, int c_out) {
    weight_plan plan = plan_of(w, c_in, c_out);
    size_t planes = plan.input_bytes + plan.gradient_bytes;
    return sums_count(&plan) * plan.sums_bytes + (plan.staged ? 1 : (size_t)fv_threads()) * planes;
}

typedef struct weight_task {
    const fv_winograd_weight *product;
    const fv_winograd_transforms *transforms;
    const fv_gemm_tiles *tiles;
    weight_plan plan;
    fv_winograd_grid grid;
    char *sums, *planes;
    int64_t stage;
} weight_task;

static fv_real *sums_at(const weight_task *task, int64_t number) {
    return (fv_real *)(void *)(task->sums + (size_t)number * task->plan.sums_bytes);
}

/* Both sides of tiles [begin, end), to row `row` of the planes at `at`. */
static void transform_tiles(const weight_task *task, int64_t begin, int64_t end, int64_t row, char *at,
                            fv_winograd_planes *input, fv_winograd_planes *gradient) {
    const fv_winograd_weight *p = task->product;
    *input = planes_of((fv_real *)(void *)at, task->plan.group, p->c_in);
    *gradient = planes_of((fv_real *)(void *)(at + task->plan.input_bytes), task->plan.group, p->c_out);
    fv_winograd_planes to = *input;
    to.data += row * to.row_size;
    task->transforms->input(&task->grid, p->in, p->in_stride, p->c_in, begin, end, &to);
    to = *gradient;
    to.data += row * to.row_size;
    task->transforms->gradient(&task->grid, p->d_out, p->d_out_stride, p->c_out, begin, end, &to);
}

/* sums{channels, filters} (+)= input^T gradient in every plane. */
static void multiply_planes(const weight_task *task, int64_t tiles, const fv_winograd_planes *input,
                            const fv_winograd_planes *gradient, int channels, int filters, bool add,
                            const fv_winograd_planes *sums) {
    for (int i = 0; i < PLANES; i++) {
        fv_gemm_left a = {input->data + i * input->plane_size, 1, input->row_size, false};
        fv_gemm_right b = {gradient->data + i * gradient->plane_size, gradient->row_size, task->tiles->panel};
        fv_gemm_result c = {.c = sums->data + i * sums->plane_size, .ld = sums->row_size, .add = add};
        task->tiles->multiply(channels, filters, tiles, &a, &b, &c);
    }
}

/* Few channels ------------------------------------------------------------------------------------------ */

static void run_task(void *context, int64_t run, int worker) {
    const weight_task *task = context;
    const fv_winograd_weight *p = task->product;
    char *planes = task->planes + (size_t)worker * (task->plan.input_bytes + task->plan.gradient_bytes);
    fv_winograd_planes input, gradient, sums = planes_of(sums_at(task, run), p->c_in, p->c_out);
    int64_t first = run * task->plan.run, last = smaller(first + task->plan.run, task->plan.tiles);
    for (int64_t begin = first; begin < last; begin += task->plan.group) {
        int64_t end = smaller(begin + task->plan.group, last);
        transform_tiles(task, begin, end, 0, planes, &input, &gradient);
        multiply_planes(task, end - begin, &input, &gradient, p->c_in, p->c_out, begin > first, &sums);
    }
}

/* Adds the runs' rows of some channels to those of run 0, and takes them to the gradient. */
static void sum_task(void *context, int64_t index, int worker) {
    (void)worker;
    const weight_task *task = context;
    const fv_winograd_weight *p = task->product;
    int begin = (int)index * SUM_CHANNELS, channels = (int)smaller(SUM_CHANNELS, p->c_in - begin);
    fv_winograd_planes sums = planes_of(sums_at(task, 0), p->c_in, p->c_out);
    sums.data += begin * sums.row_size;
    for (int64_t run = 1; run < task->plan.runs; run++) {
        const fv_real *part = sums_at(task, run) + begin * sums.row_size;
        for (int i = 0; i < PLANES; i++) {
            fv_real *restrict to = sums.data + i * sums.plane_size;
            const fv_real *restrict from = part + i * sums.plane_size;
            for (int64_t j = 0; j < channels * sums.row_size; j++) to[j] += from[j];
        }
    }
    task->transforms->weight_gradient(&sums, channels, p->c_out, p->c_in, p->c_out, p->add,
                                      p->dw + (int64_t)begin * p->c_out);
}

/* Many channels ----------------------------------------------------------------------------------------- */

static void stage_task(void *context, int64_t index, int worker) {
    (void)worker;
    const weight_task *task = context;
    int64_t first = task->stage * task->plan.group, last = smaller(first + task->plan.group, task->plan.tiles);
    int64_t begin = first + index * STAGE_TILES;
    fv_winograd_planes input, gradient;
    transform_tiles(task, begin, smaller(begin + STAGE_TILES, last), begin - first, task->planes, &input, &gradient);
}

static void block_task(void *context, int64_t index, int worker) {
    const weight_task *task = context;
    const fv_winograd_weight *p = task->product;
    const weight_plan *plan = &task->plan;
    int c = (int)(index / plan->blocks_f) * plan->block_c, f = (int)(index % plan->blocks_f) * plan->block_f;
    int channels = (int)smaller(plan->block_c, p->c_in - c), filters = (int)smaller(plan->block_f, p->c_out - f);
    int64_t first = task->stage * plan->group, last = smaller(first + plan->group, plan->tiles);
    fv_winograd_planes input = planes_of((fv_real *)(void *)task->planes, plan->group, p->c_in);
    fv_winograd_planes gradient =
        planes_of((fv_real *)(void *)(task->planes + plan->input_bytes), plan->group, p->c_out);
    input.data += c;
    gradient.data += f;
    bool single = plan->group == plan->tiles;
    fv_winograd_planes sums = planes_of(sums_at(task, single ? worker : index), plan->block_c, plan->block_f);
    multiply_planes(task, last - first, &input, &gradient, channels, filters, task->stage > 0, &sums);
    if (last == plan->tiles)
        task->transforms->weight_gradient(&sums, channels, filters, p->c_in, p->c_out, p->add,
                                          p->dw + (int64_t)c * p->c_out + f);
}

void fv_winograd_weight_run(const fv_winograd_weight *p) {
    weight_task task = {.product = p,
                        .transforms = fv_winograd_transforms_choose(),
                        .tiles = fv_gemm_tiles_choose(),
                        .plan = plan_of(&p->window, p->c_in, p->c_out),
                        .grid = grid_of(&p->window),
                        .sums = p->work};
    task.planes = task.sums + sums_count(&task.plan) * task.plan.sums_bytes;
    if (!task.plan.staged) {
        fv_parallel_for(task.plan.runs, run_task, &task);
        fv_parallel_for(divide_up(p->c_in, SUM_CHANNELS), sum_task, &task);
        return;
    }
    int64_t stages = divide_up(task.plan.tiles, task.plan.group);
    for (task.stage = 0; task.stage < stages; task.stage++) {
        int64_t tiles = smaller(task.plan.group, task.plan.tiles - task.stage * task.plan.group);
        fv_parallel_for(divide_up(tiles, STAGE_TILES), stage_task, &task);
        fv_parallel_for((int64_t)task.plan.blocks_c * task.plan.blocks_f, block_task, &task);
    }
}
