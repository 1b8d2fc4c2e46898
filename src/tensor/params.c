#include "fovea/tensor/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/rng.h"

#define OFFSET_STEP ((size_t)16)      /* elements: each parameter begins on a cache line of its own */
#define TOTAL_LIMIT ((size_t)1 << 31) /* elements: 8 GiB of float32, far beyond any network that a CPU trains */

void fv_params_init(fv_params *params) {
    *params = (fv_params){0};
}

void fv_params_free(fv_params *params) {
    fv_block_free(params->values);
    fv_block_free(params->gradients);
    free(params->list);
    *params = (fv_params){0};
}

int fv_params_find(const fv_params *params, const char *name) {
    for (int i = 0; i < params->count; i++)
        if (!strcmp(params->list[i].name, name)) return i;
    return -1;
}

static fv_status check_declaration(const fv_params *params, const char *name, fv_shape shape, fv_init init, int fan_in,
                                   int fan_out) {
    char text[FV_SHAPE_TEXT];
    if (params->values) return fv_fail(FV_BAD_INPUT, "parameter %s is declared after the weights were allocated", name);
    if (strlen(name) >= FV_NAME_MAX || !*name)
        return fv_fail(FV_BAD_INPUT, "parameter \"%s\": a name must have 1 to %d letters", name, FV_NAME_MAX - 1);
    if (shape.n < 1 || shape.h < 1 || shape.w < 1 || shape.c < 1)
        return fv_fail(FV_BAD_INPUT, "parameter %s: shape %s has a size below 1", name, fv_shape_text(shape, text));
    bool needs_fan_in = init == FV_INIT_HE_NORMAL || init == FV_INIT_LECUN_UNIFORM;
    if ((needs_fan_in && fan_in < 1) ||
        (init == FV_INIT_GLOROT_UNIFORM && (fan_in < 0 || fan_out < 0 || fan_in + (long)fan_out < 1)))
        return fv_fail(FV_BAD_INPUT, "parameter %s: fan_in %d and fan_out %d do not scale its initial values", name,
                       fan_in, fan_out);
    return FV_OK;
}

/* Checked against TOTAL_LIMIT, so that offsets and byte counts cannot overflow. */
static fv_status count_elements(const fv_params *params, const char *name, fv_shape shape, size_t *count) {
    char text[FV_SHAPE_TEXT];
    *count = fv_size_multiply(fv_size_multiply((size_t)shape.n, (size_t)shape.h),
                              fv_size_multiply((size_t)shape.w, (size_t)shape.c));
    if (*count <= TOTAL_LIMIT && params->total + *count <= TOTAL_LIMIT) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "parameter %s of shape %s makes the network larger than 2^31 values; choose a smaller one", name,
                   fv_shape_text(shape, text));
}

static fv_status grow(fv_params *params) {
    if (params->count < params->capacity) return FV_OK;
    int capacity = params->capacity ? 2 * params->capacity : 64;
    fv_param *larger = realloc(params->list, (size_t)capacity * sizeof *larger);
    if (!larger) return fv_fail_memory("the list of parameters", (size_t)capacity * sizeof *larger);
    params->list = larger;
    params->capacity = capacity;
    return FV_OK;
}

fv_status fv_params_declare(fv_params *params, const char *name, fv_shape shape, fv_init init, int fan_in, int fan_out,
                            bool trainable, int *index) {
    int known = fv_params_find(params, name);
    *index = known;
    if (known >= 0) {
        if (fv_shape_equal(params->list[known].shape, shape)) return FV_OK;
        char old_text[FV_SHAPE_TEXT], new_text[FV_SHAPE_TEXT];
        *index = -1;
        return fv_fail(FV_BAD_INPUT, "parameter %s is declared with shape %s and again with shape %s", name,
                       fv_shape_text(params->list[known].shape, old_text), fv_shape_text(shape, new_text));
    }
    size_t count;
    FV_TRY(check_declaration(params, name, shape, init, fan_in, fan_out));
    FV_TRY(count_elements(params, name, shape, &count));
    FV_TRY(grow(params));
    fv_param *fresh = &params->list[params->count];
    *fresh = (fv_param){.shape = shape,
                        .offset = params->total,
                        .count = count,
                        .fan_in = fan_in,
                        .fan_out = fan_out,
                        .init = init,
                        .trainable = trainable};
    strcpy(fresh->name, name);
    params->total += (count + OFFSET_STEP - 1) / OFFSET_STEP * OFFSET_STEP;
    *index = params->count++;
    return FV_OK;
}

static void draw_uniform(fv_real *values, size_t count, double bound, fv_rng *rng) {
    for (size_t i = 0; i < count; i++) values[i] = (fv_real)fv_rng_range(rng, -bound, bound);
}

static void draw(const fv_param *param, fv_real *values, fv_rng rng) {
    switch (param->init) {
    case FV_INIT_ZERO:
        break; /* the block is */
    case FV_INIT_ONE:
        for (size_t i = 0; i < param->count; i++) values[i] = 1;
        break;
    case FV_INIT_RARE:
        for (size_t i = 0; i < param->count; i++) values[i] = (fv_real)-log(49.0);
        break;
    case FV_INIT_HE_NORMAL: {
        double deviation = sqrt(2.0 / param->fan_in);
        for (size_t i = 0; i < param->count; i++) values[i] = (fv_real)(deviation * fv_rng_normal(&rng));
        break;
    }
    case FV_INIT_GLOROT_UNIFORM:
        draw_uniform(values, param->count, sqrt(6.0 / ((double)param->fan_in + param->fan_out)), &rng);
        break;
    case FV_INIT_LECUN_UNIFORM:
        draw_uniform(values, param->count, sqrt(1.0 / param->fan_in), &rng);
        break;
    }
}

fv_status fv_params_allocate(fv_params *params, uint64_t seed) {
    if (params->values) return fv_fail(FV_BAD_INPUT, "the weights are allocated already");
    void *values;
    FV_TRY(fv_block_allocate(params->total * sizeof(fv_real), "the weights", &values));
    params->values = values;
    for (int i = 0; i < params->count; i++)
        draw(&params->list[i], params->values + params->list[i].offset,
             fv_rng_make(seed, 0, (uint64_t)i, FV_PURPOSE_INIT));
    return FV_OK;
}

fv_status fv_params_allocate_gradients(fv_params *params) {
    if (params->gradients) return FV_OK;
    void *gradients;
    FV_TRY(fv_block_allocate(params->total * sizeof(fv_real), "the gradients of the weights", &gradients));
    params->gradients = gradients;
    return FV_OK;
}

size_t fv_params_count_values(const fv_params *params, bool trainable_only) {
    size_t sum = 0;
    for (int i = 0; i < params->count; i++)
        if (params->list[i].trainable || !trainable_only) sum += params->list[i].count;
    return sum;
}
