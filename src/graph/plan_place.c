/* Placement: which tensors share memory, and where in the block the others lie. */
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "plan_layout.h"

typedef struct placer {
    const fv_graph *graph;
    fv_plan_layout *layout;
    int *first, *last; /* per tensor that is a root: the life of all that lie in its memory */
} placer;

static const fv_op *op_of(const placer *p, const fv_plan_step *step) {
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

static int root_of(const placer *p, int tensor) {
    size_t bytes;
    return fv_plan_root(p->layout, tensor, &bytes);
}

/* Concatenations without copies ----------------------------------------------------------------------- */

static bool takes_strides(const placer *p, const fv_plan_step *step, unsigned what) {
    return (op_of(p, step)->strided & what) == what;
}

/* Every step that touches the value takes it as a range of a wider tensor's pixels. */
static bool value_may_be_range(const placer *p, int tensor) {
    for (int s = p->layout->tensors[tensor].first; s <= p->layout->tensors[tensor].last; s++) {
        const fv_plan_step *step = &p->layout->steps[s];
        if (step->out == tensor && !takes_strides(p, step, FV_READS_OUT)) return false;
        for (int k = 0; k < FV_MAX_INPUTS; k++)
            if (step->in[k] == tensor && !takes_strides(p, step, FV_READS_IN(k))) return false;
    }
    return true;
}

static bool gradient_may_be_range(const placer *p, int tensor) {
    for (int s = p->layout->tensors[tensor].first; s <= p->layout->tensors[tensor].last; s++) {
        const fv_plan_step *step = &p->layout->steps[s];
        if (step->d_out == tensor && !takes_strides(p, step, FV_READS_OUT)) return false;
        for (int k = 0; k < FV_MAX_INPUTS; k++)
            if (step->d_in[k] == tensor && !takes_strides(p, step, FV_READS_IN(k))) return false;
    }
    return true;
}

static bool is_free(const placer *p, int tensor) {
    const fv_plan_tensor *t = &p->layout->tensors[tensor];
    return t->whole == FV_NONE && t->over == FV_NONE && !t->pinned;
}

/* The producers of a concatenation's inputs write into its output, and their backward reads from its gradient. */
static void join(const placer *p, const fv_plan_step *step) {
    const fv_graph_node *node = &p->graph->nodes[step->node];
    bool backward = step->kind == FV_STEP_BACKWARD;
    const fv_plan_choices *choices = &p->layout->choices;
    bool wanted = backward                          ? choices->splits[step->node]
                  : step->kind == FV_STEP_RECOMPUTE ? true
                                                    : choices->joins[step->node];
    int channel = 0, whole = backward ? step->d_out : step->out;
    for (int k = 0; wanted && k < node->spec.inputs; k++) {
        int part = backward ? step->d_in[k] : step->in[k];
        bool possible = part != FV_NONE && is_free(p, part) && fv_plan_uses(node, node->in[k]) == 1 &&
                        (backward ? !step->add[k] && gradient_may_be_range(p, part) : value_may_be_range(p, part));
        if (possible) {
            p->layout->tensors[part].whole = whole;
            p->layout->tensors[part].channel = channel;
        }
        channel += node->spec.in[k].c;
    }
}

static void join_all(const placer *p) {
    for (int s = 0; s < p->layout->step_count; s++)
        if (p->graph->nodes[p->layout->steps[s].node].spec.kind == FV_OP_concat) join(p, &p->layout->steps[s]);
}

/* In place -------------------------------------------------------------------------------------------- */

static void find_lives(const placer *p) {
    for (int t = 0; t < p->layout->tensor_count; t++) {
        p->first[t] = p->layout->tensors[t].first;
        p->last[t] = p->layout->tensors[t].last;
    }
    for (int t = 0; t < p->layout->tensor_count; t++) {
        int root = root_of(p, t);
        if (p->layout->tensors[t].first < p->first[root]) p->first[root] = p->layout->tensors[t].first;
        if (p->layout->tensors[t].last > p->last[root]) p->last[root] = p->layout->tensors[t].last;
    }
}

/* Gives `tensor`, which step s writes, the memory of `old` when s is the last that looks at anything in there. */
static bool take_over(const placer *p, int s, int tensor, int old) {
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

/* No input but the first lies in the memory of in[0]. */
static bool is_apart(const placer *p, const fv_plan_step *step, int old, int begin) {
    for (int k = begin; k < FV_MAX_INPUTS; k++)
        if (step->in[k] != FV_NONE && root_of(p, step->in[k]) == root_of(p, old)) return false;
    return true;
}

static void place_over(const placer *p, int s) {
    const fv_plan_step *step = &p->layout->steps[s];
    const fv_graph_node *node = &p->graph->nodes[step->node];
    const fv_op *op = op_of(p, step);
    bool once = fv_plan_uses(node, node->in[0]) == 1;
    if (step->kind != FV_STEP_BACKWARD) {
        if (step->residual != FV_NONE && is_apart(p, step, step->residual, 0))
            take_over(p, s, step->out, step->residual);
        else if (op->in_place && step->in[0] != FV_NONE && is_apart(p, step, step->in[0], 1))
            take_over(p, s, step->out, step->in[0]);
        return;
    }
    if (step->add[0] || !once) return;
    if (op->in_place && take_over(p, s, step->d_in[0], step->d_out)) return;
    if (op->overwrites_input && step->in[0] != FV_NONE && is_apart(p, step, step->in[0], 1))
        take_over(p, s, step->d_in[0], step->in[0]);
}

/* Offsets --------------------------------------------------------------------------------------------- */

static int by_size_descending(const void *a, const void *b) {
    const fv_plan_tensor *x = *(fv_plan_tensor *const *)a, *y = *(fv_plan_tensor *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return (x > y) - (x < y);
}

static int by_offset(const void *a, const void *b) {
    const fv_plan_tensor *x = *(fv_plan_tensor *const *)a, *y = *(fv_plan_tensor *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static size_t lowest_free_offset(size_t bytes, fv_plan_tensor *const *busy, size_t busy_count) {
    size_t offset = 0;
    for (size_t i = 0; i < busy_count && offset + bytes > busy[i]->offset; i++) {
        size_t end = busy[i]->offset + fv_align_up(busy[i]->bytes);
        offset = offset > end ? offset : end;
    }
    return offset;
}

/* Greedy by size (Pisarchyk and Lee 2020): within a few percent of the lower bound on networks like ours. */
static void assign_offsets(const placer *p, fv_plan_tensor **order, size_t count, fv_plan_tensor **busy) {
    const fv_plan_tensor *tensors = p->layout->tensors;
    qsort(order, count, sizeof *order, by_size_descending);
    p->layout->bytes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t busy_count = 0, own = (size_t)(order[i] - tensors);
        for (size_t j = 0; j < i; j++) {
            size_t other = (size_t)(order[j] - tensors);
            if (p->first[other] <= p->last[own] && p->first[own] <= p->last[other]) busy[busy_count++] = order[j];
        }
        qsort(busy, busy_count, sizeof *busy, by_offset);
        order[i]->offset = lowest_free_offset(fv_align_up(order[i]->bytes), busy, busy_count);
        size_t top = order[i]->offset + fv_align_up(order[i]->bytes);
        if (top > p->layout->bytes) p->layout->bytes = top;
    }
}

static void measure_live(const placer *p, fv_plan_tensor *const *order, size_t count) {
    p->layout->live_bytes = 0;
    for (int s = 0; s < p->layout->step_count; s++) {
        size_t live = 0;
        for (size_t i = 0; i < count; i++) {
            size_t own = (size_t)(order[i] - p->layout->tensors);
            if (p->first[own] <= s && s <= p->last[own]) live += fv_align_up(order[i]->bytes);
        }
        if (live > p->layout->live_bytes) p->layout->live_bytes = live;
    }
}

fv_status fv_plan_place(const fv_graph *graph, fv_plan_layout *layout) {
    size_t count = (size_t)layout->tensor_count, roots = 0;
    int *lives = fv_allocate(2 * count + 1, sizeof *lives, "a plan");
    fv_plan_tensor **order = fv_allocate(2 * count + 1, sizeof *order, "a plan");
    if (lives && order) {
        placer p = {graph, layout, lives, lives + count};
        join_all(&p);
        find_lives(&p);
        for (int s = 0; s < layout->step_count; s++) place_over(&p, s);
        find_lives(&p);
        for (size_t t = 0; t < count; t++)
            if (root_of(&p, (int)t) == (int)t) order[roots++] = &layout->tensors[t];
        assign_offsets(&p, order, roots, order + count);
        measure_live(&p, order, roots);
    }
    bool complete = lives && order;
    free(lives);
    free(order);
    return complete ? FV_OK : FV_NO_RESOURCE;
}
