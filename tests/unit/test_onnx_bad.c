/* ONNX files that are damaged, contradict themselves or ask for what fovea lacks: a sentence each that says where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fovea/exchange/onnx_read.h"
#include "onnx_samples.h"

static fv_status read_bytes(const void *data, size_t bytes) {
    fv_model *model;
    fv_status status = fv_onnx_read_memory(data, bytes, "sample.onnx", &model);
    if (status != FV_OK) assert_null(model);
    fv_model_free(model);
    return status;
}

/* Frees the sample. */
static void expect_refused(Onnx__ModelProto *sample, const char *words) {
    size_t bytes;
    void *data = onnx_sample_pack(sample, &bytes);
    assert_int_equal(read_bytes(data, bytes), FV_BAD_INPUT);
    if (strncmp(fv_error(), "sample.onnx", 11) != 0) fail_msg("\"%s\" does not begin with the file's name", fv_error());
    if (!strstr(fv_error(), words)) fail_msg("\"%s\" does not say \"%s\"", fv_error(), words);
    free(data);
    onnx__model_proto__free_unpacked(sample, NULL);
}

/* input -> 3x3 convolution "c" of 2 filters with weight "w" -> Relu -> output; without change it is read. */
static Onnx__ModelProto *good_sample(void) {
    Onnx__ModelProto *sample = onnx_sample_make(32);
    onnx_sample_weights(sample, "w", 4, (int[]){2, 3, 3, 3}, NULL);
    onnx_sample_ints(onnx_sample_node(sample, "Conv", "input w", "c"), "pads", 4, (int[]){1, 1, 1, 1});
    onnx_sample_node(sample, "Relu", "c", "output");
    return sample;
}

static Onnx__TensorProto *weight_of(Onnx__ModelProto *sample) {
    return sample->graph->initializer[0];
}

static Onnx__NodeProto *conv_of(Onnx__ModelProto *sample) {
    return sample->graph->node[0];
}

static void rename_text(char **text, const char *to) {
    free(*text);
    *text = strdup(to);
}

/* ---- the file ---- */

static void test_good_sample_is_read(void **state) {
    (void)state;
    size_t bytes;
    Onnx__ModelProto *sample = good_sample();
    void *data = onnx_sample_pack(sample, &bytes);
    if (read_bytes(data, bytes) != FV_OK) fail_msg("%s", fv_error());
    free(data);
    onnx__model_proto__free_unpacked(sample, NULL);
}

/* Cut anywhere, a file is refused or, where only something optional is gone, read; it never goes wrong otherwise. */
static void test_cut_short(void **state) {
    (void)state;
    size_t bytes, read = 0;
    Onnx__ModelProto *sample = good_sample();
    char *data = onnx_sample_pack(sample, &bytes);
    for (size_t length = 0; length < bytes; length++) {
        char *cut = malloc(length + 1); /* of the very length, so that sanitizers see a step too far */
        memcpy(cut, data, length);
        read += read_bytes(cut, length) == FV_OK;
        free(cut);
    }
    assert_true(read <= 1);
    free(data);
    onnx__model_proto__free_unpacked(sample, NULL);
}

static void test_other_files(void **state) {
    (void)state;
    assert_int_equal(read_bytes("", 0), FV_BAD_INPUT);
    assert_int_equal(read_bytes("\x89PNG\r\n\x1a\n of some length", 24), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "no ONNX file"));
}

/* A graph in an attribute of a node of a graph in an attribute ..., 20000 deep. */
static void test_nested_deeply(void **state) {
    (void)state;
    enum { DEEP = 20000, ROOM = DEEP * 16 };
    unsigned char *data = malloc(ROOM), *at = data + ROOM;
    static const unsigned char tags[] = {0x32, 0x0a, 0x2a}; /* attribute.g, graph.node, node.attribute */
    for (int i = 0; i < DEEP; i++) {
        size_t length = (size_t)(data + ROOM - at);
        int level = DEEP - 1 - i; /* from the outside, where model.graph is */
        unsigned char head[6] = {level ? tags[level % 3] : 0x3a};
        int bytes = 1;
        for (; length > 127; length >>= 7) head[bytes++] = (unsigned char)(length & 127) | 128;
        head[bytes++] = (unsigned char)length;
        at -= bytes;
        memcpy(at, head, (size_t)bytes);
    }
    assert_int_equal(read_bytes(at, (size_t)(data + ROOM - at)), FV_BAD_INPUT);
    free(data);
}

