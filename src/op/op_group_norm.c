/* Wu and He, "Group Normalization", 2018. The columns' statistics come from the same kernels as batch normalisation's,
   one segment a sample; those of a group are put together from its columns'. */
#include <math.h>

#include "fovea/base/memory.h"
#include "fovea/kernel/norm.h"
#include "fovea/op/op.h"
#include "op_common.h"

enum { X, GAMMA, BETA, INPUTS };

static fv_status infer(fv_op_spec *spec, const char *layer) {
    static const char *const names[INPUTS] = {"x", "gamma", "beta"};
    FV_TRY(fv_infer_inputs(spec, layer, INPUTS, INPUTS));
    fv_shape columns = {1, 1, 1, spec->in[X].c};
    for (int i = GAMMA; i < INPUTS; i++) FV_TRY(fv_infer_shape(spec, layer, i, names[i], columns));
    fv_attributes *a = &spec->attributes;
    if (a->groups == 0) a->groups = 1;
    if (a->epsilon == 0) a->epsilon = 1e-5;
    if (a->groups < 0 || spec->in[X].c % a->groups != 0)
        return fv_fail(FV_BAD_INPUT, "layer %s has %d channels in %d groups, expected a number that groups divide",
                       layer, spec->in[X].c, a->groups);
    if (!(a->epsilon > 0 && a->epsilon < 1))
        return fv_fail(FV_BAD_INPUT, "epsilon of layer %s is %g, expected between 0 and 1", layer, a->epsilon);
    spec->out = spec->in[X];
    return FV_OK;
}

static fv_columns columns_of(const fv_op_spec *spec) {
    fv_shape x = spec->in[X];
    return (fv_columns){.segments = (size_t)x.n, .rows = (size_t)x.h * (size_t)x.w, .channels = (size_t)x.c};
}

static size_t column_count(const fv_op_spec *spec) {
    return (size_t)spec->in[X].n * (size_t)spec->in[X].c;
}

/* Mean and 1 / sd of each group of each sample. */
static size_t saved_bytes(const fv_op_spec *spec) {
    return 2 * (size_t)spec->in[X].n * (size_t)spec->attributes.groups * sizeof(double);
}

/* Work memory: two sums and five coefficients a column of each sample, then what the kernels need. */
typedef struct group_work {
    double *sum, *sum_x; /* forward: mean and squares */
    fv_real *center, *scale, *offset, *slope, *constant;
    void *kernel;
} group_work;

static size_t own_bytes(const fv_op_spec *spec) {
    return fv_align_up(column_count(spec) * (2 * sizeof(double) + 5 * sizeof(fv_real)));
}

static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    (void)backward;
    return own_bytes(spec) + fv_norm_work_bytes(columns_of(spec));
}

static group_work work_of(const fv_op_call *call) {
    size_t columns = column_count(call->spec);
    group_work work = {.sum = call->work, .kernel = (char *)call->work + own_bytes(call->spec)};
    work.sum_x = work.sum + columns;
    work.center = (fv_real *)(void *)(work.sum_x + columns);
    work.scale = work.center + columns;
    work.offset = work.scale + columns;
    work.slope = work.offset + columns;
    work.constant = work.slope + columns;
    return work;
}

/* The groups of all samples, one after the other: group g has columns g * size .. g * size + size - 1 of the N * C,
   each of `rows` pixels. */
typedef struct group_list {
    size_t count, size, groups;
    double rows;
    double *mean, *inverse_sd;
} group_list;

static group_list groups_of(const fv_op_call *call) {
    fv_shape x = call->spec->in[X];
    group_list list = {.groups = (size_t)call->spec->attributes.groups, .rows = (double)x.h * x.w};
    list.count = list.groups * (size_t)x.n;
    list.size = (size_t)x.c / list.groups;
    list.mean = call->saved;
    list.inverse_sd = list.mean + list.count;
    return list;
}

static fv_norm_map map_of(const fv_op_call *call, const group_work *work) {
    group_list list = groups_of(call);
    size_t channels = (size_t)call->spec->in[X].c;
    for (size_t i = 0; i < list.count * list.size; i++) {
        size_t g = i / list.size, c = i % channels;
        double scale = (double)call->in[GAMMA][c] * list.inverse_sd[g];
        work->center[i] = (fv_real)list.mean[g];
        work->scale[i] = (fv_real)scale;
        /* What rounding took from the mean goes into the offset. */
        work->offset[i] = (fv_real)((double)call->in[BETA][c] - (list.mean[g] - (double)work->center[i]) * scale);
    }
    fv_norm_map map = {.center = work->center, .scale = work->scale, .offset = work->offset};
    fv_activation_limits(call->spec->attributes.activation, &map.low, &map.high);
    return map;
}

