#include "fovea/kernel/elementwise.h"

#include "fovea/base/threads.h"

#define CHUNK 32768 /* elements of a task: 128 KiB of each array */
#define TILE 64     /* channels of a task */

extern const fv_elementwise fv_elementwise_scalar, fv_elementwise_avx2, fv_elementwise_avx512;

const fv_elementwise *const fv_elementwise_variants[] = {
#ifdef FV_X86_VARIANTS
    &fv_elementwise_avx512,
    &fv_elementwise_avx2,
#endif
    &fv_elementwise_scalar,
    NULL,
};

const fv_elementwise *fv_elementwise_kernels(void) {
    int i = 0;
    while (fv_elementwise_variants[i]->level > fv_cpu()) i++;
    return fv_elementwise_variants[i];
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

typedef struct stream_job {
    fv_stream_kernel *kernel;
    const fv_stream *stream;
    size_t count;
} stream_job;

static void stream_task(void *context, int64_t i, int worker) {
    (void)worker;
    const stream_job *job = context;
    size_t begin = (size_t)i * CHUNK;
    job->kernel(job->stream, begin, least(begin + CHUNK, job->count));
}

void fv_stream_run(fv_stream_kernel *kernel, const fv_stream *stream, size_t count) {
    stream_job job = {kernel, stream, count};
    fv_parallel_for((int64_t)((count + CHUNK - 1) / CHUNK), stream_task, &job);
}

typedef struct row_job {
    fv_stream_kernel *kernel;
    fv_stream stream;
    size_t rows, channels, chunk_rows;
} row_job;

static void row_task(void *context, int64_t i, int worker) {
    (void)worker;
    const row_job *job = context;
    size_t begin = (size_t)i * job->chunk_rows, end = least(begin + job->chunk_rows, job->rows);
    fv_stream row = job->stream;
    row.a += begin * row.a_stride;
    row.b = row.b ? row.b + begin * row.b_stride : NULL;
    row.y += begin * row.y_stride;
    for (size_t r = begin; r < end; r++) {
        job->kernel(&row, 0, job->channels);
        row.a += row.a_stride;
        row.b = row.b ? row.b + row.b_stride : NULL;
        row.y += row.y_stride;
    }
}

void fv_stream_run_rows(fv_stream_kernel *kernel, const fv_stream *stream, size_t rows, size_t channels) {
    row_job job = {kernel, *stream, rows, channels, CHUNK / channels + 1};
    fv_stream *s = &job.stream;
    if (!s->a_stride) s->a_stride = channels;
    if (!s->b_stride) s->b_stride = channels;
    if (!s->y_stride) s->y_stride = channels;
    if (s->a_stride == channels && (!s->b || s->b_stride == channels) && s->y_stride == channels) {
        fv_stream_run(kernel, stream, rows * channels);
        return;
    }
    fv_parallel_for((int64_t)((rows + job.chunk_rows - 1) / job.chunk_rows), row_task, &job);
}

typedef struct channel_job {
    const fv_elementwise *kernels;
    size_t rows, channels, parts, part_rows; /* a sample is split into `parts` tasks */
    const fv_real *a, *b;
    fv_real *y;
    double share;
    bool add;
} channel_job;

static void scale_task(void *context, int64_t i, int worker) {
    (void)worker;
    const channel_job *job = context;
    size_t sample = (size_t)i / job->parts, begin = (size_t)i % job->parts * job->part_rows;
    size_t offset = (sample * job->rows + begin) * job->channels;
    job->kernels->scale_channels(least(job->part_rows, job->rows - begin), job->channels, job->a + offset,
                                 job->b + sample * job->channels, job->y + offset, job->add);
}

void fv_scale_channels_run(size_t samples, size_t rows, size_t channels, const fv_real *a, const fv_real *factor,
                           fv_real *y, bool add) {
    channel_job job = {.kernels = fv_elementwise_kernels(), .rows = rows, .channels = channels, .a = a, .b = factor};
    job.y = y;
    job.add = add;
    job.part_rows = CHUNK / channels + 1;
    job.parts = (rows + job.part_rows - 1) / job.part_rows;
    fv_parallel_for((int64_t)(samples * job.parts), scale_task, &job);
}

static void dot_task(void *context, int64_t i, int worker) {
    (void)worker;
    const channel_job *job = context;
    size_t sample = (size_t)i / job->parts, first = (size_t)i % job->parts * TILE;
    size_t offset = sample * job->rows * job->channels + first, count = least(TILE, job->channels - first);
    double sums[TILE];
    job->kernels->dot_channels(job->rows, job->channels, count, job->a + offset, job->b ? job->b + offset : NULL, sums);
    fv_real *y = job->y + sample * job->channels + first;
    for (size_t c = 0; c < count; c++) y[c] = (job->add ? y[c] : 0) + (fv_real)(sums[c] * job->share);
}

void fv_dot_channels_run(size_t samples, size_t rows, size_t channels, const fv_real *a, const fv_real *b, double share,
                         fv_real *out, bool add) {
    channel_job job = {.kernels = fv_elementwise_kernels(), .rows = rows, .channels = channels, .a = a, .b = b};
    job.y = out;
    job.share = share;
    job.add = add;
    job.parts = (channels + TILE - 1) / TILE;
    fv_parallel_for((int64_t)(samples * job.parts), dot_task, &job);
}
