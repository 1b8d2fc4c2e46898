/* ONNX files: what stands in them, read back through the schema, and what they compute, read back into fovea. */
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
#include "fovea/base/rng.h"
#include "fovea/exchange/onnx_read.h"
#include "fovea/exchange/onnx_write.h"
#include "fovea/exchange/rounded.h"
#include "fovea/graph/plan.h"
#include "fovea/nn/layers.h"
#include "onnx.pb-c.h"
#include "temporary.h"

#define SIDE 64
#define FILE_NAME "network.onnx"

/* ---- a network, its file ---- */

static fv_model *model_make(const char *network, fv_norm_kind norm) {
    fv_model_spec spec = {.width = 1, .classes = 1, .class_names = {"vessel"}, .thresholds = {0.375}, .norm = norm};
    spec.preprocess = (fv_preprocess){.size = SIDE,
                                      .work_size = 2 * SIDE,
                                      .fit = FV_FIT_LETTERBOX,
                                      .enhance = fv_enhance_standard(),
                                      .normalise = FV_NORMALISE_IMAGENET};
    if (fv_enhance_parse("lab_clahe", &spec.preprocess.enhance) != FV_OK) fail_msg("%s", fv_error());
    strcpy(spec.network, network);
    if (fv_network_has_encoder(network))
        spec.width = 0.35;
    else
        spec.base = 16;
    fv_model *model;
    if (fv_model_make(&spec, 3, &model) != FV_OK) fail_msg("%s", fv_error());
    fv_rng rng = fv_rng_make(4, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < model->params.count; i++) { /* norms that do something, as after training */
        const fv_param *param = &model->params.list[i];
        const char *part = strrchr(param->name, '.') + 1;
        bool scale = strcmp(part, "gamma") == 0 || strcmp(part, "var") == 0;
        bool shift = strcmp(part, "beta") == 0 || strcmp(part, "mean") == 0;
        for (size_t k = 0; k < param->count && (scale || shift); k++)
            model->params.values[param->offset + k] =
                (fv_real)(scale ? fv_rng_range(&rng, 0.5, 1.5) : fv_rng_range(&rng, -0.2, 0.2));
    }
    return model;
}

static void fill_input(float *input, size_t count) {
    fv_rng rng = fv_rng_make(5, 0, 0, FV_PURPOSE_TEST);
    for (size_t i = 0; i < count; i++) input[i] = (float)fv_rng_range(&rng, -2, 2);
}

static fv_ranges ranges_of(const fv_folded *folded) {
    size_t floats = 3 * SIDE * SIDE;
    float *inputs = malloc(floats * sizeof *inputs);
    fv_ranges ranges;
    fill_input(inputs, floats);
    const fv_calibration calibration = {.inputs = inputs, .count = 1, .height = SIDE, .width = SIDE};
    if (fv_ranges_measure(folded, &calibration, false, &ranges) != FV_OK) fail_msg("%s", fv_error());
    free(inputs);
    return ranges;
}

/* How a file is asked for. */
typedef struct request {
    fv_export_precision precision;
    bool dynamic, preprocessing, logits;
} request;

/* Its bytes. */
static size_t write_file(const fv_model *model, const request *r) {
    fv_folded folded;
    fv_ranges ranges = {0};
    fv_metadata metadata;
    const fv_export_shape shape = {.layout = "NCHW",
                                   .height = r->dynamic ? 0 : SIDE,
                                   .width = r->dynamic ? 0 : SIDE,
                                   .preprocessing = r->preprocessing,
                                   .logits = r->logits,
                                   .precision = r->precision};
    if (fv_folded_make(model, SIDE, SIDE, r->logits, &folded) != FV_OK) fail_msg("%s", fv_error());
    if (r->precision == FV_PRECISION_INT8) ranges = ranges_of(&folded);
    if (fv_metadata_of_model(&model->spec, &shape, &metadata) != FV_OK) fail_msg("%s", fv_error());
    const fv_onnx_settings settings = {.precision = r->precision,
                                       .ranges = &ranges,
                                       .dynamic_size = r->dynamic,
                                       .preprocess = r->preprocessing ? &model->spec.preprocess : NULL,
                                       .metadata = &metadata,
                                       .title = model->spec.network};
    if (fv_onnx_write(&folded, &settings, temporary_path(FILE_NAME)) != FV_OK) fail_msg("%s", fv_error());
    fv_metadata_free(&metadata);
    fv_ranges_free(&ranges);
    fv_folded_free(&folded);
    void *data;
    size_t bytes;
    assert_int_equal(fv_file_read(temporary_path(FILE_NAME), 1 << 28, &data, &bytes), FV_OK);
    free(data);
    return bytes;
}

