/* A network as data: steps (ops with their attributes and inputs) and the parameters that they read, for networks that
   come from a file instead of a function. A recipe does not depend on the input's height and width: fv_recipe_build()
   makes the graph of any size. */
#ifndef FOVEA_MODEL_RECIPE_H
#define FOVEA_MODEL_RECIPE_H

#include "fovea/graph/graph.h"

#define FV_RECIPE_MAX_STEPS 4096
#define FV_RECIPE_MAX_PARAMS (4 * FV_RECIPE_MAX_STEPS) /* no op reads more than batch norm's four */
#define FV_RECIPE_NETWORK "recipe"                     /* spec.network of a model that has a recipe */

/* Where an input of a step comes from. */
typedef enum fv_recipe_source { FV_FROM_INPUT, FV_FROM_STEP, FV_FROM_PARAM } fv_recipe_source;

typedef struct fv_recipe_ref {
    fv_recipe_source source;
    int index; /* of the step (an earlier one) or of the parameter; 0 for the network's input */
} fv_recipe_ref;

typedef struct fv_recipe_step {
    char name[FV_NAME_MAX]; /* of the graph's node; no two steps have the same */
    fv_op_kind kind;
    fv_attributes attributes;
    int inputs;
    fv_recipe_ref in[FV_MAX_INPUTS];
} fv_recipe_step;

typedef struct fv_recipe_param {
    char name[FV_NAME_MAX];
    fv_shape shape;
    bool trainable; /* false: state such as batch norm's running mean */
} fv_recipe_param;

typedef struct fv_recipe {
    fv_recipe_step *steps;
    fv_recipe_param *params;
    int step_count, step_capacity, param_count, param_capacity;
    int output; /* the step whose result are the logits */
} fv_recipe;

/* NULL after an fv_fail_memory() sentence. */
fv_recipe *fv_recipe_make(void);
/* Accepts NULL. */
void fv_recipe_free(fv_recipe *recipe);
/* Append a copy. FV_BAD_INPUT for a name that is empty or there already, for an input that refers to what is not there
   yet or is a parameter in a picture's place, and for more than FV_RECIPE_MAX_STEPS steps or FV_RECIPE_MAX_PARAMS
   parameters. */
fv_status fv_recipe_add_param(fv_recipe *recipe, const fv_recipe_param *param);
fv_status fv_recipe_add_step(fv_recipe *recipe, const fv_recipe_step *step);
/* Takes out the steps and parameters that the output does not need; the order of the others stays. */
fv_status fv_recipe_prune(fv_recipe *recipe);

/* Adds step `index` to the graph. values[i]: what step i < index has given; `input`: the network's. */
fv_value fv_recipe_build_step(const fv_recipe *recipe, int index, fv_graph *graph, fv_value input,
                              const fv_value *values);
/* Adds all steps; the logits. Errors stay with the graph. */
fv_value fv_recipe_build(const fv_recipe *recipe, fv_graph *graph, fv_value input);

/* Sides of the input must be multiples of this, so that every step with a stride halves (or thirds ...) evenly and what
   is scaled up again fits: the least common multiple of what the sides have been divided by in front of any step.
   FV_BAD_INPUT above 1024. */
fv_status fv_recipe_multiple(const fv_recipe *recipe, int *multiple);

/* The recipe as the JSON text that model files carry as "fovea.recipe", with the attributes that networks from files
   have: kernel, stride, dilation, groups, scale, padding, epsilon. To be freed; NULL when out of memory. */
char *fv_recipe_json(const fv_recipe *recipe);
/* The way back, every field checked; `path` stands in messages. On failure *recipe is NULL. */
fv_status fv_recipe_parse(const char *text, const char *path, fv_recipe **recipe);

#endif
