/* Steps and tensors: forward in node order, backward in the opposite one, and before a backward step those that make
   again what it reads and was not kept and what it can't read through a map. A tensor lives from the step that writes
   it to the last that reads it. */
#include <stdlib.h>

#include "plan_layout.h"

/* A value made again stays for a reader that comes within so many steps; for a later one it is made once more. */
#define STAYS_STEPS 8

typedef struct scheduler {
    const fv_graph *graph;
    fv_plan_layout *layout;
} scheduler;

/* Room for one more item; on failure the layout is marked and the last item overwritten. */
static void *grow(fv_plan_layout *layout, void *items, int *count, int *capacity, size_t item_bytes) {
    if (*count < *capacity) return items;
    int wanted = *capacity ? *capacity * 2 : 256;
    void *grown = realloc(items, (size_t)wanted * item_bytes);
    if (grown) {
        *capacity = wanted;
        return grown;
    }
    layout->failed = true;
    if (*count) --*count;
    return items;
}

static int add_memory(fv_plan_layout *layout, size_t bytes) {
    if (bytes == 0) return FV_NONE;
    layout->tensors =
        grow(layout, layout->tensors, &layout->tensor_count, &layout->tensor_capacity, sizeof *layout->tensors);
    if (!layout->tensor_capacity) return FV_NONE;
    layout->tensors[layout->tensor_count] = (fv_plan_tensor){
        .bytes = bytes, .first = layout->step_count, .last = layout->step_count, .whole = FV_NONE, .over = FV_NONE};
    return layout->tensor_count++;
}

static int add_tensor(const scheduler *s, fv_value value) {
    fv_shape shape = s->graph->values[value].shape;
    int tensor = add_memory(s->layout, fv_shape_count(shape) * sizeof(fv_real));
    if (tensor != FV_NONE) s->layout->tensors[tensor].channels = shape.c;
    return tensor;
}

/* The tensor is read or written by the step that is being made. */
static int touch(fv_plan_layout *layout, int tensor) {
    if (tensor != FV_NONE) layout->tensors[tensor].last = layout->step_count;
    return tensor;
}

static fv_plan_step new_step(const scheduler *s, fv_step_kind kind, int node) {
    fv_plan_step step = {.kind = kind, .node = node, .out = FV_NONE, .d_out = FV_NONE};
    step.work = step.moments = step.prepared = step.residual = step.fold = step.fold_before = FV_NONE;
    step.mapper = step.map = FV_NONE;
    for (int k = 0; k < FV_MAX_INPUTS; k++) step.in[k] = step.d_in[k] = FV_NONE;
    step.saved = touch(s->layout, s->layout->saved_tensor[node]);
    const fv_op_spec *spec = &s->graph->nodes[node].spec;
    const fv_op *op = fv_op_table[spec->kind];
    if (op->work_bytes) step.work = add_memory(s->layout, op->work_bytes(spec, kind == FV_STEP_BACKWARD));
    return step;
}

static void push_step(fv_plan_layout *layout, const fv_plan_step *step) {
    layout->steps = grow(layout, layout->steps, &layout->step_count, &layout->step_capacity, sizeof *layout->steps);
    if (layout->step_capacity) layout->steps[layout->step_count++] = *step;
}

/* Forward --------------------------------------------------------------------------------------------- */

/* Statistics that the op leaves for the batch norm behind it, where there is one and it will want them. */
static void pass_moments(const scheduler *s, fv_plan_step *step) {
    const fv_graph_node *node = &s->graph->nodes[step->node];
    int *moments = s->layout->moments_tensor;
    if (node->spec.kind == FV_OP_batch_norm) step->moments = touch(s->layout, moments[node->in[0]]);
    if (!fv_op_table[node->spec.kind]->moments) return;
    bool wanted = false;
    for (int i = step->node + 1; i < s->graph->node_count; i++)
        wanted |= s->graph->nodes[i].spec.kind == FV_OP_batch_norm && s->graph->nodes[i].in[0] == node->out;
    if (wanted) step->moments = add_memory(s->layout, 2 * (size_t)node->spec.out.c * sizeof(double));
    moments[node->out] = step->moments;
}

