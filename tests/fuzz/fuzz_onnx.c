/* libFuzzer: no bytes may break the reader of ONNX networks, and a network that it accepts must build at another size
   and have finite shapes, its weights all in place. tests/fuzz/run.sh begins with the samples in
   tests/fuzz/seeds/fuzz_onnx. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "fovea/exchange/onnx_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    fv_graph graph;
    int side = 2 * fv_model_step(&model->spec);
    fv_graph_init(&graph, &model->params);
    fv_model_build(model, &graph, fv_graph_input(&graph, "input", (fv_shape){1, side, side, 3}, false), NULL);
    fv_graph_free(&graph);
    fv_model_free(model);
    return 0;
}
