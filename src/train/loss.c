#include "fovea/train/loss.h"

#include <math.h>
#include <string.h>

static fv_attributes attributes_of(const fv_loss_settings *s, double share) {
    return (fv_attributes){.weight_bce = share * s->bce,
                           .weight_dice = share * s->dice,
                           .weight_focal = share * s->focal,
                           .weight_tversky = share * s->tversky,
                           .weight_cldice = share * s->cldice,
                           .focal_alpha = s->focal_alpha,
                           .focal_gamma = s->focal_gamma,
                           .tversky_alpha = s->tversky_alpha,
                           .tversky_beta = s->tversky_beta,
                           .cldice_iterations = s->cldice_iterations,
                           .smooth = s->smooth,
                           .dice_over_batch = s->dice_over_batch};
}

fv_value fv_loss_add(fv_graph *graph, const char *name, const fv_loss_settings *settings, double share, fv_value logits,
                     fv_value target, fv_value valid) {
    fv_attributes attributes = attributes_of(settings, share);
    fv_value inputs[3] = {logits, target, valid}, parts[2];
    int count = 0;
    fv_graph_enter(graph, name);
    if (settings->bce + settings->dice + settings->focal + settings->tversky > 0 || settings->cldice == 0)
        parts[count++] = fv_graph_add(graph, FV_OP_segmentation_loss, "pixels", &attributes, 3, inputs);
    if (settings->cldice > 0) parts[count++] = fv_graph_add(graph, FV_OP_cldice_loss, "cldice", &attributes, 3, inputs);
    fv_attributes none = {0};
    fv_value loss = count == 1 ? parts[0] : fv_graph_add(graph, FV_OP_add, "sum", &none, 2, parts);
    fv_graph_leave(graph);
    return loss;
}

fv_status fv_loss_meter_make(const fv_loss_settings *settings, fv_shape shape, fv_loss_meter *meter) {
    *meter = (fv_loss_meter){0};
    fv_graph *g = &meter->graph;
    fv_params_init(&meter->params);
    fv_graph_init(g, &meter->params);
    meter->logits = fv_graph_input(g, "logits", shape, false);
    meter->target = fv_graph_input(g, "target", shape, false);
    meter->valid = fv_graph_input(g, "valid", (fv_shape){shape.n, 1, 1, shape.c}, false);
    meter->loss = fv_loss_add(g, "loss", settings, 1, meter->logits, meter->target, meter->valid);
    fv_status status = fv_params_allocate(&meter->params, 0);
    if (status == FV_OK) status = fv_plan_make(g, FV_PLAN_INFER, &meter->loss, 1, FV_NO_VALUE, &meter->plan);
    if (status != FV_OK) fv_loss_meter_free(meter);
    return status;
}

void fv_loss_meter_free(fv_loss_meter *meter) {
    fv_plan_free(meter->plan);
    fv_graph_free(&meter->graph);
    fv_params_free(&meter->params);
    *meter = (fv_loss_meter){0};
}

double fv_loss_meter_run(fv_loss_meter *meter, const float *p, const float *target, const float *valid) {
    fv_shape shape = fv_graph_shape(&meter->graph, meter->logits);
    size_t count = fv_shape_count(shape), columns = (size_t)shape.n * (size_t)shape.c;
    float *logits = fv_plan_data(meter->plan, meter->logits);
    for (size_t i = 0; i < count; i++) {
        double inside = fmin(fmax((double)p[i], 1e-7), 1 - 1e-7);
        logits[i] = (float)log(inside / (1 - inside));
    }
    memcpy(fv_plan_data(meter->plan, meter->target), target, count * sizeof *target);
    memcpy(fv_plan_data(meter->plan, meter->valid), valid, columns * sizeof *valid);
    fv_plan_forward(meter->plan, false, 0, 0);
    return (double)*fv_plan_data(meter->plan, meter->loss);
}
