/* From what was read to a model: the output, the weights in fovea's order, the spec. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/model/model.h"
#include "onnx_reader.h"

#define ROWS_AT_ONCE 16 /* of a weight being turned: their places in fovea's order are neighbours, a cache line */

/* ---- the output ---- */

/* Whether the step's result are probabilities that were resized or put side by side: fovea's own sigmoid behind them
   would be one too many. */
static bool gives_probabilities(const fv_recipe *recipe, int index) {
    bool found[FV_RECIPE_MAX_STEPS];
    for (int i = 0; i <= index; i++) {
        const fv_recipe_step *step = &recipe->steps[i];
        bool passes =
            step->kind == FV_OP_upsample_nearest || step->kind == FV_OP_upsample_bilinear || step->kind == FV_OP_concat;
        found[i] = step->kind == FV_OP_sigmoid;
        for (int k = 0; k < step->inputs && passes; k++)
            found[i] = found[i] || (step->in[k].source == FV_FROM_STEP && found[step->in[k].index]);
    }
    return found[index];
}

/* The step of the first output; a last Sigmoid is left out. */
static fv_status find_output(fv_onnx_reader *r) {
    const char *name = r->file->output[0]->name;
    const fv_onnx_value *output = fv_onnx_find(r, name);
    if (!output) return fv_fail(FV_BAD_INPUT, "%s: no node makes the output %.60s", r->path, name);
    if (output->constant || output->flat || output->ref.source != FV_FROM_STEP)
        return fv_fail(FV_BAD_INPUT, "%s: the output %.60s is not a picture {N, classes, H, W} that the network makes",
                       r->path, name);
    if (fv_onnx_has_zeros(output))
        return fv_fail(FV_BAD_INPUT,
                       "%s: the output %.60s is padded; fovea pads pictures only in front of convolutions", r->path,
                       name);
    int step = output->ref.index;
    const fv_recipe_step *last = &r->recipe->steps[step];
    if (last->kind == FV_OP_sigmoid && last->in[0].source == FV_FROM_STEP)
        step = last->in[0].index;
    else if (gives_probabilities(r->recipe, step))
        return fv_fail(FV_BAD_INPUT,
                       "%s: the output %.60s is made from the results of a Sigmoid; expected the Sigmoid at the end, "
                       "or none",
                       r->path, name);
    r->recipe->output = step;
    fv_shape in = fv_graph_shape(&r->graph, r->input), out = fv_graph_shape(&r->graph, r->made[step]);
    if (out.h != in.h || out.w != in.w || out.c > FV_MAX_CLASSES)
        return fv_fail(FV_BAD_INPUT,
                       "%s: the output %.60s has %d channels of %dx%d for an input of %dx%d; expected 1 to %d classes "
                       "of the input's size",
                       r->path, name, out.c, out.w, out.h, in.w, in.h, FV_MAX_CLASSES);
    return FV_OK;
}

/* ---- normalisation within the network ---- */

/* fovea's own exports may begin with the normalisation (onnx_write_input.c: a scale and an offset of the input), which
   their spec says too and whoever runs the model does. What reads it reads the input itself. */
static bool is_own_normalisation(const fv_recipe_step *step) {
    return step->kind == FV_OP_batch_norm &&
           (strcmp(step->name, "prepare.scaled") == 0 || strcmp(step->name, "prepared") == 0);
}

static void leave_out_normalisation(fv_recipe *recipe) {
    bool plain[FV_RECIPE_MAX_STEPS]; /* the step gives the input, normalised */
    for (int i = 0; i < recipe->step_count; i++) {
        fv_recipe_step *step = &recipe->steps[i];
        for (int k = 0; k < step->inputs; k++)
            if (step->in[k].source == FV_FROM_STEP && plain[step->in[k].index]) step->in[k] = (fv_recipe_ref){0};
        plain[i] = is_own_normalisation(step) && step->in[0].source == FV_FROM_INPUT && i != recipe->output;
    }
}

/* ---- weights ---- */

static void fill_weights(const fv_onnx_weights *w, float *rows, fv_real *values) {
    size_t run = w->columns * w->taps;
    if (!w->source.data) {
        for (size_t i = 0; i < w->rows * run; i++) values[i] = w->fill;
        return;
    }
    for (size_t begin = 0; begin < w->rows; begin += ROWS_AT_ONCE) {
        size_t count = w->rows - begin < ROWS_AT_ONCE ? w->rows - begin : ROWS_AT_ONCE;
        fv_onnx_tensor_floats(&w->source, begin * run, count * run, rows);
        for (size_t j = 0; j < w->columns; j++)
            for (size_t k = 0; k < w->taps; k++)
                for (size_t i = 0; i < count; i++)
                    values[(begin + i) * w->row_step + j * w->column_step + k * w->tap_step] =
                        rows[i * run + j * w->taps + k];
    }
}

static const fv_onnx_weights *weights_of(const fv_onnx_reader *r, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(r->weights[i].name, name) == 0) return &r->weights[i];
    return NULL;
}

/* `count`: of the weights read, before pruning. */
static fv_status fill_params(const fv_onnx_reader *r, int count, fv_model *model) {
    for (int i = 0; i < model->params.count; i++) {
        const fv_param *param = &model->params.list[i];
        const fv_onnx_weights *weights = weights_of(r, count, param->name);
        float *rows = fv_allocate_unset(ROWS_AT_ONCE * weights->columns * weights->taps, sizeof *rows, "weights");
        if (!rows) return FV_NO_RESOURCE;
        fill_weights(weights, rows, model->params.values + param->offset);
        free(rows);
    }
    return FV_OK;
}

/* ---- the spec ---- */

static fv_status make_spec(const fv_onnx_reader *r, int size, fv_model_spec *spec) {
    int classes = fv_graph_shape(&r->graph, r->made[r->recipe->output]).c;
    if (r->spec) {
        FV_TRY(fv_model_spec_parse(r->spec, r->path, spec));
        if (spec->classes == classes) return FV_OK;
        return fv_fail(FV_BAD_INPUT, "%s: the network gives %d classes, its metadata name %d", r->path, classes,
                       spec->classes);
    }
    *spec = (fv_model_spec){.classes = classes,
                            .preprocess = {.size = size,
                                           .work_size = size,
                                           .fit = FV_FIT_LETTERBOX,
                                           .normalise = FV_NORMALISE_IMAGENET,
                                           .enhance = fv_enhance_standard()}};
    for (int c = 0; c < classes; c++) {
        spec->thresholds[c] = 0.5;
        snprintf(spec->class_names[c], sizeof spec->class_names[c], "class%d", c + 1);
    }
    return fv_enhance_parse("none", &spec->preprocess.enhance);
}

fv_status fv_onnx_make_model(fv_onnx_reader *r, int size, fv_model **model) {
    fv_model_spec spec;
    int weights = r->recipe->param_count;
    FV_TRY(find_output(r));
    FV_TRY(make_spec(r, size, &spec));
    if (r->spec) leave_out_normalisation(r->recipe);
    FV_TRY(fv_recipe_prune(r->recipe));
    fv_recipe *recipe = r->recipe;
    r->recipe = NULL;
    fv_status status = fv_fail_about(fv_model_make_recipe(&spec, recipe, model), r->path);
    if (status == FV_OK) status = fill_params(r, weights, *model);
    if (status == FV_OK) return FV_OK;
    fv_model_free(*model);
    *model = NULL;
    return status;
}
