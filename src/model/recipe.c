#include "fovea/model/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

#define LARGEST_MULTIPLE 1024 /* px */

fv_recipe *fv_recipe_make(void) {
    return fv_allocate(1, sizeof(fv_recipe), "a recipe");
}

void fv_recipe_free(fv_recipe *recipe) {
    if (!recipe) return;
    free(recipe->steps);
    free(recipe->params);
    free(recipe);
}

/* ---- collecting ---- */

/* Doubles the room of an array that is full; items are plain structs. */
static fv_status grow(void **items, int count, int *capacity, size_t item_bytes) {
    if (count < *capacity) return FV_OK;
    int wanted = *capacity ? *capacity * 2 : 64;
    void *grown = realloc(*items, (size_t)wanted * item_bytes);
    if (!grown) return fv_fail_memory("a recipe", (size_t)wanted * item_bytes);
    *items = grown;
    *capacity = wanted;
    return FV_OK;
}

fv_status fv_recipe_add_param(fv_recipe *recipe, const fv_recipe_param *param) {
    if (recipe->param_count == FV_RECIPE_MAX_PARAMS)
        return fv_fail(FV_BAD_INPUT, "the network has more than %d parameters", FV_RECIPE_MAX_PARAMS);
    for (int i = 0; i < recipe->param_count; i++)
        if (strcmp(recipe->params[i].name, param->name) == 0)
            return fv_fail(FV_BAD_INPUT, "two parameters are called \"%s\"", param->name);
    if (!param->name[0]) return fv_fail(FV_BAD_INPUT, "a parameter has no name");
    FV_TRY(grow((void **)&recipe->params, recipe->param_count, &recipe->param_capacity, sizeof *param));
    recipe->params[recipe->param_count++] = *param;
    return FV_OK;
}

static bool refers_to_known(const fv_recipe *recipe, fv_recipe_ref ref) {
    int known = ref.source == FV_FROM_STEP ? recipe->step_count : ref.source == FV_FROM_PARAM ? recipe->param_count : 1;
    return ref.index >= 0 && ref.index < known;
}

fv_status fv_recipe_add_step(fv_recipe *recipe, const fv_recipe_step *step) {
    for (int i = 0; i < recipe->step_count; i++)
        if (strcmp(recipe->steps[i].name, step->name) == 0)
            return fv_fail(FV_BAD_INPUT, "two steps are called \"%s\"", step->name);
    if (!step->name[0]) return fv_fail(FV_BAD_INPUT, "a step has no name");
    if (recipe->step_count == FV_RECIPE_MAX_STEPS)
        return fv_fail(FV_BAD_INPUT, "the network has more than %d steps", FV_RECIPE_MAX_STEPS);
    if (step->inputs < 1 || step->inputs > FV_MAX_INPUTS)
        return fv_fail(FV_BAD_INPUT, "step \"%s\" has %d inputs, expected 1 to %d", step->name, step->inputs,
                       FV_MAX_INPUTS);
    if (step->in[0].source == FV_FROM_PARAM)
        return fv_fail(FV_BAD_INPUT, "step \"%s\" reads a parameter where its picture stands", step->name);
    for (int k = 0; k < step->inputs; k++)
        if (!refers_to_known(recipe, step->in[k]))
            return fv_fail(FV_BAD_INPUT, "input %d of step \"%s\" is not made before it", k, step->name);
    FV_TRY(grow((void **)&recipe->steps, recipe->step_count, &recipe->step_capacity, sizeof *step));
    recipe->steps[recipe->step_count++] = *step;
    return FV_OK;
}

/* ---- pruning ---- */

/* Numbers what is needed anew, in order; -1 for what is not. */
static void renumber(int *number, int count) {
    for (int i = 0, next = 0; i < count; i++) number[i] = number[i] ? next++ : -1;
}

static void mark_needed(const fv_recipe *recipe, int *steps, int *params) {
    steps[recipe->output] = 1;
    for (int i = recipe->output; i >= 0; i--)
        for (int k = 0; steps[i] && k < recipe->steps[i].inputs; k++) {
            fv_recipe_ref ref = recipe->steps[i].in[k];
            if (ref.source == FV_FROM_STEP) steps[ref.index] = 1;
            if (ref.source == FV_FROM_PARAM) params[ref.index] = 1;
        }
    renumber(steps, recipe->step_count);
    renumber(params, recipe->param_count);
}

