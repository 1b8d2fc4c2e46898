/* What plans decide: fusion, what is computed twice, memory and its limit. That the gradients are right is for
   tests/grad/test_blocks.c and test_network.c; here plans are compared with each other. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "../../src/graph/plan_layout.h"
#include "fovea/base/rng.h"
#include "fovea/base/threads.h"
#include "fovea/graph/plan.h"
#include "fovea/model/model.h"
#include "fovea/nn/layers.h"

#define BATCH 2
#define SIDE 64

static const char *const networks[] = {
    "mobilenetv2_unet", "mobilenetv2_se_unet", "mobilenetv2_se_unet_keras", "unet", "resunet", "wnet"};
#define NETWORKS (sizeof networks / sizeof *networks)
/* Those with wide 3x3 convolutions behind a batch norm, which backward reads through its map. */
static const char *const mapping_networks[] = {"mobilenetv2_se_unet", "unet", "resunet"};
#define MAPPING_NETWORKS (sizeof mapping_networks / sizeof *mapping_networks)

/* A network with the loss; `keep` lists the logits, and on wish every value that a node makes. */
typedef struct fixture {
    fv_model *model;
    fv_graph graph;
    fv_plan *plan;
    fv_value input, target, valid, logits, loss, *keep;
    int keep_count;
} fixture;

static void list_kept(fixture *f, bool all) {
    f->keep = malloc((size_t)f->graph.value_count * sizeof *f->keep);
    assert_non_null(f->keep);
    f->keep[f->keep_count++] = f->logits;
    for (int v = 0; all && v < f->graph.value_count; v++)
        if (f->graph.values[v].producer >= 0 && v != f->logits) f->keep[f->keep_count++] = v;
}

static void fill_values(fixture *f) {
    fv_rng rng = fv_rng_make(5, 0, 0, FV_PURPOSE_TEST);
    fv_params *params = &f->model->params;
    for (int i = 0; i < params->count; i++) /* statistics, gamma and beta away from 0 and 1 */
        for (size_t k = 0; k < params->list[i].count; k++)
            params->values[params->list[i].offset + k] *= (float)fv_rng_range(&rng, 0.8, 1.2);
    size_t pixels = (size_t)BATCH * SIDE * SIDE;
    float *input = fv_plan_data(f->plan, f->input), *target = fv_plan_data(f->plan, f->target);
    for (size_t k = 0; k < pixels * 3; k++) input[k] = (float)fv_rng_normal(&rng);
    for (size_t k = 0; k < pixels * 2; k++) target[k] = fv_rng_uniform(&rng) > 0.6;
    for (int i = 0; i < BATCH * 2; i++) fv_plan_data(f->plan, f->valid)[i] = 1;
}

static void build(fixture *f, const char *network) {
    fv_model_spec spec = {.width = 1,
                          .convention = FV_CONVENTION_KERAS,
                          .classes = 2,
                          .class_names = {"disc", "cup"},
                          .thresholds = {0.5, 0.5},
                          .preprocess = {.size = SIDE, .work_size = SIDE}};
    if (strstr(network, "mobilenet") == NULL) spec.base = 8;
    snprintf(spec.network, sizeof spec.network, "%s", network);
    *f = (fixture){0};
    assert_int_equal(fv_model_make(&spec, 1, &f->model), FV_OK);
    fv_graph *g = &f->graph;
    fv_graph_init(g, &f->model->params);
    f->input = fv_graph_input(g, "input", (fv_shape){BATCH, SIDE, SIDE, 3}, false);
    f->target = fv_graph_input(g, "target", (fv_shape){BATCH, SIDE, SIDE, 2}, false);
    f->valid = fv_graph_input(g, "valid", (fv_shape){BATCH, 1, 1, 2}, false);
    f->logits = fv_model_build(f->model, g, f->input, NULL);
    fv_attributes loss = {.weight_bce = 1, .weight_dice = 1, .smooth = 1};
    f->loss = fv_graph_add(g, FV_OP_segmentation_loss, "loss", &loss, 3, (fv_value[]){f->logits, f->target, f->valid});
    assert_int_equal(fv_graph_status(g), FV_OK);
}

