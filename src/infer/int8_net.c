#include "fovea/infer/int8_net.h"

#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "int8_layers.h"

#define READ_BEHIND 16       /* bytes that kernels may read behind a tensor */
#define TASK_BYTES 131072    /* of a result, about, are one task */
#define LEAST_TASKS 4        /* wished for of a small picture */
#define MOST_PRODUCTS 131072 /* of 255 and 63 fit into 32 bits */
#define TASK_STEP 8          /* units: products take so many pixels at once */
#define LEAST_WIDTH 1e-30F   /* of a range: as of one that is read (exchange/ranges_json.c) */

/* ---- making the list of steps ---- */

typedef struct maker {
    const fv_folded *folded;
    const fv_ranges *ranges;
    bool measuring; /* how much memory it takes, which needs no weights */
    fv_int8_net *net;
} maker;

static void set_tensor(const maker *m, int tensor, fv_shape shape, fv_steps steps) {
    m->net->tensors[tensor] = (int8_tensor){.shape = shape,
                                            .steps = steps,
                                            .bytes = fv_align_up(fv_shape_count(shape) + READ_BEHIND),
                                            .first = m->net->step_count};
}

/* The result of a layer, or the input. Behind a ReLU the range begins at 0, so that the limits of a byte are the
   activation's. */
static fv_status add_tensor(const maker *m, int index, fv_shape shape) {
    const fv_folded_layer *layer = index == FV_FOLDED_INPUT ? NULL : &m->folded->layers[index];
    fv_activation activation = layer ? layer->attributes.activation : FV_ACT_NONE;
    fv_range range = fv_ranges_of(m->ranges, index);
    if (activation != FV_ACT_NONE) range.low = 0;
    if (activation == FV_ACT_RELU6 && range.high > 6) range.high = 6;
    if (!(range.high - range.low >= LEAST_WIDTH))
        return fv_fail(FV_BAD_INPUT,
                       "layer %s: values of %g to %g have no room for 8-bit steps; export the model again",
                       layer ? layer->name : "input", (double)range.low, (double)range.high);
    set_tensor(m, index + 1, shape, fv_steps_of(range, 0, 255));
    return FV_OK;
}

/* Appends a step of `units` units, each of `bytes` bytes of its result. */
static int8_step *add_step(const maker *m, int8_run *run, int in, int out, int64_t units, int64_t bytes) {
    int8_step *step = &m->net->steps[m->net->step_count];
    int64_t enough = (units + LEAST_TASKS - 1) / LEAST_TASKS, task = TASK_BYTES / bytes + 1;
    task = (task < enough ? task : enough) + TASK_STEP - 1;
    *step = (int8_step){.run = run, .in = {in}, .inputs = 1, .out = out, .units = units};
    step->task = task / TASK_STEP * TASK_STEP;
    m->net->tensors[in].last = m->net->step_count++;
    return step;
}

static int64_t pixels_of(fv_shape s) {
    return (int64_t)s.h * s.w;
}

static fv_status pack(const maker *m, const fv_folded_layer *layer, int in, int out, bool last, int8_step *step) {
    const int8_tensor *tensors = m->net->tensors;
    int lanes = m->net->kernels->lanes;
    m->net->weight_bytes += int8_packed_bytes(layer, lanes, step);
    if (m->measuring) return FV_OK;
    return int8_pack(layer, lanes, &tensors[in].steps, last ? NULL : &tensors[out].steps, step);
}

static fv_status add_product(const maker *m, const fv_folded_layer *layer, int in, int out, fv_shape from, bool last) {
    if (layer->out.c % 8 != 0 && !last)
        return fv_fail(FV_BAD_INPUT, "layer %s has %d filters: 8-bit layers have multiples of 8", layer->name,
                       layer->out.c);
    if (from.c > MOST_PRODUCTS)
        return fv_fail(FV_BAD_INPUT, "layer %s adds up %d products: 8-bit layers up to %d", layer->name, from.c,
                       MOST_PRODUCTS);
    int8_step *step = add_step(m, last ? int8_run_logits : int8_run_product, in, out, pixels_of(from), layer->out.c);
    step->layer = (fv_int8_layer){
        .window = {.n = 1, .in_h = from.h, .in_w = from.w}, .channels = from.c, .filters = layer->out.c};
    return pack(m, layer, in, out, last, step);
}

/* Any other convolution: its windows are gathered into rows of bytes, and these multiplied. */
static fv_status add_gathered(const maker *m, const fv_folded_layer *layer, int in, int out, fv_shape from) {
    const fv_attributes *a = &layer->attributes;
    if (a->groups > 1 || a->dilation > 1)
        return fv_fail(FV_BAD_INPUT, "layer %s has groups or a dilation, which no 8-bit layer has", layer->name);
    int patch = m->net->tensor_count++;
    fv_shape shape = {1, layer->out.h, layer->out.w, (a->kernel_h * a->kernel_w * from.c + 3) / 4 * 4};
    set_tensor(m, patch, shape, m->net->tensors[in].steps);
    int8_step *step = add_step(m, int8_run_gather, in, patch, shape.h, (int64_t)shape.w * shape.c);
    step->attributes = *a;
    m->net->tensors[out].first = m->net->step_count;
    return add_product(m, layer, patch, out, shape, false);
}

