/* Times of mobilenetv2_unet at 256x256 in float32 and in 8 bits, in turn, for each instruction set and 1 and 2 threads:
   the table of docs/results/int8.md. `make bench-int8` */
#include <stdio.h>
#include <stdlib.h>

#include "fovea/base/cpu.h"
#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/base/rng.h"
#include "fovea/base/threads.h"
#include "fovea/graph/plan.h"
#include "fovea/infer/int8_net.h"
#include "fovea/nn/layers.h"

#define SIZE 256
#define CLASSES 2
#define ROUNDS 60

/* Both forms of one network. */
typedef struct pair {
    fv_model *model;
    fv_folded folded;
    fv_ranges ranges;
    float *input, *found; /* {SIZE, SIZE, 3 and CLASSES} */
} pair;

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static fv_status make_pair(pair *p) {
    fv_model_spec spec = {.network = "mobilenetv2_unet",
                          .width = 1,
                          .classes = CLASSES,
                          .class_names = {"disc", "cup"},
                          .thresholds = {0.5, 0.5},
                          .preprocess = {.size = SIZE, .work_size = SIZE}};
    size_t pixels = (size_t)SIZE * SIZE;
    fv_rng rng = fv_rng_make(1, 0, 0, FV_PURPOSE_TEST);
    FV_TRY(fv_model_make(&spec, 1, &p->model));
    FV_TRY(fv_folded_make(p->model, SIZE, SIZE, false, &p->folded));
    p->input = fv_allocate(3 * pixels, sizeof *p->input, "an input");
    p->found = fv_allocate(CLASSES * pixels, sizeof *p->found, "probabilities");
    if (!p->input || !p->found) return FV_NO_RESOURCE;
    for (size_t i = 0; i < 3 * pixels; i++) p->input[i] = (float)fv_rng_range(&rng, -1, 1);
    return fv_ranges_measure(&p->folded, &(fv_calibration){p->input, 1, SIZE, SIZE}, &p->ranges);
}

static void free_pair(pair *p) {
    fv_ranges_free(&p->ranges);
    fv_folded_free(&p->folded);
    fv_model_free(p->model);
    free(p->input);
    free(p->found);
}

static void time_in_turn(pair *p, fv_plan *plan, fv_int8_net *net, double *floats, double *bytes) {
    for (int round = -2; round < ROUNDS; round++) { /* the first ones warm up */
        double start = fv_seconds();
        fv_plan_forward(plan, false, 0, 0);
        double middle = fv_seconds();
        fv_int8_net_run(net, p->input, p->found);
        double end = fv_seconds();
        if (round < 0) continue;
        floats[round] = 1e3 * (middle - start);
        bytes[round] = 1e3 * (end - middle);
    }
    qsort(floats, ROUNDS, sizeof *floats, compare);
    qsort(bytes, ROUNDS, sizeof *bytes, compare);
}

static fv_status print_row(pair *p, fv_graph *graph, fv_value output, fv_cpu_level level, int threads) {
    double floats[ROUNDS], bytes[ROUNDS];
    fv_plan *plan = NULL;
    fv_int8_net *net = NULL;
    fv_cpu_limit(level);
    fv_threads_set(threads);
    fv_status status = fv_plan_make(graph, FV_PLAN_INFER, &output, 1, FV_NO_VALUE, &plan);
    if (status == FV_OK) status = fv_int8_net_make(&p->folded, &p->ranges, &net);
    if (status == FV_OK) {
        time_in_turn(p, plan, net, floats, bytes);
        printf("| %s | %d | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n", fv_cpu_name(level), threads, floats[0],
               bytes[0], bytes[0] / floats[0], floats[ROUNDS / 2], bytes[ROUNDS / 2],
               bytes[ROUNDS / 2] / floats[ROUNDS / 2]);
    }
    fv_int8_net_free(net);
    fv_plan_free(plan);
    return status;
}

static fv_status print_table(pair *p) {
    fv_graph graph;
    fv_graph_init(&graph, &p->model->params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){1, SIZE, SIZE, 3}, false);
    fv_value output = fv_sigmoid(&graph, "probabilities", fv_model_build(p->model, &graph, input, NULL));
    fv_status status = fv_graph_status(&graph);
    printf("`make bench-int8`, %s: milliseconds, in turn, %d rounds; least and median.\n\n"
           "| instructions | threads | float32 | 8 bits | ratio | float32, median | 8 bits, median | ratio |\n"
           "|---|---|---|---|---|---|---|---|\n",
           fv_cpu_model(), ROUNDS);
    fv_cpu_level best = fv_cpu();
    for (int level = (int)best; level >= FV_CPU_AVX2 && status == FV_OK; level--)
        for (int threads = 1; threads <= 2 && status == FV_OK; threads++)
            status = print_row(p, &graph, output, (fv_cpu_level)level, threads);
    fv_graph_free(&graph);
    return status;
}

int main(void) {
    pair p = {0};
    fv_threads_set(2);
    fv_status status = make_pair(&p);
    if (status == FV_OK) status = print_table(&p);
    if (status != FV_OK) fprintf(stderr, "int8_times: %s\n", fv_error());
    free_pair(&p);
    return status;
}
