/* ONNX networks: what is read runs as ONNX defines it, whatever the size. */
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
#include "fovea/exchange/onnx_read.h"
#include "fovea/exchange/open.h"
#include "fovea/graph/plan.h"
#include "onnx_samples.h"
#include "temporary.h"

#define SIDE 8

/* ---- running ---- */

static fv_model *take(Onnx__ModelProto *sample) {
    size_t bytes;
    void *data = onnx_sample_pack(sample, &bytes);
    fv_model *model;
    fv_status status = fv_onnx_read_memory(data, bytes, "sample.onnx", &model);
    free(data);
    onnx__model_proto__free_unpacked(sample, NULL);
    if (status != FV_OK) fail_msg("%s", fv_error());
    return model;
}

static float input_at(int c, int y, int x) {
    return (float)((c * 37 + y * 11 + x * 5) % 17) / 8 - 1;
}

/* The logits of an input of input_at(), {side, side, classes}; to be freed. */
static float *run(fv_model *model, int side) {
    fv_graph graph;
    fv_plan *plan;
    fv_graph_init(&graph, &model->params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){1, side, side, 3}, false);
    fv_value logits = fv_model_build(model, &graph, input, NULL);
    if (fv_plan_make(&graph, FV_PLAN_INFER, &logits, 1, FV_NO_VALUE, &plan) != FV_OK) fail_msg("%s", fv_error());
    fv_real *x = fv_plan_data(plan, input);
    for (int i = 0; i < side * side * 3; i++) x[i] = input_at(i % 3, i / 3 / side, i / 3 % side);
    fv_plan_forward(plan, false, 0, 0);
    fv_shape shape = fv_graph_shape(&graph, logits);
    assert_int_equal(shape.h, side);
    float *found = malloc(fv_shape_count(shape) * sizeof *found);
    memcpy(found, fv_plan_data(plan, logits), fv_shape_count(shape) * sizeof *found);
    fv_plan_free(plan);
    fv_graph_free(&graph);
    return found;
}

static void expect_values(fv_model *model, int side, float (*wanted)(int c, int y, int x)) {
    float *found = run(model, side);
    int classes = model->spec.classes;
    for (int i = 0; i < side * side * classes; i++) {
        float value = wanted(i % classes, i / classes / side, i / classes % side);
        if (!(fabsf(found[i] - value) < 1e-4f))
            fail_msg("row %d, column %d, class %d: %g, expected %g", i / classes / side, i / classes % side,
                     i % classes, (double)found[i], (double)value);
    }
    free(found);
    fv_model_free(model);
}

static int count_steps(const fv_model *model, fv_op_kind kind) {
    int count = 0;
    for (int i = 0; i < model->recipe->step_count; i++) count += model->recipe->steps[i].kind == kind;
    return count;
}

/* A 1x1 convolution that picks channel `c` of 3 for each of `filters`. */
static void append_pick(Onnx__ModelProto *sample, const char *input, const char *output, int filters) {
    float weights[8 * 3] = {0};
    for (int f = 0; f < filters; f++) weights[f * 3 + f % 3] = 1;
    onnx_sample_weights(sample, "pick", 4, (int[]){filters, 3, 1, 1}, weights);
    char names[64];
    snprintf(names, sizeof names, "%s pick", input);
    onnx_sample_node(sample, "Conv", names, output);
}

/* ---- layers ---- */

/* Weights of the samples below: w[f][c][u][v], as ONNX orders them. */
static float conv_weight(int f, int c, int u, int v) {
    return (float)((f * 7 + c * 5 + u * 3 + v) % 11) / 10 - 0.4f;
}

static float conv_reference(int f, int y, int x) {
    float sum = 0.25f * (float)(f + 1);
    for (int c = 0; c < 3; c++)
        for (int u = 0; u < 3; u++)
            for (int v = 0; v < 5; v++) {
                int row = y + u - 1, column = x + v - 1;
                if (row >= 0 && row < SIDE && column >= 0 && column < SIDE)
                    sum += conv_weight(f, c, u, v) * input_at(c, row, column);
            }
    return sum;
}

