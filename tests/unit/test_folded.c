/* The list of layers that exports are written from: what it computes is what the model computes. */
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
#include "fovea/exchange/folded.h"
#include "fovea/exchange/quantise.h"
#include "fovea/exchange/ranges.h"
#include "fovea/graph/plan.h"
#include "fovea/nn/layers.h"

static fv_folded fold(const fv_model *model, bool logits) {
    fv_folded folded;
    if (fv_folded_make(model, EXPORT_SIDE, EXPORT_SIDE, logits, &folded) != FV_OK) fail_msg("%s", fv_error());
    return folded;
}

/* The result on the same input as every time; to be freed. */
static fv_real *run(fv_graph *graph, fv_value input, fv_value output) {
    fv_plan *plan;
    if (fv_plan_make(graph, FV_PLAN_INFER, &output, 1, FV_NO_VALUE, &plan) != FV_OK) fail_msg("%s", fv_error());
    export_sample_input(fv_plan_data(plan, input), fv_shape_count(fv_graph_shape(graph, input)));
    fv_plan_forward(plan, false, 0, 0);
    size_t count = fv_shape_count(fv_graph_shape(graph, output));
    fv_real *result = malloc(count * sizeof *result);
    memcpy(result, fv_plan_data(plan, output), count * sizeof *result);
    fv_plan_free(plan);
    return result;
}

static fv_real *run_model(fv_model *model, int side) {
    fv_graph graph;
    fv_graph_init(&graph, &model->params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){2, side, side, 3}, false);
    fv_value output = fv_sigmoid(&graph, "probabilities", fv_model_build(model, &graph, input, NULL));
    fv_real *result = run(&graph, input, output);
    fv_graph_free(&graph);
    return result;
}

static fv_real *run_folded(const fv_folded *folded, int side) {
    fv_params params;
    fv_graph graph;
    fv_params_init(&params);
    fv_graph_init(&graph, &params);
    fv_value *values = malloc((size_t)folded->count * sizeof *values);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){2, side, side, 3}, false);
    fv_folded_build(folded, &graph, input, NULL, NULL, values);
    if (fv_graph_status(&graph) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(fv_params_allocate(&params, 0), FV_OK);
    fv_folded_fill(folded, &params);
    fv_real *result = run(&graph, input, values[folded->count - 1]);
    free(values);
    fv_graph_free(&graph);
    fv_params_free(&params);
    return result;
}

/* Also at another size than it was folded at, in a batch of two. */
static void expect_equal_results(const char *network, fv_norm_kind norm) {
    fv_model *model = export_sample_model(network, norm);
    fv_folded folded = fold(model, false);
    static const int sides[] = {EXPORT_SIDE, EXPORT_SIDE + 32};
    for (size_t s = 0; s < 2; s++) {
        fv_real *own = run_model(model, sides[s]), *listed = run_folded(&folded, sides[s]);
        size_t count = 2 * (size_t)sides[s] * (size_t)sides[s];
        double most = 0, least = 1, largest = 0;
        for (size_t i = 0; i < count; i++) {
            most = fmax(most, fabs((double)own[i] - (double)listed[i]));
            least = fmin(least, own[i]);
            largest = fmax(largest, own[i]);
        }
        assert_true(most < 1e-5);
        assert_true(largest - least > 0.01); /* a result that varies */
        free(own);
        free(listed);
    }
    fv_folded_free(&folded);
    fv_model_free(model);
}

static void every_network_computes_the_same(void **state) {
    (void)state;
    for (int i = 0; fv_network_names[i]; i++) expect_equal_results(fv_network_names[i], FV_NORM_BATCH);
    expect_equal_results("unet", FV_NORM_GROUP);
}

static int count_kind(const fv_folded *folded, fv_op_kind kind) {
    int count = 0;
    for (int i = 0; i < folded->count; i++) count += folded->layers[i].kind == kind;
    return count;
}

static void norms_and_activations_are_gone(void **state) {
    (void)state;
    for (int i = 0; fv_network_names[i]; i++) {
        fv_model *model = export_sample_model(fv_network_names[i], FV_NORM_BATCH);
        fv_folded folded = fold(model, true);
        bool behind = strcmp(fv_network_names[i], "mobilenetv2_se_unet_keras") == 0; /* its norms follow activations */
        assert_int_equal(count_kind(&folded, FV_OP_batch_norm), behind ? 8 : 0);
        assert_int_equal(count_kind(&folded, FV_OP_relu), 0);
        assert_int_equal(count_kind(&folded, FV_OP_relu6), 0);
        assert_int_equal(count_kind(&folded, FV_OP_spatial_dropout), 0);
        assert_int_equal(folded.layers[folded.count - 1].kind, FV_OP_conv2d);
        for (int k = 0; k < folded.count; k++)
            for (int j = 0; j < k; j++) assert_string_not_equal(folded.layers[k].name, folded.layers[j].name);
        fv_folded_free(&folded);
        fv_model_free(model);
    }
}

