/* ONNX files, read back through the schema: what stands in them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "export_samples.h"
#include "fovea/base/file.h"
#include "fovea/exchange/onnx_read.h"
#include "onnx.pb-c.h"
#include "temporary.h"

static Onnx__ModelProto *read_file(void) {
    void *data;
    size_t bytes;
    assert_int_equal(fv_file_read(temporary_path(EXPORT_FILE), 1 << 28, &data, &bytes), FV_OK);
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
        fv_model *model = export_sample_model(fv_network_names[n], FV_NORM_BATCH);
        for (int p = 0; p < FV_PRECISIONS; p++) {
            export_sample_write(
                model,
                &(export_request){.precision = (fv_export_precision)p, .preprocessing = p % 2, .dynamic = p > 1});
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
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    export_sample_write(model, &(export_request){.precision = FV_PRECISION_FLOAT32});
    Onnx__ModelProto *file = read_file();
    const Onnx__TensorShapeProto *in = shape_of(file->graph->input[0], ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    const Onnx__TensorShapeProto *out = shape_of(file->graph->output[0], ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    assert_string_equal(in->dim[0]->dim_param, "batch");
    assert_int_equal(in->dim[1]->dim_value, 3);
    assert_int_equal(in->dim[2]->dim_value, EXPORT_SIDE);
    assert_string_equal(out->dim[0]->dim_param, "batch");
    assert_int_equal(out->dim[1]->dim_value, 1);
    assert_int_equal(out->dim[3]->dim_value, EXPORT_SIDE);
    onnx__model_proto__free_unpacked(file, NULL);
    export_sample_write(model, &(export_request){.precision = FV_PRECISION_FLOAT16, .preprocessing = true});
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
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    export_sample_write(model, &(export_request){.precision = FV_PRECISION_FLOAT32, .logits = true});
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
    fv_model *model = export_sample_model("mobilenetv2_unet", FV_NORM_BATCH);
    export_sample_write(model, &(export_request){.precision = FV_PRECISION_FLOAT32});
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

/* The layer that makes the output of a file is called so when the file is read. */
static void what_was_read_can_be_written_again(void **state) {
    (void)state;
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH), *read;
    export_sample_write(model, &(export_request){.precision = FV_PRECISION_FLOAT32, .logits = true});
    if (fv_onnx_read(temporary_path(EXPORT_FILE), &read) != FV_OK) fail_msg("%s", fv_error());
    for (int p = 0; p < FV_PRECISIONS; p++) {
        export_sample_write(read, &(export_request){.precision = (fv_export_precision)p});
        Onnx__ModelProto *file = read_file();
        expect_sound(file->graph);
        onnx__model_proto__free_unpacked(file, NULL);
    }
    fv_model_free(read);
    fv_model_free(model);
}

static void expect_metadata(const fv_model_spec *spec, const fv_export_shape *shape, const char *key,
                            const char *text) {
    fv_metadata metadata;
    assert_int_equal(fv_metadata_of_model(spec, shape, &metadata), FV_OK);
    assert_non_null(fv_metadata_find(&metadata, key));
    assert_string_equal(fv_metadata_find(&metadata, key), text);
    fv_metadata_free(&metadata);
}

/* The list of layers has a size all the same. */
static void photographs_that_are_resized_inside_are_of_any_size(void **state) {
    (void)state;
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    const fv_export_shape shape = {
        .layout = "NCHW", .height = EXPORT_SIDE, .width = EXPORT_SIDE, .preprocessing = true};
    expect_metadata(&model->spec, &shape, "input",
                    "NCHW, RGB, any size, levels 0..255; resized and normalised inside the network");
    model->spec.preprocess.windows = true;
    expect_metadata(&model->spec, &shape, "input",
                    "NCHW, RGB, 64 x 64 px (height x width), levels 0..255; normalised inside the network");
    fv_model_free(model);
}

