#include "fovea/kernel/conv_single.h"

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/depthwise.h"

#ifdef __clang__ /* "omp simd" is a permission: without optimisation nothing comes of it */
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

#define BAND_ELEMENTS 65536 /* of the depthwise convolution's result, about: they stay in second-level cache */
#define BAND_ROWS 8         /* at least, and a multiple of: the step of the depthwise kernels */
#define FEW_CHANNELS 8

bool fv_conv_single_pays(const fv_window *w, int channels, int filters) {
    return filters == 1 && channels > FEW_CHANNELS && w->kernel_h == 3 && w->kernel_w == 3 && w->dilation == 1 &&
           w->stride <= 2;
}

static int band_rows(const fv_window *w, int channels) {
    int64_t rows = BAND_ELEMENTS / ((int64_t)w->out_w * channels) / BAND_ROWS * BAND_ROWS;
    rows = rows < BAND_ROWS ? BAND_ROWS : rows;
    return (int)(rows < w->out_h ? rows : w->out_h);
}

static size_t band_bytes(const fv_window *w, int channels) {
    return fv_align_up((size_t)band_rows(w, channels) * (size_t)w->out_w * (size_t)channels * sizeof(fv_real));
}

size_t fv_conv_single_work(const fv_window *w, int channels) {
    return (size_t)fv_threads() * band_bytes(w, channels);
}

static fv_real channel_sum(const fv_real *pixel, int channels) {
    fv_real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int c = 0; c < channels; c++) sum += pixel[c];
    return sum;
}

static fv_real finished(const fv_gemm_result *r, int64_t pixel, fv_real value) {
    if (!r->finish) return value;
    if (r->scale) value *= r->scale[0];
    if (r->offset) value += r->offset[0];
    if (r->residual) value += r->residual[pixel * r->residual_ld];
    value = value < r->low ? r->low : value;
    return value > r->high ? r->high : value;
}

typedef struct single_task {
    const fv_conv_single *product;
    const fv_depthwise *depthwise;
    int band_rows, bands; /* of an image */
} single_task;

static void run_band(void *context, int64_t index, int worker) {
    const single_task *task = context;
    const fv_conv_single *p = task->product;
    const fv_window *w = &p->window;
    int64_t image = index / task->bands, pixels = (int64_t)w->out_w;
    int row = (int)(index % task->bands) * task->band_rows;
    int row_end = row + task->band_rows < w->out_h ? row + task->band_rows : w->out_h;
    fv_real *band = (fv_real *)(void *)((char *)p->work + (size_t)worker * band_bytes(w, p->channels));
    /* The kernel counts from the first row of the image, of which the band holds only its own. */
    task->depthwise->forward(w, p->channels, p->in + image * w->in_h * w->in_w * p->in_stride, p->in_stride, p->weight,
                             row, row_end, NULL, band - row * pixels * p->channels);
    int64_t first = (image * w->out_h + row) * pixels, count = (row_end - row) * pixels;
    for (int64_t i = 0; i < count; i++)
        p->result.c[(first + i) * p->result.ld] =
            finished(&p->result, first + i, channel_sum(band + i * p->channels, p->channels));
}

void fv_conv_single_run(const fv_conv_single *p) {
    single_task task = {.product = p,
                        .depthwise = fv_depthwise_choose(&p->window, p->channels),
                        .band_rows = band_rows(&p->window, p->channels)};
    task.bands = (p->window.out_h + task.band_rows - 1) / task.band_rows;
    fv_parallel_for((int64_t)p->window.n * task.bands, run_band, &task);
}
