/* The networks against PyTorch: parameters, logits, loss, gradients, running statistics, ten Adam steps, both ImageNet
   encoders on a real photograph. tests/golden/README.md says how the golden values were made. */
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
#include "fovea/exchange/import.h"
#include "fovea/graph/plan.h"
#include "fovea/image/image_file.h"
#include "fovea/model/model.h"
#include "fovea/nn/layers.h"
#include "fovea/train/optimizer.h"
#include "golden.h"

#define BATCH 2

/* What make_network_golden.py ran. */
typedef struct golden_network {
    const char *golden, *name; /* of the file; of the network */
    int base, classes, side;
    /* How far an element of the logits may be from PyTorch's, of the largest, and a gradient tensor, of its norm. 3x3
       convolutions may be Winograd's, whose rounding is a hundred times that of a sum, and sends one or two values
       across the kink of a ReLU. */
    double logits, gradients;
    int depth;
    fv_norm_kind norm;
} golden_network;

static const golden_network networks[] = {
    {"mobilenetv2_unet", "mobilenetv2_unet", 0, 2, 96, 1e-4, 1e-3, 0, FV_NORM_BATCH},
    {"mobilenetv2_se_unet", "mobilenetv2_se_unet", 0, 1, 96, 3e-4, 5e-3, 0, FV_NORM_BATCH},
    {"unet", "unet", 8, 1, 64, 3e-4, 5e-3, 0, FV_NORM_BATCH},
    {"unet_group_norm", "unet", 16, 1, 64, 3e-4, 5e-3, 2, FV_NORM_GROUP},
    {"resunet", "resunet", 8, 1, 64, 3e-4, 5e-3, 0, FV_NORM_BATCH},
    {"wnet", "wnet", 8, 1, 64, 3e-4, 5e-3, 0, FV_NORM_BATCH},
};

static fv_model_spec spec_make(const golden_network *network, fv_convention convention) {
    fv_model_spec spec = {.width = 1,
                          .base = network->base,
                          .depth = network->depth,
                          .norm = network->norm,
                          .convention = convention,
                          .classes = network->classes,
                          .class_names = {"disc", "cup"},
                          .thresholds = {0.5, 0.5},
                          .preprocess = {.size = network->side, .work_size = network->side}};
    snprintf(spec.network, sizeof spec.network, "%s", network->name);
    return spec;
}

/* The network with the loss of the golden script, and the golden batch in place. */
typedef struct fixture {
    const golden_network *network;
    fv_safetensors golden;
    fv_model *model;
    fv_graph graph;
    fv_plan *plan;
    fv_value input, target, valid, logits, loss;
} fixture;

static void fill_batch(fixture *f) {
    float *input = fv_plan_data(f->plan, f->input), *target = fv_plan_data(f->plan, f->target);
    size_t inputs = fv_shape_count(fv_graph_shape(&f->graph, f->input));
    size_t targets = fv_shape_count(fv_graph_shape(&f->graph, f->target));
    for (size_t k = 0; k < inputs; k++) input[k] = (float)golden_noise("input", k);
    for (size_t k = 0; k < targets; k++) target[k] = golden_noise("target", k) > 0.6;
    for (int i = 0; i < BATCH * f->network->classes; i++) fv_plan_data(f->plan, f->valid)[i] = 1;
}

/* PyTorch draws other random numbers, so the golden figures were made without dropout. */
static void switch_dropout_off(fv_graph *g) {
    for (int i = 0; i < g->node_count; i++)
        if (g->nodes[i].spec.kind == FV_OP_spatial_dropout) g->nodes[i].spec.attributes.rate = 0;
}

static fv_value add_loss(fixture *f, const char *name, fv_value logits) {
    fv_attributes loss = {.weight_bce = 1, .weight_dice = 1, .smooth = 1};
    return fv_graph_add(&f->graph, FV_OP_segmentation_loss, name, &loss, 3, (fv_value[]){logits, f->target, f->valid});
}

