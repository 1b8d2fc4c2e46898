/* Which tensors share memory: inputs of a concatenation with its output, results with operands that nobody needs any
   more. */
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "plan_layout.h"

typedef struct sharer {
    const fv_graph *graph;
    fv_plan_layout *layout;
    int *first, *last; /* per tensor that stands alone: the life of all that lie in its memory */
} sharer;

static const fv_op *op_of(const sharer *p, const fv_plan_step *step) {
    return fv_op_table[p->graph->nodes[step->node].spec.kind];
}

int fv_plan_root(const fv_plan_layout *layout, int tensor, size_t *bytes) {
    const fv_plan_tensor *t = &layout->tensors[tensor];
    *bytes = 0;
    for (; t->whole != FV_NONE || t->over != FV_NONE; t = &layout->tensors[tensor]) {
        *bytes += (size_t)t->channel * sizeof(fv_real);
        tensor = t->whole != FV_NONE ? t->whole : t->over;
    }
    return tensor;
}

int fv_plan_stride(const fv_plan_layout *layout, int tensor) {
    if (layout->tensors[tensor].whole == FV_NONE) return 0;
    while (layout->tensors[tensor].whole != FV_NONE) tensor = layout->tensors[tensor].whole;
    return layout->tensors[tensor].channels;
}

void fv_plan_find_lives(const fv_plan_layout *layout, int *first, int *last) {
    for (int t = 0; t < layout->tensor_count; t++) {
        first[t] = layout->tensors[t].first;
        last[t] = layout->tensors[t].last;
    }
    for (int t = 0; t < layout->tensor_count; t++) {
        size_t bytes;
        int root = fv_plan_root(layout, t, &bytes);
        if (first[t] < first[root]) first[root] = first[t];
        if (layout->tensors[t].last > last[root]) last[root] = layout->tensors[t].last;
    }
}

static int root_of(const sharer *p, int tensor) {
    size_t bytes;
    return fv_plan_root(p->layout, tensor, &bytes);
}

/* Concatenations without copies ----------------------------------------------------------------------- */

static bool takes_strides(const sharer *p, const fv_plan_step *step, unsigned what) {
    return (op_of(p, step)->strided & what) == what;
}

/* Every step that touches the value takes it as a range of a wider tensor's pixels. */
static bool value_may_be_range(const sharer *p, int tensor) {
    for (int s = p->layout->tensors[tensor].first; s <= p->layout->tensors[tensor].last; s++) {
        const fv_plan_step *step = &p->layout->steps[s];
        if (step->out == tensor && !takes_strides(p, step, FV_READS_OUT)) return false;
        for (int k = 0; k < FV_MAX_INPUTS; k++)
            if (step->in[k] == tensor && !takes_strides(p, step, FV_READS_IN(k))) return false;
    }
    return true;
}

static bool gradient_may_be_range(const sharer *p, int tensor) {
    for (int s = p->layout->tensors[tensor].first; s <= p->layout->tensors[tensor].last; s++) {
        const fv_plan_step *step = &p->layout->steps[s];
        if (step->d_out == tensor && !takes_strides(p, step, FV_READS_OUT)) return false;
        for (int k = 0; k < FV_MAX_INPUTS; k++)
            if (step->d_in[k] == tensor && !takes_strides(p, step, FV_READS_IN(k))) return false;
    }
    return true;
}

static bool is_free(const sharer *p, int tensor) {
    const fv_plan_tensor *t = &p->layout->tensors[tensor];
    return t->whole == FV_NONE && t->over == FV_NONE && !t->pinned;
}

/* Whether the plan wants to have input k of a concatenation (backward: its gradient) in its output. What is made again
   just for it always; but not what was kept from forward, for all of the output would have to be kept with it. */
static bool is_wanted(const sharer *p, const fv_plan_step *step, int k, int part) {
    int flag = step->node * FV_MAX_INPUTS + k;
    if (step->kind == FV_STEP_BACKWARD) return p->layout->choices.splits[flag];
    if (step->kind == FV_STEP_FORWARD) return p->layout->choices.joins[flag];
    return p->layout->tensors[part].first >= p->layout->backward_start;
}

/* The producers of a concatenation's inputs write into its output, and their backward reads from its gradient. */
static void join(const sharer *p, const fv_plan_step *step) {
    const fv_graph_node *node = &p->graph->nodes[step->node];
    bool backward = step->kind == FV_STEP_BACKWARD;
    int channel = 0, whole = backward ? step->d_out : step->out;
    for (int k = 0; k < node->spec.inputs; k++) {
        int part = backward ? step->d_in[k] : step->in[k];
        bool possible = part != FV_NONE && is_free(p, part) && is_wanted(p, step, k, part) &&
                        fv_plan_uses(node, node->in[k]) == 1 &&
                        (backward ? !step->add[k] && gradient_may_be_range(p, part) : value_may_be_range(p, part));
        if (possible) {
            p->layout->tensors[part].whole = whole;
            p->layout->tensors[part].channel = channel;
        }
        channel += node->spec.in[k].c;
    }
}

static void join_all(const sharer *p) {
    for (int s = 0; s < p->layout->step_count; s++)
        if (p->graph->nodes[p->layout->steps[s].node].spec.kind == FV_OP_concat) join(p, &p->layout->steps[s]);
}

/* In place -------------------------------------------------------------------------------------------- */

