/* Output i lies at (i + 0.5) / scale - 0.5 of the input (half-pixel centres), clamped to its edges. Rows are mixed
   first, into a line of scratch, then columns; backwards the same in reverse, each input row collecting from the output
   rows that it reached, so that no two tasks write the same memory. */
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/op/op.h"
#include "op_common.h"

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 1, 1));
    return fv_infer_upsampled(spec, layer);
}

/* y = (1 - share) x[low] + share x[high] */
typedef struct source {
    int low, high;
    fv_real share;
} source;

static source source_of(int i, int scale, int size) {
    fv_real at = ((fv_real)i + (fv_real)0.5) / (fv_real)scale - (fv_real)0.5;
    if (at < 0) at = 0;
    int low = (int)at;
    if (low >= size - 1) return (source){size - 1, size - 1, 0};
    return (source){low, low + 1, at - (fv_real)low};
}

/* How much of input `at` there is in output i. */
static fv_real weight_of(int i, int scale, int size, int at) {
    source s = source_of(i, scale, size);
    return (s.low == at ? 1 - s.share : 0) + (s.high == at && s.high != s.low ? s.share : 0);
}

/* The outputs that can contain input `at`. */
static void reached(int at, int scale, int size, int *begin, int *end) {
    *begin = at == 0 ? 0 : (at - 1) * scale + scale / 2;
    *end = at == size - 1 ? size * scale : (at + 1) * scale + (scale + 1) / 2;
}

/* A line of scratch for each thread: forward as wide as the input, backward as the output. */
static size_t line_bytes(const fv_op_spec *spec, bool backward) {
    size_t width = (size_t)(backward ? spec->out.w : spec->in[0].w);
    return fv_align_up(width * (size_t)spec->in[0].c * sizeof(fv_real));
}

static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    return (size_t)fv_threads() * line_bytes(spec, backward);
}

static void forward_row(void *context, int64_t task, int worker) {
    const fv_op_call *call = context;
    fv_shape in = call->spec->in[0], out = call->spec->out;
    int scale = call->spec->attributes.scale;
    size_t channels = (size_t)in.c, row = (size_t)in.w * channels;
    fv_real *line = (fv_real *)(void *)((char *)call->work + (size_t)worker * line_bytes(call->spec, false));
    source vertical = source_of((int)(task % out.h), scale, in.h);
    const fv_real *x = call->in[0] + (size_t)(task / out.h) * (size_t)in.h * row;
    const fv_real *upper = x + (size_t)vertical.low * row, *lower = x + (size_t)vertical.high * row;
    for (size_t k = 0; k < row; k++) line[k] = upper[k] + vertical.share * (lower[k] - upper[k]);
    fv_real *y = call->out + (size_t)task * (size_t)out.w * channels;
    for (int j = 0; j < out.w; j++, y += channels) {
        source s = source_of(j, scale, in.w);
        const fv_real *left = line + (size_t)s.low * channels, *right = line + (size_t)s.high * channels;
        for (size_t c = 0; c < channels; c++) y[c] = left[c] + s.share * (right[c] - left[c]);
    }
}

static void forward(const fv_op_call *call) {
    fv_op_call copy = *call;
    fv_parallel_for((int64_t)call->spec->out.n * call->spec->out.h, forward_row, &copy);
}

static void backward_row(void *context, int64_t task, int worker) {
    const fv_op_call *call = context;
    fv_shape in = call->spec->in[0], out = call->spec->out;
    int scale = call->spec->attributes.scale, begin, end, y = (int)(task % in.h);
    size_t channels = (size_t)in.c, out_row = (size_t)out.w * channels;
    fv_real *line = (fv_real *)(void *)((char *)call->work + (size_t)worker * line_bytes(call->spec, true));
    memset(line, 0, out_row * sizeof *line);
    reached(y, scale, in.h, &begin, &end);
    for (int i = begin; i < end; i++) {
        const fv_real *d_out = call->d_out + ((size_t)(task / in.h) * (size_t)out.h + (size_t)i) * out_row;
        fv_real weight = weight_of(i, scale, in.h, y);
        for (size_t k = 0; k < out_row; k++) line[k] += weight * d_out[k];
    }
    fv_real *d_x = call->d_in[0] + (size_t)task * (size_t)in.w * channels;
    if (!call->add[0]) memset(d_x, 0, (size_t)in.w * channels * sizeof *d_x);
    for (int j = 0; j < out.w; j++) {
        source s = source_of(j, scale, in.w);
        const fv_real *d = line + (size_t)j * channels;
        fv_real *left = d_x + (size_t)s.low * channels, *right = d_x + (size_t)s.high * channels;
        for (size_t c = 0; c < channels; c++) left[c] += (1 - s.share) * d[c];
        for (size_t c = 0; c < channels; c++) right[c] += s.share * d[c];
    }
}

static void backward(const fv_op_call *call) {
    if (!call->d_in[0]) return;
    fv_op_call copy = *call;
    fv_parallel_for((int64_t)call->spec->in[0].n * call->spec->in[0].h, backward_row, &copy);
}

const fv_op fv_op_upsample_bilinear = {
    .name = "upsample_bilinear",
    .infer = infer,
    .work_bytes = work_bytes,
    .forward = forward,
    .backward = backward,
};