/* The step does the work of node `before` as well, from that one's input on. */
static void take_along(const scheduler *s, int before, fv_plan_step *step) {
    fv_plan_layout *layout = s->layout;
    const fv_graph_node *node = &s->graph->nodes[step->node], *first = &s->graph->nodes[before];
    size_t work = fv_op_table[node->spec.kind]->work_behind(&node->spec, &first->spec);
    fv_plan_tensor *own = &layout->tensors[step->work];
    if (work > own->bytes) own->bytes = work;
    step->in[0] = touch(layout, layout->value_tensor[first->in[0]]);
    if (layout->choices.fusions[before].norm != FV_NONE)
        step->fold_before = add_memory(layout, 2 * (size_t)first->spec.out.c * sizeof(fv_real));
}

static void add_forward(const scheduler *s, int i, bool train) {
    fv_plan_layout *layout = s->layout;
    const fv_graph_node *node = &s->graph->nodes[i];
    const fv_op *op = fv_op_table[node->spec.kind];
    const fv_fusion *fusion = &layout->choices.fusions[i];
    layout->saved_tensor[i] = add_memory(layout, op->saved_bytes ? op->saved_bytes(&node->spec) : 0);
    fv_plan_step step = new_step(s, FV_STEP_FORWARD, i);
    for (int k = 0; k < node->spec.inputs; k++) step.in[k] = touch(layout, layout->value_tensor[node->in[k]]);
    if (fusion->before != FV_NONE) take_along(s, fusion->before, &step);
    if (fusion->residual != FV_NO_VALUE) step.residual = touch(layout, layout->value_tensor[fusion->residual]);
    if (fusion->norm != FV_NONE) step.fold = add_memory(layout, 2 * (size_t)node->spec.out.c * sizeof(fv_real));
    step.out = layout->value_tensor[fusion->out] = add_tensor(s, fusion->out);
    if (train)
        pass_moments(s, &step);
    else if (op->prepared_bytes && fusion->before == FV_NONE)
        step.prepared = add_memory(layout, op->prepared_bytes(&node->spec));
    push_step(layout, &step);
}

/* Backward -------------------------------------------------------------------------------------------- */

static bool is_cheap(const scheduler *s, int node) {
    return fv_op_table[s->graph->nodes[node].spec.kind]->recompute != NULL;
}

/* Whether the value must be made again before a step can read it. */
static bool is_gone(const scheduler *s, fv_value value) {
    const fv_plan_layout *layout = s->layout;
    int again = layout->again_tensor[value];
    if (!layout->choices.dropped[value]) return false;
    if (again == FV_NONE) return true;
    return is_cheap(s, s->graph->values[value].producer) &&
           layout->step_count - layout->tensors[again].last > STAYS_STEPS;
}

/* The tensor that holds the value now. If none does, adds the steps that make it again. */
static int find_value(const scheduler *s, fv_value value) {
    fv_plan_layout *layout = s->layout;
    if (!is_gone(s, value))
        return layout->choices.dropped[value] ? layout->again_tensor[value] : layout->value_tensor[value];
    int i = s->graph->values[value].producer;
    const fv_graph_node *node = &s->graph->nodes[i];
    int in[FV_MAX_INPUTS];
    for (int k = 0; k < node->spec.inputs; k++) in[k] = find_value(s, node->in[k]);
    fv_plan_step step = new_step(s, FV_STEP_RECOMPUTE, i);
    for (int k = 0; k < node->spec.inputs; k++) step.in[k] = touch(layout, in[k]);
    step.out = layout->again_tensor[value] = add_tensor(s, value);
    push_step(layout, &step);
    return step.out;
}

/* The first writer of a gradient sets it, later ones add. */
static void write_gradient(const scheduler *s, fv_plan_step *step, int k) {
    fv_plan_layout *layout = s->layout;
    fv_value value = s->graph->nodes[step->node].in[k];
    const fv_graph_value *in = &s->graph->values[value];
    if (!in->needs_gradient) return;
    if (in->param >= 0) {
        step->add[k] = layout->param_reached[in->param];
        layout->param_reached[in->param] = true;
        return;
    }
    step->add[k] = layout->gradient_tensor[value] != FV_NONE;
    if (!step->add[k]) layout->gradient_tensor[value] = add_tensor(s, value);
    step->d_in[k] = touch(layout, layout->gradient_tensor[value]);
}

/* The node through whose map of its own input the node's backward reads in[0], instead of having it made again; FV_NONE
   if it can't, or in[0] is there anyway. Whoever else needs in[0] later makes it then, so that no step is added. */
