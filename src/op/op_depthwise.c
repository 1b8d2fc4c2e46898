#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/depthwise.h"
#include "fovea/kernel/gemm.h"
#include "fovea/kernel/moments.h"
#include "op_window.h"

enum { INPUT, WEIGHT };

#define BAND_ELEMENTS 65536 /* of the result, about, for one task of forward and data gradient */
#define BAND_STEP 8         /* rows: forward and data gradient take so many at once */
#define CHUNK_STEP 4        /* rows: the weight gradient does */
#define TASKS 32            /* wished for where a picture is small, and for the weight gradient */
#define CHUNK_PIXELS 64     /* at least, for one task of the weight gradient */

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 2, 2));
    FV_TRY(fv_op_check_kernel(spec, layer, "depthwise"));
    fv_shape in = spec->in[INPUT], weight = spec->in[WEIGHT];
    char in_text[FV_SHAPE_TEXT], weight_text[FV_SHAPE_TEXT];
    if (weight.w != 1 || weight.c != in.c) {
        return fv_fail(
            FV_BAD_INPUT,
            "layer %s: the weight of depthwise has the shape %s, expected %dx%dx1x%d (kernel, 1, channels) for the "
            "input %s",
            layer, fv_shape_text(weight, weight_text), weight.n, weight.h, in.c, fv_shape_text(in, in_text));
    }
    FV_TRY(fv_op_slide(spec, layer, "depthwise"));
    spec->out.n = in.n;
    spec->out.c = in.c;
    return FV_OK;
}

/* Forward and data gradient: bands of rows of every image --------------------------------------------- */

typedef struct bands {
    int images, rows, band_rows, per_image;
} bands;

static bands bands_of(fv_shape result) {
    int64_t row = (int64_t)result.w * result.c;
    bands b = {.images = result.n, .rows = result.h, .band_rows = (int)((BAND_ELEMENTS + row - 1) / row)};
    int enough = (int)((int64_t)result.n * result.h / TASKS);
    /* Half a step rather than a single task. */
    int step = (int64_t)result.n * result.h > BAND_STEP ? BAND_STEP : BAND_STEP / 2;
    if (b.band_rows > enough) b.band_rows = enough;
    b.band_rows = b.band_rows < step ? step : b.band_rows / step * step;
    if (b.band_rows > result.h) b.band_rows = result.h;
    b.per_image = (result.h + b.band_rows - 1) / b.band_rows;
    return b;
}

typedef struct band_task {
    const fv_op_call *call;
    const fv_depthwise *kernel;
    fv_window window;
    int channels;
    int64_t in_stride, d_in_stride; /* elements, as what follows */
    int64_t in_pixels, out_image;
    bands bands;
} band_task;

static band_task band_task_of(const fv_op_call *call, fv_shape result) {
    const fv_op_spec *spec = call->spec;
    band_task task = {.call = call,
                      .window = fv_op_window(spec),
                      .channels = spec->out.c,
                      .in_stride = fv_pixel_stride(call->in_stride[INPUT], spec->in[INPUT].c),
                      .d_in_stride = fv_pixel_stride(call->d_in_stride[INPUT], spec->in[INPUT].c),
                      .in_pixels = (int64_t)spec->in[INPUT].h * spec->in[INPUT].w,
                      .out_image = (int64_t)spec->out.h * spec->out.w * spec->out.c,
                      .bands = bands_of(result)};
    task.kernel = fv_depthwise_choose(&task.window, task.channels);
    return task;
}

static void band_rows(const band_task *task, int64_t index, int *row, int *row_end) {
    const bands *b = &task->bands;
    *row = (int)(index % b->per_image) * b->band_rows;
    *row_end = *row + b->band_rows < b->rows ? *row + b->band_rows : b->rows;
}

/* The plan's epilogue as the kernel takes it, for one image. */
static fv_channel_epilogue image_epilogue(const band_task *task, int64_t image) {
    const fv_epilogue *e = task->call->epilogue;
    int64_t stride = fv_pixel_stride(e->residual_stride, task->channels);
    const fv_real *residual = e->residual;
    if (residual) residual += image * task->window.out_h * task->window.out_w * stride;
    return (fv_channel_epilogue){e->scale, e->offset, residual, stride, e->low, e->high};
}

/* Moments of a band, which is still in the cache. */
static void measure_band(const band_task *task, int64_t index, const fv_real *out, int rows) {
    double *data = (double *)task->call->work + (size_t)index * fv_moments_slot_count(task->channels);
    fv_moments_slot slot = {data, task->channels, 0, task->channels};
    fv_moments_measure(&slot, (int64_t)rows * task->window.out_w, out, task->channels);
}

static void forward_band(void *context, int64_t index, int worker) {
    (void)worker;
    const band_task *task = context;
    const fv_op_call *call = task->call;
    int64_t image = index / task->bands.per_image;
    int row, row_end;
    band_rows(task, index, &row, &row_end);
    fv_channel_epilogue epilogue;
    if (call->epilogue) epilogue = image_epilogue(task, image);
    fv_real *out = call->out + image * task->out_image;
    task->kernel->forward(&task->window, task->channels, call->in[INPUT] + image * task->in_pixels * task->in_stride,
                          task->in_stride, call->in[WEIGHT], row, row_end, call->epilogue ? &epilogue : NULL, out);
    if (call->moments)
        measure_band(task, index, out + (int64_t)row * task->window.out_w * task->channels, row_end - row);
}

