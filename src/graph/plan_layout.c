/* Liveness and placement. Times 0 .. N-1 are the forward nodes, node i's backward is at time 2N-1-i. */
#include "plan_layout.h"

#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

typedef struct planner {
    const fv_graph *graph;
    fv_plan_layout *layout;
    bool train;
    int end;             /* last time */
    int *last_use;       /* per value: last time its content is read */
    bool *pinned;        /* per value: inputs and kept values live for the whole plan */
    bool *leads_to_loss; /* per value */
    bool *param_written; /* per parameter, while walking backwards */
} planner;

static int backward_time(const planner *p, int node) {
    return 2 * p->graph->node_count - 1 - node;
}

static int max_int(int a, int b) {
    return a > b ? a : b;
}

static int buffer_add(fv_plan_layout *layout, size_t bytes, int first, int last) {
    if (bytes == 0) return FV_NO_BUFFER;
    layout->buffers[layout->buffer_count] = (fv_plan_buffer){.bytes = fv_align_up(bytes), .first = first, .last = last};
    return layout->buffer_count++;
}

static size_t value_bytes(const planner *p, fv_value value) {
    return fv_shape_count(p->graph->values[value].shape) * sizeof(fv_real);
}

/* A node has a backward when the loss depends on it and something under it wants a gradient. */
static void mark_differentiated(planner *p) {
    if (!p->train) return;
    p->leads_to_loss[p->layout->loss] = true;
    for (int i = p->graph->node_count - 1; i >= 0; i--) {
        const fv_graph_node *node = &p->graph->nodes[i];
        if (!p->leads_to_loss[node->out]) continue;
        for (int k = 0; k < node->spec.inputs; k++) p->leads_to_loss[node->in[k]] = true;
        p->layout->differentiated[i] = p->graph->values[node->out].needs_gradient;
    }
}

static void find_last_uses(planner *p) {
    for (int v = 0; v < p->graph->value_count; v++)
        p->last_use[v] = p->pinned[v] ? p->end : p->graph->values[v].producer;
    for (int i = 0; i < p->graph->node_count; i++) {
        const fv_graph_node *node = &p->graph->nodes[i];
        const fv_op *op = fv_op_table[node->spec.kind];
        bool backward = p->layout->differentiated[i];
        for (int k = 0; k < node->spec.inputs; k++) {
            int use = backward && (op->backward_reads & FV_READS_IN(k)) ? backward_time(p, i) : i;
            p->last_use[node->in[k]] = max_int(p->last_use[node->in[k]], use);
        }
        if (backward && (op->backward_reads & FV_READS_OUT))
            p->last_use[node->out] = max_int(p->last_use[node->out], backward_time(p, i));
    }
}

static bool same_size(const planner *p, fv_value a, fv_value b) {
    return value_bytes(p, a) == value_bytes(p, b);
}

static bool uses_once(const fv_graph_node *node, fv_value value) {
    int uses = 0;
    for (int k = 0; k < node->spec.inputs; k++) uses += node->in[k] == value;
    return uses == 1;
}

/* The output may take over the memory of the first input when this node is the last that will ever read it. */
static bool can_run_in_place(const planner *p, int i) {
    const fv_graph_node *node = &p->graph->nodes[i];
    fv_value x = node->in[0];
    return fv_op_table[node->spec.kind]->in_place && p->graph->values[x].producer >= 0 && p->last_use[x] == i &&
           !p->pinned[x] && !p->pinned[node->out] && same_size(p, x, node->out) && uses_once(node, x);
}

static void place_values(planner *p) {
    fv_plan_layout *layout = p->layout;
    for (int v = 0; v < p->graph->value_count; v++) {
        const fv_graph_value *value = &p->graph->values[v];
        layout->value_buffer[v] = FV_NO_BUFFER;
        if (value->producer < 0 && value->param < 0)
            layout->value_buffer[v] = buffer_add(layout, value_bytes(p, v), 0, p->end);
    }
    for (int i = 0; i < p->graph->node_count; i++) {
        const fv_graph_node *node = &p->graph->nodes[i];
        int last = p->last_use[node->out];
        if (can_run_in_place(p, i)) {
            int shared = layout->value_buffer[node->in[0]];
            layout->buffers[shared].last = max_int(layout->buffers[shared].last, last);
            layout->value_buffer[node->out] = shared;
        } else {
            layout->value_buffer[node->out] =
                buffer_add(layout, value_bytes(p, node->out), p->pinned[node->out] ? 0 : i, last);
        }
    }
}

