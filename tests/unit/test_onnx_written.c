/* ONNX files, run: read back into fovea, by ONNX Runtime, and simulated. */
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
#include "fovea/exchange/onnx_read.h"
#include "fovea/exchange/rounded.h"
#include "fovea/graph/plan.h"
#include "fovea/nn/layers.h"
#include "temporary.h"

/* Probabilities of the model's own network, or any other, on this input. */
static float *run_on(fv_model *model, const float *given, size_t *count) {
    fv_graph graph;
    fv_plan *plan;
    fv_graph_init(&graph, &model->params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){1, EXPORT_SIDE, EXPORT_SIDE, 3}, false);
    fv_value output = fv_sigmoid(&graph, "probabilities", fv_model_build(model, &graph, input, NULL));
    if (fv_plan_make(&graph, FV_PLAN_INFER, &output, 1, FV_NO_VALUE, &plan) != FV_OK) fail_msg("%s", fv_error());
    memcpy(fv_plan_data(plan, input), given, 3 * EXPORT_SIDE * EXPORT_SIDE * sizeof *given);
    fv_plan_forward(plan, false, 0, 0);
    *count = fv_shape_count(fv_graph_shape(&graph, output));
    float *result = malloc(*count * sizeof *result);
    memcpy(result, fv_plan_data(plan, output), *count * sizeof *result);
    fv_plan_free(plan);
    fv_graph_free(&graph);
    return result;
}