/* Two million empty nodes, 4 MB, become 250 MB of structs. */
static void test_more_memory_than_bytes(void **state) {
    (void)state;
    enum { NODES = 2000000, HEAD = 5 };
    unsigned char *data = malloc(HEAD + 2 * NODES);
    size_t length = 2 * NODES;
    data[0] = 0x3a; /* model.graph */
    for (int i = 1; i < HEAD; i++, length >>= 7) data[i] = (unsigned char)((length & 127) | (i < HEAD - 1 ? 128 : 0));
    for (int i = 0; i < NODES; i++) memcpy(data + HEAD + 2 * i, "\x0a", 2); /* graph.node of no bytes */
    assert_int_equal(read_bytes(data, HEAD + 2 * NODES), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "far more memory"));
    free(data);
}

static void test_opset(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    sample->opset_import[0]->version = 7;
    expect_refused(sample, "operator set 7");
    sample = good_sample();
    sample->opset_import[0]->version = 1000;
    expect_refused(sample, "operator set 1000");
    sample = good_sample();
    rename_text(&sample->opset_import[0]->domain, "com.example");
    expect_refused(sample, "does not say which");
}

/* ---- weights ---- */

static void test_sizes_of_weights(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    for (int i = 0; i < 4; i++) weight_of(sample)->dims[i] = (int64_t)1 << 32; /* their product is 0 in 64 bits */
    expect_refused(sample, "the weight w has dimensions that come to more than 2^31 elements");
    sample = good_sample();
    for (int i = 0; i < 4; i++) weight_of(sample)->dims[i] = i ? (int64_t)1 << 31 : 0; /* no element at all */
    expect_refused(sample, "more than 2^31 elements");
    sample = good_sample();
    weight_of(sample)->dims[2] = -3;
    expect_refused(sample, "negative dimension");
    sample = good_sample();
    weight_of(sample)->raw_data.len -= 1;
    expect_refused(sample, "the file is damaged");
    sample = good_sample();
    weight_of(sample)->n_dims = 3;
    weight_of(sample)->dims[2] = 9;
    expect_refused(sample, "3 dimensions, expected 4");
    sample = good_sample();
    weight_of(sample)->dims[0] = 0;
    weight_of(sample)->raw_data.len = 0;
    expect_refused(sample, "n_c (Conv)");
    sample = good_sample();
    weight_of(sample)->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX64;
    expect_refused(sample, "data type 14");
}

static void test_external_data(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    weight_of(sample)->has_data_location = 1;
    weight_of(sample)->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    expect_refused(sample, "external data");
}

static void test_weight_twice(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    onnx_sample_weights(sample, "w", 1, (int[]){1}, NULL);
    expect_refused(sample, "is there twice");
}

static Onnx__ModelProto *many_weights(int count) {
    Onnx__ModelProto *sample = good_sample();
    for (int i = 1; i < count; i++) { /* the first is "w" */
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        onnx_sample_weights(sample, name, 1, (int[]){1}, NULL);
    }
    return sample;
}

static void test_many_weights(void **state) {
    (void)state;
    expect_refused(many_weights(20000), "2 nodes and 20000 weights; fovea reads less than 20000 of each");
    expect_refused(many_weights(19999), "n_c (Conv): the file has more than 20000 values");
}

/* ---- nodes ---- */

static void test_circle_and_order(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    rename_text(&conv_of(sample)->input[0], "output");
    expect_refused(sample, "in a circle");
    sample = good_sample();
    Onnx__NodeProto *first = sample->graph->node[0];
    sample->graph->node[0] = sample->graph->node[1];
    sample->graph->node[1] = first;
    expect_refused(sample, "n_output (Relu): it reads \"c\"");
    sample = good_sample();
    rename_text(&conv_of(sample)->input[1], "elsewhere");
    expect_refused(sample, "elsewhere");
    sample = good_sample();
    rename_text(&conv_of(sample)->input[1], "");
    expect_refused(sample, "input 1 is missing");
}

