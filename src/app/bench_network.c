#include "bench_job.h"
#include "fovea/base/memory.h"
#include "json_file.h"

#define MIB (1024.0 * 1024)

/* What comes back from the measuring process. */
typedef struct network_result {
    bench_timing timing;
    int batch, size;
    double macs, operations; /* of an image, of a step */
    size_t plan_bytes, peak_bytes, weight_bytes;
} network_result;

static fv_status measure(const void *context, void *out) {
    const bench_request *request = context;
    network_result *result = out;
    bench_job job;
    FV_TRY(bench_job_make(request, &job));
    char label[FV_PATH_MAX];
    snprintf(label, sizeof label, "%s, %s", request->model, bench_mode_names[request->mode]);
    bench_patience patience = {
        .warm_up = 2, .least = request->mode == BENCH_TRAIN ? 3 : 5, .seconds = request->seconds, .label = label};
    fv_status status = bench_time(bench_job_run, &job, &patience, &result->timing);
    result->batch = job.batch;
    result->size = job.size;
    result->macs = job.macs;
    result->operations = bench_job_operations(&job);
    result->plan_bytes = fv_plan_bytes(job.plan);
    result->peak_bytes = fv_memory_peak();
    result->weight_bytes = job.model->params.total * sizeof(float);
    bench_job_free(&job);
    return status;
}

static void print_heading(FILE *stream, const fv_limits *limits) {
    bench_print_machine(stream, limits);
    fprintf(stream, "%-22s %-6s %5s %5s %11s %11s %9s %8s %6s %9s %9s %9s\n", "network", "mode", "batch", "size",
            "median, ms", "best, ms", "images/s", "GFLOP/s", "% FMA", "plan MiB", "peak MiB", "weights");
}

static void print_row(FILE *stream, const bench_request *request, const network_result *r, const fv_limits *limits) {
    double rate = r->operations / r->timing.median_s;
    fprintf(stream, "%-22s %-6s %5d %5d %11.2f %11.2f %9.2f %8.1f %6.0f %9.1f %9.1f %9.1f\n", request->model,
            bench_mode_names[request->mode], r->batch, r->size, r->timing.median_s * 1e3, r->timing.best_s * 1e3,
            r->batch / r->timing.median_s, rate / 1e9, 100 * rate / limits->flops, (double)r->plan_bytes / MIB,
            (double)r->peak_bytes / MIB, (double)r->weight_bytes / MIB);
    fflush(stream);
}

static cJSON *row_to_json(const bench_request *request, const network_result *r, const fv_limits *limits) {
    cJSON *row = cJSON_CreateObject();
    double rate = r->operations / r->timing.median_s;
    cJSON_AddStringToObject(row, "model", request->model);
    cJSON_AddStringToObject(row, "mode", bench_mode_names[request->mode]);
    cJSON_AddNumberToObject(row, "batch", r->batch);
    cJSON_AddNumberToObject(row, "size", r->size);
    cJSON_AddNumberToObject(row, "runs", r->timing.runs);
    cJSON_AddNumberToObject(row, "median_s", r->timing.median_s);
    cJSON_AddNumberToObject(row, "best_s", r->timing.best_s);
    cJSON_AddNumberToObject(row, "images_per_s", r->batch / r->timing.median_s);
    cJSON_AddNumberToObject(row, "macs", r->macs);
    cJSON_AddNumberToObject(row, "gflops", rate / 1e9);
    cJSON_AddNumberToObject(row, "fma_percent", 100 * rate / limits->flops);
    cJSON_AddNumberToObject(row, "plan_mib", (double)r->plan_bytes / MIB);
    cJSON_AddNumberToObject(row, "peak_mib", (double)r->peak_bytes / MIB);
    cJSON_AddNumberToObject(row, "weights_mib", (double)r->weight_bytes / MIB);
    bench_add_machine(row, limits);
    return row;
}

/* ---- one or all ---- */

static fv_status bench_one(const bench_request *request, const bench_output *output, const fv_limits *limits,
                           cJSON *rows) {
    network_result result = {0};
    FV_TRY(bench_child_run(measure, request, &result, sizeof result));
    if (cJSON_GetArraySize(rows) == 0) print_heading(output->table, limits);
    print_row(output->table, request, &result, limits);
    cJSON_AddItemToArray(rows, row_to_json(request, &result, limits));
    return FV_OK;
}

/* Both modes where none is named. */
static fv_status bench_modes(const bench_request *request, const bench_output *output, const fv_limits *limits,
                             cJSON *rows) {
    for (int mode = 0; mode < BENCH_MODES; mode++) {
        bench_request one = *request;
        one.mode = (bench_mode)mode;
        if (request->mode == BENCH_MODES || request->mode == one.mode) FV_TRY(bench_one(&one, output, limits, rows));
    }
    return FV_OK;
}

static fv_status bench_rows(const bench_request *request, const bench_output *output, cJSON *rows) {
    fv_limits limits;
    if (request->model) FV_TRY(bench_model_check(request));
    FV_TRY(bench_limits(&limits));
    if (request->model) return bench_modes(request, output, &limits, rows);
    for (int i = 0; bench_model_names[i]; i++) {
        bench_request one = *request;
        one.model = bench_model_names[i];
        FV_TRY(bench_modes(&one, output, &limits, rows));
    }
    return FV_OK;
}

fv_status bench_networks(const bench_request *request, const bench_output *output) {
    cJSON *rows = cJSON_CreateArray();
    fv_status status = bench_rows(request, output, rows);
    if (status != FV_OK) {
        cJSON_Delete(rows);
        return status;
    }
    if (cJSON_GetArraySize(rows) != 1) return bench_write_json(rows, output);
    cJSON *row = cJSON_DetachItemFromArray(rows, 0);
    cJSON_Delete(rows);
    return bench_write_json(row, output);
}
