#include "fovea/base/threads.h"
#include "fovea/kernel/elementwise.h"
#include "fovea/op/op.h"
#include "op_common.h"

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 1, 1));
    spec->out = (fv_shape){spec->in[0].n, 1, 1, spec->in[0].c};
    return FV_OK;
}

static size_t pixels_of(const fv_op_spec *spec) {
    return (size_t)spec->in[0].h * (size_t)spec->in[0].w;
}

static void forward(const fv_op_call *call) {
    fv_shape x = call->spec->in[0];
    size_t pixels = pixels_of(call->spec);
    fv_dot_channels_run((size_t)x.n, pixels, (size_t)x.c, call->in[0], NULL, 1 / (double)pixels, call->out, false);
}

static void backward_row(void *context, int64_t row, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    fv_shape x = call->spec->in[0];
    size_t width = (size_t)x.w, channels = (size_t)x.c;
    const fv_real *d_out = call->d_out + (size_t)(row / x.h) * channels;
    fv_real *d_x = call->d_in[0] + (size_t)row * width * channels, share = 1 / (fv_real)pixels_of(call->spec);
    for (size_t i = 0; i < width; i++, d_x += channels)
        for (size_t c = 0; c < channels; c++) d_x[c] = (call->add[0] ? d_x[c] : 0) + d_out[c] * share;
}

static void backward(const fv_op_call *call) {
    if (!call->d_in[0]) return;
    fv_op_call copy = *call;
    fv_parallel_for((int64_t)call->spec->in[0].n * call->spec->in[0].h, backward_row, &copy);
}

const fv_op fv_op_global_average_pool = {
    .name = "global_average_pool",
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
