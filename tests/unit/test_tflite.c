/* TensorFlow Lite files: every network in every precision passes the verifier of the code that flatc makes of the
   schema. Where FOVEA_PYTHON names a Python with ai-edge-litert (or tensorflow), tests/peers/litert.py reads the files
   with TensorFlow's own schema and LiteRT runs them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/exchange/tflite_flatbuffer.h"
#include "fovea/base/file.h"
#include "fovea/base/rng.h"
#include "fovea/exchange/tflite_write.h"
#include "fovea/graph/plan.h"
#include "fovea/nn/layers.h"
#include "fovea/tensor/half.h"
#include "temporary.h"

#define SIZE 64   /* px of the inputs */
#define WINDOWS 4 /* inputs to compare on */

/* A network under test, as a list and as what fovea makes of some inputs. */
typedef struct subject {
    fv_model *model; /* NULL: of the test's own layers, below */
    fv_params params;
    fv_graph graph;
    fv_value input, output;
    fv_folded folded;
    fv_ranges ranges;
    float *inputs, *outputs;
} subject;

static void expect(fv_status status) {
    if (status != FV_OK) fail_msg("%s", fv_error());
}

/* Weights as of a trained network: batch norms that scale and shift, results that are not all alike. */
static void draw_weights(fv_params *params) {
    for (int i = 0; i < params->count; i++) {
        fv_rng rng = fv_rng_make(5, 0, (uint64_t)i, FV_PURPOSE_TEST);
        const fv_param *p = &params->list[i];
        fv_real *values = params->values + p->offset;
        const char *part = strrchr(p->name, '.');
        bool scale = strcmp(part, ".gamma") == 0 || strcmp(part, ".var") == 0;
        double spread = sqrt(1.0 / (p->fan_in > 1 ? p->fan_in : 100));
        for (size_t k = 0; k < p->count; k++)
            values[k] = (fv_real)(scale ? fv_rng_range(&rng, 0.7, 1.3) : spread * fv_rng_normal(&rng));
    }
}

static void draw_inputs(subject *s) {
    size_t count = WINDOWS * fv_shape_count(fv_graph_shape(&s->graph, s->input));
    fv_rng rng = fv_rng_make(6, 0, 0, FV_PURPOSE_TEST);
    s->inputs = malloc(count * sizeof *s->inputs);
    for (size_t i = 0; i < count; i++) s->inputs[i] = (float)fv_rng_below(&rng, 256);
    fv_preprocess_normalise(FV_NORMALISE_SIGNED, s->inputs, count / 3);
}

/* Scales the layer that gives logits so that those of the first input end at 4: beyond, probabilities are all alike. */
static void tame(subject *s, fv_value logits) {
    fv_plan *plan;
    size_t in = fv_shape_count(fv_graph_shape(&s->graph, s->input)),
           out = fv_shape_count(fv_graph_shape(&s->graph, logits));
    expect(fv_plan_make(&s->graph, FV_PLAN_INFER, &logits, 1, FV_NO_VALUE, &plan));
    memcpy(fv_plan_data(plan, s->input), s->inputs, in * sizeof *s->inputs);
    fv_plan_forward(plan, false, 0, 0);
    float largest = 0;
    for (size_t i = 0; i < out; i++) largest = fmaxf(largest, fabsf(fv_plan_data(plan, logits)[i]));
    fv_plan_free(plan);
    const fv_graph_node *node = &s->graph.nodes[s->graph.values[logits].producer];
    for (int k = 1; k < node->spec.inputs; k++) {
        const fv_param *p = &s->graph.params->list[s->graph.values[node->in[k]].param];
        for (size_t i = 0; i < p->count; i++) s->graph.params->values[p->offset + i] *= 4 / largest;
    }
}