static void test_results_twice(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    rename_text(&sample->graph->node[1]->output[0], "c");
    rename_text(&sample->graph->output[0]->name, "c");
    expect_refused(sample, "n_output (Relu): \"c\" is there twice");
}

static void test_unknown_operators(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    rename_text(&sample->graph->node[1]->op_type, "Softmax");
    expect_refused(sample, "node n_output (Softmax): fovea has no such operator");
    sample = good_sample();
    free(conv_of(sample)->domain);
    conv_of(sample)->domain = strdup("com.microsoft");
    expect_refused(sample, "com.microsoft");
    sample = good_sample();
    rename_text(&conv_of(sample)->input[0], "w");
    expect_refused(sample, "n_c (Conv): fovea does not compute this from fixed numbers");
}

static void test_attributes(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    onnx_sample_ints(conv_of(sample), "strides", 2, (int[]){1, 2});
    expect_refused(sample, "strides of 1 and 2");
    sample = good_sample();
    onnx_sample_ints(conv_of(sample), "strides", 2, (int[]){0, 0});
    expect_refused(sample, "strides of 0 and 0");
    sample = good_sample();
    onnx_sample_int(conv_of(sample), "group", 7);
    expect_refused(sample, "equal groups");
    sample = good_sample();
    onnx_sample_ints(conv_of(sample), "dilations", 3, (int[]){1, 1, 1});
    expect_refused(sample, "dilations has 3 numbers");
    sample = good_sample();
    onnx_sample_text(conv_of(sample), "auto_pad", "AROUND");
    expect_refused(sample, "auto_pad is \"AROUND\"");
    sample = good_sample();
    conv_of(sample)->attribute[0]->ints[0] = -5000;
    expect_refused(sample, "pads has the number -5000");
    sample = good_sample();
    conv_of(sample)->attribute[0]->ints[0] = -1;
    expect_refused(sample, "padding of -1");
}

/* ---- what computes shapes ---- */

static void test_huge_constants(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    onnx_sample_integers(sample, "huge", 1, (int[]){(1 << 24) + 1});
    onnx_sample_node(sample, "ConstantOfShape", "huge", "many");
    onnx_sample_node(sample, "Add", "output many", "sum");
    rename_text(&sample->graph->output[0]->name, "sum");
    expect_refused(sample, "n_many (ConstantOfShape): fixed numbers of more than 2^24");
    sample = good_sample();
    onnx_sample_integers(sample, "huge", 3, (int[]){1 << 30, 1 << 30, 1 << 30});
    onnx_sample_node(sample, "ConstantOfShape", "huge", "many");
    onnx_sample_node(sample, "Add", "output many", "sum");
    rename_text(&sample->graph->output[0]->name, "sum");
    expect_refused(sample, "n_many (ConstantOfShape): its result has dimensions that come to more than 2^31");
}

/* Each is allowed, the third is too much. */
static void test_many_constants(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    onnx_sample_integers(sample, "large", 1, (int[]){1 << 24});
    for (int i = 0; i < 3; i++) {
        char output[8];
        snprintf(output, sizeof output, "k%d", i);
        onnx_sample_node(sample, "ConstantOfShape", "large", output);
    }
    onnx_sample_node(sample, "Concat", "k0 k1 k2", "sum");
    onnx_sample_node(sample, "Add", "output sum", "end");
    rename_text(&sample->graph->output[0]->name, "end");
    expect_refused(sample, "n_k2 (ConstantOfShape): fixed numbers that are computed come to more than 2^25");
}

/* Sides of 32 * 64^3 px, whose product is more than an int holds. */
static void test_large_pictures(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    float scales[4] = {1, 1, 64, 64};
    onnx_sample_weights(sample, "scales", 1, (int[]){4}, scales);
    const char *const names[4] = {"output", "u1", "u2", "u3"};
    for (int i = 0; i < 3; i++) {
        char inputs[32];
        snprintf(inputs, sizeof inputs, "%s - scales", names[i]);
        onnx_sample_node(sample, "Resize", inputs, names[i + 1]);
    }
    rename_text(&sample->graph->output[0]->name, "u3");
    expect_refused(sample, "n_u2 (Resize): it makes a picture of 131072x131072");
}

