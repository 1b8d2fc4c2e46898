/* What a network sees and says, for another runtime to compare with.
   usage: export_windows MODEL TABLE.csv SPLIT COUNT OUT.safetensors

   Prepares COUNT inputs of the split's photographs without augmentation (whole photographs, or windows spread evenly)
   and writes "input" and "target" of them, and "output", the probabilities that fovea gives, all {COUNT, height,
   width, channels}. Targets of a class that is not annotated are 0. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/dataset/loader.h"
#include "fovea/graph/plan.h"

#define GRID 2 /* x GRID windows a photograph */

typedef struct windows {
    fv_model *model;
    fv_manifest manifest;
    int *records, record_count;
    fv_loader *loader;
    fv_graph graph;
    fv_value input, logits;
    fv_plan *plan;
    int count, size;
    float *inputs, *targets, *outputs;
} windows;

static fv_split split_of(const char *name) {
    for (int i = 0; fv_split_names[i]; i++)
        if (strcmp(fv_split_names[i], name) == 0) return (fv_split)i;
    return FV_SPLIT_NONE;
}

static fv_status read_photographs(windows *w, const char *table, const char *split) {
    const fv_model_spec *spec = &w->model->spec;
    fv_manifest_init(&w->manifest, spec);
    FV_TRY(fv_manifest_append(&w->manifest, &(fv_manifest_source){.csv = table}));
    FV_TRY(fv_manifest_select(&w->manifest, split_of(split), &w->records, &w->record_count));
    int grid = spec->preprocess.windows ? GRID : 0;
    const fv_loader_settings settings = {.preprocess = spec->preprocess,
                                         .mask_threshold = 127,
                                         .windows_per_photo = grid ? grid * grid : 1,
                                         .grid = grid,
                                         .batch = 1,
                                         .workers = 1,
                                         .seed = 1};
    return fv_loader_make(&w->manifest, w->records, w->record_count, &settings, &w->loader);
}

static fv_status prepare_network(windows *w) {
    w->size = w->model->spec.preprocess.size;
    fv_graph_init(&w->graph, &w->model->params);
    w->input = fv_graph_input(&w->graph, "input", (fv_shape){1, w->size, w->size, 3}, false);
    w->logits = fv_model_build(w->model, &w->graph, w->input, NULL);
    return fv_plan_make(&w->graph, FV_PLAN_INFER, &w->logits, 1, FV_NO_VALUE, &w->plan);
}

static void run_network(const windows *w, const float *input, size_t pixels, float *output) {
    size_t classes = (size_t)w->model->spec.classes;
    memcpy(fv_plan_data(w->plan, w->input), input, 3 * pixels * sizeof *input);
    fv_plan_forward(w->plan, false, 0, 0);
    const float *logits = fv_plan_data(w->plan, w->logits);
    for (size_t i = 0; i < classes * pixels; i++) output[i] = 1 / (1 + expf(-logits[i]));
}

static fv_status collect(windows *w) {
    size_t pixels = (size_t)w->size * (size_t)w->size, classes = (size_t)w->model->spec.classes;
    size_t count = (size_t)w->count;
    w->inputs = calloc(count * pixels * 3, sizeof(float));
    w->targets = calloc(count * pixels * classes, sizeof(float));
    w->outputs = calloc(count * pixels * classes, sizeof(float));
    if (!w->inputs || !w->targets || !w->outputs) return fv_fail_memory("windows", count * pixels * 3 * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        const fv_batch *batch;
        FV_TRY(fv_loader_get(w->loader, 0, (int)i % fv_loader_batches(w->loader), &batch));
        memcpy(w->inputs + i * pixels * 3, batch->input, pixels * 3 * sizeof(float));
        memcpy(w->targets + i * pixels * classes, batch->target, pixels * classes * sizeof(float));
        run_network(w, batch->input, pixels, w->outputs + i * pixels * classes);
    }
    return FV_OK;
}

static fv_status write_all(const windows *w, const char *path) {
    const int64_t in[4] = {w->count, w->size, w->size, 3},
                  out[4] = {w->count, w->size, w->size, w->model->spec.classes};
    fv_safetensors_writer *writer;
    FV_TRY(fv_safetensors_writer_make(&writer));
    fv_status status = fv_safetensors_add(writer, "input", "F32", 4, in, w->inputs);
    if (status == FV_OK) status = fv_safetensors_add(writer, "target", "F32", 4, out, w->targets);
    if (status == FV_OK) status = fv_safetensors_add(writer, "output", "F32", 4, out, w->outputs);
    if (status == FV_OK) return fv_safetensors_write(writer, path);
    fv_safetensors_writer_free(writer);
    return status;
}

static void windows_free(windows *w) {
    fv_plan_free(w->plan);
    fv_graph_free(&w->graph);
    fv_loader_free(w->loader);
    fv_manifest_free(&w->manifest);
    fv_model_free(w->model);
    free(w->records);
    free(w->inputs);
    free(w->targets);
    free(w->outputs);
}

int main(int argc, char **argv) {
    windows w = {0};
    if (argc != 6 || (w.count = atoi(argv[4])) < 1) {
        fprintf(stderr, "usage: export_windows MODEL TABLE.csv SPLIT COUNT OUT.safetensors\n");
        return FV_BAD_INPUT;
    }
    fv_status status = fv_model_load(argv[1], &w.model);
    if (status == FV_OK) status = read_photographs(&w, argv[2], argv[3]);
    if (status == FV_OK) status = prepare_network(&w);
    if (status == FV_OK) status = collect(&w);
    if (status == FV_OK) status = write_all(&w, argv[5]);
    if (status != FV_OK) fprintf(stderr, "export_windows: %s\n", fv_error());
    windows_free(&w);
    return status;
}
