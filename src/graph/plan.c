#include "fovea/graph/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "plan_layout.h"

/* The run-time half of a plan: plan_layout.h says how it is made; here the block is allocated, the calls get their
   pointers once, and running is a walk over them. */
struct fv_plan {
    const fv_graph *graph;
    fv_plan_mode mode;
    fv_value loss;
    fv_plan_layout layout;
    char *block;
    fv_op_call *calls;       /* per step */
    fv_epilogue *epilogues;  /* per step */
    double **moments;        /* per step: call->moments in training */
    fv_plan_profile profile; /* NULL pointers: nobody measures */
};

static void *tensor_address(const fv_plan *plan, int tensor) {
    if (tensor == FV_NONE) return NULL;
    size_t bytes;
    int root = fv_plan_root(&plan->layout, tensor, &bytes);
    return plan->block + plan->layout.tensors[root].offset + bytes;
}

static int tensor_stride(const fv_plan *plan, int tensor) {
    return tensor == FV_NONE ? 0 : fv_plan_stride(&plan->layout, tensor);
}

static fv_real *param_data(const fv_plan *plan, int param) {
    return plan->graph->params->values + plan->graph->params->list[param].offset;
}

static fv_real *param_gradient(const fv_plan *plan, int param) {
    return plan->graph->params->gradients + plan->graph->params->list[param].offset;
}

static void bind_inputs(const fv_plan *plan, const fv_plan_step *step, fv_op_call *call) {
    const fv_graph_node *node = &plan->graph->nodes[step->node];
    for (int k = 0; k < node->spec.inputs; k++) {
        int param = plan->graph->values[node->in[k]].param;
        call->in[k] = param >= 0 ? param_data(plan, param) : tensor_address(plan, step->in[k]);
        call->in_stride[k] = tensor_stride(plan, step->in[k]);
    }
}

static void bind_gradients(const fv_plan *plan, const fv_plan_step *step, fv_op_call *call) {
    const fv_graph_node *node = &plan->graph->nodes[step->node];
    call->d_out = tensor_address(plan, step->d_out);
    call->d_out_stride = tensor_stride(plan, step->d_out);
    for (int k = 0; k < node->spec.inputs; k++) {
        const fv_graph_value *in = &plan->graph->values[node->in[k]];
        if (!in->needs_gradient) continue;
        call->d_in[k] = in->param >= 0 ? param_gradient(plan, in->param) : tensor_address(plan, step->d_in[k]);
        call->d_in_stride[k] = tensor_stride(plan, step->d_in[k]);
        call->add[k] = step->add[k];
    }
}

static void bind_epilogue(const fv_plan *plan, const fv_plan_step *step, fv_op_call *call, fv_epilogue *epilogue) {
    const fv_fusion *fusion = &plan->layout.choices.fusions[step->node];
    if (fusion->out == plan->graph->nodes[step->node].out) return;
    const fv_real *fold = tensor_address(plan, step->fold);
    *epilogue = (fv_epilogue){.scale = fold,
                              .offset = fold ? fold + call->spec->out.c : NULL,
                              .residual = tensor_address(plan, step->residual),
                              .residual_stride = tensor_stride(plan, step->residual),
                              .low = fusion->low,
                              .high = fusion->high};
    call->epilogue = epilogue;
}

static void bind_step(fv_plan *plan, int s) {
    const fv_plan_step *step = &plan->layout.steps[s];
    fv_op_call *call = &plan->calls[s];
    *call = (fv_op_call){.spec = &plan->graph->nodes[step->node].spec,
                         .out = tensor_address(plan, step->out),
                         .out_stride = tensor_stride(plan, step->out),
                         .saved = tensor_address(plan, step->saved),
                         .work = tensor_address(plan, step->work),
                         .node = (uint64_t)step->node};
    plan->moments[s] = tensor_address(plan, step->moments);
    bind_inputs(plan, step, call);
    if (step->kind == FV_STEP_BACKWARD)
        bind_gradients(plan, step, call);
    else
        bind_epilogue(plan, step, call, &plan->epilogues[s]);
}

static fv_status allocate(fv_plan *plan) {
    size_t steps = (size_t)plan->layout.step_count;
    bool complete = (plan->calls = fv_allocate(steps, sizeof *plan->calls, "a plan")) &&
                    (plan->epilogues = fv_allocate(steps, sizeof *plan->epilogues, "a plan")) &&
                    (plan->moments = fv_allocate(steps, sizeof *plan->moments, "a plan"));
    if (!complete) return FV_NO_RESOURCE;
    return fv_block_allocate(plan->layout.bytes, "the tensors of a network", (void **)&plan->block);
}

fv_status fv_plan_make_within(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count,
                              fv_value loss, size_t limit, fv_plan **out) {
    *out = NULL;
    FV_TRY(fv_graph_status(graph));
    if (mode == FV_PLAN_TRAIN) FV_TRY(fv_params_allocate_gradients(graph->params));
    fv_plan *plan = fv_allocate(1, sizeof *plan, "a plan");
    if (!plan) return FV_NO_RESOURCE;
    plan->graph = graph;
    plan->mode = mode;
    plan->loss = loss;
    fv_status status = fv_plan_layout_make(graph, mode, keep, keep_count, loss, limit, &plan->layout);
    if (status == FV_OK) status = allocate(plan);
    if (status != FV_OK) {
        fv_plan_free(plan);
        return status;
    }
    for (int s = 0; s < plan->layout.step_count; s++) bind_step(plan, s);
    *out = plan;
    return FV_OK;
}

fv_status fv_plan_make(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count, fv_value loss,
                       fv_plan **plan) {
    return fv_plan_make_within(graph, mode, keep, keep_count, loss, 0, plan);
}

