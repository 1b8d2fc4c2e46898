/* Constants of layers in each precision: what is stored, and the nodes that make of it what the layer computes with. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/tensor/half.h"
#include "onnx_writer.h"

onnx_type onnx_compute_type(const onnx_writer *w) {
    return w->settings->precision == FV_PRECISION_FLOAT16 && !w->layer_is_float ? ONNX_HALF : ONNX_FLOAT;
}

static bool stores_halves(const onnx_writer *w) {
    fv_export_precision precision = w->settings->precision;
    return precision == FV_PRECISION_FLOAT16 || precision == FV_PRECISION_FLOAT16_STORAGE;
}

/* Element (i0, i1, i2, i3) of a tensor {sizes of s in the order `order`} is that of fovea's tensor with dimension
   order[k] at ik; `bytes` an element. */
static void permute(const void *from, fv_shape s, const int order[4], size_t bytes, void *to) {
    const size_t sizes[4] = {(size_t)s.n, (size_t)s.h, (size_t)s.w, (size_t)s.c};
    const size_t strides[4] = {sizes[1] * sizes[2] * sizes[3], sizes[2] * sizes[3], sizes[3], 1};
    const char *source = from;
    char *target = to;
    for (size_t a = 0; a < sizes[order[0]]; a++)
        for (size_t b = 0; b < sizes[order[1]]; b++)
            for (size_t c = 0; c < sizes[order[2]]; c++)
                for (size_t d = 0; d < sizes[order[3]]; d++, target += bytes) {
                    size_t at = a * strides[order[0]] + b * strides[order[1]] + c * strides[order[2]];
                    memcpy(target, source + (at + d * strides[order[3]]) * bytes, bytes);
                }
}

static void check_halves(onnx_writer *w, const char *name, size_t count, const float *values) {
    for (size_t i = 0; i < count && w->status == FV_OK; i++)
        if (!(fabsf(values[i]) <= FV_HALF_MAX))
            w->status = fv_fail(FV_BAD_INPUT,
                                "%s has the value %g, which half precision (up to 65504) can't hold: take float32",
                                name, (double)values[i]);
}

static void cast(onnx_writer *w, const char *from, onnx_type to, const char *name) {
    onnx_set_int(&w->builder, onnx_unary(w, "Cast", from, name), "to", to);
}

/* A constant that is stored and its form: fovea's shape, in which order of dimensions, and the tensor's sizes. */
typedef struct constant {
    const float *values;
    fv_shape shape;
    int order[4];
    int dims;
    int64_t sizes[4];
} constant;

static void add_floats(onnx_writer *w, const char *name, const constant *c) {
    float *data = onnx_tensor(&w->builder, name, ONNX_FLOAT, c->dims, c->sizes);
    if (data) permute(c->values, c->shape, c->order, sizeof *c->values, data);
}

static void add_halves(onnx_writer *w, const char *name, const constant *c) {
    size_t count = fv_shape_count(c->shape);
    uint16_t *halves = fv_allocate(count, sizeof *halves, "weights in half precision");
    void *data = halves ? onnx_tensor(&w->builder, name, ONNX_HALF, c->dims, c->sizes) : NULL;
    if (!halves) w->status = FV_NO_RESOURCE;
    if (data) {
        check_halves(w, name, count, c->values);
        fv_halves_from_floats(count, c->values, halves);
        permute(halves, c->shape, c->order, sizeof *halves, data);
    }
    free(halves);
}

/* In the precision's type, and behind it a cast where the layer computes in another. */
static void add_constant(onnx_writer *w, const char *name, const constant *c) {
    onnx_type computed = onnx_compute_type(w);
    char stored[ONNX_NAME];
    if (!stores_halves(w)) {
        add_floats(w, name, c);
    } else if (computed == ONNX_HALF) {
        add_halves(w, name, c);
    } else {
        onnx_join(stored, name, "half");
        add_halves(w, stored, c);
        cast(w, stored, computed, name);
    }
}

/* ---- 8 bits ---- */

/* DequantizeLinear along `axis` with zeros of zero: `name` from "<name>.q", which the caller has added. */
static void dequantise(onnx_writer *w, const char *name, onnx_type type, float scale, int axis) {
    const int64_t filters = (int64_t)w->kernel.filters;
    char q[ONNX_NAME], scales[ONNX_NAME], zeros[ONNX_NAME];
    onnx_join(q, name, "q");
    onnx_join(scales, name, "scale");
    onnx_join(zeros, name, "zero");
    float *values = onnx_tensor(&w->builder, scales, ONNX_FLOAT, 1, &filters);
    for (size_t f = 0; values && f < w->kernel.filters; f++) values[f] = w->kernel.scale[f] * scale;
    onnx_tensor(&w->builder, zeros, type, 1, &filters);
    const char *in[] = {q, scales, zeros};
    onnx_set_int(&w->builder, onnx_node(&w->builder, "DequantizeLinear", 3, in, name), "axis", axis);
}

