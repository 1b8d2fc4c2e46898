#include "fovea/kernel/elementwise.h"
#include "fovea/op/op.h"
#include "op_common.h"

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 2, 2));
    FV_TRY(fv_infer_shape(spec, layer, 1, "second input", spec->in[0]));
    spec->out = spec->in[0];
    return FV_OK;
}

static void forward(const fv_op_call *call) {
    fv_stream stream = {.a = call->in[0],
                        .b = call->in[1],
                        .y = call->out,
                        .a_stride = (size_t)call->in_stride[0],
                        .b_stride = (size_t)call->in_stride[1],
                        .y_stride = (size_t)call->out_stride};
    fv_activation_limits(call->spec->attributes.activation, &stream.low, &stream.high);
    fv_op_stream(call, fv_elementwise_kernels()->add, &stream);
}

static void pass_gradient(const fv_op_call *call, int input) {
    if (!call->d_in[input]) return;
    fv_stream stream = {.a = call->d_out,
                        .b = call->out,
                        .y = call->d_in[input],
                        .add = call->add[input],
                        .a_stride = (size_t)call->d_out_stride,
                        .b_stride = (size_t)call->out_stride,
                        .y_stride = (size_t)call->d_in_stride[input]};
    fv_activation activation = call->spec->attributes.activation;
    fv_activation_limits(activation, &stream.low, &stream.high);
    const fv_elementwise *kernels = fv_elementwise_kernels();
    fv_op_stream(call, activation == FV_ACT_NONE ? kernels->copy : kernels->clamp_gradient, &stream);
}

/* In place, d_in[0] overwrites the d_out that d_in[1] is made of; no harm, for masking twice is masking once. Input 0
   goes first, so that x + x works with add[1]. */
static void backward(const fv_op_call *call) {
    pass_gradient(call, 0);
    if (call->d_in[1] != call->d_in[0] || call->add[1]) pass_gradient(call, 1);
}

/* The activation's mask. */
static unsigned reads(const fv_op_spec *spec) {
    return spec->attributes.activation == FV_ACT_NONE ? 0 : FV_READS_OUT;
}

const fv_op fv_op_add = {
    .name = "add",
    .backward_reads = FV_READS_OUT,
    .in_place = true,
    .same_gradients = true,
    .strided = FV_READS_IN(0) | FV_READS_IN(1) | FV_READS_OUT,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .recompute = forward,
    .reads = reads,
};
