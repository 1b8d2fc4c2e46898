/* network_run MODEL SIZE THREADS INPUT OUTPUT: runs a model that fovea opens on INPUT, float32 {SIZE, SIZE, 3} (NHWC)
   without a header, and writes its logits to OUTPUT the same way; then runs once more for each line of standard input
   and answers with the seconds. For tests/peers/run_onnx.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/file.h"
#include "fovea/base/progress.h"
#include "fovea/base/threads.h"
#include "fovea/exchange/open.h"
#include "fovea/graph/plan.h"

static fv_status run(const char *input_path, const char *output_path, fv_plan *plan, fv_value input, fv_shape shape,
                     fv_value logits, fv_shape logits_shape) {
    size_t bytes, wanted = fv_shape_count(shape) * sizeof(float);
    void *data;
    FV_TRY(fv_file_read(input_path, wanted, &data, &bytes));
    if (bytes == wanted) memcpy(fv_plan_data(plan, input), data, bytes);
    free(data);
    if (bytes != wanted) return fv_fail(FV_BAD_INPUT, "%s has %zu bytes, expected %zu", input_path, bytes, wanted);
    fv_plan_forward(plan, false, 0, 0);
    FV_TRY(fv_file_write(output_path, fv_plan_data(plan, logits), fv_shape_count(logits_shape) * sizeof(float)));
    printf("%.1f MiB\n", (double)fv_plan_bytes(plan) / (1 << 20));
    fflush(stdout);
    for (char line[16]; fgets(line, sizeof line, stdin);) {
        double begin = fv_seconds();
        fv_plan_forward(plan, false, 0, 0);
        printf("%.6f\n", fv_seconds() - begin);
        fflush(stdout);
    }
    return FV_OK;
}

static fv_status open_and_run(char **argv) {
    int size = atoi(argv[2]);
    fv_model *model;
    fv_plan *plan = NULL;
    fv_graph graph;
    fv_shape shape = {1, size, size, 3};
    FV_TRY(fv_model_open(argv[1], &model));
    fv_graph_init(&graph, &model->params);
    fv_value input = fv_graph_input(&graph, "input", shape, false);
    fv_value logits = fv_model_build(model, &graph, input, NULL);
    fv_status status = fv_plan_make(&graph, FV_PLAN_INFER, &logits, 1, FV_NO_VALUE, &plan);
    if (status == FV_OK) status = run(argv[4], argv[5], plan, input, shape, logits, fv_graph_shape(&graph, logits));
    fv_plan_free(plan);
    fv_graph_free(&graph);
    fv_model_free(model);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "network_run MODEL SIZE THREADS INPUT OUTPUT\n");
        return FV_BAD_INPUT;
    }
    fv_threads_set(atoi(argv[3]));
    fv_status status = open_and_run(argv);
    if (status != FV_OK) fprintf(stderr, "%s\n", fv_error());
    return (int)status;
}
