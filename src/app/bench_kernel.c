/* Every op by itself, on shapes of the networks: each pass against what bounds it. */
#include <string.h>

#include "bench.h"
#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/op/op.h"

typedef struct kernel_case {
    const char *family;
    fv_op_kind kind;
    int size, c, f, kernel, stride, dilation;
} kernel_case;

static const kernel_case cases[] = {
#define KERNEL(family, kind, size, c, f, kernel, stride, dilation)                                                     \
    {family, FV_OP_##kind, size, c, f, kernel, stride, dilation},
#include "bench_kernel_list.h"
#undef KERNEL
};
#define CASES (int)(sizeof cases / sizeof *cases)

typedef enum kernel_pass { PASS_FORWARD, PASS_DATA, PASS_WEIGHT, PASS_BACKWARD, PASSES } kernel_pass;

static const char *const pass_names[] = {"forward", "data", "weight", "backward"};

/* An op with its tensors; in[0] is `x`. */
typedef struct kernel_job {
    fv_op_spec spec;
    void *block;
    fv_op_call forward, backward; /* backward writes all gradients; passes leave some out */
    fv_op_call call;              /* of the pass being timed */
    kernel_pass pass;
} kernel_job;

static bool has_weight(fv_op_kind kind) {
    return kind == FV_OP_conv2d || kind == FV_OP_depthwise || kind == FV_OP_conv_transpose;
}

/* ---- shapes ---- */

static int second_shapes(const kernel_case *k, fv_shape x, fv_shape *in) {
    fv_shape vector = {1, 1, 1, k->c}, sample = {x.n, 1, 1, k->c};
    switch (k->kind) {
    case FV_OP_conv2d:
        in[1] = (fv_shape){k->kernel, k->kernel, k->c, k->f};
        return 2;
    case FV_OP_depthwise:
        in[1] = (fv_shape){k->kernel, k->kernel, 1, k->c};
        return 2;
    case FV_OP_conv_transpose:
        in[1] = (fv_shape){k->kernel, k->kernel, k->c, k->f};
        in[2] = (fv_shape){1, 1, 1, k->f};
        return 3;
    case FV_OP_batch_norm:
        for (int i = 1; i < 5; i++) in[i] = vector;
        return 5;
    case FV_OP_concat:
        in[1] = (fv_shape){x.n, x.h, x.w, k->f};
        return 2;
    case FV_OP_add:
        in[1] = x;
        return 2;
    case FV_OP_multiply:
        in[1] = sample;
        return 2;
    case FV_OP_segmentation_loss:
    case FV_OP_cldice_loss:
        in[1] = x;
        in[2] = sample;
        return 3;
    default:
        return 1;
    }
}

static fv_status make_spec(const kernel_case *k, int batch, fv_op_spec *spec) {
    bool pool = k->kind == FV_OP_max_pool;
    *spec = (fv_op_spec){.kind = k->kind, .in[0] = {batch, k->size, k->size, k->c}};
    spec->attributes = (fv_attributes){.kernel_h = k->kernel,
                                       .kernel_w = k->kernel,
                                       .stride = k->stride,
                                       .dilation = k->dilation,
                                       .padding = {.mode = pool ? FV_PAD_EXPLICIT : FV_PAD_SAME},
                                       .activation = k->kind == FV_OP_batch_norm ? FV_ACT_RELU : FV_ACT_NONE,
                                       .epsilon = 1e-3,
                                       .momentum = 0.1,
                                       .scale = 2,
                                       .weight_bce = 1,
                                       .weight_dice = 1,
                                       .weight_cldice = 1,
                                       .smooth = 1};
    spec->inputs = second_shapes(k, spec->in[0], spec->in);
    return fv_op_table[k->kind]->infer(spec, k->family);
}

/* ---- memory ---- */

static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    const fv_op *op = fv_op_table[spec->kind];
    return op->work_bytes ? op->work_bytes(spec, backward) : 0;
}

static size_t saved_bytes(const fv_op_spec *spec) {
    const fv_op *op = fv_op_table[spec->kind];
    return op->saved_bytes ? op->saved_bytes(spec) : 0;
}

static size_t tensor_bytes(fv_shape shape) {
    return fv_align_up(fv_shape_count(shape) * sizeof(float));
}

