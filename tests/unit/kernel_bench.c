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
#define INLINE static inline __attribute__((always_inline))

/* Vectors of the widest instructions, which others split; four of them are a step. */
typedef float lanes __attribute__((vector_size(64)));
#define STEP 4
#define STEP_FLOATS (STEP * sizeof(lanes) / sizeof(float))

typedef struct stream_bound {
    size_t units;
    int reads, updates, writes;
    lanes *arrays[MOST_ARRAYS]; /* in this order */
} stream_bound;

/* Sums what is read, and writes the sum of each place where something is written. The numbers of arrays are constants
   wherever speed counts, so that the sums stay in registers. */
INLINE void move_arrays(const stream_bound *b, int reads, int updates, int writes) {
    lanes *arrays[MOST_ARRAYS];
    for (int a = 0; a < MOST_ARRAYS; a++) arrays[a] = b->arrays[a];
    lanes s0 = {0}, s1 = s0, s2 = s0, s3 = s0, zero = s0;
    for (size_t i = 0; i < b->units * sizeof(float) / sizeof(lanes); i += STEP) {
        if (updates + writes) s0 = s1 = s2 = s3 = zero;
        for (int a = 0; a < reads + updates; a++) {
            s0 += arrays[a][i];
            s1 += arrays[a][i + 1];
            s2 += arrays[a][i + 2];
            s3 += arrays[a][i + 3];
        }
        for (int a = reads; a < reads + updates + writes; a++) {
            arrays[a][i] = s0;
            arrays[a][i + 1] = s1;
            arrays[a][i + 2] = s2;
            arrays[a][i + 3] = s3;
        }
    }
    volatile float used = s0[0] + s1[0] + s2[0] + s3[0];
    (void)used;
}

BEST_VECTORS static void move_now(const stream_bound *b) {
    switch (100 * b->reads + 10 * b->updates + b->writes) {
#define MOVE(reads, updates, writes)                                                                                   \
    case 100 * reads + 10 * updates + writes:                                                                          \
        move_arrays(b, reads, updates, writes);                                                                        \
        break
        MOVE(1, 0, 0);
        MOVE(2, 0, 0);
        MOVE(5, 0, 0);
        MOVE(1, 0, 1);
        MOVE(2, 0, 1);
        MOVE(4, 0, 1);
        MOVE(1, 0, 4);
        MOVE(0, 1, 0);
        MOVE(1, 1, 0);
        MOVE(1, 3, 0);
#undef MOVE
    default:
        move_arrays(b, b->reads, b->updates, b->writes);
    }
}

static void move(void *context) {
    move_now(context);
}

/* GB/s of the plain loop. */
static double bound_of(const bench_case *c, double bytes) {
    stream_bound b = {(c->units + STEP_FLOATS - 1) / STEP_FLOATS * STEP_FLOATS, c->reads, c->updates, c->writes, {0}};
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
