#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/skeleton.h"
#include "op_loss.h"

#define TASK_ROWS 16

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_loss(spec, layer));
    fv_attributes *a = &spec->attributes;
    FV_TRY(fv_loss_not_negative(layer, "weight of clDice", a->weight_cldice));
    if (a->cldice_iterations == 0) a->cldice_iterations = 3;
    if (a->cldice_iterations < 1 || a->cldice_iterations > FV_SKELETON_MOST_ITERATIONS)
        return fv_fail(FV_BAD_INPUT, "iterations of layer %s are %d, expected 1 to %d", layer, a->cldice_iterations,
                       FV_SKELETON_MOST_ITERATIONS);
    return FV_OK;
}

/* ---- memory ---- */

static size_t plane_bytes(const fv_op_spec *spec) {
    return fv_align_up(fv_shape_count(spec->in[LOGITS]) * sizeof(fv_real));
}

static size_t levels_of(const fv_op_spec *spec) {
    return (size_t)spec->attributes.cldice_iterations + 1;
}

/* Sums over the pixels of a column, as fv_real. */
enum {
    OVERLAP,     /* of skeleton(p) t */
    PREDICTED,   /* of skeleton(p) */
    COVERED,     /* of skeleton(t) p */
    TRUE_LENGTH, /* of skeleton(t) */
    SUMS
};

static size_t sum_bytes(const fv_op_spec *spec) {
    return fv_align_up(SUMS * fv_loss_columns(spec) * sizeof(fv_real));
}

/* Sums, skeleton of the targets, trace of the probabilities' skeleton. */
static size_t saved_bytes(const fv_op_spec *spec) {
    size_t levels = levels_of(spec), origins = levels * fv_shape_count(spec->in[LOGITS]);
    return sum_bytes(spec) + plane_bytes(spec) + levels * plane_bytes(spec) + 2 * origins;
}

static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    (void)backward;
    return 4 * plane_bytes(spec);
}

static fv_real *sums_of(const fv_op_call *call, int which) {
    return (fv_real *)call->saved + (size_t)which * fv_loss_columns(call->spec);
}

static fv_real *true_skeleton(const fv_op_call *call) {
    return (fv_real *)(void *)((char *)call->saved + sum_bytes(call->spec));
}

static fv_skeleton_trace trace_of(const fv_op_call *call) {
    size_t levels = levels_of(call->spec), pixels = fv_shape_count(call->spec->in[LOGITS]);
    char *slopes = (char *)true_skeleton(call) + plane_bytes(call->spec);
    uint8_t *erosion = (uint8_t *)slopes + levels * plane_bytes(call->spec);
    return (fv_skeleton_trace){(fv_real *)(void *)slopes, erosion, erosion + levels * pixels};
}

static fv_real *work_plane(const fv_op_call *call, int which) {
    return (fv_real *)(void *)((char *)call->work + (size_t)which * plane_bytes(call->spec));
}

/* ---- forward ---- */

static void write_probabilities(const fv_op_call *call, fv_real *p) {
    fv_stream stream = {.a = call->in[LOGITS], .y = p};
    fv_stream_run(fv_elementwise_kernels()->sigmoid, &stream, fv_shape_count(call->spec->in[LOGITS]));
}

static void sum_up(const fv_op_call *call, const fv_real *a, const fv_real *b, int which) {
    fv_shape z = call->spec->in[LOGITS];
    fv_dot_channels_run((size_t)z.n, (size_t)z.h * (size_t)z.w, (size_t)z.c, a, b, 1, sums_of(call, which), false);
}

/* precision = (sum of skeleton(p) t + s) / (sum of skeleton(p) + s); sensitivity the same of skeleton(t) and p. */
typedef struct cldice_region {
    int parts; /* valid columns */
    double overlap, predicted, covered, true_length;
    double precision, sensitivity;
} cldice_region;

static cldice_region region_of(const fv_op_call *call, size_t index) {
    double smooth = call->spec->attributes.smooth;
    cldice_region r = {0, smooth, smooth, smooth, smooth, 0, 0};
    for (size_t i = index; i < fv_loss_columns(call->spec); i += fv_loss_regions(call->spec)) {
        if (!fv_loss_is_valid(call, i)) continue;
        r.parts++;
        r.overlap += (double)sums_of(call, OVERLAP)[i];
        r.predicted += (double)sums_of(call, PREDICTED)[i];
        r.covered += (double)sums_of(call, COVERED)[i];
        r.true_length += (double)sums_of(call, TRUE_LENGTH)[i];
    }
    r.precision = r.overlap / r.predicted;
    r.sensitivity = r.covered / r.true_length;
    return r;
}

static void forward(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    const fv_real *target = call->in[TARGET];
    int iterations = spec->attributes.cldice_iterations;
    fv_real *probability = work_plane(call, 0), *skeleton = work_plane(call, 1);
    fv_skeleton_trace trace = trace_of(call);
    fv_skeleton_run(spec->in[LOGITS], iterations, target, true_skeleton(call), NULL, work_plane(call, 0));
    write_probabilities(call, probability);
    fv_skeleton_run(spec->in[LOGITS], iterations, probability, skeleton, &trace, work_plane(call, 2));
    sum_up(call, skeleton, target, OVERLAP);
    sum_up(call, skeleton, NULL, PREDICTED);
    sum_up(call, true_skeleton(call), probability, COVERED);
    sum_up(call, true_skeleton(call), NULL, TRUE_LENGTH);
    double valid_columns, valid_regions, loss = 0;
    fv_loss_count_valid(call, &valid_columns, &valid_regions);
    for (size_t i = 0; i < fv_loss_regions(spec); i++) {
        cldice_region r = region_of(call, i);
        if (r.parts > 0) loss += 1 - 2 * r.precision * r.sensitivity / (r.precision + r.sensitivity);
    }
    call->out[0] = valid_regions > 0 ? (fv_real)(spec->attributes.weight_cldice * loss / valid_regions) : 0;
}