/* What fovea makes of the inputs, and the ranges of all layers on them. */
static void run_subject(subject *s) {
    fv_plan *plan;
    size_t in = fv_shape_count(fv_graph_shape(&s->graph, s->input)),
           out = fv_shape_count(fv_graph_shape(&s->graph, s->output));
    s->outputs = malloc(WINDOWS * out * sizeof *s->outputs);
    expect(fv_plan_make(&s->graph, FV_PLAN_INFER, &s->output, 1, FV_NO_VALUE, &plan));
    float low = 1, high = 0;
    for (size_t n = 0; n < WINDOWS; n++) {
        float *y = s->outputs + n * out;
        memcpy(fv_plan_data(plan, s->input), s->inputs + n * in, in * sizeof *y);
        fv_plan_forward(plan, false, 0, 0);
        memcpy(y, fv_plan_data(plan, s->output), out * sizeof *y);
        for (size_t i = 0; i < out; i++) {
            low = fminf(low, y[i]);
            high = fmaxf(high, y[i]);
        }
    }
    assert_true(high - low > 0.2F); /* a network that says the same of every pixel would prove nothing */
    fv_plan_free(plan);
    const fv_calibration calibration = {s->inputs, WINDOWS, SIZE, SIZE};
    expect(fv_ranges_measure(&s->folded, &calibration, &s->ranges));
}

static void subject_free(subject *s) {
    fv_ranges_free(&s->ranges);
    fv_folded_free(&s->folded);
    fv_graph_free(&s->graph);
    fv_params_free(&s->params);
    fv_model_free(s->model);
    free(s->inputs);
    free(s->outputs);
}

static fv_model_spec spec_of(const char *network, fv_convention convention) {
    fv_model_spec spec = {.width = 1,
                          .convention = convention,
                          .classes = 2,
                          .class_names = {"disc", "cup"},
                          .thresholds = {0.5, 0.4375},
                          .preprocess = {.size = SIZE,
                                         .work_size = SIZE,
                                         .fit = FV_FIT_STRETCH,
                                         .enhance = {.clahe_clip = 2, .clahe_tiles = 8, .unsharp_sigma = 2}}};
    snprintf(spec.network, sizeof spec.network, "%s", network);
    if (fv_network_has_encoder(network))
        spec.width = 0.35;
    else
        spec.base = 8;
    return spec;
}

static void subject_of_model(subject *s, const fv_model_spec *spec) {
    *s = (subject){0};
    expect(fv_model_make(spec, 1, &s->model));
    draw_weights(&s->model->params);
    fv_graph_init(&s->graph, &s->model->params);
    s->input = fv_graph_input(&s->graph, "input", (fv_shape){1, SIZE, SIZE, 3}, false);
    fv_value logits = fv_model_build(s->model, &s->graph, s->input, NULL);
    s->output = fv_sigmoid(&s->graph, "probabilities", logits);
    draw_inputs(s);
    tame(s, logits);
    expect(fv_folded_make(s->model, SIZE, SIZE, false, &s->folded));
}

/* What no shipped network has: paddings, windows and orders of their own. */
static fv_value odd_layers(fv_graph *g, fv_value input) {
    const fv_norm_options norm = {.epsilon = 1e-3, .momentum = 0.1};
    const fv_padding uneven = {FV_PAD_EXPLICIT, 2, 0, 0, 2}; /* top, left, bottom, right */
    fv_value x = fv_conv(g, "wide", input, 8, &(fv_conv_options){.kernel = 3, .stride = 2, .padding = uneven});
    x = fv_batch_norm(g, "wide", fv_relu6(g, "limit", x), &norm, FV_ACT_RELU); /* can't be folded */
    x = fv_conv(g, "sparse", x, 8, &(fv_conv_options){.kernel = 3, .dilation = 2, .groups = 2, .padding = fv_same});
    const fv_attributes pool = {.kernel_h = 3, .kernel_w = 3, .stride = 2, .padding = {FV_PAD_EXPLICIT, 1, 1, 1, 1}};
    fv_value half = fv_graph_add(g, FV_OP_max_pool, "pool", &pool, 1, &x);
    const fv_attributes same = {.kernel_h = 3, .kernel_w = 3, .stride = 1, .padding = fv_same};
    half = fv_relu(g, "relu", fv_graph_add(g, FV_OP_max_pool, "smooth", &same, 1, &half));
    half = fv_depthwise(g, "depthwise", half, 3, 1, fv_same);
    fv_value bilinear = fv_upsample_bilinear(g, "bilinear", fv_silu(g, "silu", half), 2);
    fv_value transposed = fv_conv_transpose(g, "transposed", half, 3, 8);
    transposed = fv_relu(g, "transposed", transposed);
    fv_value product = fv_multiply(g, "product", bilinear, transposed);
    fv_value gate = fv_sigmoid(g, "gate", fv_dense(g, "dense", half, 8));
    fv_value sum = fv_add(g, "sum", fv_multiply(g, "gated", x, gate), product, FV_ACT_RELU);
    return fv_logits(g, "out", fv_upsample_nearest(g, "nearest", fv_concat(g, "both", sum, x), 2), 2);
}

