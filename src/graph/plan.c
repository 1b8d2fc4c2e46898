#include "fovea/graph/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "plan_layout.h"

/* The run-time half of a plan: plan_layout.c has decided where everything lives; here the block is allocated, the calls
   get their pointers once, and running is a walk over them. */
struct fv_plan {
    const fv_graph *graph;
    fv_plan_mode mode;
    fv_plan_layout layout;
    char *block;
    fv_op_call *forward, *backward; /* per node, in node order */
    fv_plan_profile profile;        /* NULL pointers: nobody measures */
};

static void *buffer_address(const fv_plan *plan, int buffer) {
    return buffer == FV_NO_BUFFER ? NULL : plan->block + plan->layout.buffers[buffer].offset;
}

static fv_real *value_address(const fv_plan *plan, fv_value value) {
    int param = plan->graph->values[value].param;
    if (param >= 0) return plan->graph->params->values + plan->graph->params->list[param].offset;
    return buffer_address(plan, plan->layout.value_buffer[value]);
}

static fv_real *gradient_address(const fv_plan *plan, fv_value value) {
    const fv_graph_value *v = &plan->graph->values[value];
    if (v->param >= 0 && v->needs_gradient)
        return plan->graph->params->gradients + plan->graph->params->list[v->param].offset;
    return buffer_address(plan, plan->layout.gradient_buffer[value]);
}

static void bind_forward(fv_plan *plan, int i) {
    const fv_graph_node *node = &plan->graph->nodes[i];
    fv_op_call *call = &plan->forward[i];
    *call = (fv_op_call){.spec = &node->spec, .out = value_address(plan, node->out), .node = (uint64_t)i};
    for (int k = 0; k < node->spec.inputs; k++) call->in[k] = value_address(plan, node->in[k]);
    call->saved = buffer_address(plan, plan->layout.saved_buffer[i]);
    call->work = buffer_address(plan, plan->layout.forward_work[i]);
}

static void bind_backward(fv_plan *plan, int i) {
    const fv_graph_node *node = &plan->graph->nodes[i];
    const fv_op *op = fv_op_table[node->spec.kind];
    fv_op_call *call = &plan->backward[i];
    *call = plan->forward[i];
    call->work = buffer_address(plan, plan->layout.backward_work[i]);
    if (!(op->backward_reads & FV_READS_OUT)) call->out = NULL;
    call->d_out = gradient_address(plan, node->out);
    for (int k = 0; k < node->spec.inputs; k++) {
        const fv_graph_value *in = &plan->graph->values[node->in[k]];
        if (!(op->backward_reads & FV_READS_IN(k)) && in->param < 0) call->in[k] = NULL;
        if (in->needs_gradient) call->d_in[k] = gradient_address(plan, node->in[k]);
        call->add[k] = plan->layout.adds[i * FV_MAX_INPUTS + k];
    }
}

fv_status fv_plan_make(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count, fv_value loss,
                       fv_plan **out) {
    *out = NULL;
    FV_TRY(fv_graph_status(graph));
    if (mode == FV_PLAN_TRAIN) FV_TRY(fv_params_allocate_gradients(graph->params));
    fv_plan *plan = fv_allocate(1, sizeof *plan, "a plan");
    if (!plan) return FV_NO_RESOURCE;
    plan->graph = graph;
    plan->mode = mode;
    size_t nodes = (size_t)graph->node_count;
    fv_status status = fv_plan_layout_make(graph, mode, keep, keep_count, loss, &plan->layout);
    if (status == FV_OK)
        status = fv_block_allocate(plan->layout.bytes, "the tensors of a network", (void **)&plan->block);
    if (status == FV_OK && (!(plan->forward = fv_allocate(nodes, sizeof *plan->forward, "a plan")) ||
                            !(plan->backward = fv_allocate(nodes, sizeof *plan->backward, "a plan"))))
        status = FV_NO_RESOURCE;
    if (status != FV_OK) {
        fv_plan_free(plan);
        return status;
    }
    for (int i = 0; i < graph->node_count; i++) {
        bind_forward(plan, i);
        if (plan->layout.differentiated[i]) bind_backward(plan, i);
    }
    *out = plan;
    return FV_OK;
}

fv_status fv_plan_measure(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count, fv_value loss,
                          size_t *bytes) {
    fv_plan_layout layout;
    FV_TRY(fv_graph_status(graph));
    FV_TRY(fv_plan_layout_make(graph, mode, keep, keep_count, loss, &layout));
    *bytes = layout.bytes;
    fv_plan_layout_free(&layout);
    return FV_OK;
}

