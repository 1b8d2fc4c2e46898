/* Ioffe and Szegedy, "Batch Normalization", 2015. Memory-bound, so: one pass over x for the statistics, one that also
   applies the activation; backwards one pass for the two sums and one for d_x, which find the normalised values and the
   activation's mask again from x, so that out need not be kept; with a residual the mask is found from out, which a
   network that goes on with it keeps anyway, and the first pass leaves the gradient by the residual. */
#include <math.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/kernel/norm.h"
#include "fovea/op/op.h"
#include "op_common.h"

enum { X, GAMMA, BETA, MEAN, VARIANCE, RESIDUAL, INPUTS };

static fv_status infer(fv_op_spec *spec, const char *layer) {
    static const char *const names[INPUTS] = {"x", "gamma", "beta", "mean", "variance", "residual"};
    FV_TRY(fv_infer_inputs(spec, layer, RESIDUAL, INPUTS));
    fv_shape columns = {1, 1, 1, spec->in[X].c};
    for (int i = GAMMA; i < spec->inputs; i++)
        FV_TRY(fv_infer_shape(spec, layer, i, names[i], i == RESIDUAL ? spec->in[X] : columns));
    fv_attributes *a = &spec->attributes;
    if (a->epsilon == 0) a->epsilon = 1e-3;
    if (a->momentum == 0) a->momentum = 0.1;
    if (!(a->epsilon > 0 && a->epsilon < 1))
        return fv_fail(FV_BAD_INPUT, "epsilon of layer %s is %g, expected between 0 and 1", layer, a->epsilon);
    if (!(a->momentum > 0 && a->momentum <= 1))
        return fv_fail(FV_BAD_INPUT, "momentum of layer %s is %g, expected above 0 and up to 1", layer, a->momentum);
    spec->out = spec->in[X];
    return FV_OK;
}

static fv_columns columns_of(const fv_op_spec *spec) {
    size_t channels = (size_t)spec->in[X].c;
    return (fv_columns){.segments = 1, .rows = fv_shape_count(spec->in[X]) / channels, .channels = channels};
}

static fv_columns strided_columns(const fv_op_call *call) {
    fv_columns columns = columns_of(call->spec);
    columns.x_stride = (size_t)call->in_stride[X];
    columns.y_stride = (size_t)call->out_stride;
    columns.d_out_stride = (size_t)call->d_out_stride;
    columns.d_x_stride = (size_t)call->d_in_stride[X];
    columns.residual_stride = (size_t)call->in_stride[RESIDUAL];
    columns.d_residual_stride = (size_t)call->d_in_stride[RESIDUAL];
    return columns;
}

/* What forward leaves for backward; in double, so that both make the same coefficients of them. */
typedef struct batch_statistics {
    double *mean, *inverse_sd;
} batch_statistics;

static size_t saved_bytes(const fv_op_spec *spec) {
    return 2 * (size_t)spec->in[X].c * sizeof(double);
}

static batch_statistics statistics_of(const fv_op_call *call) {
    double *saved = call->saved;
    return (batch_statistics){saved, saved + call->spec->in[X].c};
}

/* Work memory: two sums and five coefficients a channel, then what the kernels need. */
typedef struct batch_work {
    double *sum, *sum_x;
    fv_real *center, *scale, *offset, *slope, *constant;
    void *kernel;
} batch_work;

static size_t own_bytes(const fv_op_spec *spec) {
    return fv_align_up((size_t)spec->in[X].c * (2 * sizeof(double) + 5 * sizeof(fv_real)));
}

static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    (void)backward;
    return own_bytes(spec) + fv_norm_work_bytes(columns_of(spec));
}

static batch_work work_of(const fv_op_call *call) {
    size_t channels = (size_t)call->spec->in[X].c;
    batch_work work = {.sum = call->work, .kernel = (char *)call->work + own_bytes(call->spec)};
    work.sum_x = work.sum + channels;
    work.center = (fv_real *)(void *)(work.sum_x + channels);
    work.scale = work.center + channels;
    work.offset = work.scale + channels;
    work.slope = work.offset + channels;
    work.constant = work.slope + channels;
    return work;
}

