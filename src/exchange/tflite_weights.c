#include "tflite_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/tensor/half.h"

#define WEIGHT_STEPS 127              /* to each side of 0 */
#define BIAS_STEPS ((float)(1 << 24)) /* the same, for the largest bias: exact in a float, far from overflow in sums   \
                                       */

/* A kernel's numbers in the order of the file. */
typedef struct arranged {
    const char *layer;
    float *weight;
    const float *bias;
    size_t rows, filters; /* weights of a filter */
    tflite_kernel_layout layout;
    int dims[4];
} arranged;

static fv_status arrange(const fv_folded_layer *layer, fv_shape s, tflite_kernel_layout layout, arranged *k) {
    size_t rows = (size_t)s.n * (size_t)s.h * (size_t)s.w, filters = (size_t)s.c;
    *k = (arranged){layer->name, NULL, layer->bias, rows, filters, layout, {s.c, s.n, s.h, s.w}};
    if (layout == TFLITE_FILTERS_LAST) memcpy(k->dims, (int[]){1, s.n, s.h, s.c}, sizeof k->dims);
    k->weight = fv_allocate_unset(rows * filters, sizeof *k->weight, "the weights of a layer");
    if (!k->weight) return FV_NO_RESOURCE;
    for (size_t r = 0; r < rows; r++)
        for (size_t f = 0; f < filters; f++)
            k->weight[layout == TFLITE_FILTERS_LAST ? r * filters + f : f * rows + r] = layer->weight[r * filters + f];
    return FV_OK;
}

/* ---- float32 and float16 ---- */

static int float32_add(tflite_builder *b, const char *layer, const char *part, int dims, const int *shape,
                       const float *values) {
    void *data;
    int tensor = tflite_constant_add(b, layer, part, TFLITE_FLOAT32, dims, shape, &data);
    if (data) memcpy(data, values, b->tensors[tensor].bytes);
    return tensor;
}

static fv_status check_halves(const arranged *k) {
    for (size_t i = 0; i < k->rows * k->filters; i++)
        if (!(fabsf(k->weight[i]) <= FV_HALF_MAX))
            return fv_fail(FV_BAD_INPUT,
                           "layer %s has a weight of %g, beyond float16's %g: export the model as float32", k->layer,
                           (double)k->weight[i], (double)FV_HALF_MAX);
    return FV_OK;
}

/* The constant in float16, and the tensor in float32 that the runtime makes of it. */
static int float16_weight_add(tflite_builder *b, const arranged *k) {
    void *data;
    int stored = tflite_constant_add(b, k->layer, ".weight.float16", TFLITE_FLOAT16, 4, k->dims, &data);
    if (!data) return TFLITE_NO_TENSOR;
    tflite_builder_fail(b, check_halves(k));
    fv_halves_from_floats(k->rows * k->filters, k->weight, data);
    int tensor = tflite_tensor_add(b, k->layer, ".weight", TFLITE_FLOAT32, 4, k->dims);
    tflite_operator_add(b, TFLITE_DEQUANTIZE, 1, &stored, tensor);
    return tensor;
}

/* ---- int8 ---- */

static size_t filter_of(const arranged *k, size_t i) {
    return k->layout == TFLITE_FILTERS_LAST ? i % k->filters : i / k->rows;
}

/* The step of each filter: its largest weight in 127 steps, or more where the bias, whose step is this one times the
   input's, would be out of reach. A filter of zeros may have any. */
static void find_steps(const arranged *k, float input_step, float *steps) {
    for (size_t f = 0; f < k->filters; f++) steps[f] = fabsf(k->bias[f]) / input_step / BIAS_STEPS;
    for (size_t i = 0; i < k->rows * k->filters; i++) {
        float *step = &steps[filter_of(k, i)];
        *step = fmaxf(*step, fabsf(k->weight[i]) / WEIGHT_STEPS);
    }
    for (size_t f = 0; f < k->filters; f++)
        if (!(steps[f] > 0)) steps[f] = 1;
}

static int int8_weight_add(tflite_builder *b, const arranged *k, const float *steps) {
    void *data;
    int tensor = tflite_constant_add(b, k->layer, ".weight", TFLITE_INT8, 4, k->dims, &data);
    int8_t *stored = data;
    for (size_t i = 0; stored && i < k->rows * k->filters; i++)
        stored[i] = (int8_t)lrintf(k->weight[i] / steps[filter_of(k, i)]);
    tflite_tensor_quantise(b, tensor, steps, (int)k->filters, k->layout == TFLITE_FILTERS_LAST ? 3 : 0, 0);
    return tensor;
}

/* `steps` are those of the bias: a filter's times the input's. */
static int int32_bias_add(tflite_builder *b, const arranged *k, const float *steps) {
    void *data;
    int tensor = tflite_constant_add(b, k->layer, ".bias", TFLITE_INT32, 1, &(int){(int)k->filters}, &data);
    int32_t *stored = data;
    for (size_t f = 0; stored && f < k->filters; f++) stored[f] = (int32_t)lrintf(k->bias[f] / steps[f]);
    tflite_tensor_quantise(b, tensor, steps, (int)k->filters, 0, 0);
    return tensor;
}

static tflite_kernel int8_add(tflite_builder *b, const arranged *k, float input_step) {
    tflite_kernel made = {TFLITE_NO_TENSOR, TFLITE_NO_TENSOR};
    float *steps = fv_allocate(k->filters, sizeof *steps, "the steps of a layer's filters");
    if (!steps) {
        tflite_builder_fail(b, FV_NO_RESOURCE);
        return made;
    }
    find_steps(k, input_step, steps);
    made.weight = int8_weight_add(b, k, steps);
    for (size_t f = 0; f < k->filters; f++) steps[f] *= input_step;
    made.bias = int32_bias_add(b, k, steps);
    free(steps);
    return made;
}

/* ---- all ---- */

tflite_kernel tflite_kernel_add(tflite_builder *b, const fv_folded_layer *layer, fv_shape shape,
                                tflite_kernel_layout layout, fv_tflite_type type, int input) {
    arranged k = {0};
    tflite_kernel made = {TFLITE_NO_TENSOR, TFLITE_NO_TENSOR};
    if (b->status != FV_OK) return made;
    tflite_builder_fail(b, arrange(layer, shape, layout, &k));
    if (b->status == FV_OK && type == FV_TFLITE_INT8) {
        made = int8_add(b, &k, b->tensors[input].quantisation.scale[0]);
    } else if (b->status == FV_OK) {
        bool half = type == FV_TFLITE_FLOAT16;
        made.weight = half ? float16_weight_add(b, &k) : float32_add(b, layer->name, ".weight", 4, k.dims, k.weight);
        made.bias = float32_add(b, layer->name, ".bias", 1, &(int){shape.c}, layer->bias);
    }
    free(k.weight);
    return made;
}