/* wnet's first U-Net feeds the second: nothing of it is lost, and nothing is there twice. */
static void unet_has_the_layers_of_its_picture(void **state) {
    (void)state;
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    fv_folded folded = fold(model, false);
    assert_int_equal(count_kind(&folded, FV_OP_conv2d), 19); /* 2 a level of 4 + 1 + 4, and the logits */
    assert_int_equal(count_kind(&folded, FV_OP_conv_transpose), 4);
    assert_int_equal(count_kind(&folded, FV_OP_max_pool), 4);
    assert_int_equal(count_kind(&folded, FV_OP_concat), 4);
    assert_int_equal(count_kind(&folded, FV_OP_sigmoid), 1);
    assert_int_equal(folded.count, 32);
    fv_folded_free(&folded);
    fv_model_free(model);
}

/* A norm whose input somebody else reads too, and an activation behind a pooling: both stay. */
static void what_cannot_be_folded_stays(void **state) {
    (void)state;
    fv_params params;
    fv_graph graph;
    fv_params_init(&params);
    fv_graph_init(&graph, &params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){1, 8, 8, 3}, false);
    fv_value conv = fv_pointwise(&graph, "conv", input, 4, true);
    fv_value norm = fv_batch_norm(&graph, "bn", conv, &(fv_norm_options){1e-3, 0.1}, FV_ACT_RELU);
    fv_value pool = fv_relu(&graph, "behind", fv_max_pool(&graph, "pool", conv, 2, 2));
    fv_value up = fv_upsample_nearest(&graph, "up", pool, 2);
    fv_value output = fv_concat(&graph, "join", norm, up);
    assert_int_equal(fv_params_allocate(&params, 1), FV_OK);
    fv_folded folded;
    if (fv_folded_from_graph(&graph, input, output, &folded) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(count_kind(&folded, FV_OP_batch_norm), 1);
    assert_int_equal(count_kind(&folded, FV_OP_relu), 1);
    assert_int_equal(folded.count, 6);
    assert_int_equal(folded.layers[1].attributes.activation, FV_ACT_RELU);
    fv_folded_free(&folded);
    fv_graph_free(&graph);
    fv_params_free(&params);
}

/* Behind a dropout that is gone stands the convolution, and somebody else reads that too. */
static void a_norm_behind_dropout_leaves_what_others_read(void **state) {
    (void)state;
    fv_params params;
    fv_graph graph;
    fv_params_init(&params);
    fv_graph_init(&graph, &params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){1, 8, 8, 3}, false);
    fv_value conv = fv_pointwise(&graph, "conv", input, 4, true);
    fv_value dropped = fv_spatial_dropout(&graph, "dropout", conv, 0.5);
    fv_value norm = fv_batch_norm(&graph, "bn", dropped, &(fv_norm_options){1e-3, 0.1}, FV_ACT_NONE);
    fv_value output = fv_concat(&graph, "join", norm, conv);
    assert_int_equal(fv_params_allocate(&params, 1), FV_OK);
    fv_folded folded;
    if (fv_folded_from_graph(&graph, input, output, &folded) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(folded.count, 3);
    assert_int_equal(count_kind(&folded, FV_OP_batch_norm), 1);
    assert_int_equal(folded.layers[1].in[0], 0);
    fv_folded_free(&folded);
    fv_graph_free(&graph);
    fv_params_free(&params);
}

/* Files have tensors of their own by these names; another layer may have what one of these would become. */
static void reserved_names_are_left_to_files(void **state) {
    (void)state;
    static const char *const names[][2] = {{"", "output"},   {"", "input"},   {"prepare", "scale"},
                                           {"", "prepared"}, {"", "outputs"}, {"layer", "output"}};
    static const char *const expected[] = {"layer.output",   "layer.input", "layer.prepare.scale",
                                           "layer.prepared", "outputs",     "layer.output.2"};
    fv_params params;
    fv_graph graph;
    fv_folded folded;
    fv_params_init(&params);
    fv_graph_init(&graph, &params);
    fv_value input = fv_graph_input(&graph, "image", (fv_shape){1, 8, 8, 3}, false), x = input;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i][0][0]) fv_graph_enter(&graph, names[i][0]);
        x = fv_pointwise(&graph, names[i][1], x, 4, true);
        if (names[i][0][0]) fv_graph_leave(&graph);
    }
    assert_int_equal(fv_params_allocate(&params, 1), FV_OK);
    if (fv_folded_from_graph(&graph, input, x, &folded) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(folded.count, sizeof names / sizeof *names);
    for (int i = 0; i < folded.count; i++) assert_string_equal(folded.layers[i].name, expected[i]);
    fv_folded_free(&folded);
    fv_graph_free(&graph);
    fv_params_free(&params);
}