static Onnx__ModelProto *read_file(void) {
    void *data;
    size_t bytes;
    assert_int_equal(fv_file_read(temporary_path(FILE_NAME), 1 << 28, &data, &bytes), FV_OK);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, bytes, data);
    free(data);
    assert_non_null(model);
    return model;
}

/* ---- structure ---- */

static bool is_known(char **names, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

/* Every tensor is made once, before it is read; constants have as many bytes as their shape says. */
static void expect_sound(const Onnx__GraphProto *graph) {
    size_t count = 0;
    char **names = calloc(graph->n_node + graph->n_initializer + 1, sizeof *names);
    names[count++] = graph->input[0]->name;
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Onnx__TensorProto *t = graph->initializer[i];
        size_t elements = 1;
        for (size_t d = 0; d < t->n_dims; d++) elements *= (size_t)t->dims[d];
        assert_true(t->raw_data.len == elements || t->raw_data.len == 2 * elements || t->raw_data.len == 4 * elements ||
                    t->raw_data.len == 8 * elements);
        assert_false(is_known(names, count, t->name));
        names[count++] = t->name;
    }
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        for (size_t k = 0; k < node->n_input; k++)
            if (node->input[k][0] && !is_known(names, count, node->input[k]))
                fail_msg("%s reads %s, which is not there yet", node->name, node->input[k]);
        assert_int_equal(node->n_output, 1);
        assert_false(is_known(names, count, node->output[0]));
        names[count++] = node->output[0];
    }
    assert_string_equal(names[count - 1], "output");
    free(names);
}

static int count_op(const Onnx__GraphProto *graph, const char *op) {
    int count = 0;
    for (size_t i = 0; i < graph->n_node; i++) count += strcmp(graph->node[i]->op_type, op) == 0;
    return count;
}

static const Onnx__TensorShapeProto *shape_of(const Onnx__ValueInfoProto *value, int type) {
    assert_int_equal(value->type->value_case, ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE);
    assert_int_equal(value->type->tensor_type->elem_type, type);
    assert_int_equal(value->type->tensor_type->shape->n_dim, 4);
    return value->type->tensor_type->shape;
}

static const char *metadata_of(const Onnx__ModelProto *model, const char *key) {
    for (size_t i = 0; i < model->n_metadata_props; i++)
        if (strcmp(model->metadata_props[i]->key, key) == 0) return model->metadata_props[i]->value;
    fail_msg("no metadata %s", key);
    return NULL;
}

static void every_network_in_every_precision_is_sound(void **state) {
    (void)state;
    for (int n = 0; fv_network_names[n]; n++) {
        fv_model *model = model_make(fv_network_names[n], FV_NORM_BATCH);
        for (int p = 0; p < FV_PRECISIONS; p++) {
            write_file(model,
                       &(request){.precision = (fv_export_precision)p, .preprocessing = p % 2, .dynamic = p > 1});
            Onnx__ModelProto *file = read_file();
            assert_int_equal(file->ir_version, 8);
            assert_int_equal(file->n_opset_import, 1);
            assert_string_equal(file->opset_import[0]->domain, "");
            assert_int_equal(file->opset_import[0]->version, 17);
            assert_string_equal(file->producer_name, "fovea");
            assert_string_equal(file->graph->input[0]->name, "input");
            assert_string_equal(file->graph->output[0]->name, "output");
            expect_sound(file->graph);
            onnx__model_proto__free_unpacked(file, NULL);
        }
        fv_model_free(model);
    }
}