static void place_node_memory(planner *p) {
    fv_plan_layout *layout = p->layout;
    for (int i = 0; i < p->graph->node_count; i++) {
        const fv_op_spec *spec = &p->graph->nodes[i].spec;
        const fv_op *op = fv_op_table[spec->kind];
        bool backward = layout->differentiated[i];
        size_t saved = op->saved_bytes ? op->saved_bytes(spec) : 0;
        layout->saved_buffer[i] = buffer_add(layout, saved, i, backward ? backward_time(p, i) : i);
        layout->forward_work[i] = buffer_add(layout, op->work_bytes ? op->work_bytes(spec, false) : 0, i, i);
        int t = backward_time(p, i);
        layout->backward_work[i] =
            buffer_add(layout, backward && op->work_bytes ? op->work_bytes(spec, true) : 0, t, t);
    }
}

/* Gradient of one input of a node whose backward runs at time t: first writer sets, later ones add. */
static void place_input_gradient(planner *p, int i, int k) {
    fv_plan_layout *layout = p->layout;
    const fv_graph_node *node = &p->graph->nodes[i];
    const fv_graph_value *in = &p->graph->values[node->in[k]];
    bool *adds = &layout->adds[i * FV_MAX_INPUTS + k];
    int *buffer = &layout->gradient_buffer[node->in[k]];
    if (!in->needs_gradient) return;
    if (in->param >= 0) {
        *adds = p->param_written[in->param];
        p->param_written[in->param] = layout->param_reached[in->param] = true;
        return;
    }
    *adds = *buffer != FV_NO_BUFFER;
    if (*adds) return;
    int last = in->producer < 0 ? p->end : backward_time(p, in->producer);
    int own = layout->gradient_buffer[node->out];
    bool in_place = k == 0 && fv_op_table[node->spec.kind]->in_place && same_size(p, node->in[0], node->out) &&
                    in->producer >= 0 && uses_once(node, node->in[0]);
    if (in_place) {
        layout->buffers[own].last = max_int(layout->buffers[own].last, last);
        *buffer = own;
    } else {
        *buffer = buffer_add(layout, value_bytes(p, node->in[k]), backward_time(p, i), last);
    }
}

static void place_gradients(planner *p) {
    fv_plan_layout *layout = p->layout;
    for (int v = 0; v < p->graph->value_count; v++) layout->gradient_buffer[v] = FV_NO_BUFFER;
    if (!p->train) return;
    int n = p->graph->node_count, producer = p->graph->values[layout->loss].producer;
    layout->gradient_buffer[layout->loss] =
        buffer_add(layout, value_bytes(p, layout->loss), n, backward_time(p, producer));
    for (int i = n - 1; i >= 0; i--) {
        if (!layout->differentiated[i]) continue;
        for (int k = 0; k < p->graph->nodes[i].spec.inputs; k++) place_input_gradient(p, i, k);
    }
}

