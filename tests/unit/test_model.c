/* Model files and plans of the shipped network. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fovea/base/file.h"
#include "fovea/graph/plan.h"
#include "fovea/infer/predict.h"
#include "fovea/model/model.h"
#include "fovea/tensor/half.h"
#include "temporary.h"

static fv_model_spec small_spec(void) {
    return (fv_model_spec){.network = "mobilenetv2_unet",
                           .width = 0.35,
                           .convention = FV_CONVENTION_TORCHVISION,
                           .classes = 2,
                           .class_names = {"disc", "cup"},
                           .thresholds = {0.5, 0.4375},
                           .preprocess = {.size = 64,
                                          .work_size = 128,
                                          .fit = FV_FIT_STRETCH,
                                          .enhance = {.steps = {FV_ENHANCE_LAB_CLAHE, FV_ENHANCE_UNSHARP},
                                                      .count = 2,
                                                      .clahe_clip = 2.5,
                                                      .clahe_tiles = 4,
                                                      .unsharp_amount = 0.75,
                                                      .unsharp_sigma = 3,
                                                      .local_sigma = 12},
                                          .normalise = FV_NORMALISE_IMAGENET}};
}

static fv_model *make(const fv_model_spec *spec, uint64_t seed) {
    fv_model *model;
    if (fv_model_make(spec, seed, &model) != FV_OK) fail_msg("%s", fv_error());
    return model;
}

/* Field by field: what pads the struct may differ. */
static void expect_same_spec(const fv_model_spec *a, const fv_model_spec *b) {
    assert_string_equal(a->network, b->network);
    assert_float_equal(a->width, b->width, 0);
    assert_int_equal(a->base, b->base);
    assert_int_equal(a->depth, b->depth);
    assert_int_equal(a->norm, b->norm);
    assert_int_equal(a->convention, b->convention);
    assert_int_equal(a->classes, b->classes);
    for (int c = 0; c < a->classes; c++) {
        assert_string_equal(a->class_names[c], b->class_names[c]);
        assert_float_equal(a->thresholds[c], b->thresholds[c], 0);
    }
    const fv_preprocess *p = &a->preprocess, *q = &b->preprocess;
    assert_int_equal(p->size, q->size);
    assert_int_equal(p->work_size, q->work_size);
    assert_int_equal(p->fit, q->fit);
    assert_int_equal(p->windows, q->windows);
    assert_int_equal(p->tile, q->tile);
    assert_int_equal(p->fov_diameter, q->fov_diameter);
    assert_int_equal(p->enhance.count, q->enhance.count);
    for (int i = 0; i < p->enhance.count; i++) assert_int_equal(p->enhance.steps[i], q->enhance.steps[i]);
    assert_float_equal(p->enhance.clahe_clip, q->enhance.clahe_clip, 0);
    assert_int_equal(p->enhance.clahe_tiles, q->enhance.clahe_tiles);
    assert_float_equal(p->enhance.unsharp_amount, q->enhance.unsharp_amount, 0);
    assert_float_equal(p->enhance.unsharp_sigma, q->enhance.unsharp_sigma, 0);
    assert_float_equal(p->enhance.local_sigma, q->enhance.local_sigma, 0);
    assert_int_equal(p->normalise, q->normalise);
}

static void file_holds_all_that_inference_needs(void **state) {
    (void)state;
    fv_model_spec spec = small_spec();
    fv_model *model = make(&spec, 3), *read;
    assert_int_equal(fv_model_save(model, temporary_path("m.safetensors")), FV_OK);
    if (fv_model_load(temporary_path("m.safetensors"), &read) != FV_OK) fail_msg("%s", fv_error());
    expect_same_spec(&read->spec, &model->spec);
    assert_memory_equal(read->params.values, model->params.values, model->params.total * sizeof(float));
    fv_model_free(read);
    fv_model_free(model);
}

static fv_model_spec base_spec(const char *network, int base) {
    fv_model_spec spec = small_spec();
    snprintf(spec.network, sizeof spec.network, "%s", network);
    spec.width = 1;
    spec.base = base;
    return spec;
}

