/* Where the time of a step goes: by kind of op, and by layer with what bounds it. */
#include <stdlib.h>

#include "bench_job.h"
#include "fovea/base/memory.h"
#include "json_file.h"

/* One layer in one direction. */
typedef struct profile_row {
    const fv_graph_node *node;
    bool backward;
    bench_work work; /* of one step */
} profile_row;

typedef struct profile {
    profile_row *rows;
    int count;
    double step_s, layers_s, optimizer_s; /* means of the measured steps */
    int runs;
} profile;

/* ---- what a layer does ---- */

static double tensor_bytes(fv_shape shape) {
    return (double)fv_shape_count(shape) * sizeof(float);
}

/* Forward reads all inputs and writes the output. */
static bench_work forward_work(const fv_graph_node *node) {
    const fv_op *op = fv_op_table[node->spec.kind];
    bench_work work = {.operations = op->macs ? 2 * op->macs(&node->spec) : 0, .bytes = tensor_bytes(node->spec.out)};
    for (int k = 0; k < node->spec.inputs; k++) work.bytes += tensor_bytes(node->spec.in[k]);
    return work;
}

/* Backward reads the output's gradient and what the op says it looks at, and writes the gradients that somebody needs:
   a product as large as forward's for the input's and one for the weight's. */
static bench_work backward_work(const fv_graph *graph, const fv_graph_node *node) {
    const fv_op *op = fv_op_table[node->spec.kind];
    bench_work work = {.bytes = tensor_bytes(node->spec.out)};
    if (op->backward_reads & FV_READS_OUT) work.bytes += tensor_bytes(node->spec.out);
    for (int k = 0; k < node->spec.inputs; k++) {
        bool needed = graph->values[node->in[k]].needs_gradient;
        double bytes = tensor_bytes(node->spec.in[k]);
        if (op->backward_reads & FV_READS_IN(k)) work.bytes += bytes;
        if (needed) work.bytes += bytes;
        if (needed && k < 2 && op->macs) work.operations += 2 * op->macs(&node->spec);
    }
    return work;
}

static int slower_first(const void *a, const void *b) {
    double x = ((const profile_row *)a)->work.seconds, y = ((const profile_row *)b)->work.seconds;
    return (x < y) - (x > y);
}

/* Layers that took no time were fused into others, or have no backward. */
static void add_row(profile *p, const fv_graph_node *node, bool backward, bench_work work, double seconds) {
    if (seconds <= 0) return;
    work.seconds = seconds;
    p->rows[p->count++] = (profile_row){node, backward, work};
    p->layers_s += seconds;
}

static fv_status collect(const bench_job *job, profile *p) {
    const fv_graph *graph = job->graph;
    const fv_plan_profile *measured = fv_plan_profile_get(job->plan);
    p->rows = fv_allocate(2 * (size_t)graph->node_count, sizeof *p->rows, "a profile");
    if (!p->rows) return FV_NO_RESOURCE;
    for (int i = 0; i < graph->node_count; i++) {
        const fv_graph_node *node = &graph->nodes[i];
        add_row(p, node, false, forward_work(node), measured->forward[i] / p->runs);
        add_row(p, node, true, backward_work(graph, node), measured->backward[i] / p->runs);
    }
    qsort(p->rows, (size_t)p->count, sizeof *p->rows, slower_first);
    return FV_OK;
}

static fv_status measure(bench_job *job, double seconds, profile *p) {
    bench_timing timing;
    bench_patience warm = {.warm_up = 2, .least = 1}, measured = {.least = 3, .seconds = seconds, .label = "profile"};
    FV_TRY(bench_time(bench_job_run, job, &warm, &timing));
    FV_TRY(fv_plan_profile_start(job->plan));
    job->optimizer_s = 0;
    FV_TRY(bench_time(bench_job_run, job, &measured, &timing));
    p->runs = timing.runs;
    p->step_s = timing.mean_s;
    p->optimizer_s = job->optimizer_s / timing.runs;
    return collect(job, p);
}

/* ---- tables ---- */

/* Work of all layers of a kind in a direction. */
static bench_work kind_sum(const profile *p, fv_op_kind kind, bool backward) {
    bench_work sum = {0};
    for (int i = 0; i < p->count; i++) {
        if (p->rows[i].node->spec.kind != kind || p->rows[i].backward != backward) continue;
        sum.seconds += p->rows[i].work.seconds;
        sum.operations += p->rows[i].work.operations;
        sum.bytes += p->rows[i].work.bytes;
    }
    return sum;
}

static void print_kind(FILE *stream, const char *name, const bench_work *work, double step_s) {
    fprintf(stream, "%-22s %10.3f %7.1f %9.1f %8.1f\n", name, work->seconds * 1e3, 100 * work->seconds / step_s,
            work->operations / work->seconds / 1e9, work->bytes / work->seconds / 1e9);
}

