#include "fovea/kernel/moments.h"

#include <string.h>

#include "fovea/base/threads.h"

#define STRIP 64 /* columns at a time */
#define ROWS 64  /* whose sums stay in fv_real: around a shift, that is right to about 1e-6 of the deviation */
#define SHIFT_ROWS 8

/* Sums of one strip of up to ROWS rows, around the mean of the first of them. */
typedef struct strip_sums {
    fv_real shift[STRIP], sum[STRIP], squares[STRIP];
} strip_sums;

static void sum_strip(const fv_real *restrict y, int64_t stride, int rows, int columns, strip_sums *restrict s) {
    int first = rows < SHIFT_ROWS ? rows : SHIFT_ROWS;
    memset(s, 0, sizeof *s);
    for (int r = 0; r < first; r++)
        for (int c = 0; c < columns; c++) s->shift[c] += y[r * stride + c] / (fv_real)first;
    for (int r = 0; r < rows; r++) {
        const fv_real *row = y + r * stride;
        for (int c = 0; c < columns; c++) {
            fv_real distance = row[c] - s->shift[c];
            s->sum[c] += distance;
            s->squares[c] += distance * distance;
        }
    }
}

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

static void measure(const fv_real *y, int64_t stride, int64_t rows, int channels, double *slot) {
    double *mean = slot + 1, *squares = mean + channels;
    slot[0] = (double)rows;
    memset(mean, 0, 2 * (size_t)channels * sizeof *mean);
    strip_sums sums;
    for (int64_t r = 0; r < rows; r += ROWS) {
        int block = (int)(rows - r < ROWS ? rows - r : ROWS);
        for (int c = 0; c < channels; c += STRIP) {
            int strip = channels - c < STRIP ? channels - c : STRIP;
            sum_strip(y + r * stride + c, stride, block, strip, &sums);
            for (int i = 0; i < strip; i++) {
                double own_mean, own_squares;
                moments_of_sums(block, (double)sums.shift[i], (double)sums.sum[i], (double)sums.squares[i], &own_mean,
                                &own_squares);
                merge((double)r, &mean[c + i], &squares[c + i], block, own_mean, own_squares);
            }
        }
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
    measure(task->y + begin * task->stride, task->stride, left < task->task_rows ? left : task->task_rows,
            task->channels, task->slots + index * (int64_t)fv_moments_slot_count(task->channels));
}

void fv_moments_run(const fv_real *y, int64_t stride, int64_t rows, int channels, double *moments, void *work) {
    moments_task task = {y, stride, rows, task_rows(rows, channels), channels, work};
    fv_parallel_for(task_count(rows, channels), measure_rows, &task);
    fv_moments_merge(task.slots, task_count(rows, channels), channels, moments);
}
