#include "fovea/kernel/elementwise.h"
#include "fovea/op/op.h"
#include "op_common.h"

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 2, 2));
    fv_shape a = spec->in[0], b = spec->in[1], factors = {a.n, 1, 1, a.c};
    if (!fv_shape_equal(a, b)) FV_TRY(fv_infer_shape(spec, layer, 1, "second input", factors));
    spec->out = a;
    return FV_OK;
}

static bool is_broadcast(const fv_op_spec *spec) {
    return !fv_shape_equal(spec->in[0], spec->in[1]);
}

static void product(const fv_op_call *call, const fv_real *a, const fv_real *b, fv_real *y, bool add) {
    fv_stream stream = {.a = a, .b = b, .y = y, .add = add};
    fv_stream_run(fv_elementwise_kernels()->multiply, &stream, fv_shape_count(call->spec->out));
}

static void scaled(const fv_op_call *call, const fv_real *a, fv_real *y, bool add) {
    fv_shape s = call->spec->in[0];
    fv_scale_channels_run((size_t)s.n, (size_t)s.h * (size_t)s.w, (size_t)s.c, a, call->in[1], y, add);
}

static void forward(const fv_op_call *call) {
    if (is_broadcast(call->spec))
        scaled(call, call->in[0], call->out, false);
    else
        product(call, call->in[0], call->in[1], call->out, false);
}

static void backward(const fv_op_call *call) {
    fv_shape s = call->spec->in[0];
    bool broadcast = is_broadcast(call->spec);
    if (call->d_in[0] && broadcast)
        scaled(call, call->d_out, call->d_in[0], call->add[0]);
    else if (call->d_in[0])
        product(call, call->d_out, call->in[1], call->d_in[0], call->add[0]);
    if (call->d_in[1] && broadcast)
        fv_dot_channels_run((size_t)s.n, (size_t)s.h * (size_t)s.w, (size_t)s.c, call->d_out, call->in[0], 1,
                            call->d_in[1], call->add[1]);
    else if (call->d_in[1])
        product(call, call->d_out, call->in[0], call->d_in[1], call->add[1]);
}

const fv_op fv_op_multiply = {
    .name = "multiply",
    .backward_reads = FV_READS_IN(0) | FV_READS_IN(1),
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .recompute = forward,
};