static int setup(void **state, const golden_network *network) {
    fixture *f = calloc(1, sizeof *f);
    char path[128];
    fv_model_spec spec = spec_make(network, FV_CONVENTION_KERAS);
    snprintf(path, sizeof path, "tests/golden/%s.safetensors", network->golden);
    if (!f || fv_safetensors_read(path, &f->golden) != FV_OK) return -1;
    if (fv_model_make(&spec, 1, &f->model) != FV_OK) return -1;
    int side = network->side, classes = network->classes;
    f->network = network;
    fv_graph *g = &f->graph;
    fv_graph_init(g, &f->model->params);
    f->input = fv_graph_input(g, "input", (fv_shape){BATCH, side, side, 3}, false);
    f->target = fv_graph_input(g, "target", (fv_shape){BATCH, side, side, classes}, false);
    f->valid = fv_graph_input(g, "valid", (fv_shape){BATCH, 1, 1, classes}, false);
    fv_value auxiliary;
    f->logits = fv_model_build(f->model, g, f->input, &auxiliary);
    f->loss = add_loss(f, "loss", f->logits);
    if (auxiliary != FV_NO_VALUE)
        f->loss = fv_add(g, "total_loss", f->loss, add_loss(f, "auxiliary_loss", auxiliary), FV_ACT_NONE);
    switch_dropout_off(g);
    if (fv_plan_make(g, FV_PLAN_TRAIN, &f->logits, 1, f->loss, &f->plan) != FV_OK) return -1;
    fill_batch(f);
    *state = f;
    return 0;
}

static int setup_mobilenetv2_unet(void **state) {
    return setup(state, &networks[0]);
}

static int setup_mobilenetv2_se_unet(void **state) {
    return setup(state, &networks[1]);
}

static int setup_unet(void **state) {
    return setup(state, &networks[2]);
}

static int setup_unet_group_norm(void **state) {
    return setup(state, &networks[3]);
}

static int setup_resunet(void **state) {
    return setup(state, &networks[4]);
}

static int setup_wnet(void **state) {
    return setup(state, &networks[5]);
}

static int teardown(void **state) {
    fixture *f = *state;
    fv_plan_free(f->plan);
    fv_graph_free(&f->graph);
    fv_model_free(f->model);
    fv_safetensors_free(&f->golden);
    free(f);
    return 0;
}

static void check_close(const fv_safetensor *stored, const float *values, size_t count, double relative,
                        double absolute, const char *what) {
    double distance, norm;
    golden_distance(stored, values, count, &distance, &norm);
    if (!(distance <= relative * norm + absolute)) fail_msg("%s: distance %g of norm %g", what, distance, norm);
}

static void noise_is_that_of_the_golden_files(void **state) {
    (void)state;
    assert_float_equal(golden_noise("input", 0), -0.97749376, 1e-8);
    assert_float_equal(golden_noise("encoder.stem.weight", 0), -0.42402947, 1e-8);
}

/* Every trainable parameter has its gradient in the golden file, and there is no other. */
static void parameters_are_those_of_the_peer(void **state) {
    fixture *f = *state;
    int trainable = 0;
    for (int i = 0; i < f->model->params.count; i++) {
        const fv_param *p = &f->model->params.list[i];
        if (!p->trainable) continue;
        trainable++;
        golden_find(&f->golden, "grad.", p->name);
    }
    int stored = 0;
    for (int i = 0; i < f->golden.count; i++) stored += strncmp(f->golden.list[i].name, "grad.", 5) == 0;
    assert_int_equal(trainable, stored);
}

static void check_logits(const fixture *f, const char *stored, const float *mine) {
    const fv_safetensor *logits = golden_find(&f->golden, stored, "");
    const float *theirs = logits->data;
    size_t count = logits->bytes / sizeof(float);
    float largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf(theirs[i]));
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(mine[i] - theirs[i]) <= (float)f->network->logits * largest))
            fail_msg("%s of %s: element %zu is %g, PyTorch's %g", stored, f->network->golden, i, (double)mine[i],
                     (double)theirs[i]);
}

static void forward_and_loss_equal_pytorch(void **state) {
    fixture *f = *state;
    golden_fill_params(&f->model->params, false);
    fv_plan_forward(f->plan, true, 1, 0);
    check_logits(f, "logits", fv_plan_data(f->plan, f->logits));
    double loss = golden_double(golden_find(&f->golden, "loss", ""), 0);
    assert_true(fabs((double)*fv_plan_data(f->plan, f->loss) - loss) <= 1e-5 * loss);
}

