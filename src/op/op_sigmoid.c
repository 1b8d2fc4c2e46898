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
    fv_stream_run(fv_elementwise_kernels()->sigmoid, &stream, fv_shape_count(call->spec->out));
}

static void backward(const fv_op_call *call) {
    if (!call->d_in[0]) return;
    fv_stream stream = {.a = call->d_out, .b = call->out, .y = call->d_in[0], .add = call->add[0]};
    fv_stream_run(fv_elementwise_kernels()->sigmoid_gradient, &stream, fv_shape_count(call->spec->out));
}

const fv_op fv_op_sigmoid = {
    .name = "sigmoid",
    .backward_reads = FV_READS_OUT,
    .in_place = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
