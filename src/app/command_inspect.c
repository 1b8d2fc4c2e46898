#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "fovea/exchange/open.h"
#include "fovea/graph/plan.h"
#include "fovea/train/step.h"
#include "options.h"
#include "run_setup.h"

/* ---- the table of layers ---- */

static size_t node_parameters(const fv_graph *graph, const fv_graph_node *node) {
    size_t count = 0;
    for (int k = 0; k < node->spec.inputs; k++) {
        int param = graph->values[node->in[k]].param;
        if (param >= 0) count += graph->params->list[param].count;
    }
    return count;
}

static void print_layers(const fv_graph *graph) {
    printf("%-38s %-18s %-18s %12s %10s\n", "layer", "op", "output (NHWC)", "parameters", "MMAC");
    for (int i = 0; i < graph->node_count; i++) {
        const fv_graph_node *node = &graph->nodes[i];
        const fv_op *op = fv_op_table[node->spec.kind];
        char shape[FV_SHAPE_TEXT];
        printf("%-38s %-18s %-18s %12zu %10.2f\n", node->name, op->name, fv_shape_text(node->spec.out, shape),
               node_parameters(graph, node), op->macs ? op->macs(&node->spec) / 1e6 : 0.0);
    }
}

static double total_macs(const fv_graph *graph) {
    double macs = 0;
    for (int i = 0; i < graph->node_count; i++) {
        const fv_op *op = fv_op_table[graph->nodes[i].spec.kind];
        if (op->macs) macs += op->macs(&graph->nodes[i].spec);
    }
    return macs;
}

/* ---- memory ---- */

static fv_status training_bytes(fv_model *model, const fv_loss_settings *loss, int batch, size_t *bytes) {
    const fv_train_settings settings = {.model = model->spec, .loader = {.batch = batch}, .loss = *loss};
    return fv_train_step_measure(&settings, model, bytes);
}

static void print_preprocess(const fv_preprocess *p) {
    const fv_enhance *enhance = &p->enhance;
    char steps[FV_ENHANCE_TEXT];
    fv_enhance_text(enhance, steps);
    printf("preprocess    %s", fv_fit_names[p->fit]);
    if (p->fit == FV_FIT_FOV)
        printf(" of %d px", p->fov_diameter);
    else if (p->fit != FV_FIT_NATIVE)
        printf(" into %dx%d", p->work_size, p->work_size);
    printf(", %s", steps);
    if (fv_enhance_has(enhance, FV_ENHANCE_CLAHE) || fv_enhance_has(enhance, FV_ENHANCE_LAB_CLAHE))
        printf(" (clip %g, %dx%d tiles)", enhance->clahe_clip, enhance->clahe_tiles, enhance->clahe_tiles);
    if (fv_enhance_has(enhance, FV_ENHANCE_LOCAL)) printf(" (sigma %g px)", enhance->local_sigma);
    if (!p->windows)
        printf(", sampled to %dx%d", p->size, p->size);
    else if (p->tile)
        printf(", windows of %d px in training and %d px in prediction", p->size, p->tile);
    else
        printf(", windows of %d px in training, prediction in one piece", p->size);
    printf(", %s values\n", fv_normalise_names[p->normalise]);
}

static fv_status print_summary(fv_model *model, const fv_graph *graph, fv_value logits, const fv_loss_settings *loss,
                               int batch) {
    size_t infer, train;
    FV_TRY(fv_plan_measure(graph, FV_PLAN_INFER, &logits, 1, FV_NO_VALUE, &infer));
    FV_TRY(training_bytes(model, loss, batch, &train));
    const fv_model_spec *spec = &model->spec;
    printf("\nnetwork       %s, ", spec->network);
    if (spec->base && spec->depth)
        printf("base %d, depth %d, %s norm\n", spec->base, spec->depth, fv_norm_names[spec->norm]);
    else if (spec->base)
        printf("base %d\n", spec->base);
    else
        printf("width %g, %s convention\n", spec->width, fv_convention_names[spec->convention]);
    printf("classes      ");
    for (int c = 0; c < spec->classes; c++) printf(" %s (threshold %g)", spec->class_names[c], spec->thresholds[c]);
    printf("\n");
    print_preprocess(&spec->preprocess);
    if (model->ranges) printf("arithmetic    8 bits in prediction\n");
    printf("parameters    %zu trainable, %zu in all\n", fv_params_count_values(&model->params, true),
           fv_params_count_values(&model->params, false));
    printf("cost          %.3f GMAC a photograph\n", total_macs(graph) / 1e9);
    printf(
        "memory        %.1f MiB of tensors to predict (batch 1), %.1f MiB to train (batch %d), %.1f MiB of weights\n",
        (double)infer / (1 << 20), (double)train / (1 << 20), batch,
        (double)(model->params.total * sizeof(float)) / (1 << 20));
    return FV_OK;
}

static fv_status inspect(fv_model *model, const fv_loss_settings *loss, int batch) {
    fv_graph graph;
    int size = model->spec.preprocess.size;
    fv_graph_init(&graph, &model->params);
    fv_value logits =
        fv_model_build(model, &graph, fv_graph_input(&graph, "input", (fv_shape){1, size, size, 3}, false), NULL);
    fv_status status = fv_graph_status(&graph);
    if (status == FV_OK) {
        print_layers(&graph);
        status = print_summary(model, &graph, logits, loss, batch);
    }
    fv_graph_free(&graph);
    return status;
}

static fv_status model_of_config(const char *path, char *const *overrides, int count, fv_loss_settings *loss,
                                 fv_model **model) {
    fv_train_settings settings;
    FV_TRY(run_settings_read(path, overrides, count, &settings));
    *loss = settings.loss;
    return fv_model_make(&settings.model, settings.seed, model);
}

static fv_status model_of_file(const char *word, int word_count, fv_model **model) {
    char path[FV_PATH_MAX];
    if (word_count > 1) return fv_fail(FV_BAD_INPUT, "fovea inspect takes one model; see fovea inspect --help");
    FV_TRY(run_model_path(word, path));
    return fv_model_open(path, model);
}

static bool ends_with(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

fv_status command_inspect(int argc, char **argv) {
    long batch = 8;
    bool done;
    char **words;
    int word_count;
    const option_spec options[] = {
        {"batch", OPTION_INTEGER, &batch, "N", "batch of the training memory (default 8)", 1, 1024}};
    const command_line line = {"inspect",
                               "MODEL|RUN | CONFIG.ini [section.key=value ...] [options]",
                               "Prints the network's layers with shapes, parameters and multiply-accumulates, what it "
                               "expects as input, and the\n"
                               "memory planned for it.",
                               "  fovea inspect runs/od_oc/best.safetensors\n"
                               "  fovea inspect configs/od_oc.ini model.width=0.5 --batch 16",
                               options,
                               1};
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    if (word_count < 1) return fv_fail(FV_BAD_INPUT, "give a model file or a configuration; see fovea inspect --help");
    fv_model *model = NULL;
    fv_loss_settings loss = {.bce = 1, .dice = 1, .smooth = 1}; /* to train a model file on: any without clDice */
    fv_status status = ends_with(words[0], ".ini") ? model_of_config(words[0], words + 1, word_count - 1, &loss, &model)
                                                   : model_of_file(words[0], word_count, &model);
    if (status == FV_OK) status = inspect(model, &loss, (int)batch);
    fv_model_free(model);
    return status;
}