static void gradients_equal_pytorch(void **state) {
    fixture *f = *state;
    golden_fill_params(&f->model->params, false);
    fv_plan_forward(f->plan, true, 1, 0);
    fv_plan_backward(f->plan);
    double worst = 0;
    for (int i = 0; i < f->model->params.count; i++) {
        const fv_param *p = &f->model->params.list[i];
        const float *gradient = f->model->params.gradients + p->offset;
        if (!p->trainable) continue;
        double norm = golden_double(golden_find(&f->golden, "grad_norm.", p->name), 0);
        /* A shift before a batch norm changes nothing: its gradient is 0 but for rounding. */
        double absolute = norm < 1e-12 ? 1e-6 : 0;
        double relative = f->network->gradients;
        check_close(golden_find(&f->golden, "grad.", p->name), gradient, p->count, relative, absolute, p->name);
        if (!(fabs(golden_norm(gradient, p->count) - norm) <= relative * norm + absolute))
            fail_msg("gradient of %s has norm %g, PyTorch's %g", p->name, golden_norm(gradient, p->count), norm);
        double distance, sampled;
        golden_distance(golden_find(&f->golden, "grad.", p->name), gradient, p->count, &distance, &sampled);
        if (norm > 1e-12 && distance / sampled > worst) worst = distance / sampled;
    }
    printf("worst gradient tensor: %.2g of its norm\n", worst);
}

static void running_statistics_equal_pytorch(void **state) {
    fixture *f = *state;
    golden_fill_params(&f->model->params, false);
    fv_plan_forward(f->plan, true, 1, 0);
    for (int i = 0; i < f->model->params.count; i++) {
        const fv_param *p = &f->model->params.list[i];
        if (!p->trainable)
            check_close(golden_find(&f->golden, "stat.", p->name), f->model->params.values + p->offset, p->count, 1e-4,
                        0, p->name);
    }
}

static void evaluation_mode_equals_pytorch(void **state) {
    fixture *f = *state;
    golden_fill_params(&f->model->params, true);
    fv_plan_forward(f->plan, false, 1, 0);
    check_logits(f, "eval_logits", fv_plan_data(f->plan, f->logits));
}

/* The plan that predicts is another one: nothing is kept for a backward, and ops may be fused. */
static void inference_plan_equals_pytorch(void **state) {
    fixture *f = *state;
    fv_graph g;
    fv_plan *plan;
    golden_fill_params(&f->model->params, true);
    fv_graph_init(&g, &f->model->params);
    fv_value input = fv_graph_input(&g, "input", fv_graph_shape(&f->graph, f->input), false);
    fv_value logits = fv_model_build(f->model, &g, input, NULL);
    assert_int_equal(fv_plan_make(&g, FV_PLAN_INFER, &logits, 1, FV_NO_VALUE, &plan), FV_OK);
    memcpy(fv_plan_data(plan, input), fv_plan_data(f->plan, f->input),
           fv_shape_count(fv_graph_shape(&g, input)) * sizeof(float));
    fv_plan_forward(plan, false, 0, 0);
    check_logits(f, "eval_logits", fv_plan_data(plan, logits));
    fv_plan_free(plan);
    fv_graph_free(&g);
}

