#include "fovea/kernel/conv_narrow.h"

#include <string.h>

#include "conv_line.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/moments.h"

#define BAND 16         /* rows of results of a task */
#define MOST_COLUMNS 64 /* of the product */

/* Measured: with 16 channels or filters Winograd's way is as quick or quicker, but where the other side has next to
   nothing to transform. */
bool fv_conv_narrow_accepts(const fv_window *w, int c_in, int c_out) {
    bool few = (c_in <= 8 && c_out <= 8) || (c_in <= 4 && c_out <= MOST_COLUMNS);
    return fv_window_is_3x3(w) && few && w->out_h >= 3 && w->out_w >= 8;
}

/* Sizes of a product, and its memory. */
typedef struct narrow_plan {
    int group, columns; /* results and columns of a row of the product */
    int64_t depth;      /* of the product */
    int bands;          /* of a picture */
    int64_t tasks;
    size_t packed_bytes, ending_bytes, slots_bytes; /* shared: weights for each first slot, scale and offset, moments */
    size_t line_bytes, sums_bytes, rows_bytes;      /* a worker's: the line, sums and moments of rows */
} narrow_plan;

static narrow_plan plan_of(const fv_window *w, int c_in, int c_out, int group) {
    narrow_plan plan = {.group = group, .columns = group * c_out, .depth = fv_conv_line_stretch(group, c_in)};
    plan.bands = (w->out_h + BAND - 1) / BAND;
    plan.tasks = (int64_t)w->n * plan.bands;
    size_t slot = fv_moments_slot_count(plan.columns) * sizeof(double);
    plan.packed_bytes = fv_align_up(fv_gemm_packed_count(plan.columns, plan.depth) * sizeof(fv_real));
    plan.ending_bytes = fv_align_up((size_t)plan.columns * sizeof(fv_real));
    plan.slots_bytes = fv_align_up(((size_t)plan.tasks + 3) * slot);
    plan.line_bytes = fv_conv_line_bytes(w, c_in);
    plan.sums_bytes = fv_align_up((size_t)plan.columns * sizeof(fv_real));
    plan.rows_bytes = fv_align_up(BAND * slot);
    return plan;
}

static size_t worker_bytes(const narrow_plan *plan) {
    return plan->line_bytes + 3 * plan->sums_bytes + plan->rows_bytes;
}

static size_t work_of(const narrow_plan *plan) {
    return FV_LINE_ROWS * plan->packed_bytes + 2 * plan->ending_bytes + plan->slots_bytes +
           (size_t)fv_threads() * worker_bytes(plan);
}

/* What a pixel's neighbours are to each other is known at the call only. */
size_t fv_conv_narrow_work(const fv_window *w, int c_in, int c_out) {
    narrow_plan single = plan_of(w, c_in, c_out, 1);
    narrow_plan grouped = plan_of(w, c_in, c_out, fv_conv_line_group(w, c_out, c_out));
    size_t a = work_of(&single), b = work_of(&grouped);
    return a > b ? a : b;
}

typedef struct narrow_task {
    const fv_conv3x3_product *product;
    const fv_gemm_tiles *tiles;
    narrow_plan plan;
    fv_gemm_result result; /* its rows are those of the product */
    fv_real *packed;
    double *slots;
    char *workers;
} narrow_task;

/* The weight of tap (u, v) from channel c to filter f. */
static fv_real weight_at(const fv_conv3x3_product *p, int u, int v, int c, int f) {
    if (!p->backward) return p->weight[((u * 3 + v) * (int64_t)p->c_in + c) * p->c_out + f];
    return p->weight[((8 - u * 3 - v) * (int64_t)p->c_out + f) * p->c_in + c];
}

/* Weights {pixel of the stretch, slot, channel} x {pixel of the group, filter} as panels, where the uppermost row
   stands in slot `first`. */
static void pack(const narrow_task *task, int first, fv_real *packed) {
    const fv_conv3x3_product *p = task->product;
    const narrow_plan *plan = &task->plan;
    int panel = task->tiles->panel;
    memset(packed, 0, plan->packed_bytes);
    for (int q = 0; q < plan->group + 2; q++)
        for (int slot = 0; slot < FV_LINE_ROWS; slot++)
            for (int c = 0; c < p->c_in; c++)
                for (int column = 0; column < plan->columns; column++) {
                    int v = q - column / p->c_out, u = (slot - first + FV_LINE_ROWS) % FV_LINE_ROWS;
                    if (v < 0 || v > 2) continue;
                    int64_t row = ((int64_t)q * FV_LINE_ROWS + slot) * p->c_in + c;
                    packed[column / panel * plan->depth * panel + row * panel + column % panel] =
                        weight_at(p, u, v, c, column % p->c_out);
                }
}