/* ---- backward ---- */

/* Coefficients of a column: the loss has the slope overlap t + whole by skeleton(p), and covered skeleton(t) by p
   directly. */
typedef struct cldice_slopes {
    fv_real overlap, whole, covered;
} cldice_slopes;

/* By precision, 1 - 2 P S / (P + S) has the slope -2 S^2 / (P + S)^2. */
static cldice_slopes slopes_of(const fv_op_call *call, size_t column, double weight) {
    if (!fv_loss_is_valid(call, column)) return (cldice_slopes){0, 0, 0};
    cldice_region r = region_of(call, column % fv_loss_regions(call->spec));
    double sum = r.precision + r.sensitivity;
    double by_precision = -2 * weight * r.sensitivity * r.sensitivity / (sum * sum);
    double by_sensitivity = -2 * weight * r.precision * r.precision / (sum * sum);
    return (cldice_slopes){(fv_real)(by_precision / r.predicted), (fv_real)(-by_precision * r.precision / r.predicted),
                           (fv_real)(by_sensitivity / r.true_length)};
}

/* A pass over the pixels of some rows of one sample, class by class. */
typedef struct pixel_job {
    const fv_op_call *call;
    double weight; /* of a region */
    void (*run)(const struct pixel_job *job, const cldice_slopes *slopes, size_t begin, size_t end, size_t step);
} pixel_job;

static void pixel_task(void *context, int64_t task, int worker) {
    (void)worker;
    const pixel_job *job = context;
    fv_shape z = job->call->spec->in[LOGITS];
    size_t parts = ((size_t)z.h + TASK_ROWS - 1) / TASK_ROWS, row = (size_t)z.w * (size_t)z.c;
    size_t sample = (size_t)task / parts, first = (size_t)task % parts * TASK_ROWS, last = first + TASK_ROWS;
    if (last > (size_t)z.h) last = (size_t)z.h;
    size_t base = sample * (size_t)z.h;
    for (size_t c = 0; c < (size_t)z.c; c++) {
        cldice_slopes slopes = slopes_of(job->call, sample * (size_t)z.c + c, job->weight);
        job->run(job, &slopes, (base + first) * row + c, (base + last) * row, (size_t)z.c);
    }
}

static void run_pixels(const pixel_job *job) {
    fv_shape z = job->call->spec->in[LOGITS];
    pixel_job copy = *job;
    fv_parallel_for((int64_t)z.n * ((z.h + TASK_ROWS - 1) / TASK_ROWS), pixel_task, &copy);
}

static void skeleton_gradient(const pixel_job *job, const cldice_slopes *slopes, size_t begin, size_t end,
                              size_t step) {
    const fv_real *t = job->call->in[TARGET];
    fv_real *d_skeleton = work_plane(job->call, 0);
    for (size_t i = begin; i < end; i += step) d_skeleton[i] = slopes->overlap * t[i] + slopes->whole;
}

static void logit_gradient(const pixel_job *job, const cldice_slopes *slopes, size_t begin, size_t end, size_t step) {
    const fv_op_call *call = job->call;
    const fv_real *p = work_plane(call, 0), *d_image = work_plane(call, 1), *skeleton = true_skeleton(call);
    fv_real *d_z = call->d_in[LOGITS];
    for (size_t i = begin; i < end; i += step) {
        fv_real d = (d_image[i] + slopes->covered * skeleton[i]) * p[i] * (1 - p[i]);
        d_z[i] = call->add[LOGITS] ? d_z[i] + d : d;
    }
}

static void backward(const fv_op_call *call) {
    if (!call->d_in[LOGITS]) return;
    const fv_op_spec *spec = call->spec;
    double valid_columns, valid_regions;
    fv_loss_count_valid(call, &valid_columns, &valid_regions);
    double weight = (double)call->d_out[0] * spec->attributes.weight_cldice / (valid_regions > 0 ? valid_regions : 1);
    run_pixels(&(pixel_job){call, weight, skeleton_gradient});
    fv_skeleton_trace trace = trace_of(call);
    fv_skeleton_gradient(spec->in[LOGITS], spec->attributes.cldice_iterations, &trace, work_plane(call, 0),
                         work_plane(call, 1), work_plane(call, 2));
    write_probabilities(call, work_plane(call, 0));
    run_pixels(&(pixel_job){call, weight, logit_gradient});
}

const fv_op fv_op_cldice_loss = {
    .name = "cldice_loss",
    .backward_reads = FV_READS_IN(LOGITS) | FV_READS_IN(TARGET) | FV_READS_IN(VALID),
    .infer = infer,
    .saved_bytes = saved_bytes,
    .work_bytes = work_bytes,
    .forward = forward,
    .backward = backward,
};