static void losses_are_refused(void **state) {
    (void)state;
    fv_params params;
    fv_graph graph;
    fv_folded folded;
    fv_params_init(&params);
    fv_graph_init(&graph, &params);
    fv_shape shape = {1, 4, 4, 1};
    fv_value logits = fv_graph_input(&graph, "logits", shape, false);
    fv_value in[] = {logits, fv_graph_input(&graph, "target", shape, false),
                     fv_graph_input(&graph, "valid", (fv_shape){1, 1, 1, 1}, false)};
    fv_value loss = fv_graph_add(&graph, FV_OP_segmentation_loss, "loss", &(fv_attributes){.weight_bce = 1}, 3, in);
    assert_int_equal(fv_folded_from_graph(&graph, logits, loss, &folded), FV_BAD_INPUT);
    assert_string_equal(fv_error(),
                        "layer loss is a segmentation_loss, which belongs to training and can't be exported");
    assert_null(folded.layers);
    fv_graph_free(&graph);
    fv_params_free(&params);
}

static void expect_ranges(const fv_folded *folded, const fv_ranges *ranges) {
    for (int i = 0; i < folded->count; i++) {
        const fv_folded_layer *layer = &folded->layers[i];
        fv_range range = fv_ranges_of(ranges, i);
        assert_true(range.low <= 0 && range.high >= 0 && range.low < range.high);
        if (layer->attributes.activation == FV_ACT_RELU) assert_float_equal(range.low, 0, 0);
        if (layer->kind != FV_OP_max_pool) continue;
        fv_range in = fv_ranges_of(ranges, layer->in[0]);
        assert_memory_equal(&range, &in, sizeof range);
    }
    assert_float_equal(ranges->layers[folded->count - 1].low, 0, 0);
    assert_float_equal(ranges->layers[folded->count - 1].high, 1, 0);
}

static void ranges_are_bounded_and_shared(void **state) {
    (void)state;
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    fv_folded folded = fold(model, false);
    size_t floats = 2 * EXPORT_SIDE * EXPORT_SIDE * 3;
    float *inputs = malloc(floats * sizeof *inputs);
    export_sample_input(inputs, floats);
    const fv_calibration calibration = {.inputs = inputs, .count = 2, .height = EXPORT_SIDE, .width = EXPORT_SIDE};
    fv_ranges ranges;
    if (fv_ranges_measure(&folded, &calibration, &ranges) != FV_OK) fail_msg("%s", fv_error());
    assert_true(ranges.input.low < -1.9F && ranges.input.low >= -2 && ranges.input.high > 1.9F);
    expect_ranges(&folded, &ranges);
    fv_ranges_free(&ranges);
    assert_int_equal(fv_ranges_measure(&folded, &(fv_calibration){0}, &ranges), FV_BAD_INPUT);
    assert_null(ranges.layers);
    free(inputs);
    fv_folded_free(&folded);
    fv_model_free(model);
}

/* A ReLU may hide a value that is no number: then the kernel is refused. */
static void what_is_no_number_is_refused(void **state) {
    (void)state;
    fv_model *model = export_sample_model("unet", FV_NORM_BATCH);
    fv_folded folded = fold(model, true);
    fv_folded_layer *first = &folded.layers[0], *last = &folded.layers[folded.count - 1];
    float inputs[EXPORT_SIDE * EXPORT_SIDE * 3];
    export_sample_input(inputs, sizeof inputs / sizeof *inputs);
    const fv_calibration calibration = {.inputs = inputs, .count = 1, .height = EXPORT_SIDE, .width = EXPORT_SIDE};
    fv_ranges ranges;
    fv_quantised_kernel kernel;
    last->bias[0] = NAN;
    assert_int_equal(fv_ranges_measure(&folded, &calibration, &ranges), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "layer out gives values that are not numbers: the model's weights are damaged");
    assert_null(ranges.layers);
    first->weight[7] = INFINITY;
    assert_int_equal(fv_quantise_kernel(first, 1, &kernel), FV_BAD_INPUT);
    assert_string_equal(fv_error(), "layer down0.a has weights that are not numbers: the model is damaged");
    assert_int_equal(fv_quantise_kernel(last, 1, &kernel), FV_BAD_INPUT);
    assert_null(kernel.q);
    fv_folded_free(&folded);
    fv_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_computes_the_same),
        cmocka_unit_test(norms_and_activations_are_gone),
        cmocka_unit_test(unet_has_the_layers_of_its_picture),
        cmocka_unit_test(what_cannot_be_folded_stays),
        cmocka_unit_test(a_norm_behind_dropout_leaves_what_others_read),
        cmocka_unit_test(reserved_names_are_left_to_files),
        cmocka_unit_test(losses_are_refused),
        cmocka_unit_test(ranges_are_bounded_and_shared),
        cmocka_unit_test(what_is_no_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
