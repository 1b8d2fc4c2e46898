#include <string.h>

#include "fovea/base/threads.h"
#include "fovea/op/op.h"
#include "op_common.h"

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 1, 1));
    return fv_infer_upsampled(spec, layer);
}

/* One row of input makes `scale` equal rows of output. */
static void forward_row(void *context, int64_t row, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    size_t scale = (size_t)call->spec->attributes.scale, channels = (size_t)call->spec->in[0].c;
    size_t width = (size_t)call->spec->in[0].w, out_row = width * scale * channels;
    const fv_real *x = call->in[0] + (size_t)row * width * channels;
    fv_real *first = call->out + (size_t)row * scale * out_row, *y = first;
    for (size_t j = 0; j < width; j++, x += channels)
        for (size_t k = 0; k < scale; k++, y += channels)
            for (size_t c = 0; c < channels; c++) y[c] = x[c];
    for (size_t k = 1; k < scale; k++) memcpy(first + k * out_row, first, out_row * sizeof *first);
}

static void forward(const fv_op_call *call) {
    fv_op_call copy = *call;
    fv_parallel_for((int64_t)call->spec->in[0].n * call->spec->in[0].h, forward_row, &copy);
}

/* A pixel's gradient is the sum over its scale x scale copies. */
static void backward_row(void *context, int64_t row, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    size_t scale = (size_t)call->spec->attributes.scale, channels = (size_t)call->spec->in[0].c;
    size_t width = (size_t)call->spec->in[0].w, out_row = width * scale * channels;
    const fv_real *d_out = call->d_out + (size_t)row * scale * out_row;
    fv_real *d_x = call->d_in[0] + (size_t)row * width * channels;
    if (!call->add[0]) memset(d_x, 0, width * channels * sizeof *d_x);
    for (size_t k = 0; k < scale; k++) {
        for (size_t j = 0; j < width; j++) {
            fv_real *pixel = d_x + j * channels;
            for (size_t m = 0; m < scale; m++, d_out += channels)
                for (size_t c = 0; c < channels; c++) pixel[c] += d_out[c];
        }
    }
}

static void backward(const fv_op_call *call) {
    if (!call->d_in[0]) return;
    fv_op_call copy = *call;
    fv_parallel_for((int64_t)call->spec->in[0].n * call->spec->in[0].h, backward_row, &copy);
}

const fv_op fv_op_upsample_nearest = {
    .name = "upsample_nearest",
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
