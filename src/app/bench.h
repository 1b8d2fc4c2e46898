/* What the parts of `fovea bench` share: timing, the machine's limits beside it, tables and JSON. */
#ifndef FOVEA_APP_BENCH_H
#define FOVEA_APP_BENCH_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "fovea/base/file.h"
#include "fovea/kernel/limit.h"

/* ---- the request ---- */

typedef enum bench_mode { BENCH_TRAIN, BENCH_INFER, BENCH_MODES } bench_mode;

extern const char *const bench_mode_names[]; /* "train", "infer", NULL */

/* One network in one mode. */
typedef struct bench_request {
    const char *model; /* a name of bench_model_names, or a model file or run folder */
    bench_mode mode;
    int batch, size; /* 0: the standard, see bench_job_make() */
    double seconds;  /* to repeat the step for */
} bench_request;

/* Where results go. */
typedef struct bench_output {
    FILE *table;
    const char *json; /* file, "-", or NULL */
} bench_output;

/* ---- timing (bench_time.c) ---- */

typedef struct bench_timing {
    double median_s, best_s, mean_s;
    int runs;
} bench_timing;

typedef struct bench_patience {
    int warm_up, least; /* runs that do not count, runs that count at least */
    double seconds;     /* more runs until so much time has passed */
    const char *label;  /* of the progress line on a terminal; NULL: none */
} bench_patience;

/* Runs `body` again and again. FV_INTERRUPTED when a signal asked to stop. */
fv_status bench_time(void (*body)(void *context), void *context, const bench_patience *patience, bench_timing *timing);
/* Fills with random numbers of [low, high), the same each time. */
void bench_fill(float *values, size_t count, double low, double high);

/* ---- a process of its own (bench_child.c) ---- */

/* Runs `body` in a child process, whose peak memory is then that of `body` alone, and brings back its result of `bytes`
   bytes (plain data without pointers). To be called before this process has used threads. */
fv_status bench_child_run(fv_status (*body)(const void *context, void *result), const void *context, void *result,
                          size_t bytes);

/* ---- figures beside the machine's own (bench_machine.c) ---- */

/* Measures in a child process, so that the memory of the probes counts nowhere. */
fv_status bench_limits(fv_limits *limits);
/* What was done, how long it took, and how that compares. */
typedef struct bench_work {
    double seconds, operations, bytes;
} bench_work;

/* "fma", "L1", "L2", "L3" or "memory": what bounds the work; *percent is the share of that limit that was reached. */
const char *bench_bound(const fv_limits *limits, const bench_work *work, double *percent);
/* cpu, cpu_level, version, threads, fma_gflops, triad_gbs and the caches' figures. */
void bench_add_machine(cJSON *object, const fv_limits *limits);
void bench_print_machine(FILE *stream, const fv_limits *limits);
/* Writes the JSON where the output wants it, and deletes it. */
fv_status bench_write_json(cJSON *json, const bench_output *output);

/* ---- the three kinds of benchmark ---- */

extern const char *const bench_model_names[]; /* networks, and widths of resunet that have a name: NULL at the end */

/* One network or, with model NULL, all; mode BENCH_MODES: both. */
fv_status bench_networks(const bench_request *request, const bench_output *output);
fv_status bench_profile(const bench_request *request, const bench_output *output);
/* `only`: kernels whose name begins so; NULL: all. */
fv_status bench_kernels(const char *only, int batch, double seconds, const bench_output *output);

#endif
