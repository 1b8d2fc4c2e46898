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

static double weight_at(const kernel_view *v, int k, int f) {
    return (double)v->weight[(size_t)k * (size_t)v->filters + (size_t)f];
}

static double step_of(const kernel_view *v, int f) {
    double most = 0;
    for (int k = 0; k < v->taps; k++) most = fmax(most, fabs(weight_at(v, k, f)));
    return most > 0 ? most / FV_INT8_MOST_WEIGHT : 1;
}

static fv_status check_finite(const fv_folded_layer *layer, const kernel_view *v) {
    double zero = 0; /* 0 times a number is 0, times anything else it is not */
    for (int f = 0; f < v->filters; f++) {
        zero += 0 * (double)layer->bias[f];
        for (int k = 0; k < v->taps; k++) zero += 0 * weight_at(v, k, f);
    }
    if (zero == 0) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "layer %s: weights are not numbers: the model is damaged; take another", layer->name);
}

/* A filter's weights in steps of `own`, rounded so that their sum is right: inputs behind a ReLU are positive, and
   errors that don't cancel shift a filter's results on every pixel. Weights whose rounding has the most to do with it
   go to their other neighbour. Returns the sum. */
static double round_filter(const kernel_view *v, int f, double own, int8_t *q) {
    double sum = 0, exact = 0;
    for (int k = 0; k < v->taps; k++) {
        double value = weight_at(v, k, f) / own;
        q[k] = (int8_t)lrint(value);
        sum += q[k];
        exact += value;
    }
    while (fabs(exact - sum) > 0.5) {
        int sign = exact > sum ? 1 : -1, best = 0;
        double most = -2;
        for (int k = 0; k < v->taps; k++) {
            double short_of = sign * (weight_at(v, k, f) / own - q[k]);
            if (short_of <= most || abs(q[k] + sign) > FV_INT8_MOST_WEIGHT) continue;
            most = short_of;
            best = k;
        }
        q[best] = (int8_t)(q[best] + sign);
        sum += sign;
    }
    return sum;
}

/* Where weight k of filter f goes. */
static size_t place_of(const fv_folded_layer *layer, const int8_step *step, int lanes, bool last, int k, int f) {
    if (last) return (size_t)f * (size_t)step->layer.channels + (size_t)k;
    if (layer->kind == FV_OP_depthwise) return fv_int8_place(lanes, FV_INT8_DEPTHWISE, k % 3 * 4 + k / 3, f);
    return fv_int8_place(lanes, step->layer.channels, k, f);
}

/* Bytes of the packed weights alone. */
static size_t weight_count(const fv_folded_layer *layer, int lanes, const int8_step *step) {
    int channels = layer->kind == FV_OP_depthwise ? FV_INT8_DEPTHWISE : step->layer.channels;
    return fv_int8_padded(lanes, layer->weight_shape.c) * (size_t)channels;
}

size_t int8_packed_bytes(const fv_folded_layer *layer, int lanes, const int8_step *step) {
    size_t filters = fv_int8_padded(lanes, layer->weight_shape.c);
    return weight_count(layer, lanes, step) + filters * (sizeof *step->scale + sizeof *step->offset);
}

static fv_status allocate(int8_step *step, size_t weights, size_t filters) {
    step->weight = fv_allocate(weights, 1, "an 8-bit kernel");
    step->scale = fv_allocate(filters, sizeof *step->scale, "an 8-bit kernel");
    step->offset = fv_allocate(filters, sizeof *step->offset, "an 8-bit kernel");
    step->layer.weight = step->weight;
    step->layer.scale = step->scale;
    step->layer.offset = step->offset;
    return step->weight && step->scale && step->offset ? FV_OK : FV_NO_RESOURCE;
}

fv_status int8_pack(const fv_folded_layer *layer, int lanes, const fv_steps *from, const fv_steps *to,
                    int8_step *step) {
    kernel_view v = view_of(layer);
    FV_TRY(check_finite(layer, &v));
    FV_TRY(allocate(step, weight_count(layer, lanes, step), fv_int8_padded(lanes, v.filters)));
    step->layer.zero = (uint8_t)from->zero;
    int8_t *rounded = fv_allocate((size_t)v.taps, 1, "an 8-bit kernel");
    if (!rounded) return FV_NO_RESOURCE;
    for (int f = 0; f < v.filters; f++) {
        double own = step_of(&v, f), unit = own * (double)from->scale, sum = round_filter(&v, f, own, rounded);
        for (int k = 0; k < v.taps; k++) step->weight[place_of(layer, step, lanes, !to, k, f)] = rounded[k];
        double offset = (double)layer->bias[f] - unit * from->zero * sum;
        step->scale[f] = (float)(to ? unit / (double)to->scale : unit);
        step->offset[f] = (float)(to ? offset / (double)to->scale + to->zero : offset);
    }
    free(rounded);
    return FV_OK;
}