static void ten_adam_steps_equal_pytorch(void **state) {
    fixture *f = *state;
    const fv_safetensor *losses = golden_find(&f->golden, "adam_losses", "");
    fv_optimizer_settings settings = {
        .kind = FV_ADAM, .rate = 1e-3, .encoder_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    fv_optimizer optimizer;
    golden_fill_params(&f->model->params, false);
    assert_int_equal(fv_optimizer_make(&settings, &f->model->params, &optimizer), FV_OK);
    for (int i = 0; i < 10; i++) {
        fv_plan_forward(f->plan, true, 1, (uint64_t)i);
        fv_plan_backward(f->plan);
        double mine = (double)*fv_plan_data(f->plan, f->loss), theirs = golden_double(losses, i);
        if (fabs(mine - theirs) > 1e-3 * theirs) fail_msg("loss of step %d is %.6f, PyTorch's %.6f", i, mine, theirs);
        fv_optimizer_step(&optimizer, 1);
    }
    assert_int_equal(optimizer.step, 10);
    fv_optimizer_free(&optimizer);
}

/* ---- encoders with ImageNet weights ---- */

/* DRIVE 01_test: centre crop of 512x512, exact mean of 2x2, normalised. */
static bool read_drive(const char *data, fv_normalise how, float *input) {
    char path[FV_PATH_MAX];
    fv_image photo = {0};
    snprintf(path, sizeof path, "%s/drive/images/01_test.png", data);
    if (!fv_file_exists(path)) return false;
    assert_int_equal(fv_image_read(path, 3, &photo), FV_OK);
    int top = (photo.height - 512) / 2, left = (photo.width - 512) / 2;
    for (int y = 0; y < 256; y++)
        for (int x = 0; x < 256; x++)
            for (int c = 0; c < 3; c++) {
                const uint8_t *at =
                    photo.data + ((size_t)(top + 2 * y) * (size_t)photo.width + (size_t)(left + 2 * x)) * 3 + c;
                size_t row = (size_t)photo.width * 3;
                input[(y * 256 + x) * 3 + c] = (float)(at[0] + at[3] + at[row] + at[row + 3]) / 4;
            }
    fv_preprocess_normalise(how, input, 256 * 256);
    fv_image_free(&photo);
    return true;
}

static fv_value find_value(const fv_graph *g, const char *name) {
    for (int v = 0; v < g->value_count; v++)
        if (strcmp(g->values[v].name, name) == 0) return v;
    fail_msg("the graph has no value %s", name);
    return FV_NO_VALUE;
}

static void check_encoder(fv_convention convention, const char *weights_name) {
    static const char *const names[] = {"b1", "b3", "b6", "b13", "head"};
    static const char *const layers[] = {"encoder.b1.expand.norm", "encoder.b3.expand.norm", "encoder.b6.expand.norm",
                                         "encoder.b13.expand.norm", "encoder.head.norm"};
    const char *data = getenv("FOVEA_DATA"), *folder = getenv("FOVEA_WEIGHTS");
    char weights[FV_PATH_MAX], golden_path[128];
    snprintf(weights, sizeof weights, "%s/%s", folder ? folder : "../shared/weights", weights_name);
    fv_model_spec spec = spec_make(&networks[0], convention);
    spec.preprocess.size = 256;
    float *input = malloc(256 * 256 * 3 * sizeof *input);
    fv_normalise how = convention == FV_CONVENTION_KERAS ? FV_NORMALISE_SIGNED : FV_NORMALISE_IMAGENET;
    if (!fv_file_exists(weights) || !read_drive(data ? data : "../shared/data", how, input)) {
        free(input);
        printf("skip: no ImageNet weights (FOVEA_WEIGHTS) or no DRIVE photographs (FOVEA_DATA)\n");
        skip();
    }
    fv_model *model;
    fv_graph g;
    fv_plan *plan;
    fv_value keep[5];
    fv_safetensors golden;
    assert_int_equal(fv_model_make(&spec, 1, &model), FV_OK);
    assert_int_equal(fv_model_load_encoder(model, weights), FV_OK);
    fv_graph_init(&g, &model->params);
    fv_value in = fv_graph_input(&g, "input", (fv_shape){1, 256, 256, 3}, false);
    fv_model_build(model, &g, in, NULL);
    for (int i = 0; i < 5; i++) keep[i] = find_value(&g, layers[i]);
    assert_int_equal(fv_plan_make(&g, FV_PLAN_INFER, keep, 5, FV_NO_VALUE, &plan), FV_OK);
    memcpy(fv_plan_data(plan, in), input, 256 * 256 * 3 * sizeof *input);
    fv_plan_forward(plan, false, 0, 0);
    snprintf(golden_path, sizeof golden_path, "tests/golden/encoder_%s.safetensors", fv_convention_names[convention]);
    assert_int_equal(fv_safetensors_read(golden_path, &golden), FV_OK);
    check_close(golden_find(&golden, "feature.", "input"), input, 256 * 256 * 3, 1e-6, 0, "input");
    for (int i = 0; i < 5; i++) {
        size_t count = fv_shape_count(fv_graph_shape(&g, keep[i]));
        const float *feature = fv_plan_data(plan, keep[i]);
        double norm = golden_double(golden_find(&golden, "feature_norm.", names[i]), 0);
        check_close(golden_find(&golden, "feature.", names[i]), feature, count, 1e-3, 0, names[i]);
        assert_true(fabs(golden_norm(feature, count) - norm) <= 1e-3 * norm);
    }
    fv_safetensors_free(&golden);
    fv_plan_free(plan);
    fv_graph_free(&g);
    fv_model_free(model);
    free(input);
}

static void keras_encoder_equals_pytorch(void **state) {
    (void)state;
    check_encoder(FV_CONVENTION_KERAS, "mobilenetv2_1.0_keras.safetensors");
}

static void torchvision_encoder_equals_pytorch(void **state) {
    (void)state;
    check_encoder(FV_CONVENTION_TORCHVISION, "mobilenetv2_1.0_torchvision.safetensors");
}

/* ---- sizes ---- */

static void expect_counts(const char *name, int base, int classes, size_t trainable, size_t statistics) {
    fv_model_spec spec =
        spec_make(&(golden_network){.name = name, .base = base, .classes = classes, .side = 64}, FV_CONVENTION_KERAS);
    fv_model *model;
    assert_int_equal(fv_model_make(&spec, 1, &model), FV_OK);
    assert_int_equal(fv_params_count_values(&model->params, true), trainable);
    assert_int_equal(fv_params_count_values(&model->params, false), trainable + statistics);
    fv_model_free(model);
}

/* Printed by "python tools/peers/networks.py" for PyTorch's side. */
static void sizes_are_those_of_the_peers(void **state) {
    (void)state;
    expect_counts("mobilenetv2_unet", 0, 2, 2897650, 36064);
    expect_counts("mobilenetv2_se_unet", 0, 1, 8833549, 36128);
    expect_counts("mobilenetv2_se_unet_keras", 0, 1, 8835421, 36992); /* of its Keras original: tests/peers */
    expect_counts("unet", 0, 1, 7763041, 5888);
    expect_counts("resunet", 0, 1, 63900609, 29440);
    expect_counts("resunet", 32, 1, 15985121, 14720);
    expect_counts("resunet", 16, 1, 4001265, 7360);
    expect_counts("wnet", 0, 1, 68114, 1056);
}

int main(void) {
    const struct CMUnitTest common[] = {
        cmocka_unit_test(parameters_are_those_of_the_peer), cmocka_unit_test(forward_and_loss_equal_pytorch),
        cmocka_unit_test(gradients_equal_pytorch),          cmocka_unit_test(running_statistics_equal_pytorch),
        cmocka_unit_test(evaluation_mode_equals_pytorch),   cmocka_unit_test(inference_plan_equals_pytorch),
        cmocka_unit_test(ten_adam_steps_equal_pytorch),
    };
    const struct CMUnitTest others[] = {
        cmocka_unit_test(noise_is_that_of_the_golden_files),
        cmocka_unit_test(sizes_are_those_of_the_peers),
        cmocka_unit_test(keras_encoder_equals_pytorch),
        cmocka_unit_test(torchvision_encoder_equals_pytorch),
    };
    int failed = cmocka_run_group_tests_name("mobilenetv2_unet", common, setup_mobilenetv2_unet, teardown);
    failed += cmocka_run_group_tests_name("mobilenetv2_se_unet", common, setup_mobilenetv2_se_unet, teardown);
    failed += cmocka_run_group_tests_name("unet", common, setup_unet, teardown);
    failed += cmocka_run_group_tests_name("unet, group norm", common, setup_unet_group_norm, teardown);
    failed += cmocka_run_group_tests_name("resunet", common, setup_resunet, teardown);
    failed += cmocka_run_group_tests_name("wnet", common, setup_wnet, teardown);
    return failed + cmocka_run_group_tests_name("encoders and sizes", others, NULL, NULL);
}