static void add_quantised_weight(onnx_writer *w, const char *name, const constant *c) {
    char q[ONNX_NAME];
    int axis = 0;
    while (c->order[axis] != 3) axis++;
    onnx_join(q, name, "q");
    int8_t *data = onnx_tensor(&w->builder, q, ONNX_INT8, c->dims, c->sizes);
    if (data) permute(w->kernel.q, c->shape, c->order, sizeof *data, data);
    dequantise(w, name, ONNX_INT8, 1, axis);
}

static void add_quantised_bias(onnx_writer *w, const char *name) {
    const int64_t filters = (int64_t)w->kernel.filters;
    char q[ONNX_NAME];
    onnx_join(q, name, "q");
    int32_t *data = onnx_tensor(&w->builder, q, ONNX_INT32, 1, &filters);
    if (data) memcpy(data, w->kernel.b, w->kernel.filters * sizeof *data);
    dequantise(w, name, ONNX_INT32, w->kernel_input_scale, 0);
}

static void add_steps(onnx_writer *w, fv_steps steps, const char *scale, const char *zero) {
    float *scale_data = onnx_tensor(&w->builder, scale, ONNX_FLOAT, 0, NULL);
    uint8_t *zero_data = onnx_tensor(&w->builder, zero, ONNX_UINT8, 0, NULL);
    if (!scale_data || !zero_data) return;
    *scale_data = steps.scale;
    *zero_data = (uint8_t)steps.zero;
}

void onnx_write_steps(onnx_writer *w, const char *from, fv_range range, const char *to) {
    char q[ONNX_NAME], scale[ONNX_NAME], zero[ONNX_NAME];
    onnx_join(q, from, "q");
    onnx_join(scale, from, "scale");
    onnx_join(zero, from, "zero");
    add_steps(w, fv_steps_of(range, 0, UINT8_MAX), scale, zero);
    onnx_node(&w->builder, "QuantizeLinear", 3, (const char *[]){from, scale, zero}, q);
    onnx_node(&w->builder, "DequantizeLinear", 3, (const char *[]){q, scale, zero}, to);
}

/* ---- what layers ask for ---- */

void onnx_weight(onnx_writer *w, const fv_folded_layer *layer, int dims, const int order[4], char name[ONNX_NAME]) {
    const fv_shape s = layer->weight_shape;
    const int sizes[4] = {s.n, s.h, s.w, s.c};
    constant c = {.values = layer->weight, .shape = s, .dims = dims};
    for (int i = 0; i < 4; i++) c.order[i] = order[i];
    for (int i = 0; i < dims; i++) c.sizes[i] = sizes[order[i]];
    onnx_join(name, layer->name, "weight");
    if (w->kernel.q)
        add_quantised_weight(w, name, &c);
    else
        add_constant(w, name, &c);
}

/* The channels are fovea's last dimension; all others are 1, in whatever order. */
static constant vector(const float *values, int channels, int dims, int axis) {
    constant c = {.values = values, .shape = {1, 1, 1, channels}, .order = {0, 1, 2, 3}, .dims = dims};
    for (int i = 0; i < dims; i++) c.sizes[i] = i == axis ? channels : 1;
    return c;
}

void onnx_scale(onnx_writer *w, const fv_folded_layer *layer, char name[ONNX_NAME]) {
    constant c = vector(layer->weight, layer->weight_shape.c, 4, 1);
    onnx_join(name, layer->name, "weight");
    add_constant(w, name, &c);
}

void onnx_bias(onnx_writer *w, const fv_folded_layer *layer, int dims, int axis, char name[ONNX_NAME]) {
    constant c = vector(layer->bias, layer->weight_shape.c, dims, axis);
    onnx_join(name, layer->name, "bias");
    if (w->kernel.q)
        add_quantised_bias(w, name);
    else
        add_constant(w, name, &c);
}

void onnx_number(onnx_writer *w, const char *layer, const char *part, float value, char name[ONNX_NAME]) {
    onnx_type type = onnx_compute_type(w);
    onnx_join(name, layer, part);
    void *data = onnx_tensor(&w->builder, name, type, 0, NULL);
    uint16_t half = fv_half_from_float(value);
    if (data && type == ONNX_HALF) memcpy(data, &half, sizeof half);
    if (data && type == ONNX_FLOAT) memcpy(data, &value, sizeof value);
}

void onnx_indices(onnx_writer *w, const char *name, int count, const int64_t *values) {
    const int64_t size = count;
    int64_t *data = onnx_tensor(&w->builder, name, ONNX_INT64, 1, &size);
    if (data) memcpy(data, values, (size_t)count * sizeof *data);
}
