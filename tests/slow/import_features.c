/* What imported weights compute, for tests/peers/import_peers.py:

     import_features encoder WEIGHTS WIDTH CONVENTION INPUT.npz OUT.safetensors
     import_features model MODEL.safetensors INPUT.npz OUT.safetensors

   INPUT.npz holds one array, {height, width, 3}. The encoder's five feature maps are written as b1, b3, b6, b13 and
   head, a model's logits as logits: {height, width, channels}, float32. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/exchange/import.h"
#include "fovea/graph/plan.h"

#define MOST_FEATURES 5

typedef struct features {
    int count;
    const char *names[MOST_FEATURES];
    fv_value values[MOST_FEATURES];
} features;

static fv_status write_features(const fv_graph *g, const fv_plan *plan, const features *f, const char *path) {
    fv_safetensors_writer *writer;
    FV_TRY(fv_safetensors_writer_make(&writer));
    for (int i = 0; i < f->count; i++) {
        fv_shape s = fv_graph_shape(g, f->values[i]);
        const int64_t shape[3] = {s.h, s.w, s.c};
        FV_TRY(fv_safetensors_add(writer, f->names[i], "F32", 3, shape, fv_plan_data(plan, f->values[i])));
    }
    return fv_safetensors_write(writer, path);
}

static fv_value find_value(const fv_graph *g, const char *name) {
    for (int v = 0; v < g->value_count; v++)
        if (strcmp(g->values[v].name, name) == 0) return v;
    return FV_NO_VALUE;
}

static void find_encoder(const fv_graph *g, features *f) {
    static const char *const names[] = {"b1", "b3", "b6", "b13", "head"};
    for (f->count = 0; f->count < MOST_FEATURES; f->count++) {
        char layer[48];
        snprintf(layer, sizeof layer, "encoder.%s%s.norm", names[f->count], f->count < 4 ? ".expand" : "");
        f->names[f->count] = names[f->count];
        f->values[f->count] = find_value(g, layer);
    }
}

static fv_status run(fv_model *model, bool encoder, const fv_foreign_tensor *input, const char *out) {
    fv_graph g;
    fv_plan *plan;
    features f = {1, {"logits"}, {0}};
    fv_graph_init(&g, &model->params);
    fv_shape shape = {1, (int)input->shape[0], (int)input->shape[1], 3};
    fv_value in = fv_graph_input(&g, "input", shape, false);
    f.values[0] = fv_model_build(model, &g, in, NULL);
    FV_TRY(fv_graph_status(&g));
    if (encoder) find_encoder(&g, &f);
    FV_TRY(fv_plan_make(&g, FV_PLAN_INFER, f.values, f.count, FV_NO_VALUE, &plan));
    memcpy(fv_plan_data(plan, in), input->values, input->count * sizeof(float));
    fv_plan_forward(plan, false, 0, 0);
    FV_TRY(write_features(&g, plan, &f, out));
    fv_plan_free(plan);
    fv_graph_free(&g);
    return FV_OK;
}

static fv_status load_encoder(char **words, fv_model **model) {
    fv_model_spec spec = {.network = "mobilenetv2_unet",
                          .width = strtod(words[1], NULL),
                          .convention =
                              strcmp(words[2], "keras") == 0 ? FV_CONVENTION_KERAS : FV_CONVENTION_TORCHVISION,
                          .classes = 1,
                          .class_names = {"disc"},
                          .preprocess = {.size = 256, .work_size = 256, .enhance = fv_enhance_standard()}};
    FV_TRY(fv_model_make(&spec, 1, model));
    return fv_model_load_encoder(*model, words[0]);
}

static fv_status features_of(int argc, char **argv) {
    fv_model *model = NULL;
    fv_foreign input;
    bool encoder = argc == 7 && strcmp(argv[1], "encoder") == 0;
    if (!encoder && !(argc == 5 && strcmp(argv[1], "model") == 0))
        return fv_fail(FV_BAD_INPUT, "see the head of tests/slow/import_features.c");
    FV_TRY(encoder ? load_encoder(argv + 2, &model) : fv_model_load(argv[2], &model));
    FV_TRY(fv_foreign_read(argv[argc - 2], &input));
    FV_TRY(run(model, encoder, &input.list[0], argv[argc - 1]));
    fv_foreign_free(&input);
    fv_model_free(model);
    return FV_OK;
}

int main(int argc, char **argv) {
    fv_status status = features_of(argc, argv);
    if (status != FV_OK) fprintf(stderr, "import_features: %s\n", fv_error());
    return status;
}