static void print_kinds(FILE *stream, const profile *p) {
    fprintf(stream, "\n%-22s %10s %7s %9s %8s\n", "op", "ms", "% time", "GFLOP/s", "GB/s");
    for (int kind = 0; kind < FV_OP_COUNT; kind++)
        for (int backward = 0; backward < 2; backward++) {
            char name[64];
            bench_work sum = kind_sum(p, (fv_op_kind)kind, backward);
            snprintf(name, sizeof name, "%s%s", fv_op_table[kind]->name, backward ? " back" : "");
            if (sum.seconds > 0) print_kind(stream, name, &sum, p->step_s);
        }
    double rest = p->step_s - p->layers_s - p->optimizer_s;
    if (p->optimizer_s > 0)
        fprintf(stream, "%-22s %10.3f %7.1f\n", "optimizer", p->optimizer_s * 1e3, 100 * p->optimizer_s / p->step_s);
    fprintf(stream, "%-22s %10.3f %7.1f\n%-22s %10.3f\n", "between layers", rest * 1e3, 100 * rest / p->step_s, "step",
            p->step_s * 1e3);
}

static void print_layers(FILE *stream, const profile *p, const fv_limits *limits) {
    fprintf(stream, "\n%-34s %-17s %-17s %9s %6s %8s %7s %8s  %s\n", "layer", "op", "output (NHWC)", "ms", "% time",
            "GFLOP/s", "GB/s", "% limit", "bound");
    for (int i = 0; i < p->count; i++) {
        const profile_row *row = &p->rows[i];
        char shape[FV_SHAPE_TEXT], op[64];
        double percent;
        const char *bound = bench_bound(limits, &row->work, &percent);
        snprintf(op, sizeof op, "%s%s", fv_op_table[row->node->spec.kind]->name, row->backward ? " back" : "");
        fprintf(stream, "%-34s %-17.17s %-17s %9.3f %6.1f %8.1f %7.1f %8.0f  %s\n", row->node->name, op,
                fv_shape_text(row->node->spec.out, shape), row->work.seconds * 1e3, 100 * row->work.seconds / p->step_s,
                row->work.operations / row->work.seconds / 1e9, row->work.bytes / row->work.seconds / 1e9, percent,
                bound);
    }
}

static cJSON *layer_to_json(const profile_row *row, const fv_limits *limits) {
    cJSON *item = cJSON_CreateObject();
    char shape[FV_SHAPE_TEXT];
    double percent;
    cJSON_AddStringToObject(item, "layer", row->node->name);
    cJSON_AddStringToObject(item, "op", fv_op_table[row->node->spec.kind]->name);
    cJSON_AddStringToObject(item, "pass", row->backward ? "backward" : "forward");
    cJSON_AddStringToObject(item, "output", fv_shape_text(row->node->spec.out, shape));
    cJSON_AddNumberToObject(item, "seconds", row->work.seconds);
    cJSON_AddNumberToObject(item, "gflops", row->work.operations / row->work.seconds / 1e9);
    cJSON_AddNumberToObject(item, "gbs", row->work.bytes / row->work.seconds / 1e9);
    cJSON_AddStringToObject(item, "bound", bench_bound(limits, &row->work, &percent));
    cJSON_AddNumberToObject(item, "limit_percent", percent);
    return item;
}

static cJSON *profile_to_json(const bench_request *request, const bench_job *job, const profile *p,
                              const fv_limits *limits) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "model", request->model);
    cJSON_AddStringToObject(root, "mode", bench_mode_names[job->mode]);
    cJSON_AddNumberToObject(root, "batch", job->batch);
    cJSON_AddNumberToObject(root, "size", job->size);
    cJSON_AddNumberToObject(root, "runs", p->runs);
    cJSON_AddNumberToObject(root, "step_s", p->step_s);
    cJSON_AddNumberToObject(root, "layers_s", p->layers_s);
    cJSON_AddNumberToObject(root, "optimizer_s", p->optimizer_s);
    cJSON *layers = cJSON_AddArrayToObject(root, "layers");
    for (int i = 0; i < p->count; i++) cJSON_AddItemToArray(layers, layer_to_json(&p->rows[i], limits));
    bench_add_machine(root, limits);
    return root;
}

fv_status bench_profile(const bench_request *request, const bench_output *output) {
    fv_limits limits;
    bench_job job;
    profile p = {0};
    FV_TRY(bench_model_check(request));
    FV_TRY(bench_limits(&limits));
    FV_TRY(bench_job_make(request, &job));
    fv_status status = measure(&job, request->seconds, &p);
    if (status == FV_OK) {
        fprintf(output->table, "%s, %s, batch %d, size %d: mean of %d steps\n", request->model,
                bench_mode_names[job.mode], job.batch, job.size, p.runs);
        bench_print_machine(output->table, &limits);
        print_kinds(output->table, &p);
        print_layers(output->table, &p, &limits);
        status = bench_write_json(profile_to_json(request, &job, &p, &limits), output);
    }
    free(p.rows);
    bench_job_free(&job);
    return status;
}
