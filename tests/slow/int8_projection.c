/* What 8-bit inference would gain: times of mobilenetv2_unet's 1x1 and depthwise layers at 256x256 in fovea's float32
   and, layer by layer at the same shapes and one after the other as in the network, by 8-bit kernels with
   requantisation. One thread; the least time of each layer over many rounds in turn. `make int8-projection` */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/cpu.h"
#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/base/rng.h"
#include "fovea/base/threads.h"
#include "fovea/graph/plan.h"
#include "fovea/model/model.h"
#include "int8.h"

#define ROUNDS 80
#define SIZE 256
#define LANES_MAX 16
#define TOP_BYTE 127 /* of what the AVX2 kernels take */

typedef enum layer_kind { PRODUCT, DEPTHWISE, UPSAMPLING, REST, KINDS } layer_kind;

static const char *const kind_names[KINDS] = {"1x1", "depthwise 3x3", "upsampling", "the rest"};

typedef struct timed_layer {
    const char *name;
    layer_kind kind;
    int8_layer layer; /* of PRODUCT and DEPTHWISE */
    bool residual;
    double float_s, int8_s;
} timed_layer;

typedef struct network {
    fv_model *model;
    fv_graph graph;
    fv_value input, output;
    fv_plan *plan;
    timed_layer *layers; /* a node each */
    double *before;      /* seconds of the nodes up to the last round */
    uint8_t *buffers[2], *zeros;
} network;

/* ---- layers ---- */

static layer_kind kind_of(const fv_op_spec *spec) {
    const fv_attributes *a = &spec->attributes;
    if (spec->kind == FV_OP_depthwise) return DEPTHWISE;
    if (spec->kind == FV_OP_upsample_nearest) return UPSAMPLING;
    bool product = spec->kind == FV_OP_conv2d && a->kernel_h == 1 && a->stride == 1;
    return product && spec->out.c % 8 == 0 && spec->in[0].c % 4 == 0 ? PRODUCT : REST;
}

static fv_status fill_layer(const fv_op_spec *spec, fv_rng *rng, int8_layer *l) {
    const fv_attributes *a = &spec->attributes;
    *l = (int8_layer){.in_h = spec->in[0].h,
                      .in_w = spec->in[0].w,
                      .channels = spec->in[0].c,
                      .out_h = spec->out.h,
                      .out_w = spec->out.w,
                      .filters = spec->out.c,
                      .stride = a->stride,
                      .top = a->padding.top,
                      .left = a->padding.left,
                      .share = 0.5f};
    size_t padded = ((size_t)l->filters + 2 * LANES_MAX) / LANES_MAX * LANES_MAX;
    size_t weights = padded * (size_t)(spec->kind == FV_OP_depthwise ? 12 : l->channels);
    l->weight = fv_allocate(weights, 1, "weights");
    l->scale = fv_allocate(padded, sizeof *l->scale, "scales");
    l->offset = fv_allocate(padded, sizeof *l->offset, "offsets");
    if (!l->weight || !l->scale || !l->offset) return FV_NO_RESOURCE;
    for (size_t i = 0; i < weights; i++) l->weight[i] = (int8_t)(fv_rng_next(rng) % 255 - 127);
    double spread = sqrt(spec->kind == FV_OP_depthwise ? 9 : l->channels) * TOP_BYTE * TOP_BYTE;
    for (size_t i = 0; i < padded; i++) {
        l->scale[i] = (float)(60 / spread);
        l->offset[i] = 60;
    }
    return FV_OK;
}

/* ---- 8-bit results against their formula ---- */

static double weight_at(const int8_layer *l, int lanes, layer_kind kind, int tap, int f) {
    if (kind == DEPTHWISE) /* tap = 3 u + v */
        return l->weight[(f / lanes * 3 + tap % 3) * 4 * lanes + f % lanes * 4 + tap / 3];
    return l->weight[(size_t)(f / lanes) * (size_t)lanes * (size_t)l->channels + (size_t)(tap / 4 * 4 * lanes) +
                     (size_t)(f % lanes * 4 + tap % 4)];
}

static double sum_at(const timed_layer *t, int lanes, const uint8_t *x, int pixel, int f) {
    const int8_layer *l = &t->layer;
    double sum = 0;
    if (t->kind == PRODUCT) {
        for (int k = 0; k < l->channels; k++)
            sum += x[(size_t)pixel * (size_t)l->channels + (size_t)k] * weight_at(l, lanes, PRODUCT, k, f);
        return sum;
    }
    for (int tap = 0; tap < 9; tap++) {
        int row = pixel / l->out_w * l->stride + tap / 3 - l->top,
            column = pixel % l->out_w * l->stride + tap % 3 - l->left;
        if (row < 0 || row >= l->in_h || column < 0 || column >= l->in_w) continue;
        sum += x[((size_t)row * (size_t)l->in_w + (size_t)column) * (size_t)l->channels + (size_t)f] *
               weight_at(l, lanes, DEPTHWISE, tap, f);
    }
    return sum;
}