static void file_holds_the_base(void **state) {
    (void)state;
    fv_model_spec narrow = base_spec("resunet", 16), standard = base_spec("unet", 0);
    fv_model *model = make(&narrow, 3), *read;
    assert_int_equal(fv_model_save(model, temporary_path("r.safetensors")), FV_OK);
    assert_int_equal(fv_model_load(temporary_path("r.safetensors"), &read), FV_OK);
    assert_int_equal(read->spec.base, 16);
    fv_model_free(read);
    fv_model_free(model);
    model = make(&standard, 3); /* what was left to the network is settled in the file */
    assert_int_equal(fv_model_save(model, temporary_path("u.safetensors")), FV_OK);
    assert_int_equal(fv_model_load(temporary_path("u.safetensors"), &read), FV_OK);
    assert_int_equal(read->spec.base, 32);
    assert_memory_equal(read->params.values, model->params.values, model->params.total * sizeof(float));
    fv_model_free(read);
    fv_model_free(model);
}

static void file_holds_depth_and_norm(void **state) {
    (void)state;
    fv_model_spec spec = base_spec("unet", 8), standard = base_spec("unet", 8);
    spec.depth = 3;
    spec.norm = FV_NORM_GROUP;
    fv_model *model = make(&spec, 3), *read;
    assert_int_equal(fv_model_save(model, temporary_path("d.safetensors")), FV_OK);
    assert_int_equal(fv_model_load(temporary_path("d.safetensors"), &read), FV_OK);
    assert_int_equal(read->spec.depth, 3);
    assert_int_equal(read->spec.norm, FV_NORM_GROUP);
    assert_int_equal(fv_params_find(&read->params, "down3.a.weight"), -1);
    assert_int_equal(fv_params_count_values(&read->params, true), fv_params_count_values(&read->params, false));
    fv_model_free(read);
    fv_model_free(model);
    model = make(&standard, 3);
    assert_int_equal(model->spec.depth, 4);
    fv_model_free(model);
}

/* Files written before unet had a depth and a norm say neither. */
/* Writes `model` as a checkpoint would be, with metadata of its own. */
static void save_with_metadata(const fv_model *model, const char *path) {
    fv_safetensors_writer *writer;
    assert_int_equal(fv_safetensors_writer_make(&writer), FV_OK);
    assert_int_equal(fv_model_add_to(model, NULL, writer), FV_OK);
    assert_int_equal(fv_safetensors_add_metadata(writer, "fovea.config", "[train]"), FV_OK);
    assert_int_equal(fv_safetensors_add_metadata(writer, "fovea.thresholds", "{}"), FV_OK);
    assert_int_equal(fv_safetensors_add_metadata(writer, "fovea.training", "{}"), FV_OK);
    assert_int_equal(fv_safetensors_write(writer, path), FV_OK);
}

static void expect_text(const fv_safetensors *file, const char *key, const char *expected) {
    const char *found = fv_safetensors_metadata(file, key);
    if (!expected) assert_null(found);
    if (expected) assert_true(found && strcmp(found, expected) == 0);
}

static void half_file_holds_the_rounded_model(void **state) {
    (void)state;
    fv_model_spec spec = small_spec();
    fv_model *model = make(&spec, 3), *read;
    const fv_param *large = &model->params.list[1];
    model->params.values[large->offset] = 1e5f; /* beyond a half */
    save_with_metadata(model, temporary_path("full"));
    assert_int_equal(fv_model_file_halve(temporary_path("full"), NULL, temporary_path("half")), FV_OK);
    if (fv_model_load(temporary_path("half"), &read) != FV_OK) fail_msg("%s", fv_error());
    expect_same_spec(&read->spec, &model->spec);
    for (int i = 0; i < model->params.count; i++) {
        const fv_param *param = &model->params.list[i];
        for (size_t k = param->offset; k < param->offset + param->count; k++) {
            float value = model->params.values[k];
            float expected = param == large ? value : fv_half_to_float(fv_half_from_float(value));
            assert_float_equal(read->params.values[k], expected, 0);
        }
    }
    fv_safetensors file;
    assert_int_equal(fv_safetensors_read(temporary_path("half"), &file), FV_OK);
    expect_text(&file, "fovea.config", "[train]");
    expect_text(&file, "fovea.thresholds", "{}");
    expect_text(&file, "fovea.training", NULL);
    for (int i = 0; i < file.count; i++)
        assert_string_equal(file.list[i].dtype, strcmp(file.list[i].name + 6, large->name) == 0 ? "F32" : "F16");
    fv_safetensors_free(&file);
    fv_model_free(read);
    fv_model_free(model);
}

