#include "fovea/kernel/separable.h"

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/depthwise.h"

#define LARGE_BETWEEN 262144 /* elements, 1 MiB: half of a level-2 cache */
#define SMALL_WEIGHT 65536   /* elements, 256 KiB */
#define BAND_ELEMENTS 131072 /* of what lies between, about */
#define BAND_ROWS 8          /* at least, and a multiple of: the step of the depthwise kernels */

static int band_rows(const fv_window *w, int channels) {
    int64_t rows = BAND_ELEMENTS / ((int64_t)w->out_w * channels) / BAND_ROWS * BAND_ROWS;
    rows = rows < BAND_ROWS ? BAND_ROWS : rows;
    return (int)(rows < w->out_h ? rows : w->out_h);
}

static size_t band_bytes(const fv_window *w, int channels) {
    return fv_align_up((size_t)band_rows(w, channels) * (size_t)w->out_w * (size_t)channels * sizeof(fv_real));
}

bool fv_separable_pays(const fv_window *w, int channels, int filters) {
    return fv_window_out_pixels(w) * channels >= LARGE_BETWEEN && (int64_t)channels * filters <= SMALL_WEIGHT;
}

size_t fv_separable_work(const fv_window *w, int channels) {
    return (size_t)fv_threads() * band_bytes(w, channels);
}

typedef struct separable_task {
    const fv_separable *product;
    const fv_depthwise *depthwise;
    const fv_gemm_tiles *tiles;
    int band_rows, bands; /* of an image */
} separable_task;

static void run_band(void *context, int64_t index, int worker) {
    const separable_task *task = context;
    const fv_separable *p = task->product;
    const fv_window *w = &p->window;
    int64_t image = index / task->bands, row_pixels = (int64_t)w->out_w;
    int row = (int)(index % task->bands) * task->band_rows;
    int row_end = row + task->band_rows < w->out_h ? row + task->band_rows : w->out_h;
    fv_real *band = (fv_real *)(void *)((char *)p->work + (size_t)worker * band_bytes(w, p->channels));
    /* The kernel counts from the first row of the image, of which the band holds only its own. */
    task->depthwise->forward(w, p->channels, p->in + image * w->in_h * w->in_w * p->in_stride, p->in_stride, p->taps,
                             row, row_end, p->finish, band - row * row_pixels * p->channels);
    fv_gemm_left a = {band, p->channels, 1, false};
    fv_gemm_right b = {p->weight, p->filters, task->tiles->panel};
    fv_gemm_result result = fv_gemm_result_at(&p->result, (image * w->out_h + row) * row_pixels, 0);
    task->tiles->multiply((row_end - row) * row_pixels, p->filters, p->channels, &a, &b, &result);
}

void fv_separable_run(const fv_separable *p) {
    separable_task task = {.product = p,
                           .depthwise = fv_depthwise_choose(&p->window, p->channels),
                           .tiles = fv_gemm_tiles_choose(),
                           .band_rows = band_rows(&p->window, p->channels)};
    task.bands = (p->window.out_h + task.band_rows - 1) / task.band_rows;
    fv_parallel_for((int64_t)p->window.n * task.bands, run_band, &task);
}