/* From the statistics that forward has left. */
static void make_map(const fv_op_call *call, fv_real *center, fv_real *scale, fv_real *offset, fv_norm_map *map) {
    batch_statistics statistics = statistics_of(call);
    for (int c = 0; c < call->spec->in[X].c; c++) {
        double factor = (double)call->in[GAMMA][c] * statistics.inverse_sd[c];
        center[c] = (fv_real)statistics.mean[c];
        scale[c] = (fv_real)factor;
        /* What rounding took from the mean goes into the offset. */
        double lost = statistics.mean[c] - (double)center[c];
        offset[c] = (fv_real)((double)call->in[BETA][c] - lost * factor);
    }
    *map = (fv_norm_map){.center = center, .scale = scale, .offset = offset};
    fv_activation_limits(call->spec->attributes.activation, &map->low, &map->high);
}

static fv_norm_map map_of(const fv_op_call *call, const batch_work *work) {
    fv_norm_map map;
    make_map(call, work->center, work->scale, work->offset, &map);
    return map;
}

/* Mean and squares of the batch: the op before has found them while it wrote x, or one more pass does. */
static const double *find_moments(const fv_op_call *call, const batch_work *work, batch_statistics statistics) {
    fv_columns columns = strided_columns(call);
    if (!call->moments) {
        fv_norm_moments(columns, call->in[X], statistics.mean, work->sum, work->kernel);
        return work->sum;
    }
    memcpy(statistics.mean, call->moments, columns.channels * sizeof *statistics.mean);
    return call->moments + columns.channels;
}

/* Statistics of the batch into saved, and the running ones moved towards them. */
static void measure_batch(const fv_op_call *call, const batch_work *work) {
    const fv_op_spec *spec = call->spec;
    batch_statistics statistics = statistics_of(call);
    const double *squares = find_moments(call, work, statistics);
    double count = (double)columns_of(spec).rows, momentum = spec->attributes.momentum;
    for (int c = 0; c < spec->in[X].c; c++) {
        double unbiased = squares[c] / (count > 1 ? count - 1 : 1); /* one pixel has no spread: 0 */
        fv_real *mean = &call->in[MEAN][c], *variance = &call->in[VARIANCE][c];
        *mean = (fv_real)((1 - momentum) * (double)*mean + momentum * statistics.mean[c]);
        *variance = (fv_real)((1 - momentum) * (double)*variance + momentum * unbiased);
        statistics.inverse_sd[c] = 1 / sqrt(squares[c] / count + spec->attributes.epsilon);
    }
}

static void apply(const fv_op_call *call, const batch_work *work) {
    fv_norm_map map = map_of(call, work);
    fv_norm_apply(strided_columns(call), &map, call->in[X], call->in[RESIDUAL], call->out, work->kernel);
}

static void forward(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    batch_work work = work_of(call);
    if (call->training) {
        measure_batch(call, &work);
    } else {
        batch_statistics statistics = statistics_of(call);
        for (int c = 0; c < spec->in[X].c; c++) {
            statistics.mean[c] = (double)call->in[MEAN][c];
            statistics.inverse_sd[c] = 1 / sqrt((double)call->in[VARIANCE][c] + spec->attributes.epsilon);
        }
    }
    apply(call, &work);
}

/* From the statistics that forward has left. */
static void recompute(const fv_op_call *call) {
    batch_work work = work_of(call);
    apply(call, &work);
}

/* gamma (x - mean) / sd + beta as x scale + offset. */
static void fold(const fv_op_spec *spec, fv_real *const in[], fv_real *scale, fv_real *offset) {
    for (int c = 0; c < spec->in[X].c; c++) {
        double factor = (double)in[GAMMA][c] / sqrt((double)in[VARIANCE][c] + spec->attributes.epsilon);
        scale[c] = (fv_real)factor;
        offset[c] = (fv_real)((double)in[BETA][c] - (double)in[MEAN][c] * factor);
    }
}

static void store(fv_real *gradient, bool add, int c, double value) {
    if (gradient) gradient[c] = (add ? gradient[c] : 0) + (fv_real)value;
}

/* d_gamma and d_beta, and with batch statistics the slope and constant of d_x, from the two sums. */
static void spread_sums(const fv_op_call *call, const batch_work *work, double count) {
    batch_statistics statistics = statistics_of(call);
    for (int c = 0; c < call->spec->in[X].c; c++) {
        double inverse_sd = statistics.inverse_sd[c], scale = (double)call->in[GAMMA][c] * inverse_sd;
        double lost = statistics.mean[c] - (double)work->center[c]; /* e is x - center - lost */
        double sum = work->sum[c], sum_e = work->sum_x[c] - lost * sum;
        store(call->d_in[GAMMA], call->add[GAMMA], c, sum_e * inverse_sd);
        store(call->d_in[BETA], call->add[BETA], c, sum);
        double slope = call->training ? -scale * inverse_sd * inverse_sd * sum_e / count : 0;
        work->slope[c] = (fv_real)slope;
        work->constant[c] = (fv_real)(call->training ? -scale * sum / count - slope * lost : 0);
    }
}