static void subject_of_odd_layers(subject *s) {
    *s = (subject){0};
    fv_params_init(&s->params);
    fv_graph_init(&s->graph, &s->params);
    s->input = fv_graph_input(&s->graph, "input", (fv_shape){1, SIZE, SIZE, 3}, false);
    fv_value logits = odd_layers(&s->graph, s->input);
    s->output = fv_sigmoid(&s->graph, "probabilities", logits);
    expect(fv_graph_status(&s->graph));
    expect(fv_params_allocate(&s->params, 1));
    draw_weights(&s->params);
    draw_inputs(s);
    tame(s, logits);
    expect(fv_folded_from_graph(&s->graph, s->input, s->output, &s->folded));
}

static fv_tflite_settings settings_of(const subject *s, fv_export_precision precision) {
    return (fv_tflite_settings){.precision = precision, .ranges = &s->ranges, .title = "a test"};
}

/* Writes the file, checks it and returns its size. */
static size_t write_checked(const subject *s, const fv_tflite_settings *settings, const char *path) {
    void *data;
    size_t bytes;
    expect(fv_tflite_write(&s->folded, settings, path));
    expect(fv_file_read(path, 1 << 30, &data, &bytes));
    assert_memory_equal((char *)data + 4, "TFL3", 4);
    assert_true(tflite_file_verify(data, bytes));
    assert_false(tflite_file_verify(data, bytes / 3));
    ((unsigned char *)data)[0] ^= 0x55; /* where the root lies */
    assert_false(tflite_file_verify(data, bytes));
    free(data);
    return bytes;
}

/* ---- the peer ---- */

#define ARGUMENTS_MAX 16384

static char arguments[ARGUMENTS_MAX]; /* of litert.py: collected while files are written, run at the end */

static void compare_later(const char *windows, const char *file, double largest) {
    size_t length = strlen(arguments);
    assert_true(length + strlen(windows) + strlen(file) + 32 < ARGUMENTS_MAX);
    snprintf(arguments + length, ARGUMENTS_MAX - length, " %s %s %g", windows, file, largest);
}

static void write_windows(const subject *s, const char *path) {
    fv_shape in = fv_graph_shape(&s->graph, s->input), out = fv_graph_shape(&s->graph, s->output);
    const int64_t in_shape[4] = {WINDOWS, in.h, in.w, in.c}, out_shape[4] = {WINDOWS, out.h, out.w, out.c};
    fv_safetensors_writer *writer;
    expect(fv_safetensors_writer_make(&writer));
    expect(fv_safetensors_add(writer, "input", "F32", 4, in_shape, s->inputs));
    expect(fv_safetensors_add(writer, "output", "F32", 4, out_shape, s->outputs));
    expect(fv_safetensors_write(writer, path));
}

/* ---- tests ---- */

/* <name>.<precision>.tflite, to be compared with fovea's probabilities; returns its size. */
static size_t write_one(const subject *s, const char *name, fv_export_precision precision, double largest) {
    char windows[512], path[512], file[64];
    fv_tflite_settings settings = settings_of(s, precision);
    snprintf(file, sizeof file, "%s.safetensors", name);
    snprintf(windows, sizeof windows, "%s", temporary_path(file));
    write_windows(s, windows);
    snprintf(file, sizeof file, "%s.%s.tflite", name, fv_precision_names[precision]);
    snprintf(path, sizeof path, "%s", temporary_path(file));
    compare_later(windows, path, largest);
    return write_checked(s, &settings, path);
}

/* `half`, `byte`: how far rounding to halves, and to bytes, may lead a probability. */
static void write_all(const subject *s, const char *name, double half, double byte) {
    size_t whole_bytes = write_one(s, name, FV_PRECISION_FLOAT32, 1e-5);
    size_t half_bytes = write_one(s, name, FV_PRECISION_FLOAT16, half);
    assert_int_equal(write_one(s, name, FV_PRECISION_FLOAT16_STORAGE, half), half_bytes);
    assert_true(half_bytes < whole_bytes);
    assert_true(write_one(s, name, FV_PRECISION_INT8, byte) < half_bytes);
}