static void forward(const fv_op_call *call) {
    band_task task = band_task_of(call, call->spec->out);
    int64_t count = (int64_t)task.bands.images * task.bands.per_image;
    fv_parallel_for(count, forward_band, &task);
    if (call->moments) fv_moments_merge(call->work, count, task.channels, call->moments);
}

static void data_band(void *context, int64_t index, int worker) {
    (void)worker;
    const band_task *task = context;
    int64_t image = index / task->bands.per_image;
    int row, row_end;
    band_rows(task, index, &row, &row_end);
    task->kernel->data(&task->window, task->channels, task->call->d_out + image * task->out_image,
                       task->call->in[WEIGHT], row, row_end, task->call->add[INPUT],
                       task->call->d_in[INPUT] + image * task->in_pixels * task->d_in_stride, task->d_in_stride);
}

static void backward_input(const fv_op_call *call) {
    band_task task = band_task_of(call, call->spec->in[INPUT]);
    fv_parallel_for((int64_t)task.bands.images * task.bands.per_image, data_band, &task);
}

/* Weight gradient: chunks of output rows, counted through all images ---------------------------------- */

typedef struct chunk_plan {
    int64_t rows, chunk_rows;
    int chunks;
    int64_t weights;
} chunk_plan;

static chunk_plan plan_chunks(const fv_op_spec *spec) {
    chunk_plan plan = {.rows = (int64_t)spec->out.n * spec->out.h,
                       .weights = (int64_t)fv_shape_count(spec->in[WEIGHT])};
    int64_t least = (CHUNK_PIXELS + spec->out.w - 1) / spec->out.w;
    plan.chunk_rows = ((plan.rows + TASKS - 1) / TASKS + CHUNK_STEP - 1) / CHUNK_STEP * CHUNK_STEP;
    if (plan.chunk_rows < least) plan.chunk_rows = least;
    plan.chunks = (int)((plan.rows + plan.chunk_rows - 1) / plan.chunk_rows);
    return plan;
}

typedef struct chunk_task {
    band_task images;
    chunk_plan plan;
} chunk_task;

static void weight_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const chunk_task *task = context;
    const band_task *t = &task->images;
    fv_real *sums = (fv_real *)t->call->work + chunk * task->plan.weights;
    memset(sums, 0, (size_t)task->plan.weights * sizeof *sums);
    int64_t begin = chunk * task->plan.chunk_rows, end = begin + task->plan.chunk_rows;
    if (end > task->plan.rows) end = task->plan.rows;
    while (begin < end) {
        int64_t image = begin / t->window.out_h;
        int row = (int)(begin % t->window.out_h);
        int row_end = end - begin < t->window.out_h - row ? row + (int)(end - begin) : t->window.out_h;
        t->kernel->weight(&t->window, t->channels, t->call->in[INPUT] + image * t->in_pixels * t->in_stride,
                          t->in_stride, t->call->d_out + image * t->out_image, row, row_end, sums);
        begin += row_end - row;
    }
}

static void backward_weight(const fv_op_call *call) {
    chunk_task task = {band_task_of(call, call->spec->out), plan_chunks(call->spec)};
    fv_parallel_for(task.plan.chunks, weight_chunk, &task);
    int taps = call->spec->attributes.kernel_h * call->spec->attributes.kernel_w, channels = call->spec->out.c;
    fv_parts parts = {call->work, task.plan.chunks, taps, channels, call->add[WEIGHT], call->d_in[WEIGHT], channels};
    fv_parts_sum(&parts);
}

static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    if (!backward) {
        bands b = bands_of(spec->out);
        return fv_align_up((size_t)b.images * (size_t)b.per_image * fv_moments_slot_count(spec->out.c) *
                           sizeof(double));
    }
    chunk_plan plan = plan_chunks(spec);
    return fv_align_up((size_t)plan.chunks * (size_t)plan.weights * sizeof(fv_real));
}

static void backward(const fv_op_call *call) {
    if (call->d_in[WEIGHT]) backward_weight(call); /* first: d_in may lie over in */
    if (call->d_in[INPUT]) backward_input(call);
}

static double macs(const fv_op_spec *spec) {
    return (double)fv_shape_count(spec->out) * spec->attributes.kernel_h * spec->attributes.kernel_w;
}

const fv_op fv_op_depthwise = {.name = "depthwise",
                               .backward_reads = FV_READS_IN(INPUT) | FV_READS_IN(WEIGHT),
                               .overwrites_input = true,
                               .strided = FV_READS_IN(INPUT),
                               .epilogue = true,
                               .moments = true,
                               .infer = infer,
                               .work_bytes = work_bytes,
                               .forward = forward,
                               .backward = backward,
                               .macs = macs};