/* Whether something else than x decides what passes the activation, so that backward reads out. */
static bool is_limited_sum(const fv_op_spec *spec) {
    return spec->inputs > RESIDUAL && spec->attributes.activation != FV_ACT_NONE;
}

static unsigned reads(const fv_op_spec *spec) {
    unsigned always = FV_READS_IN(X) | FV_READS_IN(GAMMA) | FV_READS_IN(BETA);
    return is_limited_sum(spec) ? always | FV_READS_OUT : always;
}

/* d_residual (+)= d in a pass of its own; nothing to do where it is d_out and there is no activation. */
static void pass_to_residual(const fv_op_call *call, const fv_norm_map *map) {
    fv_stream stream = {.a = call->d_out,
                        .b = call->out,
                        .y = call->d_in[RESIDUAL],
                        .low = map->low,
                        .high = map->high,
                        .add = call->add[RESIDUAL],
                        .a_stride = (size_t)call->d_out_stride,
                        .b_stride = (size_t)call->out_stride,
                        .y_stride = (size_t)call->d_in_stride[RESIDUAL]};
    const fv_elementwise *kernels = fv_elementwise_kernels();
    fv_op_stream(call, is_limited_sum(call->spec) ? kernels->clamp_gradient : kernels->copy, &stream);
}

/* The sums of d and d e, and d_x. Where `keep`, d is left in d_residual by the first pass, for the second to read. */
static void norm_gradients(const fv_op_call *call, const batch_work *work, fv_norm_map map, bool keep) {
    fv_columns columns = strided_columns(call);
    const fv_real *out = is_limited_sum(call->spec) ? call->out : NULL, *d = call->d_out;
    fv_real *kept = keep ? call->d_in[RESIDUAL] : NULL;
    if (call->training || call->d_in[GAMMA] || call->d_in[BETA] || keep)
        fv_norm_gradient_sums(columns, &map, call->in[X], out, d, kept, work->sum, work->sum_x, work->kernel);
    else
        memset(work->sum, 0, 2 * columns.channels * sizeof *work->sum);
    spread_sums(call, work, (double)columns.rows);
    if (!call->d_in[X]) return;
    if (keep) { /* and what is in there has passed */
        d = kept;
        out = NULL;
        columns.d_out_stride = columns.d_residual_stride;
        map.low = -INFINITY;
        map.high = INFINITY;
    }
    fv_norm_gradient_apply(columns, &map, work->slope, work->constant, call->in[X], out, d, call->d_in[X], call->add[X],
                           work->kernel);
}

/* With d = d_out behind the activation and e = x - mean: d_residual = d, d_beta = sum d, d_gamma = sum d e / sd, and
   for batch statistics d_x = gamma / sd (d - mean(d) - e mean(d e) / sd^2); running ones are constants:
   d_x = gamma / sd d. */
static void backward(const fv_op_call *call) {
    batch_work work = work_of(call);
    fv_norm_map map = map_of(call, &work);
    bool keep = call->d_in[RESIDUAL] && !call->add[RESIDUAL] && is_limited_sum(call->spec);
    bool own_pass = call->d_in[RESIDUAL] && !keep;
    bool same = call->d_in[RESIDUAL] == call->d_in[X]; /* x + norm(x): d_x comes first, which doesn't add */
    if (own_pass && !same) pass_to_residual(call, &map);
    norm_gradients(call, &work, map, keep);
    if (own_pass && same) pass_to_residual(call, &map);
}

const fv_op fv_op_batch_norm = {
    .name = "batch_norm",
    .backward_reads = FV_READS_IN(X) | FV_READS_IN(GAMMA) | FV_READS_IN(BETA) | FV_READS_OUT,
    .reads = reads,
    .in_place = true,
    .residual = RESIDUAL,
    .strided = FV_READS_IN(X) | FV_READS_IN(RESIDUAL) | FV_READS_OUT,
    .overwrites_input = true,
    .recompute = recompute,
    .fold = fold,
    .map = make_map,
    .infer = infer,
    .saved_bytes = saved_bytes,
    .work_bytes = work_bytes,
    .forward = forward,
    .backward = backward,
};
