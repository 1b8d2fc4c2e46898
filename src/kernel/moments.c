#include "fovea/kernel/moments.h"

#include <string.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/norm.h"

#define STRIP 256 /* columns at a time: their sums stay in first-level cache */

/* Adds `rows` samples to a mean and squares of `count`. */
static void merge(double count, double *mean, double *squares, double rows, double other_mean, double other_squares) {
    double delta = other_mean - *mean, share = rows / (count + rows);
    *mean += delta * share;
    *squares += other_squares + delta * delta * count * share;
}

/* Mean and squares of sums over `rows` values around a shift. */
static void moments_of_sums(double rows, double shift, double sum, double sum_of_squares, double *mean,
                            double *squares) {
    double offset = sum / rows, rest = sum_of_squares - sum * offset;
    *mean = shift + offset;
    *squares = rest > 0 ? rest : 0;
}

void fv_moments_fill(const fv_moments_slot *slot, int64_t rows, const fv_result_sums *sums) {
    double *mean = slot->data + 1 + slot->column, *squares = mean + slot->channels;
    if (slot->column == 0) slot->data[0] = (double)rows;
    for (int c = 0; c < slot->columns; c++)
        moments_of_sums((double)rows, (double)sums->shift[c], (double)sums->sum[c], (double)sums->squares[c], &mean[c],
                        &squares[c]);
}

/* One strip of columns, block by block of rows whose sums stay in fv_real. */
static void measure_strip(const fv_norm_kernels *kernels, const fv_real *y, int64_t stride, int64_t rows,
                          size_t columns, double *mean, double *squares) {
    fv_real shift[STRIP], sum[STRIP], sum_of_squares[STRIP];
    for (int64_t r = 0; r < rows; r += FV_BLOCK_ROWS) {
        size_t count = (size_t)(rows - r < FV_BLOCK_ROWS ? rows - r : FV_BLOCK_ROWS);
        fv_norm_block block = {.rows = count, .width = columns, .x = y + r * stride, .x_stride = (size_t)stride};
        kernels->block_moments(&block, shift, sum, sum_of_squares);
        kernels->merge_moments(columns, (double)r, mean, squares, (double)count, shift, sum, sum_of_squares);
    }
}

void fv_moments_measure(const fv_moments_slot *slot, int64_t rows, const fv_real *y, int64_t stride) {
    double *mean = slot->data + 1 + slot->column, *squares = mean + slot->channels;
    if (slot->column == 0) slot->data[0] = (double)rows;
    memset(mean, 0, (size_t)slot->columns * sizeof *mean);
    memset(squares, 0, (size_t)slot->columns * sizeof *squares);
    for (int c = 0; c < slot->columns; c += STRIP) {
        int strip = slot->columns - c < STRIP ? slot->columns - c : STRIP;
        measure_strip(fv_norm_choose(), y + c, stride, rows, (size_t)strip, mean + c, squares + c);
    }
}

void fv_moments_merge(const double *slots, int64_t count, int channels, double *moments) {
    double *mean = moments, *squares = moments + channels, rows = 0;
    memset(moments, 0, 2 * (size_t)channels * sizeof *moments);
    for (int64_t i = 0; i < count; i++, slots += fv_moments_slot_count(channels)) {
        for (int c = 0; c < channels; c++)
            merge(rows, &mean[c], &squares[c], slots[0], slots[1 + c], slots[1 + channels + c]);
        rows += slots[0];
    }
}

#define TASK_ELEMENTS 65536

typedef struct moments_task {
    const fv_real *y;
    int64_t stride, rows, task_rows;
    int channels;
    double *slots;
} moments_task;

static int64_t task_rows(int64_t rows, int channels) {
    int64_t wanted = TASK_ELEMENTS / channels + 1;
    return wanted < rows ? wanted : rows;
}

static int64_t task_count(int64_t rows, int channels) {
    return (rows + task_rows(rows, channels) - 1) / task_rows(rows, channels);
}

size_t fv_moments_work(int64_t rows, int channels) {
    return (size_t)task_count(rows, channels) * fv_moments_slot_count(channels) * sizeof(double);
}

static void measure_rows(void *context, int64_t index, int worker) {
    (void)worker;
    const moments_task *task = context;
    int64_t begin = index * task->task_rows, left = task->rows - begin;
    fv_moments_slot slot = {task->slots + index * (int64_t)fv_moments_slot_count(task->channels), task->channels, 0,
                            task->channels};
    fv_moments_measure(&slot, left < task->task_rows ? left : task->task_rows, task->y + begin * task->stride,
                       task->stride);
}

void fv_moments_run(const fv_real *y, int64_t stride, int64_t rows, int channels, double *moments, void *work) {
    moments_task task = {y, stride, rows, task_rows(rows, channels), channels, work};
    fv_parallel_for(task_count(rows, channels), measure_rows, &task);
    fv_moments_merge(task.slots, task_count(rows, channels), channels, moments);
}
