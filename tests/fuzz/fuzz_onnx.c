/* libFuzzer: no bytes may break the reader of ONNX networks, and a network that it accepts must have its weights all in
   place, build at another size, give a map of that size, and run. tests/fuzz/run.sh begins with the samples in
   tests/fuzz/seeds/fuzz_onnx. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "fovea/exchange/onnx_read.h"
#include "fovea/graph/plan.h"

#define LARGEST_SIDE 64 /* px; larger pictures are built, but not run */
#define MOST_BYTES ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(fv_graph *graph, fv_value input, fv_value logits, int side) {
    size_t bytes;
    fv_plan *plan;
    if (side > LARGEST_SIDE || fv_plan_measure(graph, FV_PLAN_INFER, &logits, 1, FV_NO_VALUE, &bytes) != FV_OK ||
        bytes > MOST_BYTES || fv_plan_make(graph, FV_PLAN_INFER, &logits, 1, FV_NO_VALUE, &plan) != FV_OK)
        return;
    for (int i = 0; i < side * side * 3; i++) fv_plan_data(plan, input)[i] = (fv_real)(i % 7) / 4;
    fv_plan_forward(plan, false, 0, 0);
    fv_plan_free(plan);
}

static void build_and_run(fv_model *model, int side) {
    fv_graph graph;
    fv_graph_init(&graph, &model->params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){1, side, side, 3}, false);
    fv_value logits = fv_model_build(model, &graph, input, NULL);
    if (fv_graph_status(&graph) == FV_OK) {
        if (fv_model_output_check(&model->spec, fv_graph_shape(&graph, logits), side, side) != FV_OK) abort();
        run(&graph, input, logits, side);
    }
    fv_graph_free(&graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fv_model *model;
    if (fv_onnx_read_memory(data, size, "fuzz", &model) != FV_OK) {
        if (model || !*fv_error()) abort();
        return 0;
    }
    volatile float sum = 0;
    for (int i = 0; i < model->params.count; i++) {
        const fv_param *param = &model->params.list[i];
        for (size_t k = 0; k < param->count; k++) sum = sum + (float)model->params.values[param->offset + k];
    }
    build_and_run(model, 2 * fv_model_step(&model->spec));
    fv_model_free(model);
    return 0;
}