/* The next `bytes` of the block. */
static void *take(char **cursor, size_t bytes) {
    void *taken = *cursor;
    *cursor += fv_align_up(bytes);
    return taken;
}

static fv_status kernel_job_make(const kernel_case *k, int batch, kernel_job *job) {
    FV_TRY(make_spec(k, batch, &job->spec));
    const fv_op_spec *spec = &job->spec;
    size_t out = tensor_bytes(spec->out), bytes = 2 * out + fv_align_up(saved_bytes(spec));
    for (int i = 0; i < spec->inputs; i++) bytes += 2 * tensor_bytes(spec->in[i]);
    bytes += fv_align_up(work_bytes(spec, false)) + fv_align_up(work_bytes(spec, true));
    FV_TRY(fv_block_allocate(bytes, "a kernel's tensors", &job->block));
    char *cursor = job->block;
    fv_op_call *forward = &job->forward, *backward = &job->backward;
    *forward = (fv_op_call){.spec = spec, .training = true};
    for (int i = 0; i < spec->inputs; i++) {
        forward->in[i] = take(&cursor, tensor_bytes(spec->in[i]));
        bench_fill(forward->in[i], fv_shape_count(spec->in[i]), i ? 0.1 : -1, 1);
    }
    forward->out = take(&cursor, out);
    forward->saved = take(&cursor, saved_bytes(spec));
    *backward = *forward;
    forward->work = take(&cursor, work_bytes(spec, false));
    backward->work = take(&cursor, work_bytes(spec, true));
    float *d_out = take(&cursor, out);
    bench_fill(d_out, fv_shape_count(spec->out), -1, 1);
    backward->d_out = d_out;
    for (int i = 0; i < spec->inputs; i++) backward->d_in[i] = take(&cursor, tensor_bytes(spec->in[i]));
    return FV_OK;
}

/* ---- one pass ---- */

/* Makes the call of a pass: a convolution's two gradients are timed apart. */
static void choose_pass(kernel_job *job, kernel_pass pass) {
    job->pass = pass;
    job->call = pass == PASS_FORWARD ? job->forward : job->backward;
    for (int i = 0; i < job->spec.inputs; i++)
        if ((pass == PASS_DATA && i > 0) || (pass == PASS_WEIGHT && i == 0)) job->call.d_in[i] = NULL;
}

static void run_pass(void *context) {
    kernel_job *job = context;
    const fv_op *op = fv_op_table[job->spec.kind];
    (job->pass == PASS_FORWARD ? op->forward : op->backward)(&job->call);
}

static bench_work work_of(const kernel_job *job) {
    const fv_op *op = fv_op_table[job->spec.kind];
    const fv_op_spec *spec = &job->spec;
    bench_work work = {.operations = op->macs ? 2 * op->macs(spec) : 0, .bytes = (double)tensor_bytes(spec->out)};
    if (job->pass != PASS_FORWARD && (op->backward_reads & FV_READS_OUT)) work.bytes += (double)tensor_bytes(spec->out);
    for (int i = 0; i < spec->inputs; i++) {
        double bytes = (double)tensor_bytes(spec->in[i]);
        bool other = (job->pass == PASS_DATA && i == 0) || (job->pass == PASS_WEIGHT && i == 1); /* its own old value */
        if (job->pass == PASS_FORWARD || ((op->backward_reads & FV_READS_IN(i)) && !other)) work.bytes += bytes;
        if (job->call.d_in[i]) work.bytes += bytes;
    }
    return work;
}

/* ---- table ---- */

typedef struct kernel_bench {
    const bench_output *output;
    fv_limits limits;
    double seconds; /* a pass */
    cJSON *rows;
} kernel_bench;

static void print_heading(FILE *stream) {
    fprintf(stream, "%-16s %-18s %-16s %-9s %10s %10s %9s %8s %8s  %s\n", "kernel", "input (NHWC)", "weight", "pass",
            "median, ms", "best, ms", "GFLOP/s", "GB/s", "% limit", "bound");
}