static void make_plan(fixture *f, fv_plan_mode mode, size_t limit) {
    fv_value loss = mode == FV_PLAN_TRAIN ? f->loss : FV_NO_VALUE;
    if (fv_plan_make_within(&f->graph, mode, f->keep, f->keep_count, loss, limit, &f->plan) != FV_OK)
        fail_msg("%s", fv_error());
    fill_values(f);
    fv_plan_prepare(f->plan);
}

static void make(fixture *f, const char *network, fv_plan_mode mode, bool keep_all, size_t limit) {
    build(f, network);
    list_kept(f, keep_all);
    make_plan(f, mode, limit);
}

static void discard(fixture *f) {
    fv_plan_free(f->plan);
    fv_graph_free(&f->graph);
    fv_model_free(f->model);
    free(f->keep);
}

static void run_step(fixture *f) {
    fv_plan_forward(f->plan, true, 3, 4);
    fv_plan_backward(f->plan);
}

/* Largest difference of two plans' gradients, as a share of the tensor's largest. */
static double gradient_difference(const fixture *a, const fixture *b) {
    double worst = 0;
    for (int i = 0; i < a->model->params.count; i++) {
        const fv_param *p = &a->model->params.list[i];
        double most = 1e-6, difference = 0;
        for (size_t k = p->offset; p->trainable && k < p->offset + p->count; k++) {
            double x = (double)a->model->params.gradients[k], y = (double)b->model->params.gradients[k];
            most = fmax(most, fabs(x));
            difference = fmax(difference, fabs(x - y));
        }
        worst = fmax(worst, difference / most);
    }
    return worst;
}

static void fused_inference_equals_training_plan(void **state) {
    (void)state;
    for (size_t n = 0; n < NETWORKS; n++) {
        fixture train, infer;
        make(&train, networks[n], FV_PLAN_TRAIN, false, 0);
        make(&infer, networks[n], FV_PLAN_INFER, false, 0);
        for (int run = 0; run < 2; run++) { /* the second with other parameters: nothing may be left of the first */
            fv_plan_forward(train.plan, false, 0, 0);
            fv_plan_forward(infer.plan, false, 0, 0);
            const float *x = fv_plan_data(train.plan, train.logits), *y = fv_plan_data(infer.plan, infer.logits);
            double most = 0, difference = 0;
            for (size_t k = 0; k < (size_t)BATCH * SIDE * SIDE * 2; k++) {
                most = fmax(most, fabs((double)x[k]));
                difference = fmax(difference, fabs((double)x[k] - (double)y[k]));
            }
            /* Winograd's rounding, which a batch norm before or after it changes. */
            if (!(difference <= 3e-5 * most))
                fail_msg("%s run %d: logits differ by %g of %g", networks[n], run, difference, most);
            for (size_t k = 0; k < train.model->params.total; k++) {
                train.model->params.values[k] *= 1.01f;
                infer.model->params.values[k] *= 1.01f;
            }
            fv_plan_prepare(infer.plan);
        }
        discard(&train);
        discard(&infer);
    }
}

/* An op that has an epilogue does the batch norm and the sum behind it; of the other nodes none is left out. */
static void inference_runs_what_is_not_fused(void **state) {
    (void)state;
    fixture f;
    build(&f, "resunet");
    list_kept(&f, false);
    fv_plan_layout layout;
    assert_int_equal(fv_plan_layout_make(&f.graph, FV_PLAN_INFER, f.keep, 1, FV_NO_VALUE, 0, &layout), FV_OK);
    int fused = 0;
    for (int i = 0; i < f.graph.node_count; i++) {
        const fv_graph_node *node = &f.graph.nodes[i];
        int root = layout.choices.fusions[i].root;
        if (node->spec.kind == FV_OP_batch_norm) {
            const fv_graph_node *before = &f.graph.nodes[f.graph.values[node->in[0]].producer];
            assert_int_equal(root != i, fv_op_table[before->spec.kind]->epilogue);
        }
        fused += root != i;
    }
    assert_int_equal(layout.step_count, f.graph.node_count - fused);
    fv_plan_layout_free(&layout);
    discard(&f);
}