static int find_mapper(const scheduler *s, const fv_graph_node *node) {
    const fv_op *op = fv_op_table[node->spec.kind];
    bool maps = fv_plan_backward_reads(node) & FV_READS_IN(0) && op->maps_input && op->maps_input(&node->spec);
    if (!maps || !is_gone(s, node->in[0])) return FV_NONE;
    int mapper = s->graph->values[node->in[0]].producer;
    const fv_graph_node *norm = &s->graph->nodes[mapper];
    bool is_map = fv_op_table[norm->spec.kind]->map && s->graph->values[norm->in[0]].param < 0;
    for (int k = 1; k < norm->spec.inputs; k++) is_map &= s->graph->values[norm->in[k]].param >= 0; /* no residual */
    return is_map ? mapper : FV_NONE;
}

/* The coefficients come from what the mapper's forward has saved. */
static void read_through(const scheduler *s, fv_plan_step *step, int mapper) {
    step->mapper = mapper;
    if (mapper == FV_NONE) return;
    touch(s->layout, s->layout->saved_tensor[mapper]);
    step->map = add_memory(s->layout, 3 * (size_t)s->graph->nodes[mapper].spec.out.c * sizeof(fv_real));
}

static void add_backward(const scheduler *s, int i) {
    fv_plan_layout *layout = s->layout;
    const fv_graph_node *node = &s->graph->nodes[i];
    unsigned reads = fv_plan_backward_reads(node);
    int in[FV_MAX_INPUTS], out = FV_NONE, mapper = find_mapper(s, node);
    for (int k = 0; k < node->spec.inputs; k++) {
        fv_value value = k == 0 && mapper != FV_NONE ? s->graph->nodes[mapper].in[0] : node->in[k];
        in[k] = reads & FV_READS_IN(k) ? find_value(s, value) : FV_NONE;
    }
    if (reads & FV_READS_OUT) out = find_value(s, node->out);
    fv_plan_step step = new_step(s, FV_STEP_BACKWARD, i);
    read_through(s, &step, mapper);
    for (int k = 0; k < node->spec.inputs; k++) step.in[k] = touch(layout, in[k]);
    step.out = touch(layout, out);
    step.d_out = touch(layout, layout->gradient_tensor[node->out]);
    for (int k = 0; k < node->spec.inputs; k++) write_gradient(s, &step, k);
    push_step(layout, &step);
}

/* ------------------------------------------------------------------------------------------------------ */

static void forget(const fv_graph *graph, fv_plan_layout *layout) {
    layout->tensor_count = layout->step_count = 0;
    for (int v = 0; v < graph->value_count; v++)
        layout->value_tensor[v] = layout->gradient_tensor[v] = layout->again_tensor[v] = layout->moments_tensor[v] =
            FV_NONE;
    for (int i = 0; i < graph->node_count; i++) layout->saved_tensor[i] = FV_NONE;
    for (int p = 0; p < graph->params->count; p++) layout->param_reached[p] = false;
}

static void pin(fv_plan_layout *layout, int tensor) {
    if (tensor == FV_NONE) return;
    layout->tensors[tensor].pinned = true;
    layout->tensors[tensor].first = 0;
    layout->tensors[tensor].last = layout->step_count - 1;
}

/* Inputs, their gradients and kept values are the caller's; prepared parameters are there before a run. */
static void pin_tensors(const fv_graph *graph, fv_plan_layout *layout) {
    for (int v = 0; v < graph->value_count; v++) {
        bool is_input = graph->values[v].producer < 0 && graph->values[v].param < 0;
        if (is_input || layout->choices.pinned[v]) pin(layout, layout->value_tensor[v]);
        if (is_input) pin(layout, layout->gradient_tensor[v]);
    }
    for (int s = 0; s < layout->step_count; s++) pin(layout, layout->steps[s].prepared);
}

void fv_plan_schedule(const fv_graph *graph, fv_value loss, fv_plan_layout *layout) {
    scheduler s = {graph, layout};
    forget(graph, layout);
    for (int v = 0; v < graph->value_count; v++)
        if (graph->values[v].producer < 0 && graph->values[v].param < 0) layout->value_tensor[v] = add_tensor(&s, v);
    for (int i = 0; i < graph->node_count; i++)
        if (layout->choices.fusions[i].root == i) add_forward(&s, i, loss != FV_NO_VALUE);
    layout->backward_start = layout->step_count;
    if (loss != FV_NO_VALUE) {
        layout->gradient_tensor[loss] = add_tensor(&s, loss);
        for (int i = graph->node_count - 1; i >= 0; i--)
            if (layout->choices.differentiated[i]) add_backward(&s, i);
    }
    pin_tensors(graph, layout);
}