/* Mean and squared differences of a group from those of its columns, which all have the same number of pixels. */
static void measure_groups(const fv_op_call *call, const group_work *work) {
    group_list list = groups_of(call);
    for (size_t g = 0; g < list.count; g++) {
        const double *mean = work->sum + g * list.size, *squares = work->sum_x + g * list.size;
        double total = 0, spread = 0;
        for (size_t c = 0; c < list.size; c++) total += mean[c];
        list.mean[g] = total / (double)list.size;
        for (size_t c = 0; c < list.size; c++) {
            double delta = mean[c] - list.mean[g];
            spread += squares[c] + list.rows * delta * delta;
        }
        double variance = spread / (list.rows * (double)list.size);
        list.inverse_sd[g] = 1 / sqrt(variance + call->spec->attributes.epsilon);
    }
}

/* From the statistics in saved. */
static void apply(const fv_op_call *call) {
    group_work work = work_of(call);
    fv_norm_map map = map_of(call, &work);
    fv_norm_apply(columns_of(call->spec), &map, call->in[X], NULL, call->out, work.kernel);
}

static void forward(const fv_op_call *call) {
    group_work work = work_of(call);
    fv_norm_moments(columns_of(call->spec), call->in[X], work.sum, work.sum_x, work.kernel);
    measure_groups(call, &work);
    apply(call);
}

/* Slope and constant of d_x, and sum_x turned into the sum of d e (e = x - mean). */
static void spread_sums(const fv_op_call *call, const group_work *work) {
    group_list list = groups_of(call);
    for (size_t g = 0; g < list.count; g++) {
        double sum = 0, sum_e = 0, count = list.rows * (double)list.size;
        double inverse_sd = list.inverse_sd[g], lost = list.mean[g] - (double)work->center[g * list.size];
        const fv_real *gamma = call->in[GAMMA] + g % list.groups * list.size;
        for (size_t c = 0, i = g * list.size; c < list.size; c++, i++) {
            work->sum_x[i] -= lost * work->sum[i];
            sum += (double)gamma[c] * work->sum[i];
            sum_e += (double)gamma[c] * work->sum_x[i];
        }
        double slope = -inverse_sd * inverse_sd * inverse_sd * sum_e / count;
        for (size_t i = g * list.size; i < (g + 1) * list.size; i++) {
            work->slope[i] = (fv_real)slope;
            work->constant[i] = (fv_real)(-inverse_sd * sum / count - slope * lost);
        }
    }
}

static void store(fv_real *gradient, bool add, size_t c, double value) {
    if (gradient) gradient[c] = (add ? gradient[c] : 0) + (fv_real)value;
}

static void parameter_gradients(const fv_op_call *call, const group_work *work) {
    group_list list = groups_of(call);
    size_t channels = list.groups * list.size;
    for (size_t c = 0; c < channels; c++) {
        double d_gamma = 0, d_beta = 0;
        for (size_t i = c; i < list.count * list.size; i += channels) {
            d_gamma += work->sum_x[i] * list.inverse_sd[i / list.size];
            d_beta += work->sum[i];
        }
        store(call->d_in[GAMMA], call->add[GAMMA], c, d_gamma);
        store(call->d_in[BETA], call->add[BETA], c, d_beta);
    }
}

/* As batch normalisation's, with the means over the group's pixels and channels:
   d_x = (gamma d - mean(gamma d) - e mean(gamma d e) / sd^2) / sd. */
static void backward(const fv_op_call *call) {
    fv_columns columns = columns_of(call->spec);
    group_work work = work_of(call);
    fv_norm_map map = map_of(call, &work);
    fv_norm_gradient_sums(columns, &map, call->in[X], NULL, call->d_out, NULL, work.sum, work.sum_x, work.kernel);
    spread_sums(call, &work);
    parameter_gradients(call, &work);
    if (call->d_in[X])
        fv_norm_gradient_apply(columns, &map, work.slope, work.constant, call->in[X], NULL, call->d_out, call->d_in[X],
                               call->add[X], work.kernel);
}

const fv_op fv_op_group_norm = {
    .name = "group_norm",
    .backward_reads = FV_READS_IN(X) | FV_READS_IN(GAMMA) | FV_READS_IN(BETA),
    .in_place = true,
    .overwrites_input = true,
    .infer = infer,
    .saved_bytes = saved_bytes,
    .work_bytes = work_bytes,
    .forward = forward,
    .backward = backward,
    .recompute = apply,
};
