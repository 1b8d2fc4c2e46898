/* The measuring half of kernel_check.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel_check.h"

#define SAMPLES 15
#define SAMPLE_S 0.004 /* at least, by repeating */

/* The loops that memory is measured with are compiled for the best instructions of the processor. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define BEST_VECTORS __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define BEST_VECTORS
#endif

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of a run. */
static double median_time(void (*run)(void *context), void *context) {
    double begin = now(), times[SAMPLES];
    run(context);
    run(context);
    int repeats = 1 + (int)(SAMPLE_S / ((now() - begin) / 2 + 1e-9));
    for (int s = 0; s < SAMPLES; s++) {
        begin = now();
        for (int r = 0; r < repeats; r++) run(context);
        times[s] = (now() - begin) / repeats;
    }
    qsort(times, SAMPLES, sizeof *times, by_size);
    return times[SAMPLES / 2];
}

/* The bound -------------------------------------------------------------------------------------------- */

#define MOST_ARRAYS 5
#define LINE 64 /* floats at once */

typedef struct stream_bound {
    size_t units;
    int reads, updates, writes;
    float *arrays[MOST_ARRAYS]; /* in this order */
} stream_bound;

BEST_VECTORS static void move_lines(const stream_bound *b) {
    int changed = b->reads + b->updates;
    for (size_t i = 0; i < b->units; i += LINE) {
        float sums[LINE] = {0};
        for (int a = 0; a < changed; a++)
            for (int k = 0; k < LINE; k++) sums[k] += b->arrays[a][i + (size_t)k];
        for (int a = b->reads; a < changed + b->writes; a++)
            for (int k = 0; k < LINE; k++) b->arrays[a][i + (size_t)k] = sums[k];
        if (changed == b->reads && b->writes == 0) __asm__ volatile("" : : "g"(sums) : "memory");
    }
}

static void move(void *context) {
    move_lines(context);
}

/* GB/s of the plain loop. */
static double bound_of(const bench_case *c, double bytes) {
    stream_bound b = {(c->units + LINE - 1) / LINE * LINE, c->reads, c->updates, c->writes, {0}};
    int arrays = c->reads + c->updates + c->writes;
    assert_true(arrays <= MOST_ARRAYS);
    for (int a = 0; a < arrays; a++) {
        b.arrays[a] = aligned_alloc(64, b.units * sizeof(float));
        assert_non_null(b.arrays[a]);
        memset(b.arrays[a], 0, b.units * sizeof(float));
    }
    double seconds = median_time(move, &b);
    for (int a = 0; a < arrays; a++) free(b.arrays[a]);
    return bytes / seconds * 1e-9;
}

void bench_run(const bench_case *c, void (*run)(void *context), void *context) {
    double bytes = (double)(c->reads + 2 * c->updates + c->writes) * (double)c->units * sizeof(float);
    double bound = bound_of(c, bytes), seconds = median_time(run, context), rate = bytes / seconds * 1e-9;
    printf("%-44s %-6s %10.1f us %7.1f GB/s %4.0f %%", c->label, fv_cpu_name(c->level), seconds * 1e6, rate,
           100 * rate / bound);
    if (c->flops > 0) printf(" %7.1f GFLOP/s", c->flops / seconds * 1e-9);
    printf("\n");
}