/* On the same input as every time. */
static float *run(fv_model *model, size_t *count) {
    float *input = malloc(3 * EXPORT_SIDE * EXPORT_SIDE * sizeof *input);
    export_sample_input(input, 3 * EXPORT_SIDE * EXPORT_SIDE);
    float *result = run_on(model, input, count);
    free(input);
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
    fv_model *model = export_sample_model(network, norm), *read;
    export_sample_write(model, &(export_request){.precision = precision, .dynamic = true});
    if (fv_onnx_read(temporary_path(EXPORT_FILE), &read) != FV_OK) fail_msg("%s: %s", network, fv_error());
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

/* The network with the rounding of an export. */
static fv_model *rounded_model(const fv_model *model, fv_export_precision precision) {
    fv_folded folded, written;
    fv_model *rounded;
    assert_int_equal(fv_folded_make(model, EXPORT_SIDE, EXPORT_SIDE, true, &folded), FV_OK);
    assert_int_equal(fv_folded_make(model, EXPORT_SIDE, EXPORT_SIDE, false, &written), FV_OK);
    fv_ranges ranges = export_sample_ranges(&written); /* as the file has them */
    if (fv_rounded_make(&model->spec, &folded, precision, &ranges, &rounded) != FV_OK) fail_msg("%s", fv_error());
    fv_ranges_free(&ranges);
    fv_folded_free(&folded);
    fv_folded_free(&written);
    return rounded;
}

/* The simulation: nothing is rounded in float32, little in halves, more in bytes, and never nothing. */
static void rounding_grows_with_fewer_bits(void **state) {
    (void)state;
    fv_model *model = export_sample_model("wnet", FV_NORM_BATCH);
    static const double least[FV_PRECISIONS] = {0, 1e-4, 1e-5, 1e-2}, most[FV_PRECISIONS] = {1e-5, 1e-2, 1e-2, 0.2};
    for (int p = 0; p < FV_PRECISIONS; p++) {
        fv_model *rounded = rounded_model(model, (fv_export_precision)p);
        double found = difference(model, rounded);
        if (!(found >= least[p] && found <= most[p])) fail_msg("%s: %g", fv_precision_names[p], found);
        fv_model_free(rounded);
    }
    fv_model_free(model);
}

/* ---- ONNX Runtime, where FOVEA_PYTHON names a Python with onnx and onnxruntime ---- */

static void write_dump(const char *name, fv_shape shape, const float *values, const float *probability) {
    fv_safetensors_writer *writer;
    const int64_t in[4] = {1, shape.h, shape.w, 3}, out[4] = {1, EXPORT_SIDE, EXPORT_SIDE, 1};
    assert_int_equal(fv_safetensors_writer_make(&writer), FV_OK);
    assert_int_equal(fv_safetensors_add(writer, name, "F32", 4, in, values), FV_OK);
    assert_int_equal(fv_safetensors_add(writer, "probability", "F32", 4, out, probability), FV_OK);
    assert_int_equal(fv_safetensors_write(writer, temporary_path("dump.safetensors")), FV_OK);
}

/* Skips the test where there is no such Python. */
static const char *python(void) {
    const char *program = getenv("FOVEA_PYTHON");
    if (program && *program) return program;
    print_message("skip: ONNX files in ONNX Runtime: FOVEA_PYTHON names no Python with onnx and onnxruntime\n");
    skip();
    return NULL;
}

static bool agrees(const char *program, const char *tolerance) {
    char command[1024];
    snprintf(command, sizeof command, "%s tests/peers/onnx_compare.py %s %s %s", program, temporary_path(EXPORT_FILE),
             temporary_path("dump.safetensors"), tolerance);
    return system(command) == 0;
}

/* In 8 bits with what fovea forecasts by rounding, else with the model itself. */
static void expect_agreement(const char *program, const char *network, fv_norm_kind norm, fv_export_precision precision,
                             const char *tolerance) {
    fv_model *model = export_sample_model(network, norm);
    size_t count;
    fv_model *forecast = rounded_model(model, precision == FV_PRECISION_INT8 ? precision : FV_PRECISION_FLOAT32);
    float *probability = run(forecast, &count), *input = malloc(3 * EXPORT_SIDE * EXPORT_SIDE * sizeof *input);
    export_sample_input(input, 3 * EXPORT_SIDE * EXPORT_SIDE);
    export_sample_write(model, &(export_request){.precision = precision, .dynamic = precision % 2});
    write_dump("input", (fv_shape){1, EXPORT_SIDE, EXPORT_SIDE, 3}, input, probability);
    if (!agrees(program, tolerance)) fail_msg("%s in %s", network, fv_precision_names[precision]);
    free(probability);
    free(input);
    fv_model_free(forecast);
    fv_model_free(model);
}

static void onnx_runtime_agrees(void **state) {
    (void)state;
    const char *program = python();
    expect_agreement(program, "mobilenetv2_se_unet", FV_NORM_BATCH, FV_PRECISION_FLOAT32, "1e-4");
    expect_agreement(program, "unet", FV_NORM_GROUP, FV_PRECISION_FLOAT32, "1e-4");
    expect_agreement(program, "unet", FV_NORM_GROUP, FV_PRECISION_FLOAT16, "5e-3");
    expect_agreement(program, "resunet", FV_NORM_BATCH, FV_PRECISION_FLOAT16_STORAGE, "5e-3");
    expect_agreement(program, "wnet", FV_NORM_BATCH, FV_PRECISION_INT8, "0.02");
    /* A value that falls to the other side of a step moves a whole group's statistics. */
    expect_agreement(program, "unet", FV_NORM_GROUP, FV_PRECISION_INT8, "0.3");
}

/* Slopes of light, brighter to the right and below, so that a picture that is shifted or stretched is another one. */
static void fill_photo(const fv_image *photo) {
    for (int y = 0; y < photo->height; y++)
        for (int x = 0; x < photo->width; x++)
            for (int c = 0; c < 3; c++)
                photo->data[(y * photo->width + x) * 3 + c] = (uint8_t)((x * (c + 1) + y * (3 - c)) / 2);
}

/* A photograph that is no square, resized inside the file: as fovea prepares it, whose work image is rounded to whole
   levels; a model that stretches it instead does not agree. */
static void preprocessing_inside_agrees(void **state) {
    (void)state;
    const char *program = python();
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    fv_image photo;
    fv_work work;
    float input[3 * EXPORT_SIDE * EXPORT_SIDE], levels[90 * 70 * 3];
    size_t count;
    model->spec.preprocess.enhance.count = 0;
    assert_int_equal(fv_image_make(90, 70, 3, &photo), FV_OK);
    fill_photo(&photo);
    for (int i = 0; i < 90 * 70 * 3; i++) levels[i] = photo.data[i];
    assert_int_equal(fv_preprocess_enhance(&model->spec.preprocess, &photo, NULL, &work), FV_OK);
    fv_preprocess_sample(&model->spec.preprocess, &work.image, input);
    float *probability = run_on(model, input, &count);
    write_dump("levels", (fv_shape){1, 70, 90, 3}, levels, probability);
    export_sample_write(model, &(export_request){.preprocessing = true});
    assert_true(agrees(program, "1e-4"));
    model->spec.preprocess.fit = FV_FIT_STRETCH;
    export_sample_write(model, &(export_request){.preprocessing = true});
    assert_false(agrees(program, "1e-4"));
    free(probability);
    fv_work_free(&work);
    fv_image_free(&photo);
    fv_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_read_back_compute_the_same),
        cmocka_unit_test(rounding_grows_with_fewer_bits),
        cmocka_unit_test(onnx_runtime_agrees),
        cmocka_unit_test(preprocessing_inside_agrees),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
