#include "tflite_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/tensor/half.h"

/* How a layer's kernel lies in the file. */
typedef struct placement {
    size_t rows, filters; /* fovea has {rows, filters} */
    tflite_layout layout;
    int dims[4];
} placement;

static placement place(fv_shape s, tflite_layout layout) {
    placement p = {(size_t)s.n * (size_t)s.h * (size_t)s.w, (size_t)s.c, layout, {s.c, s.n, s.h, s.w}};
    if (layout == TFLITE_FILTERS_LAST) memcpy(p.dims, (int[]){1, s.n, s.h, s.c}, sizeof p.dims);
    return p;
}

/* From fovea's order to the file's, of elements of `size` bytes. */
static void arrange(const placement *p, size_t size, const void *from, void *to) {
    const char *source = from;
    char *target = to;
    if (p->layout == TFLITE_FILTERS_LAST) {
        memcpy(target, source, p->rows * p->filters * size);
        return;
    }
    for (size_t f = 0; f < p->filters; f++)
        for (size_t r = 0; r < p->rows; r++)
            memcpy(target + (f * p->rows + r) * size, source + (r * p->filters + f) * size, size);
}

/* ---- float32 and halves ---- */

static int bias_add(tflite_builder *b, const fv_folded_layer *layer) {
    return tflite_floats_add(b, layer->name, ".bias", 1, &layer->weight_shape.c, layer->bias);
}

static int float32_add(tflite_builder *b, const fv_folded_layer *layer, const placement *p) {
    void *data;
    int tensor = tflite_constant_add(b, layer->name, ".weight", TFLITE_FLOAT32, 4, p->dims, &data);
    if (data) arrange(p, sizeof(float), layer->weight, data);
    return tensor;
}

static fv_status check_halves(const fv_folded_layer *layer, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(layer->weight[i]) <= FV_HALF_MAX))
            return fv_fail(FV_BAD_INPUT, "layer %s has a weight of %g, float16 ends at %g: export it in float32",
                           layer->name, (double)layer->weight[i], (double)FV_HALF_MAX);
    return FV_OK;
}

static fv_status halves_fill(const fv_folded_layer *layer, const placement *p, void *data) {
    size_t count = p->rows * p->filters;
    FV_TRY(check_halves(layer, count));
    uint16_t *halves = fv_allocate_unset(count, sizeof *halves, "a layer's weights");
    if (!halves) return FV_NO_RESOURCE;
    fv_halves_from_floats(count, layer->weight, halves);
    arrange(p, sizeof *halves, halves, data);
    free(halves);
    return FV_OK;
}

static int halves_add(tflite_builder *b, const fv_folded_layer *layer, const placement *p) {
    void *data;
    int stored = tflite_constant_add(b, layer->name, ".half", TFLITE_FLOAT16, 4, p->dims, &data);
    if (data) tflite_builder_fail(b, halves_fill(layer, p, data));
    int tensor = tflite_tensor_add(b, layer->name, ".weight", TFLITE_FLOAT32, 4, p->dims);
    tflite_operator_add(b, TFLITE_DEQUANTIZE, 1, &stored, tensor);
    return tensor;
}

/* ---- int8 ---- */

/* `q` is left with the steps of the bias. */
static tflite_kernel int8_fill(tflite_builder *b, const fv_folded_layer *layer, const placement *p, float input_scale,
                               fv_quantised_kernel *q) {
    void *weight, *bias;
    int filters = (int)p->filters;
    tflite_kernel made = {tflite_constant_add(b, layer->name, ".weight", TFLITE_INT8, 4, p->dims, &weight),
                          tflite_constant_add(b, layer->name, ".bias", TFLITE_INT32, 1, &filters, &bias)};
    if (!weight || !bias) return made;
    arrange(p, sizeof *q->q, q->q, weight);
    memcpy(bias, q->b, p->filters * sizeof *q->b);
    tflite_tensor_quantise(b, made.weight, q->scale, filters, p->layout == TFLITE_FILTERS_FIRST ? 0 : 3, 0);
    for (size_t f = 0; f < p->filters; f++) q->scale[f] *= input_scale;
    tflite_tensor_quantise(b, made.bias, q->scale, filters, 0, 0);
    return made;
}

static tflite_kernel int8_add(tflite_builder *b, const fv_folded_layer *layer, const placement *p, int input) {
    tflite_kernel made = {TFLITE_NO_TENSOR, TFLITE_NO_TENSOR};
    fv_quantised_kernel quantised;
    if (b->status != FV_OK) return made;
    float input_scale = b->tensors[input].quantisation.scale[0];
    tflite_builder_fail(b, fv_quantise_kernel(layer, input_scale, &quantised));
    if (b->status != FV_OK) return made;
    made = int8_fill(b, layer, p, input_scale, &quantised);
    fv_quantised_kernel_free(&quantised);
    return made;
}

tflite_kernel tflite_kernel_add(tflite_builder *b, const fv_folded_layer *layer, fv_shape shape, tflite_layout layout,
                                fv_export_precision precision, int input) {
    placement p = place(shape, layout);
    switch (precision) {
    case FV_PRECISION_INT8:
        return int8_add(b, layer, &p, input);
    case FV_PRECISION_FLOAT16:
    case FV_PRECISION_FLOAT16_STORAGE:
        return (tflite_kernel){halves_add(b, layer, &p), bias_add(b, layer)};
    case FV_PRECISION_FLOAT32:
    case FV_PRECISIONS:
        break;
    }
    return (tflite_kernel){float32_add(b, layer, &p), bias_add(b, layer)};
}
