#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "commands.h"
#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/base/rng.h"

#define MOST_RUNS 10000
#define TICKS 10 /* of the progress bar, a second */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bench_timing timing_of(double *times, int runs) {
    double sum = 0;
    for (int i = 0; i < runs; i++) sum += times[i];
    qsort(times, (size_t)runs, sizeof *times, compare_doubles);
    return (bench_timing){.median_s = (times[(runs - 1) / 2] + times[runs / 2]) / 2,
                          .best_s = times[0],
                          .mean_s = sum / runs,
                          .runs = runs};
}

static int repeat(void (*body)(void *context), void *context, const bench_patience *patience, double *times) {
    fv_progress progress;
    bool shown = patience->label && isatty(STDERR_FILENO); /* in a log, the table is enough */
    int runs = 0;
    double start = fv_seconds(), since = 0;
    if (shown) fv_progress_start(&progress, patience->label, (int64_t)(TICKS * patience->seconds));
    while (!stop_requested() && runs < MOST_RUNS && (runs < patience->least || since < patience->seconds)) {
        double begin = fv_seconds();
        body(context);
        double end = fv_seconds();
        times[runs++] = end - begin;
        since = end - start;
        if (shown) fv_progress_update(&progress, (int64_t)(TICKS * fmin(since, patience->seconds)), NULL);
    }
    if (shown) fv_progress_end(&progress);
    return runs;
}

fv_status bench_time(void (*body)(void *context), void *context, const bench_patience *patience, bench_timing *timing) {
    double *times = fv_allocate(MOST_RUNS, sizeof *times, "a list of times");
    *timing = (bench_timing){0};
    if (!times) return FV_NO_RESOURCE;
    for (int i = 0; i < patience->warm_up && !stop_requested(); i++) body(context);
    int runs = repeat(body, context, patience, times);
    if (!stop_requested()) *timing = timing_of(times, runs);
    free(times);
    return stop_requested() ? FV_INTERRUPTED : FV_OK;
}

void bench_fill(float *values, size_t count, double low, double high) {
    fv_rng rng = fv_rng_make(1, 0, 0, FV_PURPOSE_TEST);
    for (size_t i = 0; i < count; i++) values[i] = (float)fv_rng_range(&rng, low, high);
}