fv_status fv_plan_measure(const fv_graph *graph, fv_plan_mode mode, const fv_value *keep, int keep_count, fv_value loss,
                          size_t *bytes) {
    fv_plan_layout layout;
    FV_TRY(fv_graph_status(graph));
    FV_TRY(fv_plan_layout_make(graph, mode, keep, keep_count, loss, 0, &layout));
    *bytes = layout.bytes;
    fv_plan_layout_free(&layout);
    return FV_OK;
}

void fv_plan_free(fv_plan *plan) {
    if (!plan) return;
    fv_plan_layout_free(&plan->layout);
    fv_block_free(plan->block);
    free(plan->calls);
    free(plan->epilogues);
    free(plan->moments);
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
    int param = plan->graph->values[value].param;
    return param >= 0 ? param_data(plan, param) : tensor_address(plan, plan->layout.value_tensor[value]);
}

const fv_real *fv_plan_gradient(const fv_plan *plan, fv_value value) {
    const fv_graph_value *v = &plan->graph->values[value];
    if (v->param >= 0) return v->needs_gradient ? param_gradient(plan, v->param) : NULL;
    return tensor_address(plan, plan->layout.gradient_tensor[value]);
}

/* Parameters change between runs, so what a batch norm comes down to is found anew; that is nothing beside the rest. */
static void fold_norm(const fv_plan *plan, int s) {
    const fv_plan_step *step = &plan->layout.steps[s];
    if (step->fold == FV_NONE) return;
    const fv_graph_node *norm = &plan->graph->nodes[plan->layout.choices.fusions[step->node].norm];
    fv_real *in[FV_MAX_INPUTS] = {NULL}, *fold = tensor_address(plan, step->fold);
    for (int k = 1; k < norm->spec.inputs; k++) {
        int param = plan->graph->values[norm->in[k]].param;
        if (param >= 0) in[k] = param_data(plan, param);
    }
    fv_op_table[norm->spec.kind]->fold(&norm->spec, in, fold, fold + norm->spec.out.c);
}

static void call_op(fv_plan *plan, int s) {
    fv_op_call *call = &plan->calls[s];
    const fv_op *op = fv_op_table[call->spec->kind];
    fv_step_kind kind = plan->layout.steps[s].kind;
    call->moments = call->training ? plan->moments[s] : NULL;
    if (kind == FV_STEP_BACKWARD) {
        op->backward(call);
    } else if (kind == FV_STEP_RECOMPUTE && op->recompute) {
        op->recompute(call);
    } else {
        fold_norm(plan, s);
        op->forward(call);
    }
}

/* Calls the op, and adds what it took to the node's seconds where somebody measures. */
static void run_step(fv_plan *plan, int s) {
    double *seconds = s < plan->layout.backward_start ? plan->profile.forward : plan->profile.backward;
    double begin = seconds ? fv_seconds() : 0;
    call_op(plan, s);
    if (seconds) seconds[plan->layout.steps[s].node] += fv_seconds() - begin;
}

/* Every call of a run, those of backward included, works under the same circumstances. */
static void set_run(fv_plan *plan, bool training, uint64_t seed, uint64_t step) {
    for (int s = 0; s < plan->layout.step_count; s++) {
        plan->calls[s].training = training && plan->mode == FV_PLAN_TRAIN;
        plan->calls[s].seed = seed;
        plan->calls[s].step = step;
    }
}

void fv_plan_forward(fv_plan *plan, bool training, uint64_t seed, uint64_t step) {
    set_run(plan, training, seed, step);
    for (int s = 0; s < plan->layout.backward_start; s++) run_step(plan, s);
}

static void start_backward(fv_plan *plan) {
    const fv_params *params = plan->graph->params;
    *(fv_real *)tensor_address(plan, plan->layout.gradient_tensor[plan->loss]) = 1;
    for (int p = 0; p < params->count; p++)
        if (params->list[p].trainable && !plan->layout.param_reached[p])
            memset(params->gradients + params->list[p].offset, 0, params->list[p].count * sizeof(fv_real));
}

void fv_plan_backward(fv_plan *plan) {
    start_backward(plan);
    for (int s = plan->layout.backward_start; s < plan->layout.step_count; s++) run_step(plan, s);
}

static bool all_finite(const fv_real *x, fv_shape shape, int stride) {
    size_t channels = (size_t)shape.c, pixels = fv_shape_count(shape) / channels;
    size_t pixel = (size_t)fv_pixel_stride(stride, shape.c);
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < channels; c++)
            if (!isfinite(x[i * pixel + c])) return false;
    return true;
}

static bool step_is_finite(const fv_op_call *call, bool backward) {
    const fv_op_spec *spec = call->spec;
    if (!backward) return all_finite(call->out, spec->out, call->out_stride);
    for (int k = 0; k < spec->inputs; k++)
        if (call->d_in[k] && !all_finite(call->d_in[k], spec->in[k], call->d_in_stride[k])) return false;
    return true;
}

const char *fv_plan_find_nonfinite(fv_plan *plan, uint64_t seed, uint64_t step, bool *in_backward) {
    set_run(plan, true, seed, step);
    for (int s = 0; s < plan->layout.step_count; s++) {
        const fv_plan_step *at = &plan->layout.steps[s];
        if (s == plan->layout.backward_start) start_backward(plan);
        *in_backward = s >= plan->layout.backward_start;
        run_step(plan, s);
        if (!step_is_finite(&plan->calls[s], at->kind == FV_STEP_BACKWARD)) return plan->graph->nodes[at->node].name;
    }
    return NULL;
}