/* A kernel of 3x5, padding 1, 1 at the top and left and 1, 3 at the bottom and right, half of it by a Pad before. */
static void test_conv_with_bias_and_pad(void **state) {
    (void)state;
    float weights[2 * 3 * 3 * 5], bias[2] = {0.25f, 0.5f};
    for (int i = 0; i < 2 * 3 * 3 * 5; i++) weights[i] = conv_weight(i / 45, i / 15 % 3, i / 5 % 3, i % 5);
    Onnx__ModelProto *sample = onnx_sample_make(SIDE * 4);
    onnx_sample_weights(sample, "w", 4, (int[]){2, 3, 3, 5}, weights);
    onnx_sample_weights(sample, "b", 1, (int[]){2}, bias);
    onnx_sample_integers(sample, "pads", 8, (int[]){0, 0, 1, 0, 0, 0, 0, 3});
    onnx_sample_node(sample, "Pad", "input pads", "padded");
    Onnx__NodeProto *node = onnx_sample_node(sample, "Conv", "padded w b", "output");
    onnx_sample_ints(node, "pads", 4, (int[]){0, 1, 1, 0});
    expect_values(take(sample), SIDE, conv_reference);
}

static float depthwise_reference(int c, int y, int x) {
    float sum = 0.5f - 0.25f * (float)c;
    for (int u = 0; u < 3; u++)
        for (int v = 0; v < 3; v++) {
            int row = y + u - 1, column = x + v - 1;
            if (row >= 0 && row < SIDE && column >= 0 && column < SIDE)
                sum += conv_weight(c, 0, u, v) * input_at(c, row, column);
        }
    return fminf(fmaxf(sum, 0), 6);
}

/* Depthwise with a bias, then Clip to 0 .. 6. */
static void test_depthwise_with_bias(void **state) {
    (void)state;
    float weights[27], bias[3] = {0.5f, 0.25f, 0}, ends[2] = {0, 6};
    for (int i = 0; i < 27; i++) weights[i] = conv_weight(i / 9, 0, i / 3 % 3, i % 3);
    Onnx__ModelProto *sample = onnx_sample_make(32);
    onnx_sample_weights(sample, "w", 4, (int[]){3, 1, 3, 3}, weights);
    onnx_sample_weights(sample, "b", 1, (int[]){3}, bias);
    onnx_sample_weights(sample, "low", 0, NULL, &ends[0]);
    onnx_sample_weights(sample, "high", 0, NULL, &ends[1]);
    Onnx__NodeProto *node = onnx_sample_node(sample, "Conv", "input w b", "conv");
    onnx_sample_int(node, "group", 3);
    onnx_sample_text(node, "auto_pad", "SAME_UPPER");
    onnx_sample_node(sample, "Clip", "conv low high", "output");
    fv_model *model = take(sample);
    assert_int_equal(count_steps(model, FV_OP_depthwise), 1);
    assert_int_equal(count_steps(model, FV_OP_relu6), 1);
    expect_values(model, SIDE, depthwise_reference);
}

/* The mean of 2x2 pixels, doubled again by a transposed convolution 3x3, ONNX's weights {C, F, kh, kw}. */
static float transposed_reference(int f, int y, int x) {
    float sum = 0;
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < SIDE / 2; i++)
            for (int j = 0; j < SIDE / 2; j++) {
                int u = y + 1 - 2 * i, v = x + 1 - 2 * j;
                if (u < 0 || u > 2 || v < 0 || v > 2) continue;
                float mean = (input_at(c, 2 * i, 2 * j) + input_at(c, 2 * i, 2 * j + 1) +
                              input_at(c, 2 * i + 1, 2 * j) + input_at(c, 2 * i + 1, 2 * j + 1)) /
                             4;
                sum += mean * conv_weight(c, f, u, v);
            }
    return sum;
}

