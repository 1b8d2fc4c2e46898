/* A plan makes a graph runnable: it decides what is run, which memory each tensor lives in and for how long, allocates
   one block, and runs the nodes forwards and, for training, backwards. After fv_plan_make() nothing is allocated.

   A plan for inference does batch norm, activation and residual along with the op before them (op/op.h, fv_epilogue). A
   plan for training makes values again in backward that are cheap to make from others, a batch norm's output from its
   input, upsamplings, sums and concatenations of such, and keeps of these what an eighth more memory holds. In both,
   the inputs of a concatenation are written straight into its output where the ops can and it costs no memory (in
   inference: little). src/graph/plan_layout.h says how. */
#ifndef FOVEA_GRAPH_PLAN_H
#define FOVEA_GRAPH_PLAN_H

#include "fovea/graph/graph.h"

typedef enum fv_plan_mode { FV_PLAN_INFER, FV_PLAN_TRAIN } fv_plan_mode;

typedef struct fv_plan fv_plan;

/* `keep` lists values whose content stays valid until the next run (outputs to be read; inputs always are). `loss` is
   the scalar to differentiate, FV_NO_VALUE in FV_PLAN_INFER. The graph and its params must outlive the plan. */
fv_status fv_plan_make(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count, fv_value loss,
                       fv_plan **plan);
/* FV_PLAN_TRAIN in no more than `limit` bytes: if need be, more values are computed twice instead of kept, those first
   that take the fewest multiplications for the memory they free. The results are the same bits as without a limit.
   0: no limit. FV_NO_RESOURCE if that is not enough. */
fv_status fv_plan_make_within(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count,
                              fv_value loss, size_t limit, fv_plan **plan);
/* Layout only, without allocating: for `fovea inspect`. */
fv_status fv_plan_measure(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count, fv_value loss,
                          size_t *bytes);
/* To be called when parameters have changed: a plan for inference keeps some of them in the order that its kernels
   want, made by fv_plan_make() and by this. */
void fv_plan_prepare(fv_plan *plan);
void fv_plan_free(fv_plan *plan);
size_t fv_plan_bytes(const fv_plan *plan);

/* Memory of an input, a kept value or a parameter. */
fv_real *fv_plan_data(const fv_plan *plan, fv_value value);
/* Gradient of an input that needs one (gradient checks); valid after backward. */
const fv_real *fv_plan_gradient(const fv_plan *plan, fv_value value);

/* Runs all nodes. `training`, which means something to FV_PLAN_TRAIN only: batch statistics, dropout drawn from (seed,
   step). */
void fv_plan_forward(fv_plan *plan, bool training, uint64_t seed, uint64_t step);
/* After a forward of FV_PLAN_TRAIN: writes d loss / d parameter into params->gradients (overwrites them). */
void fv_plan_backward(fv_plan *plan);

/* Seconds that each node has taken, summed over the runs since fv_plan_profile_start(): arrays in node order. A node
   that the plan has fused into another one stays at 0; what is made again in backward counts there. */
typedef struct fv_plan_profile {
    double *forward, *backward;
} fv_plan_profile;

/* Begins to measure at 0, also when it was measuring before. A plan that was never asked spends a pointer test a node.
 */
fv_status fv_plan_profile_start(fv_plan *plan);
/* Both arrays are NULL unless it was started. */
const fv_plan_profile *fv_plan_profile_get(const fv_plan *plan);

/* Runs forward and backward again, looking at every result: the name of the first layer whose output, or gradient, is
   not a finite number; NULL when all are. */
const char *fv_plan_find_nonfinite(fv_plan *plan, uint64_t seed, uint64_t step, bool *in_backward);

#endif
