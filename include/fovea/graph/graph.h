/* A static graph: values (tensors of known shape) and the nodes (ops) that make them, in execution order. A model
   function builds it once for a given input shape; graph/plan.h runs it.

   Builders return a value; a failed one returns FV_NO_VALUE, the graph keeps the first error and every later builder
   does nothing, so that a network reads as a formula and is checked once at its end with fv_graph_status(). */
#ifndef FOVEA_GRAPH_GRAPH_H
#define FOVEA_GRAPH_GRAPH_H

#include "fovea/base/status.h"
#include "fovea/op/op.h"
#include "fovea/tensor/params.h"

typedef int fv_value;
#define FV_NO_VALUE (-1)

typedef struct fv_graph_value {
    fv_shape shape;
    int producer; /* node, or -1 for an input or a parameter */
    int param;    /* index in params, or -1 */
    bool needs_gradient;
    char name[FV_NAME_MAX];
} fv_graph_value;

typedef struct fv_graph_node {
    fv_op_spec spec;
    fv_value in[FV_MAX_INPUTS], out;
    char name[FV_NAME_MAX];
} fv_graph_node;

typedef struct fv_graph {
    fv_params *params; /* shared with other graphs of the same network, not owned */
    fv_graph_value *values;
    fv_graph_node *nodes;
    int value_count, node_count, value_capacity, node_capacity;
    fv_status status;
    char error[512];
    char scope[FV_NAME_MAX]; /* prefix of names: see fv_graph_enter() */
} fv_graph;

void fv_graph_init(fv_graph *graph, fv_params *params);
void fv_graph_free(fv_graph *graph);

/* Names given after fv_graph_enter(g, "encoder") begin with "encoder."; enters nest; leave takes the last part off. */
void fv_graph_enter(fv_graph *graph, const char *name);
void fv_graph_leave(fv_graph *graph);

/* needs_gradient: for gradient checks; false for photographs. */
fv_value fv_graph_input(fv_graph *graph, const char *name, fv_shape shape, bool needs_gradient);
/* Declares (or finds) the parameter "<scope>.<name>". */
fv_value fv_graph_param(fv_graph *graph, const char *name, fv_shape shape, fv_init init, int fan_in, int fan_out,
                        bool trainable);
/* Adds a node of `kind` on `count` inputs, named "<scope>.<name>". Trailing FV_NO_VALUE inputs are left out (an absent
   bias) only when listed in optional position by the op; here count says how many are there. */
fv_value fv_graph_add(fv_graph *graph, fv_op_kind kind, const char *name, const fv_attributes *attributes, int count,
                      const fv_value *inputs);
fv_shape fv_graph_shape(const fv_graph *graph, fv_value value);
/* The first error of building, repeated through fv_fail(). */
fv_status fv_graph_status(const fv_graph *graph);

#endif