static size_t file_bytes(const char *path) {
    void *content;
    size_t bytes;
    assert_int_equal(fv_file_read(path, 1 << 30, &content, &bytes), FV_OK);
    free(content);
    return bytes;
}

static void half_file_is_half_as_large(void **state) {
    (void)state;
    fv_model_spec specs[] = {small_spec(), base_spec("unet", 16), base_spec("resunet", 16)};
    specs[0].width = 1;
    for (int i = 0; i < 3; i++) {
        fv_model *model = make(&specs[i], 1);
        assert_int_equal(fv_model_save(model, temporary_path("full")), FV_OK);
        assert_int_equal(fv_model_file_halve(temporary_path("full"), NULL, temporary_path("half")), FV_OK);
        size_t full = file_bytes(temporary_path("full")), half = file_bytes(temporary_path("half"));
        if ((double)half > 0.51 * (double)full) fail_msg("%zu bytes of %zu", half, full);
        fv_model_free(model);
    }
}

static void thresholds_leave_halves(void **state) {
    (void)state;
    fv_model_spec spec = small_spec();
    fv_model *model = make(&spec, 3), *read;
    static const double thresholds[2] = {0.25, 0.75};
    save_with_metadata(model, temporary_path("full"));
    assert_int_equal(fv_model_file_halve(temporary_path("full"), NULL, temporary_path("half")), FV_OK);
    size_t before = file_bytes(temporary_path("half"));
    assert_int_equal(fv_model_file_set_thresholds(temporary_path("half"), thresholds, "{}"), FV_OK);
    assert_true(labs((long)file_bytes(temporary_path("half")) - (long)before) < 64);
    assert_int_equal(fv_model_load(temporary_path("half"), &read), FV_OK);
    assert_float_equal(read->spec.thresholds[1], 0.75, 0);
    fv_model_free(read);
    fv_model_free(model);
}

static void halving_needs_a_model(void **state) {
    (void)state;
    assert_int_equal(fv_model_file_halve(temporary_path("missing"), NULL, temporary_path("none")), FV_BAD_INPUT);
    assert_false(fv_file_exists(temporary_path("none")));
}

static void file_without_depth_and_norm_is_read(void **state) {
    (void)state;
    fv_model_spec spec = base_spec("unet", 8);
    fv_model *model = make(&spec, 3), *read;
    fv_safetensors_writer *old;
    fv_safetensors file;
    assert_int_equal(fv_model_save(model, temporary_path("new.safetensors")), FV_OK);
    assert_int_equal(fv_safetensors_read(temporary_path("new.safetensors"), &file), FV_OK);
    const char *added = "\"depth\":4,\"norm\":\"batch\",";
    char *text = strdup(fv_safetensors_metadata(&file, "fovea.model")), *at = strstr(text, added);
    assert_non_null(at);
    memmove(at, at + strlen(added), strlen(at + strlen(added)) + 1);
    assert_int_equal(fv_safetensors_writer_make(&old), FV_OK);
    for (int i = 0; i < file.count; i++)
        assert_int_equal(fv_safetensors_add(old, file.list[i].name, "F32", 4, file.list[i].shape, file.list[i].data),
                         FV_OK);
    assert_int_equal(fv_safetensors_add_metadata(old, "fovea.model", text), FV_OK);
    assert_int_equal(fv_safetensors_write(old, temporary_path("old.safetensors")), FV_OK);
    assert_int_equal(fv_model_load(temporary_path("old.safetensors"), &read), FV_OK);
    assert_int_equal(read->spec.depth, 4);
    assert_int_equal(read->spec.norm, FV_NORM_BATCH);
    assert_memory_equal(read->params.values, model->params.values, model->params.total * sizeof(float));
    free(text);
    fv_safetensors_free(&file);
    fv_model_free(read);
    fv_model_free(model);
}