/* Gives `tensor`, which step s writes, the memory of `old` when s is the last that looks at anything in there. */
static bool take_over(const sharer *p, int s, int tensor, int old) {
    fv_plan_tensor *tensors = p->layout->tensors;
    if (tensor == FV_NONE || old == FV_NONE) return false;
    int root = root_of(p, old);
    bool possible = is_free(p, tensor) && p->first[tensor] == s && p->last[root] == s && !tensors[root].pinned &&
                    fv_plan_stride(p->layout, old) == 0 && tensors[old].bytes == tensors[tensor].bytes;
    if (!possible) return false;
    tensors[tensor].over = old;
    p->last[root] = p->last[tensor];
    return true;
}

/* No input of the step, but for in[except], lies in the memory of `old`. */
static bool is_apart(const sharer *p, const fv_plan_step *step, int old, int except) {
    for (int k = 0; k < FV_MAX_INPUTS; k++)
        if (k != except && step->in[k] != FV_NONE && root_of(p, step->in[k]) == root_of(p, old)) return false;
    return true;
}

/* After step s nothing is added to what lies in the memory of `tensor`, ranges of a concatenation's gradient among it,
   while anything in that of `other` is still to be read. */
static bool stays_as_is(const sharer *p, int s, int tensor, int other) {
    for (int t = s + 1; t <= p->last[root_of(p, other)]; t++) {
        const fv_plan_step *step = &p->layout->steps[t];
        for (int k = 0; k < FV_MAX_INPUTS; k++)
            if (step->d_in[k] != FV_NONE && step->add[k] && root_of(p, step->d_in[k]) == root_of(p, tensor))
                return false;
    }
    return true;
}

/* One memory for two gradients that are the same numbers. */
static void unite_gradients(const sharer *p, int s) {
    const fv_plan_step *step = &p->layout->steps[s];
    int a = step->d_in[0], b = step->d_in[1];
    if (!op_of(p, step)->same_gradients || a == FV_NONE || b == FV_NONE || step->add[0] || step->add[1]) return;
    if (!is_free(p, b) || p->layout->tensors[a].whole != FV_NONE || p->layout->tensors[a].pinned) return;
    if (!stays_as_is(p, s, a, b) || !stays_as_is(p, s, b, a)) return;
    int root = root_of(p, a);
    p->layout->tensors[b].over = a;
    if (p->last[b] > p->last[root]) p->last[root] = p->last[b];
}

/* The result over an operand: the residual that is fused, or the op's first input, or its own residual. */
static void place_result(const sharer *p, int s) {
    const fv_plan_step *step = &p->layout->steps[s];
    const fv_op *op = op_of(p, step);
    if (step->residual != FV_NONE && is_apart(p, step, step->residual, FV_NONE)) {
        take_over(p, s, step->out, step->residual);
        return;
    }
    bool over = op->in_place && step->in[0] != FV_NONE && is_apart(p, step, step->in[0], 0) &&
                take_over(p, s, step->out, step->in[0]);
    int residual = op->residual ? step->in[op->residual] : FV_NONE;
    if (!over && residual != FV_NONE && is_apart(p, step, residual, op->residual)) take_over(p, s, step->out, residual);
}

/* Gradients over the output's, or over what is read for the last time. */
static void place_gradients(const sharer *p, int s) {
    const fv_plan_step *step = &p->layout->steps[s];
    const fv_graph_node *node = &p->graph->nodes[step->node];
    const fv_op *op = op_of(p, step);
    int r = op->residual;
    if (r && r < node->spec.inputs && !step->add[r]) take_over(p, s, step->d_in[r], step->d_out);
    if (step->add[0] || fv_plan_uses(node, node->in[0]) != 1) return;
    bool over = op->in_place && take_over(p, s, step->d_in[0], step->d_out);
    if (!over && op->overwrites_input && step->in[0] != FV_NONE && is_apart(p, step, step->in[0], 0))
        take_over(p, s, step->d_in[0], step->in[0]);
    unite_gradients(p, s);
}

/* ------------------------------------------------------------------------------------------------------ */

static size_t live_at(const sharer *p, int step) {
    size_t live = 0;
    for (int t = 0; t < p->layout->tensor_count; t++)
        if (root_of(p, t) == t && p->first[t] <= step && step <= p->last[t])
            live += fv_align_up(p->layout->tensors[t].bytes);
    return live;
}

fv_status fv_plan_share(const fv_graph *graph, fv_plan_layout *layout) {
    size_t count = (size_t)layout->tensor_count;
    int *lives = fv_allocate(2 * count + 1, sizeof *lives, "a plan");
    if (!lives) return FV_NO_RESOURCE;
    sharer p = {graph, layout, lives, lives + count};
    join_all(&p);
    fv_plan_find_lives(layout, p.first, p.last);
    for (int s = 0; s < layout->step_count; s++) {
        if (layout->steps[s].kind == FV_STEP_BACKWARD)
            place_gradients(&p, s);
        else
            place_result(&p, s);
    }
    fv_plan_find_lives(layout, p.first, p.last);
    layout->live_bytes = 0;
    for (int s = 0; s < layout->step_count; s++) {
        size_t live = live_at(&p, s);
        if (live > layout->live_bytes) layout->live_bytes = live;
    }
    free(lives);
    return FV_OK;
}
