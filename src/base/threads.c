#include "fovea/base/threads.h"

#include <omp.h>
#include <stdatomic.h>

static atomic_int wanted; /* 0: all processors */

void fv_threads_set(int count) {
    atomic_store(&wanted, count < 0 ? 0 : count);
}

int fv_threads(void) {
    int count = atomic_load_explicit(&wanted, memory_order_relaxed);
    if (count == 0) count = omp_get_num_procs(); /* those of the affinity mask */
    return count < 1 ? 1 : count > FV_MAX_THREADS ? FV_MAX_THREADS : count;
}

void fv_parallel_for(int64_t count, void (*body)(void *context, int64_t i, int worker), void *context) {
    int threads = fv_threads();
    if (threads > count) threads = (int)count;
    if (threads <= 1 || omp_in_parallel()) {
        int worker = omp_get_thread_num(); /* a nested call stays on its caller's scratch */
        for (int64_t i = 0; i < count; i++) body(context, i, worker);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t i = 0; i < count; i++) body(context, i, omp_get_thread_num());
}
