#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "fovea/graph/plan.h"
#include "fovea/nn/layers.h"
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
    fv_graph g;
    int size = model->spec.preprocess.size, classes = model->spec.classes;
    fv_graph_init(&g, &model->params);
    fv_value logits = fv_model_build(model, &g, fv_graph_input(&g, "input", (fv_shape){batch, size, size, 3}, false));
    fv_value target = fv_graph_input(&g, "target", (fv_shape){batch, size, size, classes}, false);
    fv_value valid = fv_graph_input(&g, "valid", (fv_shape){batch, 1, 1, classes}, false);
    fv_value total = fv_loss_add(&g, "loss", loss, logits, target, valid);
    fv_status status = fv_plan_measure(&g, FV_PLAN_TRAIN, &logits, 1, total, bytes);
    fv_graph_free(&g);
    return status;
}

static void print_preprocess(const fv_preprocess *p) {
    printf("preprocess    %s into %dx%d, %s", fv_fit_names[p->fit], p->work_size, p->work_size,
           fv_enhance_names[p->enhance]);
    if (p->enhance == FV_ENHANCE_LAB_CLAHE)
        printf(" (clip %g, %dx%d tiles)", p->clahe_clip, p->clahe_tiles, p->clahe_tiles);
    printf(", sampled to %dx%d, %s values\n", p->size, p->size, fv_normalise_names[p->normalise]);
}

static fv_status print_summary(fv_model *model, const fv_graph *graph, fv_value logits, const fv_loss_settings *loss,
                               int batch) {
    size_t infer, train;
    FV_TRY(fv_plan_measure(graph, FV_PLAN_INFER, &logits, 1, FV_NO_VALUE, &infer));
    FV_TRY(training_bytes(model, loss, batch, &train));
    const fv_model_spec *spec = &model->spec;
    printf("\nnetwork       %s, ", spec->network);
    if (spec->base)
        printf("base %d\n", spec->base);
    else
        printf("width %g, %s convention\n", spec->width, fv_convention_names[spec->convention]);
    printf("classes      ");
    for (int c = 0; c < spec->classes; c++) printf(" %s (threshold %g)", spec->class_names[c], spec->thresholds[c]);
    printf("\n");
    print_preprocess(&spec->preprocess);
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
        fv_model_build(model, &graph, fv_graph_input(&graph, "input", (fv_shape){1, size, size, 3}, false));
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
    return fv_model_load(path, model);
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
