/* Which values backward makes again instead of keeping them. */
#include <limits.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "plan_layout.h"

#define MOST_STEPS 8 /* of making one value again, those of its inputs counted */

typedef struct chooser {
    const fv_graph *graph;
    fv_plan_choices *choices;
    int *until; /* per value: the node whose backward is the last to look at it (they run downwards); INT_MAX: none */
    int *steps; /* per value: steps of making it again; 0 when it is kept */
} chooser;

static size_t bytes_of(const chooser *c, fv_value value) {
    return fv_shape_count(c->graph->values[value].shape) * sizeof(fv_real);
}

static void keep_until(const chooser *c, fv_value value, int node) {
    if (node < c->until[value]) c->until[value] = node;
}

static void find_backward_readers(const chooser *c) {
    for (int v = 0; v < c->graph->value_count; v++) c->until[v] = INT_MAX;
    for (int i = 0; i < c->graph->node_count; i++) {
        const fv_graph_node *node = &c->graph->nodes[i];
        unsigned reads = fv_plan_backward_reads(node);
        if (!c->choices->differentiated[i]) continue;
        for (int k = 0; k < node->spec.inputs; k++)
            if (reads & FV_READS_IN(k)) keep_until(c, node->in[k], i);
        if (reads & FV_READS_OUT) keep_until(c, node->out, i);
    }
}

/* The values that must be kept longer so that `value` is there for node i's backward: their bytes. */
static size_t missing_bytes(const chooser *c, fv_value value, int i) {
    const fv_graph_value *v = &c->graph->values[value];
    if (v->producer < 0 || c->choices->pinned[value]) return 0;
    if (!c->choices->dropped[value]) return c->until[value] <= i ? 0 : bytes_of(c, value);
    size_t missing = 0;
    const fv_graph_node *node = &c->graph->nodes[v->producer];
    for (int k = 0; k < node->spec.inputs; k++) missing += missing_bytes(c, node->in[k], i);
    return missing;
}

static void keep_inputs_until(const chooser *c, fv_value value, int i) {
    const fv_graph_value *v = &c->graph->values[value];
    if (v->producer < 0) return;
    if (!c->choices->dropped[value]) {
        keep_until(c, value, i);
        return;
    }
    const fv_graph_node *node = &c->graph->nodes[v->producer];
    for (int k = 0; k < node->spec.inputs; k++) keep_inputs_until(c, node->in[k], i);
}

/* Drops a node's result when that frees more memory than its inputs then take. One that backward does not look at by
   itself is dropped for the sake of what is made of it. */
static void consider(const chooser *c, int i) {
    const fv_graph_node *node = &c->graph->nodes[i];
    fv_value value = node->out;
    int steps = 1;
    if (!fv_op_table[node->spec.kind]->recompute || c->choices->pinned[value]) return;
    for (int k = 0; k < node->spec.inputs; k++) steps += c->steps[node->in[k]];
    if (steps > MOST_STEPS) return;
    c->choices->dropped[value] = true;
    bool worthwhile = c->until[value] == INT_MAX || missing_bytes(c, value, c->until[value]) < bytes_of(c, value);
    c->choices->dropped[value] = worthwhile;
    if (!worthwhile) return;
    c->steps[value] = steps;
    if (c->until[value] < INT_MAX) keep_inputs_until(c, value, c->until[value]);
}

fv_status fv_plan_drop_cheap(const fv_graph *graph, fv_plan_choices *choices) {
    size_t values = (size_t)graph->value_count;
    int *numbers = fv_allocate(2 * values + 1, sizeof *numbers, "a plan");
    if (!numbers) return FV_NO_RESOURCE;
    chooser c = {graph, choices, numbers, numbers + values};
    find_backward_readers(&c);
    for (int i = 0; i < graph->node_count; i++) consider(&c, i);
    free(numbers);
    return FV_OK;
}

/* Under a limit --------------------------------------------------------------------------------------- */

typedef struct candidate {
    fv_value value;
    double cost; /* multiply-accumulates for each byte that is freed */
} candidate;

static int by_cost(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->cost != y->cost) return x->cost < y->cost ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

