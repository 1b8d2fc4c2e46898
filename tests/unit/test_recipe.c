/* Networks as data: what is refused, pruning, the multiple of the sides, and the way into a model file and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fovea/graph/plan.h"
#include "fovea/model/model.h"
#include "temporary.h"

#define INPUT                                                                                                          \
    { FV_FROM_INPUT, 0 }
#define STEP(i)                                                                                                        \
    { FV_FROM_STEP, i }
#define PARAM(i)                                                                                                       \
    { FV_FROM_PARAM, i }

static void add_param(fv_recipe *recipe, const char *name, fv_shape shape) {
    fv_recipe_param param = {.shape = shape, .trainable = true};
    snprintf(param.name, sizeof param.name, "%s", name);
    assert_int_equal(fv_recipe_add_param(recipe, &param), FV_OK);
}

static void add_step(fv_recipe *recipe, const char *name, fv_recipe_step step) {
    snprintf(step.name, sizeof step.name, "%s", name);
    step.inputs = 1; /* what reads parameters reads one, behind the picture */
    if (step.in[1].source == FV_FROM_PARAM) step.inputs = 2;
    if (fv_recipe_add_step(recipe, &step) != FV_OK) fail_msg("%s", fv_error());
}

/* 3x3 stride 2 "same" of 4 filters, silu, what nobody reads, pool, up twice, 1x1 of 2. */
static fv_recipe *sample(void) {
    fv_recipe *recipe = fv_recipe_make();
    add_param(recipe, "c.weight", (fv_shape){3, 3, 3, 4});
    add_param(recipe, "unread.weight", (fv_shape){1, 1, 4, 9});
    add_param(recipe, "o.weight", (fv_shape){1, 1, 4, 2});
    add_step(recipe, "c",
             (fv_recipe_step){.kind = FV_OP_conv2d,
                              .attributes = {.stride = 2, .padding = {.mode = FV_PAD_SAME}},
                              .in = {INPUT, PARAM(0)}});
    add_step(recipe, "s", (fv_recipe_step){.kind = FV_OP_silu, .in = {STEP(0)}});
    add_step(recipe, "unread", (fv_recipe_step){.kind = FV_OP_conv2d, .in = {STEP(1), PARAM(1)}});
    add_step(recipe, "p",
             (fv_recipe_step){
                 .kind = FV_OP_max_pool, .attributes = {.kernel_h = 3, .kernel_w = 3, .stride = 3}, .in = {STEP(1)}});
    add_step(recipe, "u",
             (fv_recipe_step){.kind = FV_OP_upsample_nearest, .attributes = {.scale = 6}, .in = {STEP(3)}});
    add_step(recipe, "o", (fv_recipe_step){.kind = FV_OP_conv2d, .in = {STEP(4), PARAM(2)}});
    recipe->output = 5;
    return recipe;
}

static void test_prune(void **state) {
    (void)state;
    fv_recipe *recipe = sample();
    assert_int_equal(fv_recipe_prune(recipe), FV_OK);
    assert_int_equal(recipe->step_count, 5);
    assert_int_equal(recipe->param_count, 2);
    assert_int_equal(recipe->output, 4);
    assert_string_equal(recipe->steps[2].name, "p");
    assert_int_equal(recipe->steps[3].in[0].index, 2);
    assert_string_equal(recipe->params[recipe->steps[4].in[1].index].name, "o.weight");
    fv_recipe_free(recipe);
}

/* Halved, then a third: 6. Then up six times and down by 4 five times: 1024, and with 6 more than fovea takes. */
static void test_multiple(void **state) {
    (void)state;
    int multiple;
    fv_recipe *recipe = sample();
    assert_int_equal(fv_recipe_multiple(recipe, &multiple), FV_OK);
    assert_int_equal(multiple, 6);
    for (int i = 0; i < 5; i++) {
        char name[8];
        snprintf(name, sizeof name, "d%d", i);
        add_step(recipe, name,
                 (fv_recipe_step){.kind = FV_OP_max_pool,
                                  .attributes = {.kernel_h = 4, .kernel_w = 4, .stride = 4},
                                  .in = {STEP(5 + i)}});
        bool fits = i < 4;
        assert_int_equal(fv_recipe_multiple(recipe, &multiple), fits ? FV_OK : FV_BAD_INPUT);
        if (fits) assert_int_equal(multiple, 3 << (2 * i + 2));
    }
    fv_recipe_free(recipe);
}