static void test_networks_in_all_precisions(void **state) {
    (void)state;
    for (int i = 0; fv_network_names[i]; i++) {
        subject s;
        fv_model_spec spec = spec_of(fv_network_names[i], FV_CONVENTION_KERAS);
        subject_of_model(&s, &spec);
        run_subject(&s);
        write_all(&s, fv_network_names[i], 0.005, 0.2);
        subject_free(&s);
    }
}

/* Padding 1 on every side: no SAME of TensorFlow's where the stride is 2. */
static void test_torchvision_convention(void **state) {
    (void)state;
    subject s;
    fv_model_spec spec = spec_of("mobilenetv2_unet", FV_CONVENTION_TORCHVISION);
    subject_of_model(&s, &spec);
    run_subject(&s);
    write_all(&s, "torchvision", 0.005, 0.2);
    subject_free(&s);
}

static void test_odd_layers(void **state) {
    (void)state;
    subject s;
    subject_of_odd_layers(&s);
    run_subject(&s);
    write_all(&s, "odd", 0.005, 0.1);
    subject_free(&s);
}

/* What goes in are the levels that fovea's own inputs were normalised from. */
static void write_level_windows(const subject *s, const char *path) {
    subject levels = *s;
    size_t count = WINDOWS * fv_shape_count(fv_graph_shape(&s->graph, s->input));
    uint8_t *bytes = malloc(count);
    levels.inputs = malloc(count * sizeof *levels.inputs);
    fv_preprocess_denormalise(FV_NORMALISE_SIGNED, s->inputs, count / 3, bytes);
    for (size_t i = 0; i < count; i++) levels.inputs[i] = bytes[i];
    write_windows(&levels, path);
    free(levels.inputs);
    free(bytes);
}

static void test_ends(void **state) {
    (void)state;
    subject s;
    const fv_preprocess preprocess = {.normalise = FV_NORMALISE_SIGNED, .windows = true};
    subject_of_odd_layers(&s);
    run_subject(&s);
    const char *path = temporary_path("integer.tflite"), *windows = temporary_path("ends.safetensors");
    fv_tflite_settings settings = settings_of(&s, FV_PRECISION_INT8);
    write_windows(&s, windows);
    settings.integer_ends = true;
    write_checked(&s, &settings, path);
    compare_later(windows, path, 0.1);

    windows = temporary_path("levels.safetensors");
    write_level_windows(&s, windows);
    settings.preprocess = &preprocess;
    path = temporary_path("levels8.tflite");
    write_checked(&s, &settings, path);
    compare_later(windows, path, 0.1);
    settings.precision = FV_PRECISION_FLOAT32;
    path = temporary_path("levels.tflite");
    write_checked(&s, &settings, path);
    compare_later(windows, path, 1e-5);
    subject_free(&s);
}

static bool file_has(const char *path, const char *text) {
    void *data;
    size_t bytes;
    expect(fv_file_read(path, 1 << 30, &data, &bytes));
    bool found = memmem(data, bytes, text, strlen(text)) != NULL;
    free(data);
    return found;
}

static void test_metadata_and_same_bytes(void **state) {
    (void)state;
    subject s;
    fv_model_spec spec = spec_of("wnet", FV_CONVENTION_KERAS);
    fv_metadata metadata;
    const fv_export_shape shape = {.layout = "NHWC", .height = SIZE, .width = SIZE};
    subject_of_model(&s, &spec);
    expect(fv_metadata_of_model(&spec, &shape, &metadata));
    fv_tflite_settings settings = settings_of(&s, FV_PRECISION_FLOAT32);
    settings.metadata = &metadata;
    const char *a = temporary_path("a.tflite"), *b = temporary_path("b.tflite");
    size_t bytes = write_checked(&s, &settings, a);
    assert_int_equal(write_checked(&s, &settings, b), bytes);
    void *first, *second;
    expect(fv_file_read(a, 1 << 30, &first, &bytes));
    expect(fv_file_read(b, 1 << 30, &second, &bytes));
    assert_memory_equal(first, second, bytes);
    free(first);
    free(second);
    assert_true(file_has(a, fv_metadata_find(&metadata, "fovea.model")));
    assert_true(file_has(a, "\"threshold\":0.4375"));
    fv_metadata_free(&metadata);
    subject_free(&s);
}

