/* Fusion for inference: a batch norm with running statistics, an activation and the addition of a residual are done by
   the op before them, on each stretch of its result while that is still in the cache; and a depthwise convolution by
   the pointwise one behind it. */
#include <math.h>

#include "plan_layout.h"

typedef struct fuser {
    const fv_graph *graph;
    fv_plan_choices *choices;
} fuser;

static void limit(fv_fusion *fusion, fv_activation activation) {
    if (activation == FV_ACT_NONE) return;
    if (fusion->low < 0) fusion->low = 0;
    if (activation == FV_ACT_RELU6 && fusion->high > 6) fusion->high = 6;
}

static bool is_limited(const fv_fusion *fusion) {
    return fusion->low > -INFINITY || fusion->high < INFINITY;
}

/* The only node that reads the value, FV_NONE if there is not exactly one or the value is kept. */
static int only_reader(const fuser *f, fv_value value) {
    int reader = FV_NONE;
    if (f->choices->pinned[value]) return FV_NONE;
    for (int i = 0; i < f->graph->node_count; i++) {
        int uses = fv_plan_uses(&f->graph->nodes[i], value);
        if (uses > 1 || (uses == 1 && reader != FV_NONE)) return FV_NONE;
        if (uses == 1) reader = i;
    }
    return reader;
}

/* Whether the value is there when node `root` runs. */
static bool is_made_before(const fuser *f, fv_value value, int root) {
    const fv_graph_value *v = &f->graph->values[value];
    return v->param < 0 && (v->producer < 0 || f->choices->fusions[v->producer].root < root);
}

/* What a node adds besides what the root makes of in[0]. */
static fv_value residual_of(const fv_graph_node *node) {
    int input = fv_op_table[node->spec.kind]->residual;
    return input && input < node->spec.inputs ? node->in[input] : FV_NO_VALUE;
}

/* Kernel, norm, residual, limits: a node can only join if what it does comes after what is there already. */
static bool absorb(const fuser *f, int root, int i) {
    const fv_graph_node *node = &f->graph->nodes[i];
    fv_fusion *fusion = &f->choices->fusions[root];
    fv_activation activation = node->spec.attributes.activation;
    bool plain = fusion->residual == FV_NO_VALUE && !is_limited(fusion);
    if (fv_op_table[node->spec.kind]->fold && node->in[0] == fusion->out) {
        fv_value residual = residual_of(node);
        if (!plain || fusion->norm != FV_NONE) return false;
        if (residual != FV_NO_VALUE && !is_made_before(f, residual, root)) return false;
        fusion->norm = i;
        fusion->residual = residual;
    } else if (node->spec.kind == FV_OP_add) {
        fv_value other = node->in[node->in[0] == fusion->out];
        if (!plain || !is_made_before(f, other, root)) return false;
        fusion->residual = other;
    } else if (node->spec.kind == FV_OP_relu) {
        activation = FV_ACT_RELU;
    } else if (node->spec.kind == FV_OP_relu6) {
        activation = FV_ACT_RELU6;
    } else {
        return false;
    }
    limit(fusion, activation);
    fusion->out = node->out;
    f->choices->fusions[i].root = root;
    return true;
}

/* The node whose result is in[0] of node i, and nobody else's, goes along with i where its op allows that. */
static void take_along(const fuser *f, int i) {
    const fv_graph_node *node = &f->graph->nodes[i];
    const fv_op *op = fv_op_table[node->spec.kind];
    int producer = f->graph->values[node->in[0]].producer;
    if (!op->work_behind || producer < 0 || only_reader(f, node->in[0]) != i) return;
    int before = f->choices->fusions[producer].root;
    const fv_fusion *fusion = &f->choices->fusions[before];
    if (fusion->out != node->in[0] || fusion->residual != FV_NO_VALUE) return;
    if (!op->work_behind(&node->spec, &f->graph->nodes[before].spec)) return;
    f->choices->fusions[i].before = before;
    f->choices->fusions[before].root = i;
}

void fv_plan_find_fusions(const fv_graph *graph, bool fuse, fv_plan_choices *choices) {
    fuser f = {graph, choices};
    for (int i = 0; i < graph->node_count; i++)
        choices->fusions[i] = (fv_fusion){.root = i,
                                          .before = FV_NONE,
                                          .out = graph->nodes[i].out,
                                          .norm = FV_NONE,
                                          .residual = FV_NO_VALUE,
                                          .low = -INFINITY,
                                          .high = INFINITY};
    for (int i = 0; fuse && i < graph->node_count; i++) {
        if (choices->fusions[i].root != i || !fv_op_table[graph->nodes[i].spec.kind]->epilogue) continue;
        int next = only_reader(&f, choices->fusions[i].out);
        while (next != FV_NONE && absorb(&f, i, next)) next = only_reader(&f, choices->fusions[i].out);
    }
    for (int i = 0; fuse && i < graph->node_count; i++)
        if (choices->fusions[i].root == i) take_along(&f, i);
}