/* A few hundred results of every layer. */
static void check_layer(const timed_layer *t, int lanes, const uint8_t *x, const uint8_t *residual, const uint8_t *y) {
    const int8_layer *l = &t->layer;
    int pixels = l->out_h * l->out_w;
    for (int i = 0; i < 300; i++) {
        int pixel = i < 2 * l->out_w ? i : (int)((int64_t)i * 7919 % pixels), f = i * 31 % l->filters;
        size_t at = (size_t)pixel * (size_t)l->filters + (size_t)f;
        if (pixel >= pixels) continue;
        double value = sum_at(t, lanes, x, pixel, f) * (double)l->scale[f] + (double)l->offset[f];
        if (t->residual) value += residual[at] * (double)l->share;
        value = fmin(fmax(value, 0), 255);
        if (fabs(value - y[at]) > 0.51) {
            fprintf(stderr, "int8_projection: %s: result %zu is %d, expected %g\n", t->name, at, y[at], value);
            exit(FV_FINDINGS);
        }
    }
}

/* ---- rounds ---- */

static void keep_bytes_small(uint8_t *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] &= TOP_BYTE;
}

/* All layers in the network's order, each from the buffer that the one before has written. */
static void int8_round(network *n, const int8_kernels *kernels, bool check) {
    int from = 0;
    for (int i = 0; i < n->graph.node_count; i++) {
        timed_layer *t = &n->layers[i];
        if (t->kind > DEPTHWISE) continue;
        const uint8_t *x = n->buffers[from];
        uint8_t *y = n->buffers[!from];
        if (check) keep_bytes_small(n->buffers[from], (size_t)(t->layer.in_h * t->layer.in_w * t->layer.channels));
        double start = fv_seconds();
        if (t->kind == PRODUCT)
            kernels->pointwise(&t->layer, x, t->residual ? n->zeros : NULL, y);
        else
            kernels->depthwise(&t->layer, x, n->zeros, y);
        t->int8_s = fmin(t->int8_s, fv_seconds() - start);
        if (check) check_layer(t, kernels->lanes, x, n->zeros, y);
        from = !from;
    }
}

static void float_round(network *n) {
    fv_plan_forward(n->plan, false, 0, 0);
    const fv_plan_profile *profile = fv_plan_profile_get(n->plan);
    for (int i = 0; i < n->graph.node_count; i++) {
        n->layers[i].float_s = fmin(n->layers[i].float_s, profile->forward[i] - n->before[i]);
        n->before[i] = profile->forward[i];
    }
}

/* ---- the network ---- */

static fv_status make_layers(network *n) {
    fv_rng rng = fv_rng_make(1, 0, 0, FV_PURPOSE_TEST);
    size_t nodes = (size_t)n->graph.node_count, largest = 0;
    n->layers = fv_allocate(nodes, sizeof *n->layers, "layers");
    n->before = fv_allocate(nodes, sizeof *n->before, "times");
    if (!n->layers || !n->before) return FV_NO_RESOURCE;
    for (size_t i = 0; i < nodes; i++) {
        const fv_graph_node *node = &n->graph.nodes[i];
        timed_layer *t = &n->layers[i];
        *t = (timed_layer){.name = node->name, .kind = kind_of(&node->spec)};
        t->residual = t->kind == PRODUCT && strstr(node->name, ".project") && i + 2 < nodes &&
                      n->graph.nodes[i + 1].spec.inputs == 6; /* its batch norm adds one */
        if (t->kind <= DEPTHWISE) FV_TRY(fill_layer(&node->spec, &rng, &t->layer));
        size_t count = fv_shape_count(node->spec.in[0]), out = fv_shape_count(node->spec.out);
        largest = largest > count ? largest : count;
        largest = largest > out ? largest : out;
    }
    for (int b = 0; b < 2; b++)
        if (!(n->buffers[b] = fv_allocate(largest, 1, "activations"))) return FV_NO_RESOURCE;
    n->zeros = fv_allocate(largest, 1, "zeros");
    return n->zeros ? FV_OK : FV_NO_RESOURCE;
}

