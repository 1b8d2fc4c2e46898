#include "int8_layers.h"

#include <math.h>
#include <stdlib.h>

#include "fovea/base/memory.h"

/* The kernel as `taps` rows of one weight a filter: rows and filters of its layout. */
typedef struct kernel_view {
    const float *weight;
    int taps, filters;
} kernel_view;

static kernel_view view_of(const fv_folded_layer *layer) {
    fv_shape s = layer->weight_shape;
    return (kernel_view){layer->weight, s.n * s.h * s.w, s.c};
}

static double step_of(const kernel_view *v, int f) {
    double most = 0;
    for (int k = 0; k < v->taps; k++)
        most = fmax(most, fabs((double)v->weight[(size_t)k * (size_t)v->filters + (size_t)f]));
    return most > 0 ? most / FV_INT8_MOST_WEIGHT : 1;
}

/* Where weight k of filter f goes. */
static size_t place_of(const fv_folded_layer *layer, const int8_step *step, int lanes, bool last, int k, int f) {
    if (last) return (size_t)f * (size_t)step->layer.channels + (size_t)k;
    if (layer->kind == FV_OP_depthwise) return fv_int8_place(lanes, FV_INT8_DEPTHWISE, k % 3 * 4 + k / 3, f);
    return fv_int8_place(lanes, step->layer.channels, k, f);
}

static fv_status allocate(int8_step *step, size_t weights, size_t filters) {
    step->weight = fv_allocate(weights, 1, "an 8-bit kernel");
    step->scale = fv_allocate(filters, sizeof *step->scale, "an 8-bit kernel");
    step->offset = fv_allocate(filters, sizeof *step->offset, "an 8-bit kernel");
    step->weight_bytes = weights + 2 * filters * sizeof *step->scale;
    step->layer.weight = step->weight;
    step->layer.scale = step->scale;
    step->layer.offset = step->offset;
    return step->weight && step->scale && step->offset ? FV_OK : FV_NO_RESOURCE;
}

fv_status int8_pack(const fv_folded_layer *layer, int lanes, const fv_steps *from, const fv_steps *to,
                    int8_step *step) {
    kernel_view v = view_of(layer);
    bool depthwise = layer->kind == FV_OP_depthwise;
    size_t padded = fv_int8_padded(lanes, v.filters);
    FV_TRY(allocate(step, padded * (size_t)(depthwise ? FV_INT8_DEPTHWISE : step->layer.channels), padded));
    step->layer.zero = (uint8_t)from->zero;
    for (int f = 0; f < v.filters; f++) {
        double own = step_of(&v, f), unit = own * (double)from->scale, sum = 0;
        for (int k = 0; k < v.taps; k++) {
            long q = lrint((double)v.weight[(size_t)k * (size_t)v.filters + (size_t)f] / own);
            step->weight[place_of(layer, step, lanes, !to, k, f)] = (int8_t)q;
            sum += (double)q;
        }
        double offset = (double)layer->bias[f] - unit * from->zero * sum;
        step->scale[f] = (float)(to ? unit / (double)to->scale : unit);
        step->offset[f] = (float)(to ? offset / (double)to->scale + to->zero : offset);
    }
    return FV_OK;
}
