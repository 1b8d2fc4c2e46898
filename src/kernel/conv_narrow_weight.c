/* The weight gradient of kernel/conv_narrow.h. A task takes some rows of a picture and adds up, for each order of the
   line's slots, the product of the stretches, transposed, with the gradients of their results; of those sums it makes
   its share of the gradient. The shares are added in order. */
#include <string.h>

#include "conv_line.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/conv_narrow.h"

#define BAND 32    /* rows of results of a task */
#define SEGMENT 64 /* rows of a product: line and gradients stay in first-level cache while its columns go by */

typedef struct weight_plan {
    int group, columns, depth; /* as in conv_narrow.c */
    int bands;
    int64_t tasks;
    int count;                                /* weights */
    size_t parts_bytes;                       /* shared */
    size_t line_bytes, sums_bytes, all_bytes; /* a worker's: line; sums of one order of slots; all of it */
} weight_plan;

static weight_plan plan_of(const fv_window *w, int c_in, int c_out, int group) {
    weight_plan plan = {.group = group, .columns = group * c_out, .depth = (int)fv_conv_line_stretch(group, c_in)};
    plan.bands = (w->out_h + BAND - 1) / BAND;
    plan.tasks = (int64_t)w->n * plan.bands;
    plan.count = 9 * c_in * c_out;
    plan.parts_bytes = fv_align_up((size_t)plan.tasks * (size_t)plan.count * sizeof(fv_real));
    plan.line_bytes = fv_conv_line_bytes(w, c_in);
    plan.sums_bytes = fv_align_up((size_t)plan.depth * (size_t)plan.columns * sizeof(fv_real));
    plan.all_bytes = plan.line_bytes + FV_LINE_ROWS * plan.sums_bytes;
    return plan;
}

static size_t work_of(const weight_plan *plan) {
    return plan->parts_bytes + (size_t)fv_threads() * plan->all_bytes;
}

size_t fv_conv_narrow_weight_work(const fv_window *w, int c_in, int c_out) {
    weight_plan single = plan_of(w, c_in, c_out, 1);
    weight_plan grouped = plan_of(w, c_in, c_out, fv_conv_line_group(w, c_out, c_out));
    size_t a = work_of(&single), b = work_of(&grouped);
    return a > b ? a : b;
}

typedef struct weight_task {
    const fv_conv3x3_weight *product;
    const fv_gemm_tiles *tiles;
    weight_plan plan;
    char *workers;
} weight_task;

/* sums{depth, columns} += stretches^T gradients of one row of results. */
static void add_row(const weight_task *task, const fv_conv_line *line, const fv_real *d_out, fv_real *sums) {
    const weight_plan *plan = &task->plan;
    int64_t rows = task->product->window.out_w / plan->group;
    int64_t step = (int64_t)plan->group * FV_LINE_ROWS * line->channels;
    int64_t gradient = (int64_t)plan->group * task->product->d_out_stride;
    for (int64_t i = 0; i < rows; i += SEGMENT) {
        fv_gemm_left left = {line->values + i * step, 1, step, false};
        fv_gemm_right right = {d_out + i * gradient, gradient, task->tiles->panel};
        fv_gemm_result result = {.c = sums, .ld = plan->columns, .add = true};
        task->tiles->multiply(plan->depth, plan->columns, rows - i < SEGMENT ? rows - i : SEGMENT, &left, &right,
                              &result);
    }
}

/* part{3, 3, c_in, c_out} += what the sums of all orders of slots say of each tap: {pixel of the stretch, slot,
   channel} x {pixel of the group, filter}. */
static void add_taps(const weight_task *task, const fv_real *sums, int first, fv_real *part) {
    const weight_plan *plan = &task->plan;
    int c_in = task->product->c_in, c_out = task->product->c_out;
    for (int tap = 0; tap < 9; tap++)
        for (int i = 0; i < plan->group; i++) {
            int pixel = i + tap % 3, slot = (first + tap / 3) % FV_LINE_ROWS;
            for (int c = 0; c < c_in; c++) {
                const fv_real *from = sums + ((pixel * FV_LINE_ROWS + slot) * c_in + c) * plan->columns + i * c_out;
                fv_real *to = part + (tap * c_in + c) * c_out;
                for (int f = 0; f < c_out; f++) to[f] += from[f];
            }
        }
}

static void run_band(void *context, int64_t index, int worker) {
    const weight_task *task = context;
    const fv_conv3x3_weight *p = task->product;
    const fv_window *w = &p->window;
    const weight_plan *plan = &task->plan;
    int image = (int)(index / plan->bands), begin = (int)(index % plan->bands) * BAND;
    int end = begin + BAND < w->out_h ? begin + BAND : w->out_h;
    char *at = task->workers + (size_t)worker * plan->all_bytes;
    fv_conv_line line = {.window = w, .channels = p->c_in, .stride = p->in_stride, .map = p->in_map};
    line.image = p->in + (int64_t)image * w->in_h * w->in_w * p->in_stride;
    line.values = (fv_real *)(void *)at;
    fv_real *sums = (fv_real *)(void *)(at + plan->line_bytes);
    size_t order = plan->sums_bytes / sizeof *sums;
    memset(sums, 0, FV_LINE_ROWS * plan->sums_bytes);
    for (int y = begin; y < end; y++) {
        fv_conv_line_move(&line, y, y > begin);
        const fv_real *d_out = p->d_out + ((int64_t)image * w->out_h + y) * w->out_w * p->d_out_stride;
        add_row(task, &line, d_out, sums + (size_t)fv_conv_line_first(w, y) * order);
    }
    fv_real *part = (fv_real *)p->work + index * plan->count;
    memset(part, 0, (size_t)plan->count * sizeof *part);
    for (int first = 0; first < FV_LINE_ROWS; first++) add_taps(task, sums + (size_t)first * order, first, part);
}

void fv_conv_narrow_weight_run(const fv_conv3x3_weight *p) {
    weight_task task = {.product = p, .tiles = fv_conv_line_tiles()};
    task.plan = plan_of(&p->window, p->c_in, p->c_out, fv_conv_line_group(&p->window, p->c_out, p->d_out_stride));
    task.workers = (char *)p->work + task.plan.parts_bytes;
    fv_parallel_for(task.plan.tasks, run_band, &task);
    fv_parts_sum(&(fv_parts){.parts = p->work,
                             .count = (int)task.plan.tasks,
                             .rows = 9 * p->c_in,
                             .columns = p->c_out,
                             .add = p->add,
                             .out = p->dw,
                             .ld = p->c_out});
}