/* A factor of an op that has no use for it does not count; one above 1024 is refused before anything is multiplied. */
static void test_multiple_of_hostile_factors(void **state) {
    (void)state;
    int multiple;
    fv_recipe *recipe = sample();
    add_step(recipe, "r", (fv_recipe_step){.kind = FV_OP_relu, .attributes = {.stride = 4194304}, .in = {STEP(5)}});
    assert_int_equal(fv_recipe_multiple(recipe, &multiple), FV_OK);
    assert_int_equal(multiple, 6);
    add_step(recipe, "p2",
             (fv_recipe_step){.kind = FV_OP_max_pool, .attributes = {.stride = 4194304}, .in = {STEP(6)}});
    assert_int_equal(fv_recipe_multiple(recipe, &multiple), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "step \"p2\" has the factor 4194304"));
    fv_recipe_free(recipe);
}

/* 17x17 without padding, then twice as large: 2 (size - 16), which is the input's size at 32 px only. */
static fv_recipe *shrinking(void) {
    fv_recipe *recipe = fv_recipe_make();
    add_param(recipe, "w", (fv_shape){17, 17, 3, 2});
    add_step(recipe, "c", (fv_recipe_step){.kind = FV_OP_conv2d, .in = {INPUT, PARAM(0)}});
    add_step(recipe, "u",
             (fv_recipe_step){.kind = FV_OP_upsample_nearest, .attributes = {.scale = 2}, .in = {STEP(0)}});
    recipe->output = 1;
    return recipe;
}

static void test_right_at_one_size_only(void **state) {
    (void)state;
    fv_model_spec spec = {.classes = 2,
                          .class_names = {"disc", "cup"},
                          .preprocess = {.size = 32, .work_size = 32, .enhance = fv_enhance_standard()}};
    fv_model *model;
    assert_int_equal(fv_model_make_recipe(&spec, shrinking(), &model), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "the network gives 1x34x34x2, expected 1x33x33x2"));
    fv_recipe *recipe = fv_recipe_make();
    add_param(recipe, "w", (fv_shape){1, 32, 32, 2});
    fv_recipe_step step = {.name = "r", .kind = FV_OP_relu, .inputs = 1, .in = {PARAM(0)}};
    assert_int_equal(fv_recipe_add_step(recipe, &step), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "reads a parameter where its picture stands"));
    fv_recipe_free(recipe);
}

static void test_refused_steps(void **state) {
    (void)state;
    fv_recipe *recipe = sample();
    fv_recipe_step step = {.name = "x", .kind = FV_OP_relu, .inputs = 1, .in = {STEP(6)}};
    assert_int_equal(fv_recipe_add_step(recipe, &step), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "not made before it"));
    step.in[0].index = -1;
    assert_int_equal(fv_recipe_add_step(recipe, &step), FV_BAD_INPUT);
    step.in[0].index = 0;
    strcpy(step.name, "c");
    assert_int_equal(fv_recipe_add_step(recipe, &step), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "two steps are called \"c\""));
    fv_recipe_param param = {.name = "c.weight", .shape = {1, 1, 1, 1}};
    assert_int_equal(fv_recipe_add_param(recipe, &param), FV_BAD_INPUT);
    fv_recipe_free(recipe);
}

static fv_model *make(fv_recipe *recipe) {
    const fv_model_spec spec = {.classes = 2,
                                .class_names = {"disc", "cup"},
                                .thresholds = {0.5, 0.5},
                                .preprocess = {.size = 48, .work_size = 48, .enhance = fv_enhance_standard()}};
    fv_model *model;
    if (fv_model_make_recipe(&spec, recipe, &model) != FV_OK) fail_msg("%s", fv_error());
    for (size_t i = 0; i < model->params.total; i++) model->params.values[i] = (fv_real)(i % 13) / 16 - 0.3f;
    return model;
}

static float *run(fv_model *model, int side) {
    fv_graph graph;
    fv_plan *plan;
    fv_graph_init(&graph, &model->params);
    fv_value input = fv_graph_input(&graph, "input", (fv_shape){1, side, side, 3}, false);
    fv_value logits = fv_model_build(model, &graph, input, NULL);
    assert_int_equal(fv_plan_make(&graph, FV_PLAN_INFER, &logits, 1, FV_NO_VALUE, &plan), FV_OK);
    for (int i = 0; i < side * side * 3; i++) fv_plan_data(plan, input)[i] = (fv_real)(i % 7) / 4;
    fv_plan_forward(plan, false, 0, 0);
    size_t bytes = (size_t)(side * side * 2) * sizeof(float);
    float *found = malloc(bytes);
    memcpy(found, fv_plan_data(plan, logits), bytes);
    fv_plan_free(plan);
    fv_graph_free(&graph);
    return found;
}