/* Nothing is written, and the sentence has `words`. */
static void expect_refusal(const fv_folded *folded, const fv_tflite_settings *settings, const char *words) {
    int before = temporary_count();
    assert_int_equal(fv_tflite_write(folded, settings, temporary_path("refused.tflite")), FV_BAD_INPUT);
    if (!strstr(fv_error(), words)) fail_msg("\"%s\" has no \"%s\"", fv_error(), words);
    assert_int_equal(temporary_count(), before);
}

static void test_group_norm(void **state) {
    (void)state;
    subject s;
    fv_model_spec spec = spec_of("unet", FV_CONVENTION_KERAS);
    spec.norm = FV_NORM_GROUP;
    subject_of_model(&s, &spec);
    run_subject(&s);
    write_one(&s, "group", FV_PRECISION_FLOAT32, 1e-5);
    write_one(&s, "group", FV_PRECISION_FLOAT16, 0.005);
    fv_tflite_settings settings = settings_of(&s, FV_PRECISION_INT8);
    expect_refusal(&s.folded, &settings, "is a group norm");
    subject_free(&s);
}

static void test_weight_beyond_halves_is_refused(void **state) {
    (void)state;
    subject s;
    subject_of_odd_layers(&s);
    s.folded.layers[0].weight[1] = 70000;
    fv_tflite_settings settings = settings_of(&s, FV_PRECISION_FLOAT16);
    expect_refusal(&s.folded, &settings, "layer wide has a weight of 70000");
    s.folded.layers[0].weight[1] = FV_HALF_MAX;
    expect(fv_tflite_write(&s.folded, &settings, temporary_path("largest.tflite")));
    subject_free(&s);
}

/* As a kind of op would be that is added some day. */
static void test_unknown_kind_is_refused(void **state) {
    (void)state;
    subject s;
    subject_of_odd_layers(&s);
    s.folded.layers[1].kind = FV_OP_quantise;
    fv_tflite_settings settings = settings_of(&s, FV_PRECISION_FLOAT32);
    expect_refusal(&s.folded, &settings, "is of a kind that TensorFlow Lite has no operator for");
    subject_free(&s);
}

static void test_folder_that_is_not_there(void **state) {
    (void)state;
    subject s;
    subject_of_odd_layers(&s);
    fv_tflite_settings settings = settings_of(&s, FV_PRECISION_FLOAT32);
    assert_int_equal(fv_tflite_write(&s.folded, &settings, temporary_path("nowhere/a.tflite")), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "nowhere"));
    subject_free(&s);
}

/* Last: runs what the tests before have written. */
static void test_litert_agrees(void **state) {
    (void)state;
    static char command[ARGUMENTS_MAX + 512];
    const char *python = getenv("FOVEA_PYTHON");
    if (!python) {
        print_message("skip: LiteRT: FOVEA_PYTHON names no Python with ai-edge-litert\n");
        skip();
    }
    snprintf(command, sizeof command, "'%s' -c 'import ai_edge_litert' 2>/dev/null", python);
    if (system(command) != 0) {
        print_message("skip: %s has no ai_edge_litert\n", python);
        skip();
    }
    assert_true(strlen(arguments) > 0);
    snprintf(command, sizeof command, "'%s' tests/peers/litert.py%s >'%s' 2>&1", python, arguments,
             temporary_path("litert.log"));
    if (system(command) != 0) {
        void *log;
        size_t bytes;
        expect(fv_file_read(temporary_path("litert.log"), 1 << 24, &log, &bytes));
        fprintf(stderr, "%s\n", (char *)log);
        free(log);
        fail_msg("LiteRT does not agree");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks_in_all_precisions),
        cmocka_unit_test(test_torchvision_convention),
        cmocka_unit_test(test_odd_layers),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_metadata_and_same_bytes),
        cmocka_unit_test(test_group_norm),
        cmocka_unit_test(test_weight_beyond_halves_is_refused),
        cmocka_unit_test(test_unknown_kind_is_refused),
        cmocka_unit_test(test_folder_that_is_not_there),
        cmocka_unit_test(test_litert_agrees),
    };
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
