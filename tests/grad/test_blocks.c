/* Blocks of several ops, and the whole network, through graph and plan: every parameter's and the input's gradient
   against five-point differences in float64. This is what finds a planner that gives a buffer away too early. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fovea/base/rng.h"
#include "fovea/graph/plan.h"
#include "fovea/nn/layers.h"

#ifndef FV_DOUBLE
#error "the gradient checks need the engine in float64"
#endif

typedef fv_value (*build_function)(fv_graph *g, fv_value x);

static const fv_norm_options norm = {.epsilon = 1e-3, .momentum = 0.1};

/* The block under test between an input and the segmentation loss of two classes. */
typedef struct harness {
    fv_params params;
    fv_graph graph;
    fv_plan *plan;
    fv_value input, loss;
} harness;

static void harness_make(harness *h, build_function build, fv_shape in, fv_plan_mode mode) {
    memset(h, 0, sizeof *h);
    fv_params_init(&h->params);
    fv_graph_init(&h->graph, &h->params);
    fv_graph *g = &h->graph;
    h->input = fv_graph_input(g, "x", in, true);
    fv_value y = fv_pointwise(g, "to_logits", build(g, h->input), 2, true);
    fv_shape out = fv_graph_shape(g, y);
    fv_value target = fv_graph_input(g, "target", out, false);
    fv_value valid = fv_graph_input(g, "valid", (fv_shape){out.n, 1, 1, 2}, false);
    fv_attributes loss = {.weight_bce = 1, .weight_dice = 1, .smooth = 1};
    h->loss = fv_graph_add(g, FV_OP_segmentation_loss, "loss", &loss, 3, (fv_value[]){y, target, valid});
    if (fv_graph_status(g) != FV_OK) fail_msg("%s", fv_error());
    assert_int_equal(fv_params_allocate(&h->params, 7), FV_OK);
    assert_int_equal(fv_plan_make(g, mode, &h->loss, 1, mode == FV_PLAN_TRAIN ? h->loss : FV_NO_VALUE, &h->plan),
                     FV_OK);
    fv_rng rng = fv_rng_make(5, 0, 0, FV_PURPOSE_TEST);
    for (int i = 0; i < h->params.count; i++) /* gamma, beta and bias away from 1 and 0 */
        for (size_t k = 0; k < h->params.list[i].count && h->params.list[i].trainable; k++)
            h->params.values[h->params.list[i].offset + k] += 0.2 * fv_rng_normal(&rng);
    fv_plan_prepare(h->plan);
    for (size_t k = 0; k < fv_shape_count(in); k++) fv_plan_data(h->plan, h->input)[k] = fv_rng_normal(&rng);
    for (size_t k = 0; k < fv_shape_count(out); k++) fv_plan_data(h->plan, target)[k] = fv_rng_uniform(&rng) > 0.5;
    for (int k = 0; k < out.n * 2; k++) fv_plan_data(h->plan, valid)[k] = k != 1;
}

static void harness_free(harness *h) {
    fv_plan_free(h->plan);
    fv_graph_free(&h->graph);
    fv_params_free(&h->params);
}

static double loss_of(harness *h) {
    fv_plan_forward(h->plan, true, 3, 4);
    return *fv_plan_data(h->plan, h->loss);
}

/* (-f(2h) + 8 f(h) - 8 f(-h) + f(-2h)) / 12h: error h^4, far below the tolerance. */
static double difference(harness *h, fv_real *at, double step) {
    double kept = *at, f[4];
    const double offsets[4] = {2, 1, -1, -2};
    for (int i = 0; i < 4; i++) {
        *at = kept + offsets[i] * step;
        f[i] = loss_of(h);
    }
    *at = kept;
    return (-f[0] + 8 * f[1] - 8 * f[2] + f[3]) / (12 * step);
}

/* Up to `samples` elements of a tensor. Gradients of a block are of order 1e-3 .. 1: 1e-7 absolute is 1e-4 of the small
 * ones. */
static void check_tensor(harness *h, const char *name, fv_real *values, const fv_real *gradient, size_t count,
                         size_t samples) {
    for (size_t j = 0; j < (count < samples ? count : samples); j++) {
        size_t k = j * count / (count < samples ? count : samples);
        double numeric = difference(h, values + k, 1e-5), analytic = gradient[k];
        if (fabs(numeric - analytic) > 1e-7 + 1e-5 * fabs(numeric))
            fail_msg("%s[%zu]: backward says %.10g, differences say %.10g", name, k, analytic, numeric);
    }
}

