/* A training that another engine can repeat. usage: training_dump CONFIG FOLDER THREADS [section.key=value ...]

   Trains through all epochs of CONFIG, without validation, and writes into FOLDER:
     config.ini          all settings as resolved
     start.safetensors   the model before the first step
     step_NNNN.safetensors   the batch of step NNNN: input and target, and, as dropout.<scope>, the factors {N,C} by
                         which each spatial dropout layer multiplies the channels in this step
     fovea.csv           step, learning rate, loss, seconds of the step (without loader) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fovea/base/threads.h"
#include "fovea/train/schedule.h"
#include "training_rig.h"

#define MAX_DROPOUTS 8

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static fv_status add(fv_safetensors_writer *writer, const char *name, fv_shape s, const float *values) {
    const int64_t shape[4] = {s.n, s.h, s.w, s.c};
    return fv_safetensors_add(writer, name, "F32", 4, shape, values);
}

/* What the layer's op itself does to a pixel of ones in this step. */
static float *dropout_factors(const training_rig *rig, int node, fv_shape *shape) {
    const fv_graph_node *layer = &rig->step.graph.nodes[node];
    const fv_op *op = fv_op_table[layer->spec.kind];
    fv_op_spec spec = layer->spec;
    *shape = spec.in[0] = spec.out = (fv_shape){spec.in[0].n, 1, 1, spec.in[0].c};
    size_t count = fv_shape_count(spec.out);
    float *ones = malloc(count * sizeof *ones), *factors = malloc(count * sizeof *factors);
    void *saved = malloc(op->saved_bytes(&spec));
    if (ones && factors && saved) {
        for (size_t i = 0; i < count; i++) ones[i] = 1;
        op->forward(&(fv_op_call){.spec = &spec,
                                  .in = {ones},
                                  .out = factors,
                                  .saved = saved,
                                  .training = true,
                                  .seed = rig->settings.seed,
                                  .step = (uint64_t)rig->optimizer.step,
                                  .node = (uint64_t)node});
    } else {
        free(factors);
        factors = NULL;
    }
    free(ones);
    free(saved);
    return factors;
}

static fv_status add_dropouts(const training_rig *rig, fv_safetensors_writer *writer, float *factors[MAX_DROPOUTS]) {
    int count = 0;
    for (int node = 0; node < rig->step.graph.node_count; node++) {
        char name[FV_NAME_MAX + 16];
        fv_shape shape;
        if (rig->step.graph.nodes[node].spec.kind != FV_OP_spatial_dropout) continue;
        if (count == MAX_DROPOUTS) return fv_fail(FV_BAD_INPUT, "more than %d dropout layers", MAX_DROPOUTS);
        if (!(factors[count] = dropout_factors(rig, node, &shape))) return fv_fail_memory("dropout factors", 0);
        snprintf(name, sizeof name, "dropout.%s", rig->step.graph.nodes[node].name);
        FV_TRY(add(writer, name, shape, factors[count++]));
    }
    return FV_OK;
}

static fv_status write_batch(const training_rig *rig, const fv_batch *batch, const char *folder) {
    char path[FV_PATH_MAX];
    float *factors[MAX_DROPOUTS] = {NULL};
    fv_safetensors_writer *writer;
    snprintf(path, sizeof path, "%s/step_%04lld.safetensors", folder, (long long)rig->optimizer.step);
    FV_TRY(fv_safetensors_writer_make(&writer));
    const fv_graph *g = &rig->step.graph;
    fv_status status = add(writer, "input", fv_graph_shape(g, rig->step.input), batch->input);
    if (status == FV_OK) status = add(writer, "target", fv_graph_shape(g, rig->step.target), batch->target);
    if (status == FV_OK) status = add_dropouts(rig, writer, factors);
    if (status == FV_OK)
        status = fv_safetensors_write(writer, path);
    else
        fv_safetensors_writer_free(writer);
    for (int i = 0; i < MAX_DROPOUTS; i++) free(factors[i]);
    return status;
}

static fv_status train_step(training_rig *rig, int64_t total, const char *folder, FILE *csv) {
    const fv_batch *batch;
    const fv_plateau plateau = {.factor = 1};
    int64_t step = rig->optimizer.step;
    FV_TRY(training_rig_next(rig, &batch));
    for (int i = 0; i < batch->count * rig->settings.model.classes; i++)
        if (batch->valid[i] == 0) return fv_fail(FV_BAD_INPUT, "a photograph without its mask: the peer knows of none");
    FV_TRY(write_batch(rig, batch, folder));
    double factor = fv_schedule_factor(&rig->settings.schedule, &plateau, step, total, fv_loader_batches(rig->loader));
    double began = seconds();
    double loss = fv_train_step_run(&rig->step, batch, rig->settings.seed, (uint64_t)step);
    fv_optimizer_step(&rig->optimizer, factor);
    double rate = factor * rig->settings.optimizer.rate;
    fprintf(csv, "%lld,%.12g,%.9g,%.6f\n", (long long)step, rate, loss, seconds() - began);
    fflush(csv);
    return FV_OK;
}

static fv_status write_config(const training_rig *rig, const char *folder) {
    char path[FV_PATH_MAX];
    snprintf(path, sizeof path, "%s/config.ini", folder);
    char *text = fv_config_resolved(rig->config);
    if (!text) return fv_fail_memory("the settings", 65536);
    fv_status status = fv_file_write(path, text, strlen(text));
    free(text);
    return status;
}

static fv_status run(training_rig *rig, const char *folder) {
    char path[FV_PATH_MAX];
    FV_TRY(write_config(rig, folder));
    snprintf(path, sizeof path, "%s/start.safetensors", folder);
    FV_TRY(fv_model_save(rig->model, path));
    snprintf(path, sizeof path, "%s/fovea.csv", folder);
    FILE *csv = fopen(path, "w");
    if (!csv) return fv_fail(FV_BAD_INPUT, "%s can't be written", path);
    fprintf(csv, "step,rate,loss,seconds\n");
    fv_status status = FV_OK;
    int64_t total = (int64_t)fv_loader_batches(rig->loader) * rig->settings.epochs;
    while (status == FV_OK && rig->optimizer.step < total) status = train_step(rig, total, folder, csv);
    fclose(csv);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: training_dump CONFIG FOLDER THREADS [section.key=value ...]\n");
        return FV_BAD_INPUT;
    }
    training_rig rig;
    fv_threads_set(atoi(argv[3]));
    fv_status status = training_rig_make(argv[1], argv + 4, argc - 4, &rig);
    if (status == FV_OK) status = run(&rig, argv[2]);
    if (status != FV_OK) fprintf(stderr, "training_dump: %s\n", fv_error());
    training_rig_free(&rig);
    return status;
}
