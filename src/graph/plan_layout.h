/* What a plan consists of: steps in the order they run, and the tensors they read and write. Made in five parts:

     plan_fusion.c     which nodes of an inference graph the op before them does along
     plan_recompute.c  which values of a training graph are made again instead of kept
     plan_schedule.c   the steps and the tensors, and so for how long each tensor lives
     plan_share.c      which tensors share memory
     plan_place.c      where in the block the others lie

   plan_layout.c goes through them, plan.c runs what comes out. A "time" is the index of a step. */
#ifndef FOVEA_GRAPH_PLAN_LAYOUT_H
#define FOVEA_GRAPH_PLAN_LAYOUT_H

#include "fovea/graph/plan.h"

#define FV_NONE (-1)

/* One stretch of life of a value, a gradient, or memory that a node needs for itself. A value that backward makes again
   has two of them, or more. */
typedef struct fv_plan_tensor {
    size_t bytes;
    int first, last; /* times, both included */
    bool pinned;     /* lives for the whole plan and is not shared: inputs, kept values */
    int whole;       /* the concatenation in whose channels, from `channel` on, it lies; FV_NONE: stands alone */
    int channel;
    int over;      /* the tensor whose memory it takes over, in place; FV_NONE */
    int channels;  /* elements of a pixel */
    size_t offset; /* of tensors that stand alone and are over none: bytes from the start of the block */
} fv_plan_tensor;

typedef enum fv_step_kind { FV_STEP_FORWARD, FV_STEP_RECOMPUTE, FV_STEP_BACKWARD } fv_step_kind;

/* One call of an op. Tensors are indices, FV_NONE where there is none or (in backward) it is not looked at; parameters
   are not tensors. */
typedef struct fv_plan_step {
    fv_step_kind kind;
    int node;
    int in[FV_MAX_INPUTS], out;
    int d_out, d_in[FV_MAX_INPUTS];
    bool add[FV_MAX_INPUTS];
    int saved, work, moments;
    int prepared;       /* what the op has made of its parameters, in inference; lives for the whole plan */
    int residual, fold; /* of a fused step: the added tensor; scale and offset of a batch norm */
    int fold_before;    /* and those of the node before it */
    int mapper, map;    /* of a backward step that reads in[0] through the batch norm that made it: that node, whose own
                           input in[0] then is, and memory for the coefficients; FV_NONE */
} fv_plan_step;

/* What the op of a node does along with its own work: the node before it, kernel, then norm, then residual, then
 * limits.
 */
typedef struct fv_fusion {
    int root;          /* the node that does this node's work; itself if none other does */
    int before;        /* of a root: the node that makes its in[0], with a fusion of its own; FV_NONE */
    fv_value out;      /* of a root: the value it leaves */
    int norm;          /* node of the batch norm; FV_NONE */
    fv_value residual; /* FV_NO_VALUE */
    fv_real low, high;
} fv_fusion;

/* What is decided before there are steps. */
typedef struct fv_plan_choices {
    fv_fusion *fusions;   /* per node */
    bool *pinned;         /* per value: kept for the caller */
    bool *differentiated; /* per node: has a backward */
    bool *dropped;        /* per value: made again in backward instead of kept */
    bool *joins, *splits; /* per node and input, of a concat: it lies in the output, its gradient in the output's */
} fv_plan_choices;

typedef struct fv_plan_layout {
    fv_plan_choices choices;
    fv_plan_tensor *tensors;
    fv_plan_step *steps;
    int tensor_count, tensor_capacity, step_count, step_capacity;
    int backward_start; /* the first step of backward; step_count without one */
    size_t bytes;
    size_t live_bytes;    /* the most that is alive at one time: no placement takes less */
    int *value_tensor;    /* per value: its life in forward; FV_NONE for parameters and fused values */
    int *gradient_tensor; /* per value */
    int *again_tensor;    /* per value: its latest life in backward */
    int *saved_tensor;    /* per node */
    int *moments_tensor;  /* per value */
    bool *param_reached;  /* per parameter: some backward writes its gradient */
    bool failed;          /* out of memory for steps or tensors */
} fv_plan_layout;

/* Makes a layout; `limit` bytes for FV_PLAN_TRAIN, 0 for none. */
fv_status fv_plan_layout_make(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count,
                              fv_value loss, size_t limit, fv_plan_layout *layout);
void fv_plan_layout_free(fv_plan_layout *layout);

/* Which inputs and whether the output backward looks at. */
unsigned fv_plan_backward_reads(const fv_graph_node *node);
/* The number of inputs of a node that are `value`. */
int fv_plan_uses(const fv_graph_node *node, fv_value value);

/* plan_fusion.c: fills choices->fusions; without `fuse` every node is its own root. */
void fv_plan_find_fusions(const fv_graph *graph, bool fuse, fv_plan_choices *choices);

/* plan_recompute.c: fills choices->dropped with what costs little to make again and saves memory. */
fv_status fv_plan_drop_cheap(const fv_graph *graph, fv_plan_choices *choices);
/* Keeps of these what fits into `limit` bytes, the largest first: what is made again costs a pass over memory. */
fv_status fv_plan_keep_more(const fv_graph *graph, fv_value loss, size_t limit, fv_plan_layout *layout);
/* Drops more values, cheapest first, until the layout takes no more than `limit` bytes, and rebuilds it. */
fv_status fv_plan_drop_to_limit(const fv_graph *graph, fv_value loss, size_t limit, fv_plan_layout *layout);

/* plan_schedule.c: replaces steps and tensors by those that follow from the choices. */
void fv_plan_schedule(const fv_graph *graph, fv_value loss, fv_plan_layout *layout);

/* plan_share.c: decides what is shared, and sets live_bytes. */
fv_status fv_plan_share(const fv_graph *graph, fv_plan_layout *layout);
/* From when to when something lives in the memory of a tensor that stands alone. Arrays per tensor. */
void fv_plan_find_lives(const fv_plan_layout *layout, int *first, int *last);
/* The tensor whose offset is that of `tensor`, and the distance from there in bytes. */
int fv_plan_root(const fv_plan_layout *layout, int tensor, size_t *bytes);
/* The distance of two pixels of a tensor in elements; 0 for one whose pixels are side by side. */
int fv_plan_stride(const fv_plan_layout *layout, int tensor);

/* plan_place.c: sets the offsets, and bytes. */
fv_status fv_plan_place(fv_plan_layout *layout);

/* plan_layout.c: steps, tensors and what they share, from the choices as they are; no offsets. */
fv_status fv_plan_rebuild(const fv_graph *graph, fv_value loss, fv_plan_layout *layout);

#endif