static void seeds_differ_and_repeat(void **state) {
    (void)state;
    fv_model_spec spec = small_spec();
    fv_model *a = make(&spec, 3), *b = make(&spec, 3), *c = make(&spec, 4);
    assert_memory_equal(a->params.values, b->params.values, a->params.total * sizeof(float));
    assert_true(memcmp(a->params.values, c->params.values, a->params.total * sizeof(float)) != 0);
    fv_model_free(a);
    fv_model_free(b);
    fv_model_free(c);
}

/* Keras's channel counts for alpha 0.35: 16 in the stem, 1280 in the head, 112 after block 16. */
static void width_multiplier_rounds_as_keras(void **state) {
    (void)state;
    fv_model_spec spec = small_spec();
    fv_model *model = make(&spec, 1);
    const fv_params *p = &model->params;
    assert_int_equal(p->list[fv_params_find(p, "encoder.stem.weight")].shape.c, 16);
    assert_int_equal(p->list[fv_params_find(p, "encoder.b16.project.weight")].shape.c, 112);
    assert_int_equal(p->list[fv_params_find(p, "encoder.head.weight")].shape.c, 1280);
    assert_int_equal(p->list[fv_params_find(p, "encoder.b0.project.weight")].shape.c, 8);
    fv_model_free(model);
}

static void refused(const char *path, const char *part) {
    fv_model *model;
    assert_int_equal(fv_model_load(path, &model), FV_BAD_INPUT);
    assert_null(model);
    if (!strstr(fv_error(), part)) fail_msg("expected \"%s\" in: %s", part, fv_error());
}

static void write_with(const char *path, const char *key, const char *text) {
    fv_safetensors_writer *writer;
    float value = 1;
    int64_t shape = 1;
    assert_int_equal(fv_safetensors_writer_make(&writer), FV_OK);
    assert_int_equal(fv_safetensors_add(writer, "x", "F32", 1, &shape, &value), FV_OK);
    if (key) assert_int_equal(fv_safetensors_add_metadata(writer, key, text), FV_OK);
    assert_int_equal(fv_safetensors_write(writer, path), FV_OK);
}

static void strange_files_are_refused(void **state) {
    (void)state;
    refused(temporary_path("missing.safetensors"), "missing.safetensors");
    write_with(temporary_path("plain"), NULL, NULL);
    refused(temporary_path("plain"), "not a fovea model");
    write_with(temporary_path("rubbish"), "fovea.model", "{\"format\":1,");
    refused(temporary_path("rubbish"), "fovea.model");
    write_with(temporary_path("newer"), "fovea.model", "{\"format\":99}");
    refused(temporary_path("newer"), "newer fovea");
    write_with(
        temporary_path("unknown"), "fovea.model",
        "{\"format\":1,\"network\":\"vgg\",\"width\":1,\"convention\":\"keras\",\"classes\":[{\"name\":\"disc\","
        "\"threshold\":0.5}],"
        "\"preprocess\":{\"size\":64,\"work_size\":64,\"fit\":\"letterbox\",\"enhance\":\"none\",\"clahe_clip\":2,"
        "\"clahe_tiles\":8,\"normalise\":\"unit\"}}");
    refused(temporary_path("unknown"), "vgg");
}

static void weights_of_another_network_are_refused(void **state) {
    (void)state;
    fv_model_spec spec = small_spec(), wide = small_spec();
    wide.width = 0.5;
    fv_model *model = make(&spec, 1), *other = make(&wide, 2);
    fv_safetensors file;
    assert_int_equal(fv_model_save(other, temporary_path("wide.safetensors")), FV_OK);
    assert_int_equal(fv_safetensors_read(temporary_path("wide.safetensors"), &file), FV_OK);
    float first = model->params.values[0];
    assert_int_equal(fv_model_read_values(model, &file), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "another network"));
    assert_true(model->params.values[0] == first);
    fv_safetensors_free(&file);
    fv_model_free(model);
    fv_model_free(other);
}

static void impossible_specs_are_refused(void **state) {
    (void)state;
    fv_model *model;
    fv_model_spec spec = small_spec();
    spec.preprocess.size = 100;
    assert_int_equal(fv_model_make(&spec, 1, &model), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "multiple of 32"));
    assert_non_null(strstr(fv_error(), "96"));
    spec = small_spec();
    spec.classes = 0;
    assert_int_equal(fv_model_make(&spec, 1, &model), FV_BAD_INPUT);
    spec = small_spec();
    spec.preprocess.enhance.clahe_clip = 0;
    assert_int_equal(fv_model_make(&spec, 1, &model), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "must be above 0"));
}