static void check_block_at(build_function build, fv_shape in, size_t samples) {
    harness h;
    harness_make(&h, build, in, FV_PLAN_TRAIN);
    loss_of(&h);
    fv_plan_backward(h.plan);
    size_t inputs = fv_shape_count(in);
    fv_real *gradients = malloc((h.params.total + inputs) * sizeof *gradients);
    assert_non_null(gradients);
    memcpy(gradients, h.params.gradients, h.params.total * sizeof *gradients);
    memcpy(gradients + h.params.total, fv_plan_gradient(h.plan, h.input), inputs * sizeof *gradients);
    for (int i = 0; i < h.params.count; i++) {
        const fv_param *p = &h.params.list[i];
        if (p->trainable)
            check_tensor(&h, p->name, h.params.values + p->offset, gradients + p->offset, p->count, samples);
    }
    check_tensor(&h, "x", fv_plan_data(h.plan, h.input), gradients + h.params.total, inputs, samples);
    free(gradients);
    harness_free(&h);
}

static void check_block(build_function build, fv_shape in) {
    check_block_at(build, in, 12);
}

static fv_value separable(fv_graph *g, fv_value x) {
    return fv_separable_block(g, "s", x, 7, &norm);
}

static fv_value residual_same(fv_graph *g, fv_value x) {
    return fv_residual_block(g, "r", x, 5, &norm);
}

static fv_value residual_wider(fv_graph *g, fv_value x) {
    return fv_residual_block(g, "r", x, 9, &norm);
}

static fv_value inverted_with_skip(fv_graph *g, fv_value x) {
    fv_inverted_residual block = {.filters = 5, .stride = 1, .expansion = 3, .padding = fv_same, .norm = norm};
    fv_value expanded, y = fv_inverted_residual_block(g, "b", x, &block, &expanded);
    return fv_concat(g, "skip", y, expanded); /* the expand's activation has a second reader, as in the U-Net */
}

static fv_value inverted_stride_2(fv_graph *g, fv_value x) {
    fv_inverted_residual block = {.filters = 4, .stride = 2, .expansion = 2, .padding = fv_same, .norm = norm};
    return fv_inverted_residual_block(g, "b", x, &block, NULL);
}

static fv_value squeeze_and_excite(fv_graph *g, fv_value x) {
    fv_value s = fv_global_average_pool(g, "pool", x);
    s = fv_sigmoid(g, "gate", fv_dense(g, "b", fv_relu(g, "relu", fv_dense(g, "a", s, 3)), 5));
    return fv_multiply(g, "scale", x, s);
}

/* Down by pooling, up by transposed convolution, with a skip: x has three readers. */
static fv_value small_unet(fv_graph *g, fv_value x) {
    fv_value down = fv_max_pool(
        g, "pool", fv_relu6(g, "relu6", fv_conv(g, "c", x, 4, &(fv_conv_options){.kernel = 3, .padding = fv_same})), 2,
        2);
    fv_value up = fv_conv_transpose(g, "up", fv_group_norm(g, "gn", down, 2, FV_ACT_RELU), 2, 5);
    up = fv_add(g, "add", up, x, FV_ACT_NONE);
    up = fv_spatial_dropout(g, "dropout", up, 0.3);
    return fv_concat(g, "concat", up, fv_upsample_bilinear(g, "bilinear", down, 2));
}

/* Wide enough for convolutions that read what they need in backward through the batch norm before them. */
static fv_value two_conv_blocks(fv_graph *g, fv_value x) {
    return fv_conv_block(g, "b", fv_conv_block(g, "a", x, 3, 8, &norm), 3, 9, &norm);
}

/* Dense blocks with a shortcut: the gradient of the sum is that of the concatenation too, and gradients of the
   concatenation's inputs, which lie in it, are added to while the shortcut's is still to be read. */
static fv_value dense_first(fv_graph *g, fv_value x) {
    fv_value shortcut = fv_pointwise(g, "w", x, 6, false), u = fv_pointwise(g, "u", x, 4, false);
    fv_value dense = fv_concat(g, "dense", u, fv_pointwise(g, "t", u, 2, false));
    return fv_add(g, "sum", dense, shortcut, FV_ACT_NONE);
}

static fv_value dense_second(fv_graph *g, fv_value x) {
    fv_value shortcut = fv_pointwise(g, "w", x, 6, false), u = fv_pointwise(g, "u", x, 4, false);
    fv_value dense = fv_concat(g, "dense", u, fv_pointwise(g, "t", u, 2, false));
    return fv_add(g, "sum", shortcut, dense, FV_ACT_NONE);
}