static void computing_twice_changes_nothing(void **state) {
    (void)state;
    for (size_t n = 0; n < NETWORKS; n++) {
        fixture usual, kept;
        make(&usual, networks[n], FV_PLAN_TRAIN, false, 0);
        make(&kept, networks[n], FV_PLAN_TRAIN, true, 0);
        run_step(&usual);
        run_step(&kept);
        if (!(fv_plan_bytes(usual.plan) < fv_plan_bytes(kept.plan) * 3 / 4))
            fail_msg("%s: %zu bytes, %zu when all is kept", networks[n], fv_plan_bytes(usual.plan),
                     fv_plan_bytes(kept.plan));
        assert_true(*fv_plan_data(usual.plan, usual.loss) == *fv_plan_data(kept.plan, kept.loss));
        /* Sums over a range of a wider tensor's channels are cut otherwise, so here not all bits need be equal. */
        double difference = gradient_difference(&usual, &kept);
        if (!(difference < 1e-4)) fail_msg("%s: gradients differ by %g", networks[n], difference);
        discard(&usual);
        discard(&kept);
    }
}

/* Whether a step other than backward through a map, which could do without, reads the tensor that step s has made. */
static bool has_reader_without_map(const fixture *f, const fv_plan_layout *layout, int s) {
    int tensor = layout->steps[s].out;
    for (int t = s + 1; t <= layout->tensors[tensor].last; t++) {
        const fv_plan_step *step = &layout->steps[t];
        const fv_op_spec *spec = &f->graph.nodes[step->node].spec;
        const fv_op *op = fv_op_table[spec->kind];
        bool maps = step->kind == FV_STEP_BACKWARD && op->maps_input && op->maps_input(spec);
        for (int k = 0; k < spec->inputs; k++)
            if (step->in[k] == tensor && !(maps && k == 0)) return true;
    }
    return false;
}

/* The depthwise convolutions of large layers are done by the pointwise ones behind them, and by nothing in training. */
static void depthwise_goes_along(void **state) {
    (void)state;
    for (int train = 0; train < 2; train++) {
        fixture f;
        build(&f, "mobilenetv2_unet");
        fv_plan_layout layout;
        assert_int_equal(fv_plan_layout_make(&f.graph, train ? FV_PLAN_TRAIN : FV_PLAN_INFER, &f.logits, 1,
                                             train ? f.loss : FV_NO_VALUE, 0, &layout),
                         FV_OK);
        int along = 0;
        for (int s = 0; s < layout.step_count; s++) {
            int before = layout.choices.fusions[layout.steps[s].node].before;
            if (before == FV_NONE) continue;
            assert_int_equal(f.graph.nodes[before].spec.kind, FV_OP_depthwise);
            assert_int_equal(f.graph.nodes[layout.steps[s].node].spec.kind, FV_OP_conv2d);
            along++;
        }
        assert_true(train ? along == 0 : along > 0);
        fv_plan_layout_free(&layout);
        discard(&f);
    }
}

/* No batch norm's output is made again only for steps that could read it through the map. */
static void nothing_is_made_again_that_a_map_spares(void **state) {
    (void)state;
    for (size_t n = 0; n < NETWORKS; n++) {
        fixture f;
        fv_plan_layout layout;
        build(&f, networks[n]);
        assert_int_equal(fv_plan_layout_make(&f.graph, FV_PLAN_TRAIN, &f.logits, 1, f.loss, 0, &layout), FV_OK);
        int mapped = 0;
        for (int s = layout.backward_start; s < layout.step_count; s++) {
            const fv_plan_step *step = &layout.steps[s];
            const char *name = f.graph.nodes[step->node].name;
            mapped += step->mapper != FV_NONE;
            const fv_op_spec *spec = &f.graph.nodes[step->node].spec;
            bool is_map = fv_op_table[spec->kind]->map && spec->inputs == 5; /* a residual makes six */
            if (step->kind != FV_STEP_RECOMPUTE || !is_map) continue;
            if (!has_reader_without_map(&f, &layout, s)) fail_msg("%s: %s is made again in vain", networks[n], name);
        }
        /* Separable convolutions don't; Keras's original has no convolution just behind a batch norm. */
        bool wanted = strcmp(networks[n], "mobilenetv2_unet") != 0 && !strstr(networks[n], "_keras");
        if (wanted != (mapped > 0)) fail_msg("%s: %d steps read through a map", networks[n], mapped);
        fv_plan_layout_free(&layout);
        discard(&f);
    }
}

