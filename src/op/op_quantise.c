/* Rounding as a layer: what a network loses that is stored or run in few bits can be measured here with it. */
#include <math.h>

#include "fovea/base/threads.h"
#include "fovea/op/op.h"
#include "fovea/tensor/half.h"
#include "op_common.h"

#define MOST_STEPS 65535 /* between least and most: 16 bits */
#define CHUNK 512

static fv_status infer(fv_op_spec *spec, const char *layer) {
    const fv_attributes *a = &spec->attributes;
    FV_TRY(fv_infer_inputs(spec, layer, 1, 1));
    bool in_steps = a->step > 0 && isfinite(a->step);
    int64_t steps = (int64_t)a->most - a->least;
    bool bounded = a->least <= a->zero && a->zero <= a->most && steps <= MOST_STEPS && a->least >= -32768;
    if (a->step != 0 && (!in_steps || !bounded))
        return fv_fail(FV_BAD_INPUT,
                       "layer %s rounds to steps of %g, %d to %d with %d for 0; expected a step above 0, at most %d of "
                       "them and the zero within",
                       layer, a->step, a->least, a->most, a->zero, MOST_STEPS);
    spec->out = spec->in[0];
    return FV_OK;
}

static void round_to_steps(const fv_attributes *a, const fv_real *x, fv_real *y, size_t count) {
    const fv_real scale = (fv_real)(1 / a->step), step = (fv_real)a->step, low = (fv_real)(a->least - a->zero),
                  high = (fv_real)(a->most - a->zero);
    /* Adding and taking away 1.5 * 2^(fraction bits - 1) rounds to whole numbers, halves to even: in vectors. */
    const fv_real round = sizeof(fv_real) == 4 ? (fv_real)12582912 : (fv_real)6755399441055744;
    for (size_t i = 0; i < count; i++) {
        fv_real q = x[i] * scale;
        q = q < low ? low : q > high ? high : q;
        q = (q + round) - round;
        y[i] = q * step;
    }
}

static void round_to_halves(const fv_real *x, fv_real *y, size_t count) {
    float values[CHUNK] = {0};
    uint16_t halves[CHUNK];
    for (size_t i = 0; i < count; i++) values[i] = (float)x[i];
    fv_halves_from_floats(count, values, halves);
    fv_halves_to_floats(count, halves, values);
    for (size_t i = 0; i < count; i++) y[i] = (fv_real)values[i];
}

static void forward_chunk(void *context, int64_t task, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    const fv_attributes *a = &call->spec->attributes;
    size_t begin = (size_t)task * CHUNK, all = fv_shape_count(call->spec->out);
    size_t count = all - begin < CHUNK ? all - begin : CHUNK;
    if (a->step > 0)
        round_to_steps(a, call->in[0] + begin, call->out + begin, count);
    else
        round_to_halves(call->in[0] + begin, call->out + begin, count);
}

static int64_t chunks(const fv_op_call *call) {
    return (int64_t)((fv_shape_count(call->spec->out) + CHUNK - 1) / CHUNK);
}

static void forward(const fv_op_call *call) {
    fv_op_call copy = *call;
    fv_parallel_for(chunks(call), forward_chunk, &copy);
}

/* The values that are not clipped, or do not leave the halves' range. */
static void bounds(const fv_attributes *a, fv_real *low, fv_real *high) {
    *low = a->step > 0 ? (fv_real)((a->least - a->zero) * a->step) : -(fv_real)FV_HALF_MAX;
    *high = a->step > 0 ? (fv_real)((a->most - a->zero) * a->step) : (fv_real)FV_HALF_MAX;
}

static void backward_chunk(void *context, int64_t task, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    size_t begin = (size_t)task * CHUNK, all = fv_shape_count(call->spec->out);
    size_t end = all - begin < CHUNK ? all : begin + CHUNK;
    fv_real low, high;
    bounds(&call->spec->attributes, &low, &high);
    for (size_t i = begin; i < end; i++) {
        bool within = call->in[0][i] >= low && call->in[0][i] <= high;
        call->d_in[0][i] = (call->add[0] ? call->d_in[0][i] : 0) + (within ? call->d_out[i] : 0);
    }
}

static void backward(const fv_op_call *call) {
    if (!call->d_in[0]) return;
    fv_op_call copy = *call;
    fv_parallel_for(chunks(call), backward_chunk, &copy);
}

const fv_op fv_op_quantise = {
    .name = "quantise",
    .backward_reads = FV_READS_IN(0),
    .in_place = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