/* What is kept for backward and could be made again. */
static size_t list_candidates(const fv_graph *graph, const fv_plan_layout *layout, candidate *list) {
    size_t count = 0;
    for (int i = 0; i < graph->node_count; i++) {
        const fv_graph_node *node = &graph->nodes[i];
        int tensor = layout->value_tensor[node->out];
        if (layout->choices.pinned[node->out] || layout->choices.dropped[node->out]) continue;
        if (layout->tensors[tensor].last < layout->backward_start) continue;
        const fv_op *op = fv_op_table[node->spec.kind];
        double bytes = (double)layout->tensors[tensor].bytes;
        list[count++] = (candidate){node->out, (op->macs ? op->macs(&node->spec) : 0) / bytes};
    }
    qsort(list, count, sizeof *list, by_cost);
    return count;
}

static fv_status set_dropped(const fv_graph *graph, fv_value loss, fv_value value, bool drop, fv_plan_layout *layout) {
    layout->choices.dropped[value] = drop;
    return fv_plan_rebuild(graph, loss, layout);
}

/* Drops a value unless that makes the plan larger. Where it changes nothing, it may help the next ones. */
static fv_status try_drop(const fv_graph *graph, fv_value loss, fv_value value, fv_plan_layout *layout) {
    size_t before = layout->live_bytes;
    FV_TRY(set_dropped(graph, loss, value, true, layout));
    return layout->live_bytes <= before ? FV_OK : set_dropped(graph, loss, value, false, layout);
}

static fv_status fits(size_t limit, fv_plan_layout *layout, bool *yes) {
    *yes = false;
    if (layout->live_bytes > limit) return FV_OK;
    FV_TRY(fv_plan_place(layout));
    *yes = layout->bytes <= limit;
    return FV_OK;
}

/* Keeps a value after all if there is room. */
static fv_status try_keep(const fv_graph *graph, fv_value loss, fv_value value, size_t limit, fv_plan_layout *layout) {
    bool yes;
    if (!layout->choices.dropped[value]) return FV_OK;
    FV_TRY(set_dropped(graph, loss, value, false, layout));
    FV_TRY(fits(limit, layout, &yes));
    return yes ? FV_OK : set_dropped(graph, loss, value, true, layout);
}

/* What a layout makes again, the largest first: where it costs most. */
static size_t list_made_again(const fv_graph *graph, const fv_plan_layout *layout, candidate *list) {
    size_t count = 0;
    for (int s = layout->backward_start; s < layout->step_count; s++) {
        if (layout->steps[s].kind != FV_STEP_RECOMPUTE) continue;
        fv_value value = graph->nodes[layout->steps[s].node].out;
        list[count++] = (candidate){value, -(double)fv_shape_count(graph->values[value].shape)};
    }
    qsort(list, count, sizeof *list, by_cost);
    return count;
}

fv_status fv_plan_keep_more(const fv_graph *graph, fv_value loss, size_t limit, fv_plan_layout *layout) {
    candidate *list = fv_allocate((size_t)layout->step_count + 1, sizeof *list, "a plan");
    if (!list) return FV_NO_RESOURCE;
    fv_status status = FV_OK;
    size_t count = list_made_again(graph, layout, list);
    for (size_t i = 0; i < count && status == FV_OK; i++) status = try_keep(graph, loss, list[i].value, limit, layout);
    free(list);
    return status == FV_OK ? fv_plan_place(layout) : status;
}

static fv_status drop_to_limit(const fv_graph *graph, fv_value loss, size_t limit, candidate *list,
                               fv_plan_layout *layout) {
    size_t count = list_candidates(graph, layout, list), used = 0;
    bool enough = false;
    for (; used < count && !enough; used++) {
        FV_TRY(try_drop(graph, loss, list[used].value, layout));
        FV_TRY(fits(limit, layout, &enough));
    }
    while (enough && used-- > 0) FV_TRY(try_keep(graph, loss, list[used].value, limit, layout));
    return fv_plan_place(layout);
}

fv_status fv_plan_drop_to_limit(const fv_graph *graph, fv_value loss, size_t limit, fv_plan_layout *layout) {
    size_t needed = layout->bytes;
    candidate *list = fv_allocate((size_t)graph->node_count + 1, sizeof *list, "a plan");
    if (!list) return FV_NO_RESOURCE;
    fv_status status = drop_to_limit(graph, loss, limit, list, layout);
    free(list);
    if (status == FV_OK && layout->bytes > limit)
        return fv_fail(
            FV_NO_RESOURCE,
            "a training step needs %.1f MiB of memory, or %.1f MiB if it computes values twice instead of keeping "
            "them, and the limit is %.1f MiB; raise train.memory, or choose a smaller train.batch or "
            "preprocess.size",
            (double)needed / 1048576, (double)layout->bytes / 1048576, (double)limit / 1048576);
    return status;
}