/* Makes the plan keep what it would read through a map. */
static void make_without_maps(fixture *f, const char *network) {
    fv_plan_layout layout;
    build(f, network);
    list_kept(f, false);
    assert_int_equal(fv_plan_layout_make(&f->graph, FV_PLAN_TRAIN, f->keep, 1, f->loss, 0, &layout), FV_OK);
    for (int s = layout.backward_start; s < layout.step_count; s++)
        if (layout.steps[s].mapper != FV_NONE) f->keep[f->keep_count++] = f->graph.nodes[layout.steps[s].mapper].out;
    fv_plan_layout_free(&layout);
    make_plan(f, FV_PLAN_TRAIN, 0);
}

static void maps_change_no_bit(void **state) {
    (void)state;
    int threads = fv_threads();
    for (size_t n = 0; n < MAPPING_NETWORKS * 2; n++) {
        const char *network = mapping_networks[n / 2];
        fixture mapped, kept;
        fv_threads_set(1 + (int)(n % 2));
        make(&mapped, network, FV_PLAN_TRAIN, false, 0);
        make_without_maps(&kept, network);
        assert_true(fv_plan_bytes(mapped.plan) < fv_plan_bytes(kept.plan));
        for (int step = 0; step < 2; step++) { /* the second with other parameters, and so with other coefficients */
            run_step(&mapped);
            run_step(&kept);
            const fv_params *a = &mapped.model->params, *b = &kept.model->params;
            double difference = gradient_difference(&mapped, &kept);
            if (memcmp(a->gradients, b->gradients, a->total * sizeof(float)) != 0)
                fail_msg("%s: gradients differ by %g", network, difference);
            for (size_t k = 0; k < a->total; k++) {
                a->values[k] *= 1.01f;
                b->values[k] *= 1.01f;
            }
        }
        discard(&mapped);
        discard(&kept);
    }
    fv_threads_set(threads);
}

static void a_limit_is_kept_and_changes_no_bit(void **state) {
    (void)state;
    for (size_t n = 0; n < NETWORKS; n++) {
        fixture usual, limited;
        make(&usual, networks[n], FV_PLAN_TRAIN, false, 0);
        size_t limit = fv_plan_bytes(usual.plan) * 9 / 10;
        make(&limited, networks[n], FV_PLAN_TRAIN, false, limit);
        assert_true(fv_plan_bytes(limited.plan) <= limit);
        for (int step = 0; step < 2; step++) {
            run_step(&usual);
            run_step(&limited);
            const fv_params *a = &usual.model->params, *b = &limited.model->params;
            assert_memory_equal(a->gradients, b->gradients, a->total * sizeof(float));
            assert_memory_equal(a->values, b->values, a->total * sizeof(float)); /* running statistics moved once */
        }
        discard(&usual);
        discard(&limited);
    }
}

static void a_limit_with_room_changes_no_plan(void **state) {
    (void)state;
    fixture usual, limited;
    make(&usual, "unet", FV_PLAN_TRAIN, false, 0);
    make(&limited, "unet", FV_PLAN_TRAIN, false, fv_plan_bytes(usual.plan));
    assert_int_equal(fv_plan_bytes(usual.plan), fv_plan_bytes(limited.plan));
    discard(&usual);
    discard(&limited);
}

static void too_low_a_limit_is_told(void **state) {
    (void)state;
    fixture f;
    build(&f, "unet");
    fv_plan *plan;
    assert_int_equal(fv_plan_make_within(&f.graph, FV_PLAN_TRAIN, &f.logits, 1, f.loss, 1 << 20, &plan),
                     FV_NO_RESOURCE);
    assert_null(plan);
    assert_non_null(strstr(fv_error(), "the limit is 1.0 MiB"));
    assert_non_null(strstr(fv_error(), "train.batch"));
    discard(&f);
}

