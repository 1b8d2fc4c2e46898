/* A pool of our own instead of OpenMP: its threads wait by spinning, which on a machine that has other work to do, the
   loader's threads or somebody else's program, costs far more than it saves (2 against 18 images/s in one measurement).
   Here a worker spins for some microseconds, as long as the pause between two ops of a network, and then sleeps. */
#include "fovea/base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#if defined(__x86_64__) || defined(__i386__)
#define spin_pause() __builtin_ia32_pause()
#else
#define spin_pause() ((void)0)
#endif

#define SPINS 2000 /* some 30 to 100 us: a pause is 40 to 140 cycles */

typedef struct job {
    void (*body)(void *context, int64_t i, int worker);
    void *context;
    int64_t count;
    atomic_llong next; /* the first task that nobody has taken */
} job;

static struct pool {
    pthread_mutex_t owner; /* held by the thread whose job runs */
    pthread_mutex_t mutex; /* guards what follows, but for reads of the atomics while spinning */
    pthread_cond_t begins, ends;
    job *job;                /* NULL when none may be joined */
    int threads;             /* of the running job, its owner included */
    int started;             /* workers that exist */
    atomic_ulong generation; /* counts jobs */
    atomic_int working;      /* workers inside the job */
} pool = {.owner = PTHREAD_MUTEX_INITIALIZER,
          .mutex = PTHREAD_MUTEX_INITIALIZER,
          .begins = PTHREAD_COND_INITIALIZER,
          .ends = PTHREAD_COND_INITIALIZER};

static atomic_int wanted; /* 0: all processors */

static _Thread_local bool inside; /* this thread runs a task of a parallel job */
static _Thread_local int own_worker;

void fv_threads_set(int count) {
    atomic_store(&wanted, count < 0 ? 0 : count);
}

static int processor_count = 1;

static void count_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) processor_count = CPU_COUNT(&set);
}

/* Counted once: plans size their scratch by the number of threads, which must not grow under them. */
static int processors(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, count_processors);
    return processor_count;
}

int fv_threads(void) {
    int count = atomic_load_explicit(&wanted, memory_order_relaxed);
    if (count == 0) count = processors();
    return count < 1 ? 1 : count > FV_MAX_THREADS ? FV_MAX_THREADS : count;
}

static void run_tasks(job *j, int worker) {
    inside = true;
    own_worker = worker;
    for (int64_t i; (i = atomic_fetch_add(&j->next, 1)) < j->count;) j->body(j->context, i, worker);
    inside = false;
    own_worker = 0;
}

/* Returns, with the mutex held, when there has been a job since `seen`. */
static void await_job(unsigned long seen) {
    for (int i = 0; i < SPINS && atomic_load(&pool.generation) == seen; i++) spin_pause();
    pthread_mutex_lock(&pool.mutex);
    while (atomic_load(&pool.generation) == seen) pthread_cond_wait(&pool.begins, &pool.mutex);
}

static void *worker_main(void *argument) {
    int worker = (int)(ptrdiff_t)argument;
    for (unsigned long seen = 0;;) {
        await_job(seen);
        seen = atomic_load(&pool.generation);
        job *j = worker < pool.threads ? pool.job : NULL;
        if (j) atomic_fetch_add(&pool.working, 1);
        pthread_mutex_unlock(&pool.mutex);
        if (!j) continue;
        run_tasks(j, worker);
        pthread_mutex_lock(&pool.mutex);
        if (atomic_fetch_sub(&pool.working, 1) == 1) pthread_cond_signal(&pool.ends);
        pthread_mutex_unlock(&pool.mutex);
    }
    return NULL;
}

/* Starts the workers that are missing. Where the system gives no more threads the job runs on those that there are. */
static void start_workers(int threads) {
    for (; pool.started < threads - 1; pool.started++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker_main, (void *)(ptrdiff_t)(pool.started + 1)) != 0) return;
        pthread_detach(thread);
    }
}

static void begin(job *j, int threads) {
    pthread_mutex_lock(&pool.mutex);
    start_workers(threads);
    pool.job = j;
    pool.threads = threads;
    atomic_fetch_add(&pool.generation, 1);
    pthread_cond_broadcast(&pool.begins);
    pthread_mutex_unlock(&pool.mutex);
}

/* All tasks are taken; waits for those that others still run. */
static void end(void) {
    pthread_mutex_lock(&pool.mutex);
    pool.job = NULL;
    pthread_mutex_unlock(&pool.mutex);
    for (int i = 0; i < SPINS && atomic_load(&pool.working) > 0; i++) spin_pause();
    pthread_mutex_lock(&pool.mutex);
    while (atomic_load(&pool.working) > 0) pthread_cond_wait(&pool.ends, &pool.mutex);
    pthread_mutex_unlock(&pool.mutex);
}

void fv_parallel_for(int64_t count, void (*body)(void *context, int64_t i, int worker), void *context) {
    int threads = fv_threads();
    if (threads > count) threads = (int)count;
    /* A nested call stays on its caller's scratch; a second caller does not wait for the first one's job. */
    if (threads <= 1 || inside || pthread_mutex_trylock(&pool.owner) != 0) {
        for (int64_t i = 0; i < count; i++) body(context, i, own_worker);
        return;
    }
    job j = {.body = body, .context = context, .count = count};
    begin(&j, threads);
    run_tasks(&j, 0);
    end();
    pthread_mutex_unlock(&pool.owner);
}