static void test_average_pool_and_transposed_conv(void **state) {
    (void)state;
    float weights[3 * 2 * 9];
    for (int i = 0; i < 3 * 2 * 9; i++) weights[i] = conv_weight(i / 18, i / 9 % 2, i / 3 % 3, i % 3);
    Onnx__ModelProto *sample = onnx_sample_make(32);
    onnx_sample_weights(sample, "w", 4, (int[]){3, 2, 3, 3}, weights);
    Onnx__NodeProto *pool = onnx_sample_node(sample, "AveragePool", "input", "small");
    onnx_sample_ints(pool, "kernel_shape", 2, (int[]){2, 2});
    onnx_sample_ints(pool, "strides", 2, (int[]){2, 2});
    Onnx__NodeProto *up = onnx_sample_node(sample, "ConvTranspose", "small w", "output");
    onnx_sample_ints(up, "strides", 2, (int[]){2, 2});
    onnx_sample_ints(up, "pads", 4, (int[]){1, 1, 1, 1});
    onnx_sample_ints(up, "output_padding", 2, (int[]){1, 1});
    fv_model *model = take(sample);
    assert_int_equal(fv_model_step(&model->spec), 2);
    expect_values(model, SIDE, transposed_reference);
}

/* SAME_UPPER with output_padding cuts off a row at the beginning, without it one at the end. */
static void test_transposed_conv_of_same_size(void **state) {
    (void)state;
    float weights[3 * 2 * 9];
    for (int i = 0; i < 3 * 2 * 9; i++) weights[i] = conv_weight(i / 18, i / 9 % 2, i / 3 % 3, i % 3);
    Onnx__ModelProto *sample = onnx_sample_make(32);
    onnx_sample_weights(sample, "w", 4, (int[]){3, 2, 3, 3}, weights);
    Onnx__NodeProto *pool = onnx_sample_node(sample, "AveragePool", "input", "small");
    onnx_sample_ints(pool, "kernel_shape", 2, (int[]){2, 2});
    onnx_sample_ints(pool, "strides", 2, (int[]){2, 2});
    onnx_sample_text(pool, "auto_pad", "SAME_UPPER"); /* of no effect, and so is the next */
    onnx_sample_int(pool, "ceil_mode", 1);
    Onnx__NodeProto *up = onnx_sample_node(sample, "ConvTranspose", "small w", "output");
    onnx_sample_ints(up, "strides", 2, (int[]){2, 2});
    onnx_sample_text(up, "auto_pad", "SAME_UPPER");
    onnx_sample_ints(up, "output_padding", 2, (int[]){1, 1});
    expect_values(take(sample), SIDE, transposed_reference);
}

/* ---- arithmetic ---- */

/* ((2 - 4 x) / 0.5 + c) picked, where c is one number a channel. */
static float arithmetic_reference(int c, int y, int x) {
    return (2 - 4 * input_at(c, y, x)) / 0.5f + (float)c;
}

static void test_fixed_numbers(void **state) {
    (void)state;
    float four = 4, two = 2, half = 0.5f, channels[3] = {0, 1, 2};
    Onnx__ModelProto *sample = onnx_sample_make(32);
    onnx_sample_weights(sample, "four", 0, NULL, &four);
    onnx_sample_weights(sample, "two", 0, NULL, &two);
    onnx_sample_weights(sample, "half", 1, (int[]){1}, &half);
    onnx_sample_weights(sample, "channels", 3, (int[]){3, 1, 1}, channels);
    onnx_sample_node(sample, "Mul", "four input", "a");
    onnx_sample_node(sample, "Sub", "two a", "b");
    onnx_sample_node(sample, "Div", "b half", "c");
    onnx_sample_node(sample, "Add", "c channels", "output");
    expect_values(take(sample), SIDE, arithmetic_reference);
}

static float logit_reference(int c, int y, int x) {
    float value = input_at(c, y, x);
    return value / (1 + expf(-value));
}

/* x sigmoid(x) becomes one silu; the Sigmoid at the end is left out. */
static void test_silu_and_last_sigmoid(void **state) {
    (void)state;
    Onnx__ModelProto *sample = onnx_sample_make(32);
    append_pick(sample, "input", "x", 3);
    onnx_sample_node(sample, "Sigmoid", "x", "s");
    onnx_sample_node(sample, "Mul", "s x", "y");
    onnx_sample_node(sample, "Sigmoid", "y", "z");
    onnx_sample_node(sample, "Identity", "z", "output");
    fv_model *model = take(sample);
    assert_int_equal(model->recipe->step_count, 2);
    assert_int_equal(count_steps(model, FV_OP_silu), 1);
    expect_values(model, SIDE, logit_reference);
}

