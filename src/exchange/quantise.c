#include "fovea/exchange/quantise.h"

#include <math.h>
#include <stdlib.h>

#include "fovea/base/memory.h"

#define MOST_WEIGHT 127
#define MOST_BIAS 1073741824.0F /* 2^30: room for the sum of products that is added to it */

const char *const fv_precision_names[] = {"float32", "float16", "float16_storage", "int8", NULL};

fv_steps fv_steps_of(fv_range range, int least, int most) {
    fv_steps steps = {.scale = (range.high - range.low) / (float)(most - least), .least = least, .most = most};
    steps.zero = least + (int)lrintf(-range.low / steps.scale);
    if (steps.zero > most) steps.zero = most;
    return steps;
}

/* Of filter f; 1 where all is 0. */
static float filter_scale(const fv_folded_layer *layer, size_t f, float input_scale) {
    size_t filters = (size_t)layer->weight_shape.c, count = fv_shape_count(layer->weight_shape);
    float most = 0, bias = fabsf(layer->bias[f]);
    for (size_t i = f; i < count; i += filters) most = fmaxf(most, fabsf(layer->weight[i]));
    float scale = fmaxf(most / MOST_WEIGHT, bias / input_scale / MOST_BIAS);
    return scale > 0 ? scale : 1;
}

static bool all_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

fv_status fv_quantise_kernel(const fv_folded_layer *layer, float input_scale, fv_quantised_kernel *kernel) {
    size_t filters = (size_t)layer->weight_shape.c, count = fv_shape_count(layer->weight_shape);
    *kernel = (fv_quantised_kernel){.count = count, .filters = filters};
    if (!all_finite(layer->weight, count) || !all_finite(layer->bias, filters))
        return fv_fail(FV_BAD_INPUT, "layer %s has weights that are not numbers: the model is damaged", layer->name);
    kernel->q = fv_allocate(count, sizeof *kernel->q, "an 8-bit kernel");
    kernel->b = fv_allocate(filters, sizeof *kernel->b, "an 8-bit kernel");
    kernel->scale = fv_allocate(filters, sizeof *kernel->scale, "an 8-bit kernel");
    if (!kernel->q || !kernel->b || !kernel->scale) {
        fv_quantised_kernel_free(kernel);
        return FV_NO_RESOURCE;
    }
    for (size_t f = 0; f < filters; f++) {
        kernel->scale[f] = filter_scale(layer, f, input_scale);
        kernel->b[f] = (int32_t)lrint((double)layer->bias[f] / ((double)kernel->scale[f] * (double)input_scale));
    }
    for (size_t i = 0; i < count; i++) kernel->q[i] = (int8_t)lrintf(layer->weight[i] / kernel->scale[i % filters]);
    return FV_OK;
}

void fv_quantised_kernel_free(fv_quantised_kernel *kernel) {
    free(kernel->q);
    free(kernel->b);
    free(kernel->scale);
    *kernel = (fv_quantised_kernel){0};
}