/* The row of the product's moments: of the sums that it has left. */
static void multiply_row(const narrow_task *task, const fv_conv_line *line, int image, int y, fv_result_sums *sums,
                         double *slot) {
    const fv_window *w = &task->product->window;
    const narrow_plan *plan = &task->plan;
    int first = fv_conv_line_first(w, y);
    int64_t rows = w->out_w / plan->group, row = ((int64_t)image * w->out_h + y) * rows;
    const fv_real *packed = task->packed + (size_t)first * plan->packed_bytes / sizeof(fv_real);
    fv_gemm_left left = {line->values, (int64_t)plan->group * FV_LINE_ROWS * line->channels, 1, false};
    fv_gemm_right right = {packed, task->tiles->panel, plan->depth * task->tiles->panel};
    fv_gemm_result result = fv_gemm_result_at(&task->result, row, 0);
    result.sums = slot ? sums : NULL;
    task->tiles->multiply(rows, plan->columns, plan->depth, &left, &right, &result);
    if (slot) fv_moments_fill(&(fv_moments_slot){slot, plan->columns, 0, plan->columns}, rows, sums);
}

static void *take(char **at, size_t bytes) {
    void *memory = *at;
    *at += bytes;
    return memory;
}

/* `count` slots as one. */
static void merge_into(const double *slots, int64_t count, int channels, double *slot) {
    slot[0] = 0;
    for (int64_t i = 0; i < count; i++) slot[0] += slots[i * (int64_t)fv_moments_slot_count(channels)];
    fv_moments_merge(slots, count, channels, slot + 1);
}

static void run_band(void *context, int64_t index, int worker) {
    const narrow_task *task = context;
    const fv_conv3x3_product *p = task->product;
    const fv_window *w = &p->window;
    const narrow_plan *plan = &task->plan;
    int image = (int)(index / plan->bands), begin = (int)(index % plan->bands) * BAND;
    int end = begin + BAND < w->out_h ? begin + BAND : w->out_h;
    char *at = task->workers + (size_t)worker * worker_bytes(plan);
    fv_conv_line line = {.window = w, .channels = p->c_in, .stride = p->in_stride, .map = p->in_map};
    line.image = p->in + (int64_t)image * w->in_h * w->in_w * p->in_stride;
    line.values = take(&at, plan->line_bytes);
    fv_result_sums sums = {take(&at, plan->sums_bytes), take(&at, plan->sums_bytes), take(&at, plan->sums_bytes)};
    double *rows = take(&at, plan->rows_bytes);
    int64_t slot = (int64_t)fv_moments_slot_count(plan->columns);
    for (int y = begin; y < end; y++) {
        fv_conv_line_move(&line, y, y > begin);
        multiply_row(task, &line, image, y, &sums, p->moments ? rows + (y - begin) * slot : NULL);
    }
    if (p->moments) merge_into(rows, end - begin, plan->columns, task->slots + index * slot);
}

/* The moments of columns are those of every pixel of a group apart. */
static void finish_moments(const narrow_task *task) {
    int columns = task->plan.columns, filters = task->product->c_out;
    double *all = task->slots + task->plan.tasks * (int64_t)fv_moments_slot_count(columns);
    double *parts = all + fv_moments_slot_count(columns);
    merge_into(task->slots, task->plan.tasks, columns, all);
    for (int i = 0; i < task->plan.group; i++) {
        double *part = parts + i * (int64_t)fv_moments_slot_count(filters);
        part[0] = all[0];
        memcpy(part + 1, all + 1 + i * filters, (size_t)filters * sizeof *part);
        memcpy(part + 1 + filters, all + 1 + columns + i * filters, (size_t)filters * sizeof *part);
    }
    fv_moments_merge(parts, task->plan.group, filters, task->product->moments);
}

/* Coefficients of filters once for each pixel of a group. */
static const fv_real *repeated(const fv_real *values, const narrow_plan *plan, fv_real *copy) {
    if (!values) return NULL;
    size_t filters = (size_t)(plan->columns / plan->group);
    for (int i = 0; i < plan->group; i++) memcpy(copy + (size_t)i * filters, values, filters * sizeof *copy);
    return copy;
}

static fv_gemm_result grouped_result(const narrow_task *task, fv_real *scale, fv_real *offset) {
    const fv_conv3x3_product *p = task->product;
    const narrow_plan *plan = &task->plan;
    fv_gemm_result result = p->result;
    result.ld *= plan->group;
    result.residual_ld *= plan->group;
    result.scale = repeated(result.scale, plan, scale);
    result.offset = repeated(result.offset, plan, offset);
    result.stream = fv_gemm_streams(&result, fv_window_out_pixels(&p->window) / plan->group, plan->columns);
    return result;
}

void fv_conv_narrow_run(const fv_conv3x3_product *p) {
    int group = fv_conv_line_group(&p->window, p->c_out, p->result.ld);
    if (p->result.residual && p->result.residual_ld != p->c_out) group = 1;
    narrow_task task = {
        .product = p, .tiles = fv_conv_line_tiles(), .plan = plan_of(&p->window, p->c_in, p->c_out, group)};
    char *at = p->work;
    task.packed = take(&at, FV_LINE_ROWS * task.plan.packed_bytes);
    fv_real *scale = take(&at, task.plan.ending_bytes), *offset = take(&at, task.plan.ending_bytes);
    task.slots = take(&at, task.plan.slots_bytes);
    task.workers = at;
    task.result = grouped_result(&task, scale, offset);
    for (int first = 0; first < FV_LINE_ROWS; first++)
        pack(&task, first, task.packed + (size_t)first * task.plan.packed_bytes / sizeof(fv_real));
    fv_parallel_for(task.plan.tasks, run_band, &task);
    if (p->moments) finish_moments(&task);
}