static void input_and_output_have_the_shapes_asked_for(void **state) {
    (void)state;
    fv_model *model = model_make("unet", FV_NORM_BATCH);
    write_file(model, &(request){.precision = FV_PRECISION_FLOAT32});
    Onnx__ModelProto *file = read_file();
    const Onnx__TensorShapeProto *in = shape_of(file->graph->input[0], ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    const Onnx__TensorShapeProto *out = shape_of(file->graph->output[0], ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    assert_string_equal(in->dim[0]->dim_param, "batch");
    assert_int_equal(in->dim[1]->dim_value, 3);
    assert_int_equal(in->dim[2]->dim_value, SIDE);
    assert_string_equal(out->dim[0]->dim_param, "batch");
    assert_int_equal(out->dim[1]->dim_value, 1);
    assert_int_equal(out->dim[3]->dim_value, SIDE);
    onnx__model_proto__free_unpacked(file, NULL);
    write_file(model, &(request){.precision = FV_PRECISION_FLOAT16, .preprocessing = true});
    file = read_file();
    in = shape_of(file->graph->input[0], ONNX__TENSOR_PROTO__DATA_TYPE__UINT8);
    assert_string_equal(in->dim[2]->dim_param, "height");
    assert_string_equal(in->dim[3]->dim_param, "width");
    shape_of(file->graph->output[0], ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    assert_int_equal(count_op(file->graph, "Pad"), 1); /* the letterbox's bars */
    onnx__model_proto__free_unpacked(file, NULL);
    fv_model_free(model);
}

static void layers_are_those_of_the_network(void **state) {
    (void)state;
    fv_model *model = model_make("unet", FV_NORM_BATCH);
    write_file(model, &(request){.precision = FV_PRECISION_FLOAT32, .logits = true});
    Onnx__ModelProto *file = read_file();
    assert_int_equal(count_op(file->graph, "Conv"), 19);
    assert_int_equal(count_op(file->graph, "Relu"), 18);
    assert_int_equal(count_op(file->graph, "ConvTranspose"), 4);
    assert_int_equal(count_op(file->graph, "MaxPool"), 4);
    assert_int_equal(count_op(file->graph, "Concat"), 4);
    assert_int_equal(count_op(file->graph, "Sigmoid"), 0);
    assert_int_equal(count_op(file->graph, "BatchNormalization"), 0);
    assert_int_equal(file->graph->n_node, 49);
    onnx__model_proto__free_unpacked(file, NULL);
    fv_model_free(model);
}

static void metadata_say_what_to_do(void **state) {
    (void)state;
    fv_model *model = model_make("mobilenetv2_unet", FV_NORM_BATCH);
    write_file(model, &(request){.precision = FV_PRECISION_FLOAT32});
    Onnx__ModelProto *file = read_file();
    char *json = fv_model_spec_json(&model->spec);
    assert_string_equal(metadata_of(file, "fovea.model"), json);
    free(json);
    assert_string_equal(metadata_of(file, "network"), "mobilenetv2_unet");
    assert_string_equal(metadata_of(file, "classes"), "vessel");
    assert_string_equal(metadata_of(file, "thresholds"), "0.375");
    assert_string_equal(metadata_of(file, "color_order"), "RGB");
    assert_string_equal(metadata_of(file, "precision"), "float32");
    assert_string_equal(metadata_of(file, "enhancement"), "CLAHE on L of CIE LAB, clip limit 2, 8 x 8 tiles");
    assert_string_equal(metadata_of(file, "input"), "NCHW, RGB, 64 x 64 px (height x width), float32, normalised");
    assert_string_equal(
        metadata_of(file, "preparation"),
        "1. resize the whole photograph into a square of 128 px, aspect kept, black bars (area averaging when smaller, "
        "bilinear when larger). 2. enhancement: CLAHE on L of CIE LAB, clip limit 2, 8 x 8 tiles. 3. sampled to 64 x "
        "64 "
        "px, bilinear at half-pixel centres. 4. (level / 255 - mean) / deviation, mean 0.485 0.456 0.406, deviation "
        "0.229 0.224 0.225 for R G B");
    assert_non_null(metadata_of(file, "license_note"));
    assert_non_null(metadata_of(file, "fovea.version"));
    onnx__model_proto__free_unpacked(file, NULL);
    fv_model_free(model);
}

/* ---- precisions ---- */

static void halves_halve_the_file(void **state) {
    (void)state;
    fv_model *model = model_make("unet", FV_NORM_BATCH);
    size_t whole = write_file(model, &(request){.precision = FV_PRECISION_FLOAT32});
    size_t half = write_file(model, &(request){.precision = FV_PRECISION_FLOAT16});
    Onnx__ModelProto *file = read_file();
    for (size_t i = 0; i < file->graph->n_initializer; i++)
        assert_int_equal(file->graph->initializer[i]->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16);
    assert_int_equal(count_op(file->graph, "Cast"), 2); /* at the ends */
    onnx__model_proto__free_unpacked(file, NULL);
    size_t stored = write_file(model, &(request){.precision = FV_PRECISION_FLOAT16_STORAGE});
    file = read_file();
    assert_int_equal(count_op(file->graph, "Cast"), 2 * (19 + 4)); /* behind each weight and bias */
    onnx__model_proto__free_unpacked(file, NULL);
    assert_true((double)half <= 0.51 * (double)whole);
    assert_true((double)stored <= 0.51 * (double)whole);
    fv_model_free(model);
}

static const Onnx__TensorProto *constant(const Onnx__GraphProto *graph, const char *name) {
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (strcmp(graph->initializer[i]->name, name) == 0) return graph->initializer[i];
    fail_msg("no constant %s", name);
    return NULL;
}

/* A layer's bias has the scale of its products: the input's times the filter's. */
static void bytes_have_scales_that_fit(void **state) {
    (void)state;
    fv_model *model = model_make("unet", FV_NORM_BATCH);
    size_t whole = write_file(model, &(request){.precision = FV_PRECISION_FLOAT32});
    size_t bytes = write_file(model, &(request){.precision = FV_PRECISION_INT8});
    assert_true((double)bytes < 0.3 * (double)whole);
    Onnx__ModelProto *file = read_file();
    const Onnx__TensorProto *q = constant(file->graph, "down0.a.weight.q");
    const Onnx__TensorProto *scale = constant(file->graph, "down0.a.weight.scale");
    const Onnx__TensorProto *bias_scale = constant(file->graph, "down0.a.bias.scale");
    const Onnx__TensorProto *input_scale = constant(file->graph, "input.scale");
    assert_int_equal(q->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__INT8);
    assert_int_equal(constant(file->graph, "down0.a.bias.q")->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__INT32);
    assert_int_equal(scale->dims[0], 16);
    int most[16] = {0};
    for (size_t i = 0; i < q->raw_data.len; i++) { /* {16, 3, 3, 3} */
        int value = abs((int8_t)q->raw_data.data[i]);
        if (value > most[i / 27]) most[i / 27] = value;
    }
    for (int f = 0; f < 16; f++) {
        float weight, bias, input;
        memcpy(&weight, scale->raw_data.data + 4 * f, sizeof weight);
        memcpy(&bias, bias_scale->raw_data.data + 4 * f, sizeof bias);
        memcpy(&input, input_scale->raw_data.data, sizeof input);
        assert_int_equal(most[f], 127);
        assert_float_equal(bias, weight * input, 1e-6F * bias);
    }
    assert_int_equal(count_op(file->graph, "Relu"), 0); /* steps from 0 on do what it does */
    assert_int_equal(count_op(file->graph, "QuantizeLinear"), 1 + 19 + 4 + 4 + 4);
    onnx__model_proto__free_unpacked(file, NULL);
    fv_model_free(model);
}

static void a_weight_beyond_the_halves_is_refused(void **state) {
    (void)state;
    fv_model *model = model_make("unet", FV_NORM_BATCH);
    fv_folded folded;
    int entries = temporary_count();
    assert_int_equal(fv_folded_make(model, SIDE, SIDE, false, &folded), FV_OK);
    folded.layers[0].weight[5] = 1e5F;
    const fv_onnx_settings settings = {.precision = FV_PRECISION_FLOAT16, .title = "x"};
    assert_int_equal(fv_onnx_write(&folded, &settings, temporary_path("refused.onnx")), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "down0.a.weight has the value 100000, which half precision (up to 65504) can't "
                                    "hold: leave --fp16 out");
    assert_int_equal(temporary_count(), entries);
    fv_folded_free(&folded);
    fv_model_free(model);
}

/* ---- what the files compute ---- */

/* Probabilities of the model's own network, or any other, on the same input. */
static float *run(fv_model *model, size_t *count) {
    fv_graph graph;
    fv_plan *plan;
    fv_graph_init(&graph, &model->params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){1, SIDE, SIDE, 3}, false);
    fv_value output = fv_sigmoid(&graph, "probabilities", fv_model_build(model, &graph, input, NULL));
    if (fv_plan_make(&graph, FV_PLAN_INFER, &output, 1, FV_NO_VALUE, &plan) != FV_OK) fail_msg("%s", fv_error());
    fill_input(fv_plan_data(plan, input), 3 * SIDE * SIDE);
    fv_plan_forward(plan, false, 0, 0);
    *count = fv_shape_count(fv_graph_shape(&graph, output));
    float *result = malloc(*count * sizeof *result);
    memcpy(result, fv_plan_data(plan, output), *count * sizeof *result);
    fv_plan_free(plan);
    fv_graph_free(&graph);
    return result;
}

static double difference(fv_model *a, fv_model *b) {
    size_t count_a, count_b;
    float *x = run(a, &count_a), *y = run(b, &count_b);
    double most = 0;
    assert_int_equal(count_a, count_b);
    for (size_t i = 0; i < count_a; i++) most = fmax(most, fabs((double)x[i] - (double)y[i]));
    free(x);
    free(y);
    return most;
}

static void expect_read_back(const char *network, fv_norm_kind norm, fv_export_precision precision, double tolerance) {
    fv_model *model = model_make(network, norm), *read;
    write_file(model, &(request){.precision = precision, .dynamic = true});
    if (fv_onnx_read(temporary_path(FILE_NAME), &read) != FV_OK) fail_msg("%s: %s", network, fv_error());
    assert_string_equal(read->spec.class_names[0], "vessel");
    assert_float_equal(read->spec.thresholds[0], 0.375, 0);
    double found = difference(model, read);
    if (!(found <= tolerance)) fail_msg("%s differs by %g", network, found);
    fv_model_free(read);
    fv_model_free(model);
}

static void files_read_back_compute_the_same(void **state) {
    (void)state;
    for (int n = 0; fv_network_names[n]; n++) {
        expect_read_back(fv_network_names[n], FV_NORM_BATCH, FV_PRECISION_FLOAT32, 1e-5);
        expect_read_back(fv_network_names[n], FV_NORM_BATCH, FV_PRECISION_FLOAT16, 5e-3);
        expect_read_back(fv_network_names[n], FV_NORM_BATCH, FV_PRECISION_FLOAT16_STORAGE, 5e-3);
    }
}

/* The simulation: nothing is rounded in float32, little in halves, more in bytes, and never nothing. */
static void rounding_grows_with_fewer_bits(void **state) {
    (void)state;
    fv_model *model = model_make("wnet", FV_NORM_BATCH), *rounded;
    fv_folded folded;
    assert_int_equal(fv_folded_make(model, SIDE, SIDE, true, &folded), FV_OK);
    fv_ranges ranges = ranges_of(&folded);
    static const double least[FV_PRECISIONS] = {0, 1e-6, 1e-6, 1e-4}, most[FV_PRECISIONS] = {1e-5, 5e-3, 5e-3, 0.2};
    for (int p = 0; p < FV_PRECISIONS; p++) {
        if (fv_rounded_make(&model->spec, &folded, (fv_export_precision)p, &ranges, &rounded) != FV_OK)
            fail_msg("%s", fv_error());
        double found = difference(model, rounded);
        if (!(found >= least[p] && found <= most[p])) fail_msg("%s: %g", fv_precision_names[p], found);
        fv_model_free(rounded);
    }
    fv_ranges_free(&ranges);
    fv_folded_free(&folded);
    fv_model_free(model);
}

/* ---- ONNX Runtime, where FOVEA_PYTHON names a Python with onnx and onnxruntime ---- */

static void write_dump(fv_model *model, const char *path) {
    size_t count;
    float *probability = run(model, &count), *input = malloc(3 * SIDE * SIDE * sizeof *input);
    fv_safetensors_writer *writer;
    fill_input(input, 3 * SIDE * SIDE);
    assert_int_equal(fv_safetensors_writer_make(&writer), FV_OK);
    const int64_t in[4] = {1, SIDE, SIDE, 3}, out[4] = {1, SIDE, SIDE, (int64_t)count / (SIDE * SIDE)};
    assert_int_equal(fv_safetensors_add(writer, "input", "F32", 4, in, input), FV_OK);
    assert_int_equal(fv_safetensors_add(writer, "probability", "F32", 4, out, probability), FV_OK);
    assert_int_equal(fv_safetensors_write(writer, path), FV_OK);
    free(probability);
    free(input);
}

static void expect_agreement(const char *python, const char *network, fv_norm_kind norm, fv_export_precision precision,
                             const char *tolerance) {
    fv_model *model = model_make(network, norm);
    char command[1024];
    write_file(model, &(request){.precision = precision, .dynamic = precision % 2});
    write_dump(model, temporary_path("dump.safetensors"));
    snprintf(command, sizeof command, "%s tests/peers/onnx_compare.py %s %s %s", python, temporary_path(FILE_NAME),
             temporary_path("dump.safetensors"), tolerance);
    if (system(command) != 0) fail_msg("%s in %s", network, fv_precision_names[precision]);
    fv_model_free(model);
}

static void onnx_runtime_agrees(void **state) {
    (void)state;
    const char *python = getenv("FOVEA_PYTHON");
    if (!python || !*python) {
        print_message("skip: ONNX files in ONNX Runtime: FOVEA_PYTHON names no Python with onnx and onnxruntime\n");
        skip();
    }
    expect_agreement(python, "mobilenetv2_se_unet", FV_NORM_BATCH, FV_PRECISION_FLOAT32, "1e-4");
    expect_agreement(python, "unet", FV_NORM_GROUP, FV_PRECISION_FLOAT32, "1e-4");
    expect_agreement(python, "unet", FV_NORM_GROUP, FV_PRECISION_FLOAT16, "5e-3");
    expect_agreement(python, "resunet", FV_NORM_BATCH, FV_PRECISION_FLOAT16_STORAGE, "5e-3");
    expect_agreement(python, "wnet", FV_NORM_BATCH, FV_PRECISION_INT8, "0.02");
    expect_agreement(python, "unet", FV_NORM_GROUP, FV_PRECISION_INT8, "0.05");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_in_every_precision_is_sound),
        cmocka_unit_test(input_and_output_have_the_shapes_asked_for),
        cmocka_unit_test(layers_are_those_of_the_network),
        cmocka_unit_test(metadata_say_what_to_do),
        cmocka_unit_test(halves_halve_the_file),
        cmocka_unit_test(bytes_have_scales_that_fit),
        cmocka_unit_test(a_weight_beyond_the_halves_is_refused),
        cmocka_unit_test(files_read_back_compute_the_same),
        cmocka_unit_test(rounding_grows_with_fewer_bits),
        cmocka_unit_test(onnx_runtime_agrees),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
