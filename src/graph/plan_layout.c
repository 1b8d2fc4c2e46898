#include "plan_layout.h"

#include <stdlib.h>

#include "fovea/base/memory.h"

unsigned fv_plan_backward_reads(const fv_graph_node *node) {
    const fv_op *op = fv_op_table[node->spec.kind];
    return op->reads ? op->reads(&node->spec) : op->backward_reads;
}

int fv_plan_uses(const fv_graph_node *node, fv_value value) {
    int uses = 0;
    for (int k = 0; k < node->spec.inputs; k++) uses += node->in[k] == value;
    return uses;
}

/* A node has a backward when the loss depends on it and something under it wants a gradient. */
static fv_status mark_differentiated(const fv_graph *graph, fv_value loss, fv_plan_choices *choices) {
    bool *leads_to_loss = fv_allocate((size_t)graph->value_count + 1, sizeof(bool), "a plan");
    if (!leads_to_loss) return FV_NO_RESOURCE;
    leads_to_loss[loss] = true;
    for (int i = graph->node_count - 1; i >= 0; i--) {
        const fv_graph_node *node = &graph->nodes[i];
        if (!leads_to_loss[node->out]) continue;
        for (int k = 0; k < node->spec.inputs; k++) leads_to_loss[node->in[k]] = true;
        choices->differentiated[i] = graph->values[node->out].needs_gradient;
    }
    free(leads_to_loss);
    return FV_OK;
}

fv_status fv_plan_rebuild(const fv_graph *graph, fv_value loss, fv_plan_layout *layout) {
    fv_plan_schedule(graph, loss, layout);
    if (layout->failed) return fv_fail_memory("a plan", sizeof *layout->tensors);
    return fv_plan_share(graph, layout);
}

/* Sets a flag if the plan then stays within `limit` bytes. */
static fv_status try_flag(const fv_graph *graph, fv_value loss, size_t limit, bool *flag, fv_plan_layout *layout) {
    *flag = true;
    FV_TRY(fv_plan_rebuild(graph, loss, layout));
    if (layout->live_bytes <= limit) return FV_OK;
    *flag = false;
    return fv_plan_rebuild(graph, loss, layout);
}

/* A concatenation whose inputs lie in its output copies nothing, but all of it is taken from the first input on. That
   must not make a plan for training larger; one for inference, where a copy weighs more and memory less, by a quarter
   at most. */
static fv_status choose_joins(const fv_graph *graph, fv_value loss, fv_plan_layout *layout) {
    size_t limit = layout->live_bytes + layout->live_bytes / 4;
    for (int i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].spec.kind != FV_OP_concat) continue;
        for (int k = i * FV_MAX_INPUTS; k < i * FV_MAX_INPUTS + graph->nodes[i].spec.inputs; k++) {
            if (loss != FV_NO_VALUE) limit = layout->live_bytes;
            FV_TRY(try_flag(graph, loss, limit, &layout->choices.joins[k], layout));
            if (!layout->choices.differentiated[i]) continue;
            FV_TRY(try_flag(graph, loss, layout->live_bytes, &layout->choices.splits[k], layout));
        }
    }
    return FV_OK;
}

static fv_status allocate(const fv_graph *graph, fv_plan_layout *layout) {
    size_t values = (size_t)graph->value_count + 1, nodes = (size_t)graph->node_count + 1;
    size_t params = (size_t)graph->params->count + 1;
    fv_plan_choices *c = &layout->choices;
    bool complete = (c->fusions = fv_allocate(nodes, sizeof *c->fusions, "a plan")) &&
                    (c->pinned = fv_allocate(values, sizeof(bool), "a plan")) &&
                    (c->differentiated = fv_allocate(nodes, sizeof(bool), "a plan")) &&
                    (c->dropped = fv_allocate(values, sizeof(bool), "a plan")) &&
                    (c->joins = fv_allocate(nodes * FV_MAX_INPUTS, sizeof(bool), "a plan")) &&
                    (c->splits = fv_allocate(nodes * FV_MAX_INPUTS, sizeof(bool), "a plan")) &&
                    (layout->value_tensor = fv_allocate(values, sizeof(int), "a plan")) &&
                    (layout->gradient_tensor = fv_allocate(values, sizeof(int), "a plan")) &&
                    (layout->again_tensor = fv_allocate(values, sizeof(int), "a plan")) &&
                    (layout->saved_tensor = fv_allocate(nodes, sizeof(int), "a plan")) &&
                    (layout->moments_tensor = fv_allocate(values, sizeof(int), "a plan")) &&
                    (layout->param_reached = fv_allocate(params, sizeof(bool), "a plan"));
    return complete ? FV_OK : FV_NO_RESOURCE;
}

static fv_status decide(const fv_graph *graph, fv_value loss, size_t limit, fv_plan_layout *layout) {
    fv_plan_find_fusions(graph, loss == FV_NO_VALUE, &layout->choices);
    if (loss != FV_NO_VALUE) {
        FV_TRY(mark_differentiated(graph, loss, &layout->choices));
        FV_TRY(fv_plan_drop_cheap(graph, &layout->choices));
    }
    FV_TRY(fv_plan_rebuild(graph, loss, layout));
    FV_TRY(choose_joins(graph, loss, layout));
    FV_TRY(fv_plan_place(layout));
    if (limit && layout->bytes > limit) return fv_plan_drop_to_limit(graph, loss, limit, layout);
    size_t room = layout->bytes + layout->bytes / 8; /* an eighth more memory for up to a twentieth less time */
    return loss == FV_NO_VALUE ? FV_OK : fv_plan_keep_more(graph, loss, limit && limit < room ? limit : room, layout);
}

fv_status fv_plan_layout_make(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count,
                              fv_value loss, size_t limit, fv_plan_layout *layout) {
    *layout = (fv_plan_layout){0};
    bool train = mode == FV_PLAN_TRAIN;
    bool complete = !train || (loss != FV_NO_VALUE && graph->values[loss].producer >= 0);
    for (int i = 0; i < keep_count; i++) complete = complete && keep[i] != FV_NO_VALUE;
    if (!complete)
        return fv_fail(FV_BAD_INPUT,
                       "a plan needs values that the graph has: a loss that a node makes, and no missing output");
    fv_status status = allocate(graph, layout);
    if (status == FV_OK) {
        for (int i = 0; i < keep_count; i++) layout->choices.pinned[keep[i]] = true;
        if (train) layout->choices.pinned[loss] = true;
        status = decide(graph, train ? loss : FV_NO_VALUE, limit, layout);
    }
    if (status != FV_OK) fv_plan_layout_free(layout);
    return status;
}

void fv_plan_layout_free(fv_plan_layout *layout) {
    fv_plan_choices *c = &layout->choices;
    free(c->fusions);
    free(c->pinned);
    free(c->differentiated);
    free(c->dropped);
    free(c->joins);
    free(c->splits);
    free(layout->tensors);
    free(layout->steps);
    free(layout->value_tensor);
    free(layout->gradient_tensor);
    free(layout->again_tensor);
    free(layout->saved_tensor);
    free(layout->moments_tensor);
    free(layout->param_reached);
    *layout = (fv_plan_layout){0};
}