static void test_average_of_large_windows(void **state) {
    (void)state;
    Onnx__ModelProto *sample = onnx_sample_make(128);
    Onnx__NodeProto *pool = onnx_sample_node(sample, "AveragePool", "input", "output");
    onnx_sample_ints(pool, "kernel_shape", 2, (int[]){65, 65});
    expect_refused(sample, "GlobalAveragePool");
}

static void test_slices(void **state) {
    (void)state;
    for (int twice = 0; twice < 2; twice++) {
        Onnx__ModelProto *sample = good_sample();
        onnx_sample_integers(sample, "starts", 2, (int[]){0, 0});
        onnx_sample_integers(sample, "ends", 2, (int[]){1, 1});
        onnx_sample_integers(sample, "axes", 2, (int[]){0, twice ? 0 : 1});
        onnx_sample_integers(sample, "steps", 2, (int[]){1, 0});
        onnx_sample_node(sample, "Slice", "w starts ends axes steps", "part");
        onnx_sample_node(sample, "Add", "output part", "end");
        rename_text(&sample->graph->output[0]->name, "end");
        expect_refused(sample, twice ? "it names axis 0 twice" : "it takes steps of 0");
    }
}

/* The height at which the file was read must not become a weight. */
static void test_numbers_of_the_size(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    onnx_sample_integers(sample, "second", 1, (int[]){2});
    onnx_sample_node(sample, "Shape", "input", "shape");
    onnx_sample_node(sample, "Gather", "shape second", "height");
    onnx_sample_int(onnx_sample_node(sample, "Cast", "height", "real"), "to", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    onnx_sample_node(sample, "Div", "output real", "share");
    rename_text(&sample->graph->output[0]->name, "share");
    expect_refused(sample, "n_share (Div): its numbers follow from the picture's size");
}

static void resize_case(const int *scales_of_hundred, const char *mode, const char *words) {
    Onnx__ModelProto *sample = good_sample();
    float scales[4];
    for (int i = 0; i < 4; i++) scales[i] = (float)scales_of_hundred[i] / 100;
    onnx_sample_weights(sample, "scales", 1, (int[]){4}, scales);
    Onnx__NodeProto *node = onnx_sample_node(sample, "Resize", "output - scales", "larger");
    onnx_sample_text(node, "mode", mode);
    onnx_sample_text(node, "coordinate_transformation_mode", "align_corners");
    rename_text(&sample->graph->output[0]->name, "larger");
    expect_refused(sample, words);
}

static void test_resize(void **state) {
    (void)state;
    resize_case((int[]){100, 100, 150, 150}, "linear", "1.5 times as high");
    resize_case((int[]){100, 100, 200, 300}, "linear", "one whole number");
    resize_case((int[]){100, 100, 200, 200}, "linear", "align_corners=False");
    resize_case((int[]){100, 100, 200, 200}, "cubic", "mode \"cubic\"");
    resize_case((int[]){200, 100, 200, 200}, "linear", "2 times as many pictures and 1 times as many channels");
}

/* Before opset 11 linear means corners that lie on corners of the factor's grid, not half-pixel centres. */
static void test_linear_resize_of_opset_10(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    sample->opset_import[0]->version = 10;
    onnx_sample_weights(sample, "scales", 1, (int[]){4}, (float[]){1, 1, 2, 2});
    onnx_sample_text(onnx_sample_node(sample, "Resize", "output scales", "larger"), "mode", "linear");
    rename_text(&sample->graph->output[0]->name, "larger");
    expect_refused(sample, "mode \"linear\" with coordinates \"asymmetric\"");
}

static void test_ceil_mode(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    Onnx__NodeProto *pool = onnx_sample_node(sample, "MaxPool", "output", "smaller");
    onnx_sample_ints(pool, "kernel_shape", 2, (int[]){3, 3});
    onnx_sample_ints(pool, "strides", 2, (int[]){2, 2});
    onnx_sample_int(pool, "ceil_mode", 1);
    rename_text(&sample->graph->output[0]->name, "smaller");
    expect_refused(sample, "its windows reach over the edge of 32x32 pixels (ceil_mode)");
}

/* The last Sigmoid is left out; one with a Resize or a Concat behind it can't be. */
static void test_sigmoid_before_the_end(void **state) {
    (void)state;
    for (int concat = 0; concat < 2; concat++) {
        Onnx__ModelProto *sample = good_sample();
        onnx_sample_weights(sample, "scales", 1, (int[]){4}, (float[]){1, 1, 2, 2});
        if (!concat) onnx_sample_ints(conv_of(sample), "strides", 2, (int[]){2, 2});
        onnx_sample_node(sample, "Sigmoid", "output", "p");
        onnx_sample_node(sample, concat ? "Concat" : "Resize", concat ? "p p" : "p - scales", "end");
        if (concat) onnx_sample_int(sample->graph->node[sample->graph->n_node - 1], "axis", 1);
        rename_text(&sample->graph->output[0]->name, "end");
        expect_refused(sample, "the output end is made from the results of a Sigmoid");
    }
}

static void test_pads(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    onnx_sample_integers(sample, "pads", 8, (int[]){0, 0, 1, 1, 0, 0, 1, 1});
    onnx_sample_node(sample, "Pad", "output pads", "padded");
    onnx_sample_node(sample, "Relu", "padded", "end");
    rename_text(&sample->graph->output[0]->name, "end");
    expect_refused(sample, "n_end (Relu): fovea pads pictures only in front of convolutions");
    sample = good_sample();
    onnx_sample_integers(sample, "pads", 8, (int[]){0, 0, 1, 1, 0, 0, 1, 1});
    onnx_sample_node(sample, "Pad", "output pads", "padded");
    rename_text(&sample->graph->output[0]->name, "padded");
    expect_refused(sample, "the output padded is padded");
}

/* ---- input and output ---- */

static void test_input_and_output(void **state) {
    (void)state;
    Onnx__ModelProto *sample = good_sample();
    sample->graph->input[0]->type->tensor_type->shape->dim[1]->dim_value = 4;
    expect_refused(sample, "has 4 channels in its second dimension, expected 3");
    sample = good_sample();
    sample->graph->input[0]->type->tensor_type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
    expect_refused(sample, "the input input has the ONNX data type 2, expected float");
    sample = good_sample();
    sample->graph->input[0]->type->tensor_type->shape->dim[3]->dim_value = 64;
    expect_refused(sample, "64x32 pixels");
    sample = good_sample();
    onnx__value_info_proto__free_unpacked(sample->graph->input[0], NULL);
    sample->graph->n_input = 0;
    expect_refused(sample, "no input");
    sample = good_sample();
    rename_text(&sample->graph->output[0]->name, "nowhere");
    expect_refused(sample, "no node makes the output nowhere");
    sample = good_sample();
    onnx_sample_ints(conv_of(sample), "strides", 2, (int[]){2, 2});
    expect_refused(sample, "2 channels of 16x16 for an input of 32x32");
    sample = good_sample();
    free(weight_of(sample)->name);
    weight_of(sample)->name = NULL;
    expect_refused(sample, "no name");
    sample = good_sample();
    onnx_sample_metadata(sample, "fovea.model", "{\"format\":1}");
    expect_refused(sample, "no valid \"network\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_sample_is_read),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_nested_deeply),
        cmocka_unit_test(test_more_memory_than_bytes),
        cmocka_unit_test(test_opset),
        cmocka_unit_test(test_sizes_of_weights),
        cmocka_unit_test(test_external_data),
        cmocka_unit_test(test_weight_twice),
        cmocka_unit_test(test_many_weights),
        cmocka_unit_test(test_circle_and_order),
        cmocka_unit_test(test_results_twice),
        cmocka_unit_test(test_unknown_operators),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_numbers_of_the_size),
        cmocka_unit_test(test_huge_constants),
        cmocka_unit_test(test_many_constants),
        cmocka_unit_test(test_large_pictures),
        cmocka_unit_test(test_average_of_large_windows),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_linear_resize_of_opset_10),
        cmocka_unit_test(test_ceil_mode),
        cmocka_unit_test(test_sigmoid_before_the_end),
        cmocka_unit_test(test_pads),
        cmocka_unit_test(test_input_and_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