static fv_status add_depthwise(const maker *m, const fv_folded_layer *layer, int in, int out, fv_shape from) {
    const fv_attributes *a = &layer->attributes;
    bool fits = a->kernel_h == 3 && a->kernel_w == 3 && a->dilation <= 1 && a->stride <= 2 && from.c % 8 == 0;
    if (!fits)
        return fv_fail(FV_BAD_INPUT,
                       "layer %s: an 8-bit depthwise layer is 3x3 with stride 1 or 2 on a multiple of 8 channels",
                       layer->name);
    int8_step *step = add_step(m, int8_run_depthwise, in, out, layer->out.h, (int64_t)layer->out.w * layer->out.c);
    step->layer = (fv_int8_layer){.channels = from.c, .filters = from.c};
    step->layer.window =
        (fv_window){1, from.h,         from.w,         layer->out.h, layer->out.w, 3, 3, a->stride ? a->stride : 1,
                    1, a->padding.top, a->padding.left};
    step->outside = fv_allocate((size_t)from.c + READ_BEHIND, 1, "a pixel of zeros");
    if (!step->outside) return FV_NO_RESOURCE;
    memset(step->outside, m->net->tensors[in].steps.zero, (size_t)from.c + READ_BEHIND);
    return pack(m, layer, in, out, false, step);
}

static bool is_pointwise(const fv_folded_layer *layer, fv_shape from) {
    const fv_attributes *a = &layer->attributes;
    return layer->kind == FV_OP_conv2d && a->kernel_h == 1 && a->kernel_w == 1 && a->stride <= 1 && a->groups <= 1 &&
           from.h == layer->out.h && from.w == layer->out.w;
}

static fv_status add_convolution(const maker *m, const fv_folded_layer *layer, int in, int out) {
    fv_shape from = m->net->tensors[in].shape;
    if (is_pointwise(layer, from) && from.c % 4 == 0) return add_product(m, layer, in, out, from, false);
    return add_gathered(m, layer, in, out, from);
}

static fv_status add_logits(const maker *m, const fv_folded_layer *layer, int in, int out) {
    fv_shape from = m->net->tensors[in].shape;
    if (is_pointwise(layer, from) && layer->attributes.activation == FV_ACT_NONE)
        return add_product(m, layer, in, out, from, true);
    return fv_fail(FV_BAD_INPUT,
                   "layer %s: the last layer before the sigmoid of an 8-bit network is a 1x1 convolution without "
                   "activation",
                   layer->name);
}

/* The layer before a last sigmoid, which is left in floats. */
static bool is_logits(const fv_folded *folded, int i) {
    const fv_folded_layer *last = &folded->layers[folded->count - 1];
    return last->kind == FV_OP_sigmoid && last->in[0] == i && i == folded->count - 2;
}

static fv_status add_layer(const maker *m, int i) {
    const fv_folded_layer *layer = &m->folded->layers[i];
    int in = layer->in[0] + 1, out = i + 1;
    int8_step *step;
    if (is_logits(m->folded, i)) return add_logits(m, layer, in, out);
    if (layer->kind != FV_OP_sigmoid) FV_TRY(add_tensor(m, i, layer->out));
    int64_t pixels = pixels_of(layer->out), channels = layer->out.c;
    switch (layer->kind) {
    case FV_OP_conv2d:
        return add_convolution(m, layer, in, out);
    case FV_OP_depthwise:
        return add_depthwise(m, layer, in, out, m->net->tensors[in].shape);
    case FV_OP_upsample_nearest:
        step = add_step(m, int8_run_upsample, in, out, layer->out.h, layer->out.w * channels);
        step->attributes = layer->attributes;
        m->net->tensors[out].steps = m->net->tensors[in].steps;
        return FV_OK;
    case FV_OP_concat:
    case FV_OP_add:
        step = layer->kind == FV_OP_concat ? add_step(m, int8_run_concat, in, out, pixels, channels)
                                           : add_step(m, int8_run_add, in, out, pixels * channels, 1);
        step->inputs = layer->inputs;
        for (int k = 0; k < layer->inputs; k++) {
            step->in[k] = layer->in[k] + 1;
            m->net->tensors[step->in[k]].last = m->net->step_count - 1;
        }
        return FV_OK;
    case FV_OP_sigmoid:
        if (i == m->folded->count - 1 && is_logits(m->folded, i - 1)) {
            add_step(m, int8_run_sigmoid, in, out, pixels * channels, 4);
            return FV_OK;
        }
        break;
    default:
        break;
    }
    return fv_fail(FV_BAD_INPUT, "layer %s: %s has no 8-bit form here", layer->name, fv_op_table[layer->kind]->name);
}