static fv_value twice_the_same(fv_graph *g, fv_value x) {
    fv_value y = fv_pointwise(g, "shared", x, 5, true);
    y = fv_pointwise(g, "shared", y, 5, true); /* one parameter, two nodes: gradients add up */
    return fv_add(g, "double", y, y, FV_ACT_RELU);
}

/* A norm that adds what others read as well, later and earlier than it, and one that adds its own input. */
static fv_value norms_with_residuals(fv_graph *g, fv_value x) {
    fv_value shared = fv_relu6(g, "relu6", x);
    fv_value y = fv_pointwise(g, "p", shared, 5, false);
    y = fv_batch_norm_residual(g, "n", y, shared, &norm, FV_ACT_RELU6);
    y = fv_batch_norm_residual(g, "own", y, y, &norm, FV_ACT_RELU);
    y = fv_batch_norm_residual(g, "image", fv_pointwise(g, "q", y, 5, false), x, &norm, FV_ACT_NONE);
    return fv_add(g, "again", y, shared, FV_ACT_NONE);
}

static void separable_block(void **state) {
    (void)state;
    check_block(separable, (fv_shape){2, 5, 7, 3});
}

static void residual_block(void **state) {
    (void)state;
    check_block(residual_same, (fv_shape){2, 5, 4, 5});
    check_block(residual_wider, (fv_shape){1, 6, 5, 3});
}

static void inverted_residual_block(void **state) {
    (void)state;
    check_block(inverted_with_skip, (fv_shape){2, 5, 3, 5});
    check_block(inverted_stride_2, (fv_shape){2, 7, 6, 3});
}

static void dense_blocks_with_a_shortcut(void **state) {
    (void)state;
    check_block(dense_first, (fv_shape){2, 5, 3, 5});
    check_block(dense_second, (fv_shape){2, 5, 3, 5});
}

static void residuals_of_norms(void **state) {
    (void)state;
    check_block(norms_with_residuals, (fv_shape){2, 5, 3, 5});
}

static void squeeze_and_excitation(void **state) {
    (void)state;
    check_block(squeeze_and_excite, (fv_shape){2, 3, 5, 5});
}

static void unet_with_shared_readers(void **state) {
    (void)state;
    check_block(small_unet, (fv_shape){2, 6, 4, 5});
}

static void convolutions_behind_batch_norms(void **state) {
    (void)state;
    check_block(two_conv_blocks, (fv_shape){2, 5, 6, 3});
}

static void shared_parameter(void **state) {
    (void)state;
    check_block(twice_the_same, (fv_shape){2, 3, 4, 5});
}

/* The same numbers from a plan that keeps what backward needs and one that reuses all it can and fuses: the same but
   for the rounding of another order of operations. */
static void inference_plan_equals_training_plan(void **state) {
    (void)state;
    static const build_function builds[] = {separable,          residual_wider,     norms_with_residuals,
                                            inverted_with_skip, squeeze_and_excite, small_unet};
    for (size_t i = 0; i < sizeof builds / sizeof *builds; i++) {
        harness train, infer;
        harness_make(&train, builds[i], (fv_shape){2, 18, 12, 5}, FV_PLAN_TRAIN);
        harness_make(&infer, builds[i], (fv_shape){2, 18, 12, 5}, FV_PLAN_INFER);
        assert_true(fv_plan_bytes(infer.plan) < fv_plan_bytes(train.plan));
        fv_plan_forward(train.plan, false, 3, 4);
        fv_plan_forward(infer.plan, false, 3, 4);
        double a = *fv_plan_data(train.plan, train.loss), b = *fv_plan_data(infer.plan, infer.loss);
        assert_true(fabs(a - b) <= 1e-12 * fabs(a));
        harness_free(&train);
        harness_free(&infer);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separable_block),
        cmocka_unit_test(residual_block),
        cmocka_unit_test(inverted_residual_block),
        cmocka_unit_test(residuals_of_norms),
        cmocka_unit_test(squeeze_and_excitation),
        cmocka_unit_test(unet_with_shared_readers),
        cmocka_unit_test(dense_blocks_with_a_shortcut),
        cmocka_unit_test(convolutions_behind_batch_norms),
        cmocka_unit_test(shared_parameter),
        cmocka_unit_test(inference_plan_equals_training_plan),
    };
    return cmocka_run_group_tests_name("blocks", tests, NULL, NULL);
}