/* ---- squeeze and excitation, by matrices ---- */

static float excited_reference(int c, int y, int x) {
    float mean[3] = {0}, gate = 0;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < SIDE * SIDE; i++) mean[k] += input_at(k, i / SIDE, i % SIDE) / (SIDE * SIDE);
    for (int k = 0; k < 3; k++) gate += mean[k] * conv_weight(c, k, 0, 0);
    gate += 0.25f;
    return input_at(c, y, x) / (1 + expf(-gate));
}

/* ReduceMean, Gemm {F, C} and a Reshape to {0, C, 1, 1} that is computed from the picture's shape. */
static void test_squeeze_and_excitation(void **state) {
    (void)state;
    float weights[9], bias[3] = {0.25f, 0.25f, 0.25f};
    for (int i = 0; i < 9; i++) weights[i] = conv_weight(i / 3, i % 3, 0, 0);
    Onnx__ModelProto *sample = onnx_sample_make(0);
    onnx_sample_weights(sample, "w", 2, (int[]){3, 3}, weights);
    onnx_sample_weights(sample, "b", 1, (int[]){3}, bias);
    onnx_sample_integers(sample, "ones", 2, (int[]){1, 1});
    onnx_sample_integers(sample, "zero", 1, (int[]){0});
    onnx_sample_integers(sample, "two", 1, (int[]){2});
    Onnx__NodeProto *mean = onnx_sample_node(sample, "ReduceMean", "input", "mean");
    onnx_sample_ints(mean, "axes", 2, (int[]){2, -1});
    onnx_sample_int(mean, "keepdims", 0);
    mean->attribute[1]->has_i = 0; /* as writers do that leave out zeros */
    onnx_sample_int(onnx_sample_node(sample, "Gemm", "mean w b", "dense"), "transB", 1);
    onnx_sample_node(sample, "Shape", "input", "shape");
    onnx_sample_node(sample, "Slice", "shape zero two", "nc");
    onnx_sample_int(onnx_sample_node(sample, "Concat", "nc ones", "form"), "axis", 0);
    onnx_sample_node(sample, "Reshape", "dense form", "pixel");
    onnx_sample_node(sample, "Sigmoid", "pixel", "gate");
    onnx_sample_node(sample, "Mul", "gate input", "output");
    expect_values(take(sample), SIDE, excited_reference);
}

/* ---- sizes ---- */

static float doubled_reference(int c, int y, int x) {
    float largest = -INFINITY;
    for (int i = 0; i < 4; i++) largest = fmaxf(largest, input_at(c, y / 2 * 2 + i / 2, x / 2 * 2 + i % 2));
    return largest;
}

/* Halved, and resized to the size of the input that Shape, Gather, Unsqueeze and Concat find. Made for 64 pixels, or
   for any, it runs at 8. */
static void resized(int size) {
    Onnx__ModelProto *sample = onnx_sample_make(size);
    onnx_sample_integers(sample, "nc", 2, (int[]){1, 3});
    onnx_sample_integers(sample, "axes", 1, (int[]){0});
    onnx_sample_integers(sample, "first", 1, (int[]){2});
    onnx_sample_integers(sample, "third", 1, (int[]){3});
    Onnx__NodeProto *pool = onnx_sample_node(sample, "MaxPool", "input", "small");
    onnx_sample_ints(pool, "kernel_shape", 2, (int[]){2, 2});
    onnx_sample_ints(pool, "strides", 2, (int[]){2, 2});
    onnx_sample_node(sample, "Shape", "input", "shape");
    onnx_sample_int(onnx_sample_node(sample, "Gather", "shape first", "h"), "axis", 0);
    onnx_sample_node(sample, "Squeeze", "h axes", "h0");
    onnx_sample_node(sample, "Unsqueeze", "h0 axes", "h1");
    onnx_sample_int(onnx_sample_node(sample, "Gather", "shape third", "w"), "axis", 0);
    onnx_sample_int(onnx_sample_node(sample, "Concat", "nc h1 w", "sizes"), "axis", 0);
    Onnx__NodeProto *resize = onnx_sample_node(sample, "Resize", "small - - sizes", "output");
    onnx_sample_text(resize, "coordinate_transformation_mode", "asymmetric");
    onnx_sample_text(resize, "nearest_mode", "floor");
    fv_model *model = take(sample);
    assert_int_equal(model->spec.preprocess.size, size ? size : 512);
    assert_int_equal(fv_model_step(&model->spec), 2);
    expect_values(model, SIDE, doubled_reference);
}

