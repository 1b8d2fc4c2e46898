#include "bench.h"
#include "fovea/base/cpu.h"
#include "fovea/base/version.h"
#include "json_file.h"

static fv_status measure(const void *context, void *result) {
    (void)context;
    return fv_limits_measure(result);
}

fv_status bench_limits(fv_limits *limits) {
    return bench_child_run(measure, NULL, limits, sizeof *limits);
}

const char *bench_bound(const fv_limits *limits, const bench_work *work, double *percent) {
    int level;
    double shortest = fv_limit_seconds(limits, work->operations, work->bytes, &level);
    *percent = work->seconds > 0 ? 100 * shortest / work->seconds : 0;
    return level < 0 ? "fma" : fv_limit_level_names[level];
}

void bench_add_machine(cJSON *object, const fv_limits *limits) {
    cJSON_AddStringToObject(object, "cpu", fv_cpu_model());
    cJSON_AddStringToObject(object, "cpu_level", fv_cpu_name(fv_cpu()));
    cJSON_AddStringToObject(object, "version", fv_version());
    cJSON_AddStringToObject(object, "revision", fv_revision());
    cJSON_AddNumberToObject(object, "threads", limits->threads);
    cJSON_AddNumberToObject(object, "fma_gflops", limits->flops / 1e9);
    cJSON_AddNumberToObject(object, "triad_gbs", limits->bandwidth[FV_LIMIT_MEMORY] / 1e9);
    cJSON_AddNumberToObject(object, "triad_l1_gbs", limits->bandwidth[FV_LIMIT_L1] / 1e9);
    cJSON_AddNumberToObject(object, "triad_l2_gbs", limits->bandwidth[FV_LIMIT_L2] / 1e9);
    cJSON_AddNumberToObject(object, "triad_l3_gbs", limits->bandwidth[FV_LIMIT_L3] / 1e9);
}

void bench_print_machine(FILE *stream, const fv_limits *limits) {
    fprintf(stream, "%s, %s, %d thread%s: %.1f GFLOP/s of multiply-adds; triad", fv_cpu_model(), fv_cpu_name(fv_cpu()),
            limits->threads, limits->threads == 1 ? "" : "s", limits->flops / 1e9);
    for (int level = 0; level < FV_LIMIT_LEVELS; level++)
        fprintf(stream, "%s %s %.1f", level ? "," : "", fv_limit_level_names[level], limits->bandwidth[level] / 1e9);
    fprintf(stream, " GB/s\n");
}

fv_status bench_write_json(cJSON *json, const bench_output *output) {
    fv_status status = output->json ? json_write(cJSON_Print(json), output->json) : FV_OK;
    cJSON_Delete(json);
    return status;
}