void fv_plan_free(fv_plan *plan) {
    if (!plan) return;
    fv_plan_layout_free(&plan->layout);
    fv_block_free(plan->block);
    free(plan->forward);
    free(plan->backward);
    free(plan->profile.forward);
    free(plan->profile.backward);
    free(plan);
}

fv_status fv_plan_profile_start(fv_plan *plan) {
    size_t nodes = (size_t)plan->graph->node_count;
    fv_plan_profile *profile = &plan->profile;
    if (!profile->forward) profile->forward = fv_allocate(nodes, sizeof(double), "a profile");
    if (!profile->backward) profile->backward = fv_allocate(nodes, sizeof(double), "a profile");
    if (!profile->forward || !profile->backward) return FV_NO_RESOURCE;
    for (size_t i = 0; i < nodes; i++) profile->forward[i] = profile->backward[i] = 0;
    return FV_OK;
}

const fv_plan_profile *fv_plan_profile_get(const fv_plan *plan) {
    return &plan->profile;
}

size_t fv_plan_bytes(const fv_plan *plan) {
    return plan->layout.bytes;
}

fv_real *fv_plan_data(const fv_plan *plan, fv_value value) {
    return value_address(plan, value);
}

const fv_real *fv_plan_gradient(const fv_plan *plan, fv_value value) {
    return gradient_address(plan, value);
}

/* Runs an op, and adds what it took to `seconds` where somebody measures. */
static void run_op(void (*op)(const fv_op_call *call), const fv_op_call *call, double *seconds) {
    double begin = seconds ? fv_seconds() : 0;
    op(call);
    if (seconds) *seconds += fv_seconds() - begin;
}

static void run_forward(fv_plan *plan, int i, bool training, uint64_t seed, uint64_t step) {
    fv_op_call *call = &plan->forward[i];
    call->training = training;
    call->seed = seed;
    call->step = step;
    double *seconds = plan->profile.forward ? &plan->profile.forward[i] : NULL;
    run_op(fv_op_table[call->spec->kind]->forward, call, seconds);
}

void fv_plan_forward(fv_plan *plan, bool training, uint64_t seed, uint64_t step) {
    for (int i = 0; i < plan->graph->node_count; i++) run_forward(plan, i, training, seed, step);
}

static void run_backward(fv_plan *plan, int i) {
    fv_op_call *call = &plan->backward[i];
    call->training = plan->forward[i].training;
    call->seed = plan->forward[i].seed;
    call->step = plan->forward[i].step;
    double *seconds = plan->profile.backward ? &plan->profile.backward[i] : NULL;
    run_op(fv_op_table[call->spec->kind]->backward, call, seconds);
}

static void start_backward(fv_plan *plan) {
    *(fv_real *)buffer_address(plan, plan->layout.gradient_buffer[plan->layout.loss]) = 1;
    const fv_params *params = plan->graph->params;
    for (int p = 0; p < params->count; p++)
        if (params->list[p].trainable && !plan->layout.param_reached[p])
            memset(params->gradients + params->list[p].offset, 0, params->list[p].count * sizeof(fv_real));
}

void fv_plan_backward(fv_plan *plan) {
    start_backward(plan);
    for (int i = plan->graph->node_count - 1; i >= 0; i--)
        if (plan->layout.differentiated[i]) run_backward(plan, i);
}

static bool all_finite(const fv_real *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

const char *fv_plan_find_nonfinite(fv_plan *plan, uint64_t seed, uint64_t step, bool *in_backward) {
    const fv_graph *graph = plan->graph;
    *in_backward = false;
    for (int i = 0; i < graph->node_count; i++) {
        run_forward(plan, i, true, seed, step);
        if (!all_finite(plan->forward[i].out, fv_shape_count(plan->forward[i].spec->out))) return graph->nodes[i].name;
    }
    if (plan->mode != FV_PLAN_TRAIN) return NULL;
    *in_backward = true;
    start_backward(plan);
    for (int i = graph->node_count - 1; i >= 0; i--) {
        if (!plan->layout.differentiated[i]) continue;
        run_backward(plan, i);
        const fv_op_call *call = &plan->backward[i];
        for (int k = 0; k < call->spec->inputs; k++)
            if (call->d_in[k] && !all_finite(call->d_in[k], fv_shape_count(call->spec->in[k])))
                return graph->nodes[i].name;
    }
    return NULL;
}