static void the_angle_of_the_camera_is_told(void **state) {
    (void)state;
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    fv_preprocess *p = &model->spec.preprocess;
    p->fit = FV_FIT_FOV;
    p->windows = true;
    p->fov_diameter = 576;
    p->fov_degrees = 45;
    expect_metadata(&model->spec, &(fv_export_shape){.layout = "NCHW"}, "fit",
                    "cut the photograph to the bounding box of its field of view and resize that so that its longer "
                    "side is 576 px for a camera of 45 degrees, in proportion for others (area averaging when smaller, "
                    "bilinear when larger)");
    p->fov_degrees = 0;
    expect_metadata(&model->spec, &(fv_export_shape){.layout = "NCHW"}, "fit",
                    "cut the photograph to the bounding box of its field of view and resize that so that its longer "
                    "side is 576 px (area averaging when smaller, bilinear when larger)");
    fv_model_free(model);
}

/* ---- precisions ---- */

static void halves_halve_the_file(void **state) {
    (void)state;
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    size_t whole = export_sample_write(model, &(export_request){.precision = FV_PRECISION_FLOAT32});
    size_t half = export_sample_write(model, &(export_request){.precision = FV_PRECISION_FLOAT16});
    Onnx__ModelProto *file = read_file();
    for (size_t i = 0; i < file->graph->n_initializer; i++)
        assert_int_equal(file->graph->initializer[i]->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16);
    assert_int_equal(count_op(file->graph, "Cast"), 2); /* at the ends */
    onnx__model_proto__free_unpacked(file, NULL);
    size_t stored = export_sample_write(model, &(export_request){.precision = FV_PRECISION_FLOAT16_STORAGE});
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
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    size_t whole = export_sample_write(model, &(export_request){.precision = FV_PRECISION_FLOAT32});
    size_t bytes = export_sample_write(model, &(export_request){.precision = FV_PRECISION_INT8});
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
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    fv_folded folded;
    int entries = temporary_count();
    assert_int_equal(fv_folded_make(model, EXPORT_SIDE, EXPORT_SIDE, false, &folded), FV_OK);
    folded.layers[0].weight[5] = 1e5F;
    const fv_onnx_settings settings = {.precision = FV_PRECISION_FLOAT16, .title = "x"};
    assert_int_equal(fv_onnx_write(&folded, &settings, temporary_path("refused.onnx")), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "down0.a.weight has the value 100000, which half precision (up to 65504) can't "
                                    "hold: take float32");
    assert_int_equal(temporary_count(), entries);
    fv_folded_free(&folded);
    fv_model_free(model);
}

static void a_weight_that_is_no_number_has_no_8_bits(void **state) {
    (void)state;
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    fv_folded folded;
    int entries = temporary_count();
    assert_int_equal(fv_folded_make(model, EXPORT_SIDE, EXPORT_SIDE, false, &folded), FV_OK);
    fv_ranges ranges = export_sample_ranges(&folded);
    folded.layers[0].weight[5] = NAN;
    const fv_onnx_settings settings = {.precision = FV_PRECISION_INT8, .ranges = &ranges, .title = "x"};
    assert_int_equal(fv_onnx_write(&folded, &settings, temporary_path("refused.onnx")), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "layer down0.a has weights that are not numbers: the model is damaged");
    assert_int_equal(temporary_count(), entries);
    fv_ranges_free(&ranges);
    fv_folded_free(&folded);
    fv_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_in_every_precision_is_sound),
        cmocka_unit_test(input_and_output_have_the_shapes_asked_for),
        cmocka_unit_test(layers_are_those_of_the_network),
        cmocka_unit_test(metadata_say_what_to_do),
        cmocka_unit_test(what_was_read_can_be_written_again),
        cmocka_unit_test(photographs_that_are_resized_inside_are_of_any_size),
        cmocka_unit_test(the_angle_of_the_camera_is_told),
        cmocka_unit_test(halves_halve_the_file),
        cmocka_unit_test(bytes_have_scales_that_fit),
        cmocka_unit_test(a_weight_beyond_the_halves_is_refused),
        cmocka_unit_test(a_weight_that_is_no_number_has_no_8_bits),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