static void report(const kernel_bench *bench, const kernel_case *k, const kernel_job *job, const bench_timing *timing) {
    char in[FV_SHAPE_TEXT], weight[FV_SHAPE_TEXT] = "";
    double percent;
    bench_work work = work_of(job);
    work.seconds = timing->median_s;
    const char *bound = bench_bound(&bench->limits, &work, &percent), *pass = pass_names[job->pass];
    fv_shape_text(job->spec.in[0], in);
    if (has_weight(k->kind)) fv_shape_text(job->spec.in[1], weight);
    fprintf(bench->output->table, "%-16s %-18s %-16s %-9s %10.4f %10.4f %9.1f %8.1f %8.0f  %s\n", k->family, in, weight,
            pass, timing->median_s * 1e3, timing->best_s * 1e3, work.operations / timing->median_s / 1e9,
            work.bytes / timing->median_s / 1e9, percent, bound);
    fflush(bench->output->table);
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "kernel", k->family);
    cJSON_AddStringToObject(row, "op", fv_op_table[k->kind]->name);
    cJSON_AddStringToObject(row, "input", in);
    cJSON_AddStringToObject(row, "weight", weight);
    cJSON_AddNumberToObject(row, "stride", k->stride);
    cJSON_AddNumberToObject(row, "dilation", k->dilation);
    cJSON_AddStringToObject(row, "pass", pass);
    cJSON_AddNumberToObject(row, "runs", timing->runs);
    cJSON_AddNumberToObject(row, "median_s", timing->median_s);
    cJSON_AddNumberToObject(row, "best_s", timing->best_s);
    cJSON_AddNumberToObject(row, "gflops", work.operations / timing->median_s / 1e9);
    cJSON_AddNumberToObject(row, "gbs", work.bytes / timing->median_s / 1e9);
    cJSON_AddNumberToObject(row, "limit_percent", percent);
    cJSON_AddStringToObject(row, "bound", bound);
    cJSON_AddItemToArray(bench->rows, row);
}

static fv_status bench_pass(const kernel_bench *bench, const kernel_case *k, kernel_job *job, kernel_pass pass) {
    bench_patience patience = {.warm_up = 1, .least = 5, .seconds = bench->seconds};
    bench_timing timing;
    choose_pass(job, pass);
    FV_TRY(bench_time(run_pass, job, &patience, &timing));
    report(bench, k, job, &timing);
    return FV_OK;
}

static fv_status bench_case(const kernel_bench *bench, const kernel_case *k, int batch) {
    kernel_job job = {0};
    fv_status status = kernel_job_make(k, batch, &job);
    if (status == FV_OK) status = bench_pass(bench, k, &job, PASS_FORWARD);
    if (status == FV_OK && has_weight(k->kind)) {
        status = bench_pass(bench, k, &job, PASS_DATA);
        if (status == FV_OK) status = bench_pass(bench, k, &job, PASS_WEIGHT);
    } else if (status == FV_OK) {
        status = bench_pass(bench, k, &job, PASS_BACKWARD);
    }
    fv_block_free(job.block);
    return status;
}

static cJSON *kernels_to_json(const kernel_bench *bench, int batch) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "batch", batch);
    bench_add_machine(root, &bench->limits);
    cJSON_AddItemToObject(root, "kernels", bench->rows);
    return root;
}

static bool is_wanted(const kernel_case *k, const char *only) {
    return !only || strncmp(k->family, only, strlen(only)) == 0;
}

static fv_status check_wanted(const char *only) {
    char known[512] = "";
    for (int i = 0; i < CASES; i++) {
        if (is_wanted(&cases[i], only)) return FV_OK;
        if (i > 0 && strcmp(cases[i].family, cases[i - 1].family) == 0) continue;
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", cases[i].family);
    }
    return fv_fail(FV_BAD_INPUT, "--only %s: no kernel is called so; there are %s", only, known);
}

fv_status bench_kernels(const char *only, int batch, double seconds, const bench_output *output) {
    FV_TRY(check_wanted(only));
    kernel_bench bench = {.output = output, .seconds = seconds};
    FV_TRY(bench_limits(&bench.limits));
    bench.rows = cJSON_CreateArray();
    bench_print_machine(output->table, &bench.limits);
    print_heading(output->table);
    fv_status status = FV_OK;
    for (int i = 0; i < CASES && status == FV_OK; i++)
        if (is_wanted(&cases[i], only)) status = bench_case(&bench, &cases[i], batch);
    if (status == FV_OK) return bench_write_json(kernels_to_json(&bench, batch), output);
    cJSON_Delete(bench.rows);
    return status;
}