static void test_size_does_not_stick(void **state) {
    (void)state;
    resized(64);
    resized(0);
}

/* The scales stand where later opsets have the region, and rounding is down. */
static void test_old_resizes(void **state) {
    (void)state;
    for (int opset = 9; opset <= 10; opset++) {
        Onnx__ModelProto *sample = onnx_sample_make(32);
        sample->opset_import[0]->version = opset;
        onnx_sample_weights(sample, "scales", 1, (int[]){4}, (float[]){1, 1, 2, 2});
        Onnx__NodeProto *pool = onnx_sample_node(sample, "MaxPool", "input", "small");
        onnx_sample_ints(pool, "kernel_shape", 2, (int[]){2, 2});
        onnx_sample_ints(pool, "strides", 2, (int[]){2, 2});
        onnx_sample_node(sample, opset == 9 ? "Upsample" : "Resize", "small scales", "output");
        expect_values(take(sample), SIDE, doubled_reference);
    }
}

/* Seven inputs are more than the op takes at once; what the output does not need, even an operator or weights that
   fovea can't read, is left alone. */
static void test_concat_of_many_and_unneeded_nodes(void **state) {
    (void)state;
    Onnx__ModelProto *sample = onnx_sample_make(32);
    append_pick(sample, "input", "x", 1);
    onnx_sample_weights(sample, "odd", 1, (int[]){3}, NULL)->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
    onnx_sample_node(sample, "Einsum", "x odd", "unused");
    onnx_sample_int(onnx_sample_node(sample, "Concat", "x x x x x x x", "output"), "axis", 1);
    fv_model *model = take(sample);
    assert_int_equal(model->spec.classes, 7);
    float *found = run(model, SIDE);
    for (int i = 0; i < SIDE * SIDE * 7; i++)
        assert_float_equal(found[i], input_at(0, i / 7 / SIDE, i / 7 % SIDE), 1e-6);
    free(found);
    fv_model_free(model);
}

/* ---- precision and metadata ---- */

