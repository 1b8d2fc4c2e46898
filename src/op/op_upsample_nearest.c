#include <string.h>

#include "fovea/base/threads.h"
#include "fovea/op/op.h"
#include "op_common.h"

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 1, 1));
    return fv_infer_upsampled(spec, layer);
}

static void copy_pixel(const fv_real *restrict x, fv_real *restrict y, size_t channels) {
    for (size_t c = 0; c < channels; c++) y[c] = x[c];
}

/* One row of input makes `scale` equal rows of output. */
static void forward_row(void *context, int64_t row, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    size_t scale = (size_t)call->spec->attributes.scale, channels = (size_t)call->spec->in[0].c;
    size_t width = (size_t)call->spec->in[0].w;
    size_t x_pixel = (size_t)fv_pixel_stride(call->in_stride[0], call->spec->in[0].c);
    size_t y_pixel = (size_t)fv_pixel_stride(call->out_stride, call->spec->out.c);
    const fv_real *x = call->in[0] + (size_t)row * width * x_pixel;
    fv_real *y = call->out + (size_t)row * scale * scale * width * y_pixel;
    for (size_t k = 0; k < scale; k++)
        for (size_t j = 0; j < width; j++)
            for (size_t m = 0; m < scale; m++, y += y_pixel) copy_pixel(x + j * x_pixel, y, channels);
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
    size_t width = (size_t)call->spec->in[0].w;
    size_t x_pixel = (size_t)fv_pixel_stride(call->d_in_stride[0], call->spec->in[0].c);
    size_t y_pixel = (size_t)fv_pixel_stride(call->d_out_stride, call->spec->out.c);
    const fv_real *d_out = call->d_out + (size_t)row * scale * scale * width * y_pixel;
    fv_real *d_x = call->d_in[0] + (size_t)row * width * x_pixel;
    for (size_t j = 0; j < width && !call->add[0]; j++) memset(d_x + j * x_pixel, 0, channels * sizeof *d_x);
    for (size_t k = 0; k < scale; k++) {
        for (size_t j = 0; j < width; j++) {
            fv_real *pixel = d_x + j * x_pixel;
            for (size_t m = 0; m < scale; m++, d_out += y_pixel)
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
    .strided = FV_READS_IN(0) | FV_READS_OUT,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .recompute = forward,
};
