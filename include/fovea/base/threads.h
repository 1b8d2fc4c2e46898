/* One pool of threads for the whole program. */
#ifndef FOVEA_BASE_THREADS_H
#define FOVEA_BASE_THREADS_H

#include <stdint.h>

#include "fovea/base/public.h" /* fv_threads_set() */

#define FV_MAX_THREADS 64

/* Number of threads for fv_parallel_for(), 1 .. FV_MAX_THREADS: what fv_threads_set() was given, or all processors that
   the process had when it first asked. A plan's scratch is sized by this number: one that was made for fewer threads
   must not run. */
int fv_threads(void);

/* Runs body(context, i, worker) for i = 0 .. count-1, handed out dynamically one at a time; worker is in
   0 .. fv_threads()-1 and tells which private scratch to use. What a task i writes must not depend on worker, and tasks
   must not write the same memory: so results are the same bits for any number of threads. A call from inside a task
   runs serially on the worker of that task (unless the outer call had one task only, which leaves all threads to it);
   so does a call while another thread of the program has a job in the pool.
 */
void fv_parallel_for(int64_t count, void (*body)(void *context, int64_t i, int worker), void *context);

#endif