/* Weights of float16, in bytes and in ONNX's int32 field, behind a Cast. */
static void test_half_weights(void **state) {
    (void)state;
    for (int typed = 0; typed < 2; typed++) {
        Onnx__ModelProto *sample = onnx_sample_make(32);
        Onnx__TensorProto *w = onnx_sample_weights(sample, "w", 4, (int[]){1, 3, 1, 1}, NULL);
        static const uint16_t halves[3] = {0x3c00, 0x3800, 0xc000}; /* 1, 0.5, -2 */
        w->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
        w->raw_data.len = sizeof halves;
        memcpy(w->raw_data.data, halves, sizeof halves);
        if (typed) {
            free(w->raw_data.data);
            w->has_raw_data = 0;
            w->raw_data = (ProtobufCBinaryData){0};
            w->n_int32_data = 3;
            w->int32_data = malloc(3 * sizeof *w->int32_data);
            for (int i = 0; i < 3; i++) w->int32_data[i] = halves[i];
        }
        onnx_sample_int(onnx_sample_node(sample, "Cast", "w", "wide"), "to", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
        onnx_sample_node(sample, "Conv", "input wide", "output");
        fv_model *model = take(sample);
        assert_float_equal(model->params.values[0], 1, 0);
        assert_float_equal(model->params.values[1], 0.5, 0);
        assert_float_equal(model->params.values[2], -2, 0);
        fv_model_free(model);
    }
}

static const char two_class_spec[] =
    "{\"format\":1,\"network\":\"unet\",\"width\":1,\"convention\":\"keras\",\"classes\":[{"
    "\"name\":\"disc\",\"threshold\":0.4},"
    "{\"name\":\"cup\",\"threshold\":0.6}],\"preprocess\":{\"size\":96,\"work_size\":192,\"fit\":"
    "\"stretch\",\"enhance\":\"clahe\","
    "\"clahe_clip\":3,\"clahe_tiles\":8,\"normalise\":\"unit\"}}";

static void test_spec_of_metadata(void **state) {
    (void)state;
    Onnx__ModelProto *sample = onnx_sample_make(64);
    append_pick(sample, "input", "output", 2);
    onnx_sample_metadata(sample, "fovea.model", two_class_spec);
    fv_model *model = take(sample);
    assert_string_equal(model->spec.network, FV_RECIPE_NETWORK);
    assert_string_equal(model->spec.class_names[1], "cup");
    assert_float_equal(model->spec.thresholds[0], 0.4, 1e-12);
    assert_int_equal(model->spec.preprocess.size, 96);
    assert_int_equal(model->spec.preprocess.normalise, FV_NORMALISE_UNIT);
    fv_model_free(model);
    sample = onnx_sample_make(64);
    append_pick(sample, "input", "output", 2);
    model = take(sample);
    assert_string_equal(model->spec.class_names[1], "class2");
    assert_int_equal(model->spec.preprocess.normalise, FV_NORMALISE_IMAGENET);
    assert_int_equal(model->spec.preprocess.enhance.count, 0);
    fv_model_free(model);
}

static float doubled_input(int c, int y, int x) {
    return 2 * input_at(c, y, x);
}

/* The normalisation that fovea's export puts in front is left out, a scale that the network begins with is not. */
static void test_normalisation_of_own_files(void **state) {
    (void)state;
    for (int own = 0; own < 2; own++) {
        Onnx__ModelProto *sample = onnx_sample_make(64);
        float three = 3, two = 2;
        onnx_sample_weights(sample, "three", 0, NULL, &three);
        onnx_sample_weights(sample, "two", 0, NULL, &two);
        if (own) memcpy(onnx_sample_node(sample, "Mul", "input three", "scaled")->name, "prepared", 9); /* n_scaled */
        onnx_sample_node(sample, "Mul", own ? "scaled two" : "input two", "x");
        append_pick(sample, "x", "output", 2);
        onnx_sample_metadata(sample, "fovea.model", two_class_spec);
        expect_values(take(sample), SIDE, doubled_input);
    }
}

/* fv_model_open() goes by content: an ONNX file under another name is one too. */
static void test_open(void **state) {
    (void)state;
    Onnx__ModelProto *sample = onnx_sample_make(32);
    append_pick(sample, "input", "output", 1);
    size_t bytes;
    void *data = onnx_sample_pack(sample, &bytes);
    fv_model *model;
    assert_int_equal(fv_file_write(temporary_path("m.bin"), data, bytes), FV_OK);
    assert_int_equal(fv_model_open(temporary_path("m.bin"), &model), FV_OK);
    assert_non_null(model->recipe);
    fv_model_free(model);
    assert_int_equal(fv_model_open(temporary_path("absent.onnx"), &model), FV_BAD_INPUT);
    assert_null(model);
    free(data);
    onnx__model_proto__free_unpacked(sample, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_with_bias_and_pad),
        cmocka_unit_test(test_depthwise_with_bias),
        cmocka_unit_test(test_average_pool_and_transposed_conv),
        cmocka_unit_test(test_transposed_conv_of_same_size),
        cmocka_unit_test(test_fixed_numbers),
        cmocka_unit_test(test_silu_and_last_sigmoid),
        cmocka_unit_test(test_squeeze_and_excitation),
        cmocka_unit_test(test_size_does_not_stick),
        cmocka_unit_test(test_old_resizes),
        cmocka_unit_test(test_concat_of_many_and_unneeded_nodes),
        cmocka_unit_test(test_half_weights),
        cmocka_unit_test(test_spec_of_metadata),
        cmocka_unit_test(test_normalisation_of_own_files),
        cmocka_unit_test(test_open),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