/* ---- memory ---- */

static bool is_apart(const int8_tensor *a, const int8_tensor *b) {
    return a->last < b->first || b->last < a->first || a->offset + a->bytes <= b->offset ||
           b->offset + b->bytes <= a->offset;
}

/* The lowest place that is free while the tensor lives; tensors in the order of their steps. */
static void place(fv_int8_net *net, int tensor) {
    int8_tensor *t = &net->tensors[tensor];
    bool moved = true;
    while (moved) {
        moved = false;
        for (int i = 0; i < net->tensor_count; i++) {
            const int8_tensor *other = &net->tensors[i];
            bool placed = other->bytes && (other->first < t->first || (other->first == t->first && i < tensor));
            if (i == tensor || !placed || is_apart(t, other)) continue;
            t->offset = other->offset + other->bytes;
            moved = true;
        }
    }
    if (t->offset + t->bytes > net->block_bytes) net->block_bytes = t->offset + t->bytes;
}

static void place_all(fv_int8_net *net) {
    for (int s = 0; s < net->step_count; s++)
        if (net->tensors[net->steps[s].out].bytes) place(net, net->steps[s].out);
}

/* ---- the whole ---- */

static fv_status add_all(const maker *m) {
    fv_int8_net *net = m->net;
    size_t layers = (size_t)m->folded->count;
    net->kernels = fv_int8_kernels_choose();
    net->tensors = fv_allocate(2 * layers + 1, sizeof *net->tensors, "an 8-bit network");
    net->steps = fv_allocate(2 * layers + 1, sizeof *net->steps, "an 8-bit network");
    if (!net->tensors || !net->steps) return FV_NO_RESOURCE;
    net->tensor_count = m->folded->count + 1;
    FV_TRY(add_tensor(m, FV_FOLDED_INPUT, m->folded->input));
    add_step(m, int8_run_quantise, 0, 0, (int64_t)fv_shape_count(m->folded->input), 1);
    for (int i = 0; i < m->folded->count; i++) FV_TRY(add_layer(m, i));
    place_all(net);
    return FV_OK;
}

/* All but the block of the tensors and, when `measuring`, the weights. */
static fv_status lay_out(const fv_folded *folded, const fv_ranges *ranges, bool measuring, fv_int8_net **out) {
    *out = NULL;
    int last = folded->count - 1;
    if (last < 1 || folded->layers[last].kind != FV_OP_sigmoid || ranges->count != folded->count)
        return fv_fail(FV_BAD_INPUT, "an 8-bit network ends in a sigmoid and has a range for each layer");
    fv_int8_net *net = fv_allocate(1, sizeof *net, "an 8-bit network");
    if (!net) return FV_NO_RESOURCE;
    maker m = {folded, ranges, measuring, net};
    fv_status status = add_all(&m);
    if (status == FV_OK)
        *out = net;
    else
        fv_int8_net_free(net);
    return status;
}

fv_status fv_int8_net_make(const fv_folded *folded, const fv_ranges *ranges, fv_int8_net **out) {
    FV_TRY(lay_out(folded, ranges, false, out));
    (*out)->block = fv_allocate((*out)->block_bytes, 1, "the tensors of an 8-bit network");
    if ((*out)->block) return FV_OK;
    fv_int8_net_free(*out);
    *out = NULL;
    return FV_NO_RESOURCE;
}

fv_status fv_int8_net_measure(const fv_folded *folded, const fv_ranges *ranges, size_t *bytes) {
    fv_int8_net *net;
    FV_TRY(lay_out(folded, ranges, true, &net));
    *bytes = fv_int8_net_bytes(net);
    fv_int8_net_free(net);
    return FV_OK;
}

void fv_int8_net_free(fv_int8_net *net) {
    if (!net) return;
    for (int i = 0; i < net->step_count; i++) {
        free(net->steps[i].weight);
        free(net->steps[i].scale);
        free(net->steps[i].offset);
        free(net->steps[i].outside);
    }
    free(net->steps);
    free(net->tensors);
    free(net->block);
    free(net);
}

typedef struct run_task {
    const fv_int8_net *net;
    const int8_step *step;
} run_task;

static void run_part(void *context, int64_t index, int worker) {
    (void)worker;
    const run_task *task = context;
    int64_t begin = index * task->step->task, end = begin + task->step->task;
    task->step->run(task->net, task->step, begin, end < task->step->units ? end : task->step->units);
}

void fv_int8_net_run(fv_int8_net *net, const float *input, float *probabilities) {
    net->input = input;
    net->output = probabilities;
    for (int i = 0; i < net->step_count; i++) {
        run_task task = {net, &net->steps[i]};
        fv_parallel_for((net->steps[i].units + net->steps[i].task - 1) / net->steps[i].task, run_part, &task);
    }
}

size_t fv_int8_net_bytes(const fv_int8_net *net) {
    return net->block_bytes + net->weight_bytes;
}