/* A file written and read gives the same bits at a size that the network was not made for. */
static void test_model_file(void **state) {
    (void)state;
    fv_model *model = make(sample()), *read;
    assert_int_equal(fv_model_step(&model->spec), 6);
    assert_int_equal(fv_model_save(model, temporary_path("recipe.safetensors")), FV_OK);
    if (fv_model_load(temporary_path("recipe.safetensors"), &read) != FV_OK) fail_msg("%s", fv_error());
    assert_string_equal(read->spec.network, FV_RECIPE_NETWORK);
    assert_int_equal(fv_model_step(&read->spec), 6);
    float *before = run(model, 30), *after = run(read, 30);
    assert_memory_equal(before, after, 30 * 30 * 2 * sizeof(float));
    free(before);
    free(after);
    fv_model_free(model);
    fv_model_free(read);
}

static void test_sizes_and_classes_that_do_not_fit(void **state) {
    (void)state;
    fv_model_spec spec = {.classes = 2,
                          .class_names = {"disc", "cup"},
                          .preprocess = {.size = 64, .work_size = 64, .enhance = fv_enhance_standard()}};
    fv_model *model;
    assert_int_equal(fv_model_make_recipe(&spec, sample(), &model), FV_BAD_INPUT);
    assert_null(model);
    assert_non_null(strstr(fv_error(), "multiple of 6"));
    spec.preprocess.size = spec.preprocess.work_size = 48;
    spec.classes = 1;
    assert_int_equal(fv_model_make_recipe(&spec, sample(), &model), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "the network gives 1x48x48x2, expected 1x48x48x1"));
}

static void test_bad_json(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"[", "no valid JSON"},
        {"{}", "no valid output"},
        {"{\"output\":0,\"steps\":[{\"name\":\"a\",\"op\":\"fly\",\"in\":[\"input 0\"]}]}", "the op \"fly\""},
        {"{\"output\":0,\"steps\":[{\"name\":\"a\",\"op\":\"relu\",\"in\":[\"step 0\"]}]}", "not made before it"},
        {"{\"output\":0,\"steps\":[{\"name\":\"a\",\"op\":\"relu\",\"in\":[\"input -1\"]}]}", "input of a step"},
        {"{\"output\":0,\"steps\":[{\"name\":\"a\",\"op\":\"relu\",\"in\":[]}]}", "list of inputs"},
        {"{\"output\":1,\"steps\":[{\"name\":\"a\",\"op\":\"relu\",\"in\":[\"input 0\"]}]}", "no valid output"},
        {"{\"output\":0,\"steps\":[{\"name\":\"a\",\"op\":\"relu\",\"stride\":1e99,\"in\":[\"input 0\"]}]}", "stride"},
        {"{\"output\":0,\"params\":[{\"name\":\"w\",\"shape\":[1,2,3]}]}", "no valid shape"},
        {"{\"output\":0,\"params\":[{\"shape\":[1,2,3,4]}]}", "no valid name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fv_recipe *recipe;
        assert_int_equal(fv_recipe_parse(cases[i].text, "m.safetensors", &recipe), FV_BAD_INPUT);
        assert_null(recipe);
        if (strncmp(fv_error(), "m.safetensors", 13) != 0 || !strstr(fv_error(), cases[i].words))
            fail_msg("\"%s\" does not say \"%s\"", fv_error(), cases[i].words);
    }
}

static void test_json_of_many_values(void **state) {
    (void)state;
    enum { VALUES = 300000 };
    char *text = malloc(2 * VALUES + 1);
    for (int i = 0; i < VALUES; i++) memcpy(text + 2 * i, "0,", 3);
    text[0] = '[';
    fv_recipe *recipe;
    assert_int_equal(fv_recipe_parse(text, "m.safetensors", &recipe), FV_BAD_INPUT);
    assert_null(recipe);
    assert_non_null(strstr(fv_error(), "m.safetensors: the network in the file's metadata has more than"));
    free(text);
}

static void test_many_params(void **state) {
    (void)state;
    fv_recipe *recipe = fv_recipe_make();
    fv_recipe_param param = {.shape = {1, 1, 1, 1}};
    for (int i = 0; i < FV_RECIPE_MAX_PARAMS; i++) {
        snprintf(param.name, sizeof param.name, "%d", i);
        assert_int_equal(fv_recipe_add_param(recipe, &param), FV_OK);
    }
    strcpy(param.name, "more");
    assert_int_equal(fv_recipe_add_param(recipe, &param), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "more than 16384 parameters"));
    fv_recipe_free(recipe);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_multiple),
        cmocka_unit_test(test_refused_steps),
        cmocka_unit_test(test_model_file),
        cmocka_unit_test(test_bad_json),
        cmocka_unit_test(test_sizes_and_classes_that_do_not_fit),
        cmocka_unit_test(test_multiple_of_hostile_factors),
        cmocka_unit_test(test_right_at_one_size_only),
        cmocka_unit_test(test_json_of_many_values),
        cmocka_unit_test(test_many_params),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
