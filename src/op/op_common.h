/* What several ops begin with: checks of infer(), the limits of an activation. */
#ifndef FOVEA_OP_OP_COMMON_H
#define FOVEA_OP_OP_COMMON_H

#include <limits.h>
#include <math.h>

#include "fovea/kernel/elementwise.h"
#include "fovea/op/op.h"

/* Between `least` and `most` inputs, none with a size below 1. */
static inline fv_status fv_infer_inputs(const fv_op_spec *spec, const char *layer, int least, int most) {
    if (spec->inputs < least || spec->inputs > most) {
        if (least == most)
            return fv_fail(FV_BAD_INPUT, "layer %s has %d inputs, expected %d", layer, spec->inputs, least);
        return fv_fail(FV_BAD_INPUT, "layer %s has %d inputs, expected %d to %d", layer, spec->inputs, least, most);
    }
    char text[FV_SHAPE_TEXT];
    for (int i = 0; i < spec->inputs; i++) {
        fv_shape s = spec->in[i];
        if (s.n < 1 || s.h < 1 || s.w < 1 || s.c < 1)
            return fv_fail(FV_BAD_INPUT, "input %d of layer %s is %s, expected every size to be at least 1", i, layer,
                           fv_shape_text(s, text));
    }
    return FV_OK;
}

/* in[index], called `what` in the sentence, has exactly the shape `expected`. */
static inline fv_status fv_infer_shape(const fv_op_spec *spec, const char *layer, int index, const char *what,
                                       fv_shape expected) {
    if (fv_shape_equal(spec->in[index], expected)) return FV_OK;
    char found[FV_SHAPE_TEXT], wanted[FV_SHAPE_TEXT], x[FV_SHAPE_TEXT];
    return fv_fail(FV_BAD_INPUT, "%s of layer %s is %s, expected %s for its input of %s", what, layer,
                   fv_shape_text(spec->in[index], found), fv_shape_text(expected, wanted),
                   fv_shape_text(spec->in[0], x));
}

/* Upsampling by attributes.scale: checks it and sets spec->out. */
static inline fv_status fv_infer_upsampled(fv_op_spec *spec, const char *layer) {
    int scale = spec->attributes.scale;
    fv_shape x = spec->in[0];
    if (scale < 1 || scale > 64)
        return fv_fail(FV_BAD_INPUT, "scale of layer %s is %d, expected 1 to 64", layer, scale);
    char text[FV_SHAPE_TEXT];
    if (x.h > INT_MAX / scale || x.w > INT_MAX / scale)
        return fv_fail(FV_BAD_INPUT, "input of layer %s is %s, too large to be scaled by %d", layer,
                       fv_shape_text(x, text), scale);
    spec->out = (fv_shape){x.n, x.h * scale, x.w * scale, x.c};
    return FV_OK;
}

/* act(x) = min(max(x, low), high), and its gradient is 1 where low < act(x) < high. */
static inline void fv_activation_limits(fv_activation activation, fv_real *low, fv_real *high) {
    *low = activation == FV_ACT_NONE ? -INFINITY : 0;
    *high = activation == FV_ACT_RELU6 ? 6 : INFINITY;
}

/* Runs an elementwise kernel over tensors of out's shape, with the strides of `stream`. */
static inline void fv_op_stream(const fv_op_call *call, fv_stream_kernel *kernel, const fv_stream *stream) {
    size_t channels = (size_t)call->spec->out.c;
    fv_stream_run_rows(kernel, stream, fv_shape_count(call->spec->out) / channels, channels);
}

#endif