static void expect_spec_refused(fv_model_spec spec, const char *part) {
    assert_int_equal(fv_model_spec_check(&spec), FV_BAD_INPUT);
    if (!strstr(fv_error(), part)) fail_msg("expected \"%s\" in: %s", part, fv_error());
}

/* Each network has either a width or a base, and asks for sizes of its own. */
static void width_base_and_size_fit_the_network(void **state) {
    (void)state;
    fv_model_spec spec = base_spec("unet", 24);
    assert_int_equal(fv_model_spec_check(&spec), FV_OK);
    spec.preprocess.size = 80;
    assert_int_equal(fv_model_spec_check(&spec), FV_OK);
    spec.preprocess.size = 72;
    expect_spec_refused(spec, "multiple of 16 in 32 .. 4096, for example 64");
    spec = base_spec("mobilenetv2_se_unet", 0);
    spec.preprocess.size = 80;
    expect_spec_refused(spec, "mobilenetv2_se_unet halves it 5 times");
    expect_spec_refused(base_spec("unet", 12), "multiple of 8");
    expect_spec_refused(base_spec("resunet", 136), "8 .. 128");
    expect_spec_refused(base_spec("mobilenetv2_unet", 32), "set model.width instead");
    expect_spec_refused(base_spec("mobilenet", 0), "known: mobilenetv2_unet, mobilenetv2_se_unet, unet, resunet, wnet");
    spec = base_spec("resunet", 0);
    spec.width = 0.5;
    expect_spec_refused(spec, "set model.base instead");
}

static void depth_and_norm_fit_the_network(void **state) {
    (void)state;
    fv_model_spec spec = base_spec("unet", 8);
    for (spec.depth = FV_DEPTH_MIN; spec.depth <= FV_DEPTH_MAX; spec.depth++)
        assert_int_equal(fv_model_spec_check(&spec), FV_OK);
    expect_spec_refused(spec, "the depth of 6 levels does not fit: it must be in 2 .. 5");
    spec.depth = 1;
    expect_spec_refused(spec, "2 .. 5");
    spec.depth = 2;
    spec.preprocess.size = 36;
    assert_int_equal(fv_model_spec_check(&spec), FV_OK);
    spec.depth = 5;
    spec.preprocess.size = 80;
    expect_spec_refused(spec, "multiple of 32");
    spec = base_spec("resunet", 8);
    spec.depth = 3;
    expect_spec_refused(spec, "that of resunet is fixed");
    spec = base_spec("wnet", 8);
    spec.norm = FV_NORM_GROUP;
    expect_spec_refused(spec, "group norm does not fit: wnet has batch norm only");
}

/* wnet is trained on two outputs of one shape, the others on one. */
static void wnet_has_auxiliary_logits(void **state) {
    (void)state;
    static const char *const networks[] = {"unet", "wnet"};
    for (int i = 0; i < 2; i++) {
        fv_model_spec spec = base_spec(networks[i], 8);
        fv_model *model = make(&spec, 1);
        fv_graph g;
        fv_value auxiliary;
        fv_graph_init(&g, &model->params);
        fv_value input = fv_graph_input(&g, "input", (fv_shape){2, 68, 36, 3}, false);
        if (i == 0) input = fv_graph_input(&g, "multiple of 16", (fv_shape){2, 64, 32, 3}, false);
        fv_value logits = fv_model_build(model, &g, input, &auxiliary);
        assert_int_equal(fv_graph_status(&g), FV_OK);
        assert_int_equal(auxiliary != FV_NO_VALUE, i == 1);
        if (i == 1) assert_true(fv_shape_equal(fv_graph_shape(&g, auxiliary), fv_graph_shape(&g, logits)));
        fv_graph_free(&g);
        fv_model_free(model);
    }
}

static void encoder_weights_need_an_encoder(void **state) {
    (void)state;
    fv_model_spec spec = base_spec("unet", 8);
    fv_model *model = make(&spec, 1);
    assert_int_equal(fv_model_load_encoder(model, "weights.safetensors"), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "no MobileNetV2 encoder"));
    fv_model_free(model);
}