static void close_ranks(fv_recipe *recipe, const int *steps, const int *params) {
    int kept = 0;
    for (int i = 0; i < recipe->step_count; i++) {
        if (steps[i] < 0) continue;
        fv_recipe_step *step = &recipe->steps[kept++];
        *step = recipe->steps[i];
        for (int k = 0; k < step->inputs; k++) {
            fv_recipe_ref *ref = &step->in[k];
            if (ref->source != FV_FROM_INPUT)
                ref->index = ref->source == FV_FROM_STEP ? steps[ref->index] : params[ref->index];
        }
    }
    recipe->step_count = kept;
    kept = 0;
    for (int i = 0; i < recipe->param_count; i++)
        if (params[i] >= 0) recipe->params[kept++] = recipe->params[i];
    recipe->param_count = kept;
    recipe->output = steps[recipe->output];
}

fv_status fv_recipe_prune(fv_recipe *recipe) {
    int *steps = fv_allocate((size_t)recipe->step_count, sizeof *steps, "a recipe");
    int *params = fv_allocate((size_t)recipe->param_count + 1, sizeof *params, "a recipe");
    if (steps && params) {
        mark_needed(recipe, steps, params);
        close_ranks(recipe, steps, params);
    }
    fv_status status = steps && params ? FV_OK : FV_NO_RESOURCE;
    free(steps);
    free(params);
    return status;
}

/* ---- building ---- */

fv_value fv_recipe_build_step(const fv_recipe *recipe, int index, fv_graph *graph, fv_value input,
                              const fv_value *values) {
    const fv_recipe_step *step = &recipe->steps[index];
    fv_value in[FV_MAX_INPUTS];
    for (int k = 0; k < step->inputs; k++) {
        fv_recipe_ref ref = step->in[k];
        const fv_recipe_param *param = &recipe->params[ref.index];
        in[k] = ref.source == FV_FROM_INPUT ? input
                : ref.source == FV_FROM_STEP
                    ? values[ref.index]
                    : fv_graph_param(graph, param->name, param->shape, FV_INIT_ZERO, 1, 1, param->trainable);
    }
    return fv_graph_add(graph, step->kind, step->name, &step->attributes, step->inputs, in);
}

fv_value fv_recipe_build(const fv_recipe *recipe, fv_graph *graph, fv_value input) {
    fv_value values[FV_RECIPE_MAX_STEPS];
    for (int i = 0; i < recipe->step_count; i++) values[i] = fv_recipe_build_step(recipe, i, graph, input, values);
    return values[recipe->output];
}

/* ---- the multiple ---- */

/* How much smaller than the input a step's result is: divided / multiplied, in lowest terms. */
typedef struct reduction {
    int divided, multiplied;
} reduction;

static int common_divisor(int a, int b) {
    while (b) {
        int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int factor_of(const fv_recipe_step *step) {
    switch (step->kind) {
    case FV_OP_conv2d:
    case FV_OP_depthwise:
    case FV_OP_max_pool:
    case FV_OP_conv_transpose:
        return step->attributes.stride ? step->attributes.stride : 1;
    case FV_OP_upsample_nearest:
    case FV_OP_upsample_bilinear:
        return step->attributes.scale;
    default:
        return 1;
    }
}

static reduction reduction_behind(const fv_recipe_step *step, reduction before) {
    bool up = step->kind == FV_OP_conv_transpose || step->kind == FV_OP_upsample_nearest ||
              step->kind == FV_OP_upsample_bilinear;
    int factor = factor_of(step);
    int *same_way = up ? &before.multiplied : &before.divided, *other_way = up ? &before.divided : &before.multiplied;
    int shared = common_divisor(factor, *other_way);
    *other_way /= shared;
    *same_way *= factor / shared;
    return before;
}

fv_status fv_recipe_multiple(const fv_recipe *recipe, int *multiple) {
    reduction found[FV_RECIPE_MAX_STEPS];
    *multiple = 1;
    for (int i = 0; i < recipe->step_count; i++) {
        const fv_recipe_step *step = &recipe->steps[i];
        reduction before = {1, 1};
        int factor = factor_of(step);
        if (factor < 1 || factor > LARGEST_MULTIPLE)
            return fv_fail(FV_BAD_INPUT, "step \"%s\" has the factor %d, expected 1 to %d", step->name, factor,
                           LARGEST_MULTIPLE);
        if (step->in[0].source == FV_FROM_STEP) before = found[step->in[0].index];
        found[i] = reduction_behind(step, before);
        int divided = found[i].divided;
        if (divided <= LARGEST_MULTIPLE) *multiple *= divided / common_divisor(divided, *multiple);
        if (divided > LARGEST_MULTIPLE || found[i].multiplied > LARGEST_MULTIPLE || *multiple > LARGEST_MULTIPLE)
            return fv_fail(FV_BAD_INPUT, "step \"%s\" makes the picture more than %d times smaller or larger",
                           step->name, LARGEST_MULTIPLE);
    }
    return FV_OK;
}
