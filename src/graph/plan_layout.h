/* Where each tensor of a plan lives, and when. */
#ifndef FOVEA_GRAPH_PLAN_LAYOUT_H
#define FOVEA_GRAPH_PLAN_LAYOUT_H

#include "fovea/graph/plan.h"

#define FV_NO_BUFFER (-1)

/* A stretch of the block, taken from time `first` to time `last`, both included. */
typedef struct fv_plan_buffer {
    size_t bytes, offset;
    int first, last;
} fv_plan_buffer;

typedef struct fv_plan_layout {
    fv_plan_buffer *buffers;
    int buffer_count;
    size_t bytes;
    int *value_buffer, *gradient_buffer; /* per value; FV_NO_BUFFER for parameters and where nothing is needed */
    int *saved_buffer, *forward_work, *backward_work; /* per node */
    bool *differentiated;                             /* per node: has a backward */
    bool *adds;                                       /* per node and input: d_in is added to */
    bool *param_reached;                              /* per parameter: some backward writes its gradient */
    fv_value loss;
} fv_plan_layout;

fv_status fv_plan_layout_make(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count,
                              fv_value loss, fv_plan_layout *layout);
void fv_plan_layout_free(fv_plan_layout *layout);

#endif
