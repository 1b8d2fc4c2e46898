/* Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015. */
#include "fovea/base/rng.h"
#include "fovea/kernel/elementwise.h"
#include "fovea/op/op.h"
#include "op_common.h"

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 1, 1));
    double rate = spec->attributes.rate;
    if (!(rate >= 0 && rate < 1))
        return fv_fail(FV_BAD_INPUT, "rate of layer %s is %g, expected 0 or more and less than 1", layer, rate);
    spec->out = spec->in[0];
    return FV_OK;
}

static size_t factor_count(const fv_op_spec *spec) {
    return (size_t)spec->in[0].n * (size_t)spec->in[0].c;
}

/* The factor of every channel of every sample. */
static size_t saved_bytes(const fv_op_spec *spec) {
    return factor_count(spec) * sizeof(fv_real);
}

static void apply(const fv_op_call *call, const fv_real *a, fv_real *y, bool add) {
    fv_shape s = call->spec->in[0];
    if (call->training) {
        fv_scale_channels_run((size_t)s.n, (size_t)s.h * (size_t)s.w, (size_t)s.c, a, call->saved, y, add);
    } else {
        fv_stream stream = {.a = a, .y = y, .add = add};
        fv_stream_run(fv_elementwise_kernels()->copy, &stream, fv_shape_count(s));
    }
}

static void forward(const fv_op_call *call) {
    double rate = call->spec->attributes.rate;
    fv_real *factor = call->saved;
    if (call->training) {
        fv_rng rng = fv_rng_make(call->seed, call->step, call->node, FV_PURPOSE_DROPOUT);
        for (size_t i = 0; i < factor_count(call->spec); i++)
            factor[i] = fv_rng_uniform(&rng) < rate ? 0 : (fv_real)(1 / (1 - rate));
    }
    apply(call, call->in[0], call->out, false);
}

static void backward(const fv_op_call *call) {
    if (call->d_in[0]) apply(call, call->d_out, call->d_in[0], call->add[0]);
}

const fv_op fv_op_spatial_dropout = {
    .name = "spatial_dropout",
    .in_place = true,
    .infer = infer,
    .saved_bytes = saved_bytes,
    .forward = forward,
    .backward = backward,
    .recompute = forward, /* draws the same factors again */
};