static int by_size_descending(const void *a, const void *b) {
    const fv_plan_buffer *x = *(fv_plan_buffer *const *)a, *y = *(fv_plan_buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return (x > y) - (x < y);
}

static int by_offset(const void *a, const void *b) {
    const fv_plan_buffer *x = *(fv_plan_buffer *const *)a, *y = *(fv_plan_buffer *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static size_t lowest_free_offset(const fv_plan_buffer *buffer, fv_plan_buffer **busy, int busy_count) {
    size_t offset = 0;
    for (int i = 0; i < busy_count && offset + buffer->bytes > busy[i]->offset; i++)
        offset = offset > busy[i]->offset + busy[i]->bytes ? offset : busy[i]->offset + busy[i]->bytes;
    return offset;
}

/* Greedy by size (Pisarchyk and Lee 2020): within a few percent of the lower bound on networks like ours. */
static fv_status assign_offsets(fv_plan_layout *layout) {
    size_t count = (size_t)layout->buffer_count;
    fv_plan_buffer **order = fv_allocate(2 * count + 1, sizeof *order, "a plan");
    if (!order) return FV_NO_RESOURCE;
    fv_plan_buffer **busy = order + count;
    for (size_t i = 0; i < count; i++) order[i] = &layout->buffers[i];
    qsort(order, count, sizeof *order, by_size_descending);
    for (size_t i = 0; i < count; i++) {
        int busy_count = 0;
        for (size_t j = 0; j < i; j++)
            if (order[j]->first <= order[i]->last && order[i]->first <= order[j]->last) busy[busy_count++] = order[j];
        qsort(busy, (size_t)busy_count, sizeof *busy, by_offset);
        order[i]->offset = lowest_free_offset(order[i], busy, busy_count);
        size_t top = order[i]->offset + order[i]->bytes;
        if (top > layout->bytes) layout->bytes = top;
    }
    free(order);
    return FV_OK;
}

static fv_status layout_allocate(const fv_graph *graph, fv_plan_layout *layout) {
    size_t values = (size_t)graph->value_count, nodes = (size_t)graph->node_count;
    layout->buffers = fv_allocate(2 * values + 3 * nodes + 1, sizeof *layout->buffers, "a plan");
    layout->value_buffer = fv_allocate(values + 1, sizeof(int), "a plan");
    layout->gradient_buffer = fv_allocate(values + 1, sizeof(int), "a plan");
    layout->saved_buffer = fv_allocate(nodes + 1, sizeof(int), "a plan");
    layout->forward_work = fv_allocate(nodes + 1, sizeof(int), "a plan");
    layout->backward_work = fv_allocate(nodes + 1, sizeof(int), "a plan");
    layout->differentiated = fv_allocate(nodes + 1, sizeof(bool), "a plan");
    layout->adds = fv_allocate(nodes * FV_MAX_INPUTS + 1, sizeof(bool), "a plan");
    layout->param_reached = fv_allocate((size_t)graph->params->count + 1, sizeof(bool), "a plan");
    bool complete = layout->buffers && layout->value_buffer && layout->gradient_buffer && layout->saved_buffer &&
                    layout->forward_work && layout->backward_work && layout->differentiated && layout->adds &&
                    layout->param_reached;
    return complete ? FV_OK : FV_NO_RESOURCE;
}

fv_status fv_plan_layout_make(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count,
                              fv_value loss, fv_plan_layout *layout) {
    *layout = (fv_plan_layout){.loss = loss};
    bool complete = mode == FV_PLAN_INFER || (loss != FV_NO_VALUE && graph->values[loss].producer >= 0);
    for (int i = 0; i < keep_count; i++) complete = complete && keep[i] != FV_NO_VALUE;
    if (!complete)
        return fv_fail(FV_BAD_INPUT,
                       "a plan needs values that the graph has: a loss that a node makes, and no missing output");
    planner p = {.graph = graph, .layout = layout, .train = mode == FV_PLAN_TRAIN};
    p.end = (p.train ? 2 : 1) * graph->node_count - 1;
    size_t values = (size_t)graph->value_count + 1;
    p.last_use = fv_allocate(values, sizeof(int), "a plan");
    p.pinned = fv_allocate(values, sizeof(bool), "a plan");
    p.leads_to_loss = fv_allocate(values, sizeof(bool), "a plan");
    p.param_written = fv_allocate((size_t)graph->params->count + 1, sizeof(bool), "a plan");
    fv_status status = layout_allocate(graph, layout);
    if (!p.last_use || !p.pinned || !p.leads_to_loss || !p.param_written) status = FV_NO_RESOURCE;
    if (status == FV_OK) {
        for (int i = 0; i < keep_count; i++) p.pinned[keep[i]] = true;
        if (p.train) p.pinned[loss] = true;
        mark_differentiated(&p);
        find_last_uses(&p);
        place_values(&p);
        place_node_memory(&p);
        place_gradients(&p);
        status = assign_offsets(layout);
    }
    free(p.last_use);
    free(p.pinned);
    free(p.leads_to_loss);
    free(p.param_written);
    if (status != FV_OK) fv_plan_layout_free(layout);
    return status;
}

void fv_plan_layout_free(fv_plan_layout *layout) {
    free(layout->buffers);
    free(layout->value_buffer);
    free(layout->gradient_buffer);
    free(layout->saved_buffer);
    free(layout->forward_work);
    free(layout->backward_work);
    free(layout->differentiated);
    free(layout->adds);
    free(layout->param_reached);
    *layout = (fv_plan_layout){0};
}