static void expect_class_refused(const char *first, const char *second, const char *part) {
    fv_model_spec spec = small_spec();
    snprintf(spec.class_names[0], sizeof spec.class_names[0], "%s", first);
    snprintf(spec.class_names[1], sizeof spec.class_names[1], "%s", second);
    assert_int_equal(fv_model_spec_check(&spec), FV_BAD_INPUT);
    if (!strstr(fv_error(), part)) fail_msg("expected \"%s\" in: %s", part, fv_error());
}

/* A name becomes part of a file's name. */
static void class_names_are_plain_words(void **state) {
    (void)state;
    fv_model_spec spec = small_spec();
    snprintf(spec.class_names[1], sizeof spec.class_names[1], "Hard-exudate_2");
    assert_int_equal(fv_model_spec_check(&spec), FV_OK);
    expect_class_refused("disc", "../cup", "\"../cup\" does not fit");
    expect_class_refused("disc", "a cup", "letters");
    expect_class_refused("d\xC3\xADsc", "cup", "letters");
    expect_class_refused("", "cup", "\"\" does not fit");
    expect_class_refused("overlay", "cup", "named overlay");
    expect_class_refused("disc", "panel", "named panel");
    expect_class_refused("disc", "measures", "named measures");
    expect_class_refused("disc", "disc", "disc is named twice");
    write_with(temporary_path("climbs"), "fovea.model",
               "{\"format\":1,\"network\":\"mobilenetv2_unet\",\"width\":1,\"convention\":\"keras\",\"classes\":[{"
               "\"name\":\"../../disc\",\"threshold\":0.5}],\"preprocess\":{\"size\":64,\"work_size\":64,\"fit\":"
               "\"letterbox\",\"enhance\":\"none\",\"clahe_clip\":2,\"clahe_tiles\":8,\"normalise\":\"unit\"}}");
    refused(temporary_path("climbs"), "climbs: the class name \"../../disc\"");
}

/* What keeps memory low: at 256x256 a prediction needs far less than the sum of all activations (83 MiB). */
static void inference_memory_is_reused(void **state) {
    (void)state;
    fv_model_spec spec = small_spec();
    spec.width = 1;
    fv_model *model = make(&spec, 1);
    fv_graph g;
    size_t bytes, sum = 0;
    fv_graph_init(&g, &model->params);
    fv_value out = fv_model_build(model, &g, fv_graph_input(&g, "input", (fv_shape){1, 256, 256, 3}, false), NULL);
    assert_int_equal(fv_plan_measure(&g, FV_PLAN_INFER, &out, 1, FV_NO_VALUE, &bytes), FV_OK);
    for (int i = 0; i < g.node_count; i++) sum += fv_shape_count(g.nodes[i].spec.out) * sizeof(float);
    assert_true(bytes < sum / 4);
    fv_graph_free(&g);
    fv_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_holds_all_that_inference_needs),
        cmocka_unit_test(file_holds_the_base),
        cmocka_unit_test(file_holds_depth_and_norm),
        cmocka_unit_test(half_file_holds_the_rounded_model),
        cmocka_unit_test(half_file_is_half_as_large),
        cmocka_unit_test(thresholds_leave_halves),
        cmocka_unit_test(halving_needs_a_model),
        cmocka_unit_test(file_without_depth_and_norm_is_read),
        cmocka_unit_test(seeds_differ_and_repeat),
        cmocka_unit_test(width_multiplier_rounds_as_keras),
        cmocka_unit_test(strange_files_are_refused),
        cmocka_unit_test(weights_of_another_network_are_refused),
        cmocka_unit_test(impossible_specs_are_refused),
        cmocka_unit_test(width_base_and_size_fit_the_network),
        cmocka_unit_test(depth_and_norm_fit_the_network),
        cmocka_unit_test(wnet_has_auxiliary_logits),
        cmocka_unit_test(encoder_weights_need_an_encoder),
        cmocka_unit_test(class_names_are_plain_words),
        cmocka_unit_test(inference_memory_is_reused),
    };
    return cmocka_run_group_tests_name("model", tests, temporary_setup, temporary_teardown);
}