static fv_status make_network(network *n) {
    fv_model_spec spec = {.network = "mobilenetv2_unet",
                          .width = 1,
                          .classes = 2,
                          .class_names = {"disc", "cup"},
                          .thresholds = {0.5, 0.5},
                          .preprocess = {.size = SIZE, .work_size = SIZE}};
    FV_TRY(fv_model_make(&spec, 1, &n->model));
    fv_graph_init(&n->graph, &n->model->params);
    n->input = fv_graph_input(&n->graph, "input", (fv_shape){1, SIZE, SIZE, 3}, false);
    n->output = fv_model_build(n->model, &n->graph, n->input, NULL);
    FV_TRY(fv_graph_status(&n->graph));
    return make_layers(n);
}

static void free_network(network *n) {
    for (int i = 0; n->layers && i < n->graph.node_count; i++) {
        free(n->layers[i].layer.weight);
        free(n->layers[i].layer.scale);
        free(n->layers[i].layer.offset);
    }
    free(n->layers);
    free(n->before);
    free(n->buffers[0]);
    free(n->buffers[1]);
    free(n->zeros);
    fv_graph_free(&n->graph);
    fv_model_free(n->model);
}

/* ---- tables ---- */

/* Upsampling copies a quarter of the bytes; what is left stays float32. A depthwise layer that float32 does along with
   the product behind it has its time there. */
static void print_table(const network *n, fv_cpu_level level, const char *how) {
    double sums[KINDS][2] = {{0}}, all[2] = {0};
    for (int i = 0; i < n->graph.node_count; i++) {
        const timed_layer *t = &n->layers[i];
        double int8_s = t->kind == UPSAMPLING ? t->float_s / 4 : t->kind == REST ? t->float_s : t->int8_s;
        if (getenv("LAYERS") && t->float_s + int8_s > 1e-5)
            printf("%-26s %8.3f %8.3f\n", t->name, 1e3 * t->float_s, 1e3 * int8_s);
        sums[t->kind][0] += t->float_s;
        sums[t->kind][1] += int8_s;
    }
    printf("\n**%s** (8 bits: %s)\n\n| layers | float32, ms | 8 bits, ms | ratio |\n|---|---|---|---|\n",
           fv_cpu_name(level), how);
    for (int k = 0; k < KINDS; k++) {
        printf("| %s | %.2f | %.2f | %.2f |\n", kind_names[k], 1e3 * sums[k][0], 1e3 * sums[k][1],
               sums[k][1] / sums[k][0]);
        all[0] += sums[k][0];
        all[1] += sums[k][1];
    }
    printf("| network | %.2f | %.2f | %.2f |\n", 1e3 * all[0], 1e3 * all[1], all[1] / all[0]);
}

static fv_status project(network *n, fv_cpu_level level, const int8_kernels *kernels, const char *how) {
    fv_cpu_limit(level);
    FV_TRY(fv_plan_make(&n->graph, FV_PLAN_INFER, &n->output, 1, FV_NO_VALUE, &n->plan));
    fv_status status = fv_plan_profile_start(n->plan);
    for (int i = 0; i < n->graph.node_count; i++) {
        n->layers[i].float_s = n->layers[i].int8_s = INFINITY;
        n->before[i] = 0;
    }
    fv_real *input = fv_plan_data(n->plan, n->input);
    for (size_t i = 0; i < (size_t)SIZE * SIZE * 3; i++) input[i] = (float)(i % 255) / 127 - 1;
    if (status == FV_OK) int8_round(n, kernels, true);
    for (int round = 0; status == FV_OK && round < ROUNDS; round++) {
        float_round(n);
        int8_round(n, kernels, false);
    }
    if (status == FV_OK) print_table(n, level, how);
    fv_plan_free(n->plan);
    return status;
}

int main(void) {
    network n = {0};
    fv_threads_set(1);
    fv_status status = make_network(&n);
    printf("# 8 bits, projected\n\n`make int8-projection` on %s, one thread: least time of each layer in %d rounds.\n",
           fv_cpu_model(), ROUNDS);
    bool vnni = __builtin_cpu_supports("avx512vnni");
    if (status == FV_OK && fv_cpu() >= FV_CPU_AVX512 && vnni)
        status = project(&n, FV_CPU_AVX512, &int8_avx512, "VPDPBUSD of AVX-512 VNNI");
    if (status == FV_OK && fv_cpu() >= FV_CPU_AVX2)
        status = project(&n, FV_CPU_AVX2, &int8_avx2, "VPMADDUBSW, VPMADDWD of AVX2");
    if (status != FV_OK) fprintf(stderr, "int8_projection: %s\n", fv_error());
    free_network(&n);
    return status;
}
