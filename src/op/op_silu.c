#include "fovea/kernel/elementwise.h"
#include "fovea/op/op.h"
#include "op_common.h"

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 1, 1));
    spec->out = spec->in[0];
    return FV_OK;
}

static void forward(const fv_op_call *call) {
    fv_stream stream = {.a = call->in[0], .y = call->out};
    stream.a_stride = (size_t)call->in_stride[0];
    stream.y_stride = (size_t)call->out_stride;
    fv_op_stream(call, fv_elementwise_kernels()->silu, &stream);
}

/* From x, not from the result: two values of x have the same one. */
static void backward(const fv_op_call *call) {
    if (!call->d_in[0]) return;
    fv_stream stream = {.a = call->d_out, .b = call->in[0], .y = call->d_in[0], .add = call->add[0]};
    stream.a_stride = (size_t)call->d_out_stride;
    stream.b_stride = (size_t)call->in_stride[0];
    stream.y_stride = (size_t)call->d_in_stride[0];
    fv_op_stream(call, fv_elementwise_kernels()->silu_gradient, &stream);
}

const fv_op fv_op_silu = {
    .name = "silu",
    .backward_reads = FV_READS_IN(0),
    .in_place = true,
    .strided = FV_READS_IN(0) | FV_READS_OUT,
    .overwrites_input = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .recompute = forward,
};
