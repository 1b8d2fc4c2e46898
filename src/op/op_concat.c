#include <limits.h>
#include <string.h>

#include "fovea/base/threads.h"
#include "fovea/op/op.h"
#include "op_common.h"

#define CHUNK 1024 /* pixels of a task */

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 2, FV_MAX_INPUTS));
    fv_shape out = spec->in[0];
    for (int i = 1; i < spec->inputs; i++) {
        fv_shape s = spec->in[i];
        char found[FV_SHAPE_TEXT], first[FV_SHAPE_TEXT];
        if (s.n != out.n || s.h != out.h || s.w != out.w)
            return fv_fail(FV_BAD_INPUT, "input %d of layer %s is %s, expected the N, H, W of its first input %s", i,
                           layer, fv_shape_text(s, found), fv_shape_text(spec->in[0], first));
        if (s.c > INT_MAX - out.c)
            return fv_fail(FV_BAD_INPUT, "layer %s has too many channels, expected at most %d", layer, INT_MAX);
        out.c += s.c;
    }
    spec->out = out;
    return FV_OK;
}

static size_t pixels_of(const fv_op_spec *spec) {
    return fv_shape_count(spec->out) / (size_t)spec->out.c;
}

/* The pixels of one task. */
static size_t chunk_of(const fv_op_call *call, int64_t task, size_t *count) {
    size_t begin = (size_t)task * CHUNK, pixels = pixels_of(call->spec);
    *count = pixels - begin < CHUNK ? pixels - begin : CHUNK;
    return begin;
}

/* Range i of a chunk of out or d_out, and the pixels of in[i] or d_in[i]; the plan may have made them the same. */
static void forward_chunk(void *context, int64_t task, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    size_t count, begin = chunk_of(call, task, &count), channel = 0;
    size_t pixel = (size_t)fv_pixel_stride(call->out_stride, call->spec->out.c);
    for (int i = 0; i < call->spec->inputs; i++) {
        size_t own = (size_t)call->spec->in[i].c, stride = (size_t)fv_pixel_stride(call->in_stride[i], (int)own);
        fv_real *y = call->out + begin * pixel + channel;
        const fv_real *x = call->in[i] + begin * stride;
        for (size_t p = 0; y != x && p < count; p++) memcpy(y + p * pixel, x + p * stride, own * sizeof *y);
        channel += own;
    }
}

static void take_gradient(const fv_real *d, size_t d_stride, size_t count, size_t channels, bool add, fv_real *d_x,
                          size_t x_stride) {
    for (size_t p = 0; p < count; p++, d += d_stride, d_x += x_stride) {
        if (add)
            for (size_t c = 0; c < channels; c++) d_x[c] += d[c];
        else
            memcpy(d_x, d, channels * sizeof *d);
    }
}

static void backward_chunk(void *context, int64_t task, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    size_t count, begin = chunk_of(call, task, &count);
    size_t pixel = (size_t)fv_pixel_stride(call->d_out_stride, call->spec->out.c);
    const fv_real *d_out = call->d_out + begin * pixel;
    for (int i = 0; i < call->spec->inputs; i++) {
        size_t own = (size_t)call->spec->in[i].c, stride = (size_t)fv_pixel_stride(call->d_in_stride[i], (int)own);
        fv_real *d_x = call->d_in[i] ? call->d_in[i] + begin * stride : NULL;
        if (d_x && d_x != d_out) take_gradient(d_out, pixel, count, own, call->add[i], d_x, stride);
        d_out += own;
    }
}

static void run(const fv_op_call *call, void (*task)(void *context, int64_t i, int worker)) {
    fv_op_call copy = *call;
    fv_parallel_for((int64_t)((pixels_of(call->spec) + CHUNK - 1) / CHUNK), task, &copy);
}

static void forward(const fv_op_call *call) {
    size_t channel = 0;
    bool copies = false;
    for (int i = 0; i < call->spec->inputs; channel += (size_t)call->spec->in[i++].c)
        copies |= call->in[i] != call->out + channel;
    if (copies) run(call, forward_chunk);
}

static void backward(const fv_op_call *call) {
    size_t channel = 0;
    bool copies = false;
    for (int i = 0; i < call->spec->inputs; channel += (size_t)call->spec->in[i++].c)
        copies |= call->d_in[i] && call->d_in[i] != call->d_out + channel;
    if (copies) run(call, backward_chunk);
}

const fv_op fv_op_concat = {
    .name = "concat",
    .strided = FV_READS_OUT | (FV_READS_IN(FV_MAX_INPUTS) - 1), /* every input */
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .recompute = forward,
};