/* The block is little more than what is alive at one time. */
static void placement_wastes_little(void **state) {
    (void)state;
    for (size_t n = 0; n < NETWORKS; n++) {
        fixture f;
        build(&f, networks[n]);
        for (int train = 0; train < 2; train++) {
            fv_plan_layout layout;
            assert_int_equal(fv_plan_layout_make(&f.graph, train ? FV_PLAN_TRAIN : FV_PLAN_INFER, &f.logits, 1,
                                                 train ? f.loss : FV_NO_VALUE, 0, &layout),
                             FV_OK);
            if (!(layout.bytes >= layout.live_bytes && layout.bytes <= layout.live_bytes * 112 / 100))
                fail_msg("%s: %zu bytes for %zu alive at one time", networks[n], layout.bytes, layout.live_bytes);
            fv_plan_layout_free(&layout);
        }
        discard(&f);
    }
}

/* Two tensors that stand alone and are alive at one time have no byte in common, and all lie in the block. */
static void check_apart(const fv_plan_layout *layout, const char *network) {
    int count = layout->tensor_count, *first = malloc((size_t)count * sizeof *first);
    int *last = malloc((size_t)count * sizeof *last);
    size_t distance;
    assert_true(first && last);
    fv_plan_find_lives(layout, first, last);
    for (int a = 0; a < count; a++) {
        const fv_plan_tensor *x = &layout->tensors[a];
        if (fv_plan_root(layout, a, &distance) != a) continue;
        assert_true(x->offset % 64 == 0 && x->offset + x->bytes <= layout->bytes);
        for (int b = 0; b < a; b++) {
            const fv_plan_tensor *y = &layout->tensors[b];
            if (fv_plan_root(layout, b, &distance) != b || last[a] < first[b] || last[b] < first[a]) continue;
            if (x->offset < y->offset + y->bytes && y->offset < x->offset + x->bytes)
                fail_msg("%s: tensors %d and %d overlap", network, a, b);
        }
    }
    free(first);
    free(last);
}

static void tensors_lie_apart(void **state) {
    (void)state;
    for (size_t n = 0; n < NETWORKS * 3; n++) {
        fixture f;
        fv_plan_layout layout;
        build(&f, networks[n / 3]);
        fv_plan_mode mode = n % 3 ? FV_PLAN_TRAIN : FV_PLAN_INFER;
        fv_value loss = n % 3 ? f.loss : FV_NO_VALUE;
        assert_int_equal(fv_plan_layout_make(&f.graph, mode, &f.logits, 1, loss, 0, &layout), FV_OK);
        if (n % 3 == 2) { /* once more under a limit */
            size_t limit = layout.bytes * 9 / 10;
            fv_plan_layout_free(&layout);
            assert_int_equal(fv_plan_layout_make(&f.graph, mode, &f.logits, 1, loss, limit, &layout), FV_OK);
        }
        check_apart(&layout, networks[n / 3]);
        fv_plan_layout_free(&layout);
        discard(&f);
    }
}

static long minor_faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* All memory is there before the first step, and is the same in every step. */
static void steps_touch_no_fresh_memory(void **state) {
    (void)state;
    fixture f;
    make(&f, "mobilenetv2_unet", FV_PLAN_TRAIN, false, 0);
    run_step(&f); /* stacks of the threads, code */
    long before = minor_faults();
    for (int step = 0; step < 3; step++) run_step(&f);
    long faults = minor_faults() - before;
    if (faults > 50) fail_msg("%ld page faults in three steps of %zu KiB", faults, fv_plan_bytes(f.plan) / 1024);
    discard(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fused_inference_equals_training_plan),
        cmocka_unit_test(inference_runs_what_is_not_fused),
        cmocka_unit_test(computing_twice_changes_nothing),
        cmocka_unit_test(depthwise_goes_along),
        cmocka_unit_test(nothing_is_made_again_that_a_map_spares),
        cmocka_unit_test(maps_change_no_bit),
        cmocka_unit_test(a_limit_is_kept_and_changes_no_bit),
        cmocka_unit_test(a_limit_with_room_changes_no_plan),
        cmocka_unit_test(too_low_a_limit_is_told),
        cmocka_unit_test(placement_wastes_little),
        cmocka_unit_test(tensors_lie_apart),
        cmocka_unit_test(steps_touch_no_fresh_memory),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
