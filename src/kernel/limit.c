#include "fovea/kernel/limit.h"

#include <math.h>
#include <unistd.h>

#include "fovea/base/cpu.h"
#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/base/threads.h"

#define REPEATS 100    /* the best counts: others may use the machine too, and short slices slip between theirs */
#define LONG_REPEATS 5 /* of what is slow by itself: memory */
#define TASK_S 0.001   /* of one thread in one repeat */
#define CALIBRATION_ROUNDS 20000
#define LARGEST_SET ((size_t)768 << 20)

const char *const fv_limit_level_names[] = {"L1", "L2", "L3", "memory", NULL};

static const fv_limit_kernels *choose_kernels(void) {
#if defined(__x86_64__) && !defined(FV_DOUBLE)
    if (fv_cpu() >= FV_CPU_AVX512) return &fv_limit_avx512;
    if (fv_cpu() >= FV_CPU_AVX2) return &fv_limit_avx2;
#endif
    return &fv_limit_scalar;
}

/* ---- multiply-adds ---- */

typedef struct flop_job {
    const fv_limit_kernels *kernels;
    int64_t rounds;
    volatile float sink;
} flop_job;

static void flop_task(void *context, int64_t i, int worker) {
    (void)i, (void)worker;
    flop_job *job = context;
    job->sink = job->kernels->multiply_adds(job->rounds);
}

/* Seconds of one repeat, a task a thread. */
static double flop_seconds(flop_job *job) {
    double begin = fv_seconds();
    fv_parallel_for(fv_threads(), flop_task, job);
    return fv_seconds() - begin;
}

static double measure_flops(void) {
    flop_job job = {.kernels = choose_kernels(), .rounds = CALIBRATION_ROUNDS};
    flop_seconds(&job); /* wakes the threads and the wide units */
    job.rounds = (int64_t)(CALIBRATION_ROUNDS * TASK_S / flop_seconds(&job)) + 1;
    double best = INFINITY;
    for (int i = 0; i < REPEATS; i++) best = fmin(best, flop_seconds(&job));
    return job.kernels->round_operations * (double)job.rounds * fv_threads() / best;
}

/* ---- triad ---- */

typedef struct triad_job {
    const fv_limit_kernels *kernels;
    float *arrays; /* three a thread */
    size_t count;  /* of an array */
    int passes;
    bool stream;
} triad_job;

static void triad_task(void *context, int64_t i, int worker) {
    (void)worker;
    const triad_job *job = context;
    float *a = job->arrays + (size_t)i * 3 * job->count, *b = a + job->count, *c = b + job->count;
    for (int pass = 0; pass < job->passes; pass++) job->kernels->triad(a, b, c, job->count, job->stream);
}

static double triad_seconds(triad_job *job) {
    double begin = fv_seconds();
    fv_parallel_for(fv_threads(), triad_task, job);
    return fv_seconds() - begin;
}

/* Bytes a second on sets of `bytes` for all threads together. */
static double measure_triad(float *block, size_t bytes, bool stream) {
    size_t threads = (size_t)fv_threads(), count = bytes / threads / (3 * sizeof(float)) / 64 * 64;
    triad_job job = {.kernels = choose_kernels(), .arrays = block, .count = count, .passes = 1, .stream = stream};
    triad_seconds(&job); /* brings the arrays into the cache */
    job.passes = (int)fmin(TASK_S / triad_seconds(&job), 1e6) + 1;
    double best = INFINITY;
    int repeats = job.passes == 1 ? LONG_REPEATS : REPEATS;
    for (int i = 0; i < repeats; i++) best = fmin(best, triad_seconds(&job));
    return 3.0 * sizeof(float) * (double)count * (double)threads * job.passes / best;
}

/* ---- all ---- */

static size_t cache_bytes(int name, size_t standard) {
    long bytes = sysconf(name);
    return bytes > 0 ? (size_t)bytes : standard;
}

static void read_capacities(fv_limits *limits) {
    size_t threads = (size_t)limits->threads;
    limits->capacity[FV_LIMIT_L1] = threads * cache_bytes(_SC_LEVEL1_DCACHE_SIZE, (size_t)32 << 10);
    limits->capacity[FV_LIMIT_L2] = threads * cache_bytes(_SC_LEVEL2_CACHE_SIZE, (size_t)1 << 20);
    limits->capacity[FV_LIMIT_L3] = cache_bytes(_SC_LEVEL3_CACHE_SIZE, (size_t)16 << 20);
    limits->capacity[FV_LIMIT_MEMORY] = SIZE_MAX;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Bytes to measure a level with: well inside it, well outside the one below. */
static size_t level_set(const fv_limits *limits, int level) {
    if (level == FV_LIMIT_MEMORY) return least(4 * limits->capacity[FV_LIMIT_L3], LARGEST_SET);
    if (level == FV_LIMIT_L3) return least(limits->capacity[FV_LIMIT_L3] / 2, 8 * limits->capacity[FV_LIMIT_L2]);
    return limits->capacity[level] / 2;
}

fv_status fv_limits_measure(fv_limits *limits) {
    void *block;
    *limits = (fv_limits){.threads = fv_threads()};
    read_capacities(limits);
    FV_TRY(fv_block_allocate(level_set(limits, FV_LIMIT_MEMORY), "measuring the memory's speed", &block));
    limits->flops = measure_flops();
    for (int level = 0; level < FV_LIMIT_LEVELS; level++)
        limits->bandwidth[level] = measure_triad(block, level_set(limits, level), false);
    double streamed = measure_triad(block, level_set(limits, FV_LIMIT_MEMORY), true);
    limits->bandwidth[FV_LIMIT_MEMORY] = fmax(limits->bandwidth[FV_LIMIT_MEMORY], streamed);
    fv_block_free(block);
    return FV_OK;
}

int fv_limit_level(const fv_limits *limits, double bytes) {
    int level = FV_LIMIT_L1;
    while (level < FV_LIMIT_MEMORY && bytes > (double)limits->capacity[level]) level++;
    return level;
}

double fv_limit_seconds(const fv_limits *limits, double operations, double bytes, int *level) {
    int holds = fv_limit_level(limits, bytes);
    double computing = operations / limits->flops, moving = bytes / limits->bandwidth[holds];
    *level = computing > moving ? -1 : holds;
    return fmax(computing, moving);
}
