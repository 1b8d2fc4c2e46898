#include "fovea/train/step.h"

#include <math.h>
#include <string.h>

#include "fovea/nn/layers.h"

static void build(const fv_train_settings *settings, fv_model *model, fv_train_step *step) {
    int n = settings->loader.batch, size = settings->model.preprocess.size, classes = settings->model.classes;
    *step = (fv_train_step){.spec = &settings->model};
    fv_graph *g = &step->graph;
    fv_graph_init(g, &model->params);
    step->input = fv_graph_input(g, "input", (fv_shape){n, size, size, 3}, false);
    step->target = fv_graph_input(g, "target", (fv_shape){n, size, size, classes}, false);
    step->valid = fv_graph_input(g, "valid", (fv_shape){n, 1, 1, classes}, false);
    fv_value auxiliary;
    const fv_loss_settings *loss = &settings->loss;
    step->logits = fv_model_build(model, g, step->input, &auxiliary);
    step->loss = fv_loss_add(g, "loss", loss, 1, step->logits, step->target, step->valid);
    if (auxiliary == FV_NO_VALUE || loss->auxiliary == 0) return;
    fv_value other = fv_loss_add(g, "auxiliary_loss", loss, loss->auxiliary, auxiliary, step->target, step->valid);
    step->loss = fv_add(g, "total_loss", step->loss, other, FV_ACT_NONE);
}

fv_status fv_train_step_make(const fv_train_settings *settings, fv_model *model, fv_train_step *step) {
    build(settings, model, step);
    fv_status status =
        fv_plan_make_within(&step->graph, FV_PLAN_TRAIN, &step->logits, 1, step->loss, settings->memory, &step->plan);
    if (status != FV_OK) fv_train_step_free(step);
    return status;
}

fv_status fv_train_step_measure(const fv_train_settings *settings, fv_model *model, size_t *bytes) {
    fv_train_step step;
    build(settings, model, &step);
    fv_status status = fv_plan_measure(&step.graph, FV_PLAN_TRAIN, &step.logits, 1, step.loss, bytes);
    fv_train_step_free(&step);
    return status;
}

void fv_train_step_free(fv_train_step *step) {
    fv_plan_free(step->plan);
    fv_graph_free(&step->graph);
    *step = (fv_train_step){0};
}

static void fill(const fv_train_step *step, fv_value value, const float *from) {
    memcpy(fv_plan_data(step->plan, value), from, fv_shape_count(fv_graph_shape(&step->graph, value)) * sizeof(float));
}

double fv_train_step_run(fv_train_step *step, const fv_batch *batch, uint64_t seed, uint64_t number) {
    fill(step, step->input, batch->input);
    fill(step, step->target, batch->target);
    fill(step, step->valid, batch->valid);
    fv_plan_forward(step->plan, true, seed, number);
    double loss = (double)*fv_plan_data(step->plan, step->loss);
    if (isfinite(loss)) fv_plan_backward(step->plan);
    return loss;
}

static double sample_dice(const float *logits, const float *target, size_t pixels, size_t stride, float threshold) {
    int64_t both = 0, sides = 0;
    for (size_t i = 0; i < pixels; i++) {
        bool predicted = logits[i * stride] >= threshold, truth = target[i * stride] >= 0.5f;
        both += predicted && truth;
        sides += predicted + truth;
    }
    return sides ? 2.0 * (double)both / (double)sides : 1;
}

double fv_train_step_dice(const fv_train_step *step, const fv_batch *batch) {
    fv_shape shape = fv_graph_shape(&step->graph, step->logits);
    size_t pixels = (size_t)shape.h * (size_t)shape.w, classes = (size_t)shape.c;
    const float *logits = fv_plan_data(step->plan, step->logits);
    double sum = 0;
    int pairs = 0;
    for (size_t i = 0; i < (size_t)shape.n * classes; i++) {
        if (batch->valid[i] == 0) continue;
        size_t at = i / classes * pixels * classes + i % classes;
        double p = step->spec->thresholds[i % classes];
        sum += sample_dice(logits + at, batch->target + at, pixels, classes, (float)log(p / (1 - p)));
        pairs++;
    }
    return pairs ? sum / pairs : 1;
}
