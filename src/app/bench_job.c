#include "bench_job.h"

#include <stdlib.h>
#include <string.h>

#include "fovea/base/log.h"
#include "fovea/base/memory.h"
#include "fovea/base/nearest.h"
#include "fovea/base/progress.h"
#include "fovea/exchange/open.h"
#include "fovea/nn/layers.h"
#include "run_setup.h"

const char *const bench_mode_names[] = {"train", "infer", NULL};

/* ---- which network ---- */

typedef struct named_model {
    const char *network;
    int base, classes; /* classes as in the comparison with other engines */
} named_model;

const char *const bench_model_names[] = {"mobilenetv2_unet", "mobilenetv2_se_unet", "unet", "resunet32",
                                         "resunet",          "resunet16",           "wnet", NULL};
static const named_model named_models[] = {{"mobilenetv2_unet", 0, 2},
                                           {"mobilenetv2_se_unet", 0, 1},
                                           {"unet", 32, 1},
                                           {"resunet", 32, 1},
                                           {"resunet", 64, 1},
                                           {"resunet", 16, 1},
                                           {"wnet", 8, 1}};

static const named_model *named_model_find(const char *name) {
    for (int i = 0; bench_model_names[i]; i++)
        if (strcmp(bench_model_names[i], name) == 0) return &named_models[i];
    return NULL;
}

static fv_model_spec spec_of(const named_model *named, int size) {
    fv_model_spec spec = {.width = 1,
                          .base = named->base,
                          .classes = named->classes,
                          .class_names = {"disc", "cup"},
                          .thresholds = {0.5, 0.5},
                          .preprocess = {.size = size, .work_size = size}};
    snprintf(spec.network, sizeof spec.network, "%s", named->network);
    return spec;
}

static fv_status complain_unknown(const char *word) {
    int count = 0;
    while (bench_model_names[count]) count++;
    int near = fv_nearest(word, bench_model_names, count);
    if (near >= 0)
        return fv_fail(FV_BAD_INPUT, "there is no network or model file \"%s\"; did you mean %s?", word,
                       bench_model_names[near]);
    return fv_fail(FV_BAD_INPUT, "there is no network or model file \"%s\"; fovea bench --help lists the networks",
                   word);
}

static fv_status load_file(const bench_request *request, fv_model **model) {
    char path[FV_PATH_MAX];
    FV_TRY(run_model_path(request->model, path));
    FV_TRY(fv_model_open(path, model));
    if ((*model)->ranges) fv_log_warning("%s is predicted with in 8 bits; measured is its network in float32", path);
    if (request->size == 0) return FV_OK;
    (*model)->spec.preprocess.size = request->size;
    return fv_model_spec_check(&(*model)->spec);
}

static fv_status make_model(const bench_request *request, fv_model **model) {
    const named_model *named = named_model_find(request->model);
    if (!named) return load_file(request, model);
    fv_model_spec spec = spec_of(named, request->size ? request->size : 256);
    return fv_model_make(&spec, 1, model);
}

fv_status bench_model_check(const bench_request *request) {
    const named_model *named = named_model_find(request->model);
    if (!named && !fv_file_exists(request->model) && !fv_folder_exists(request->model))
        return complain_unknown(request->model);
    if (!named) return FV_OK;
    fv_model_spec spec = spec_of(named, request->size ? request->size : 256);
    return fv_model_spec_check(&spec);
}

/* ---- the step ---- */

static float *filled(size_t count, double low, double high) {
    float *values = fv_allocate(count, sizeof *values, "a batch");
    if (values) bench_fill(values, count, low, high);
    return values;
}

/* Inputs of -1 .. 1; a fifth of the target pixels belongs to the class; everything is annotated. */
static fv_status make_batch(bench_job *job) {
    size_t n = (size_t)job->batch, pixels = n * (size_t)job->size * (size_t)job->size;
    size_t classes = (size_t)job->model->spec.classes;
    job->fixed.count = job->batch;
    if (!(job->fixed.input = filled(pixels * 3, -1, 1)) || !(job->fixed.target = filled(pixels * classes, 0, 1)) ||
        !(job->fixed.valid = filled(n * classes, 1, 1)))
        return FV_NO_RESOURCE;
    for (size_t i = 0; i < pixels * classes; i++) job->fixed.target[i] = job->fixed.target[i] > 0.8f;
    return FV_OK;
}

static fv_status prepare_training(bench_job *job) {
    const fv_optimizer_settings adam = {
        .kind = FV_ADAM, .rate = 1e-3, .encoder_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    fv_train_settings *settings = &job->settings;
    settings->model = job->model->spec;
    settings->loader.batch = job->batch;
    settings->loss = (fv_loss_settings){.bce = 1, .dice = 1, .auxiliary = 1, .smooth = 1};
    FV_TRY(make_batch(job));
    FV_TRY(fv_optimizer_make(&adam, &job->model->params, &job->optimizer));
    FV_TRY(fv_train_step_make(settings, job->model, &job->step));
    job->graph = &job->step.graph;
    job->plan = job->step.plan;
    return FV_OK;
}

static fv_status prepare_inference(bench_job *job) {
    fv_graph *g = &job->inference;
    fv_graph_init(g, &job->model->params);
    fv_shape shape = {job->batch, job->size, job->size, 3};
    fv_value input = fv_graph_input(g, "input", shape, false);
    fv_value output = fv_sigmoid(g, "probabilities", fv_model_build(job->model, g, input, NULL));
    FV_TRY(fv_plan_make(g, FV_PLAN_INFER, &output, 1, FV_NO_VALUE, &job->plan));
    bench_fill(fv_plan_data(job->plan, input), fv_shape_count(shape), -1, 1);
    job->graph = g;
    return FV_OK;
}

static double macs_of(const fv_graph *graph) {
    double macs = 0;
    for (int i = 0; i < graph->node_count; i++) {
        const fv_op *op = fv_op_table[graph->nodes[i].spec.kind];
        if (op->macs) macs += op->macs(&graph->nodes[i].spec);
    }
    return macs;
}

static int standard_batch(const bench_request *request, const fv_model_spec *spec) {
    if (request->batch) return request->batch;
    if (request->mode == BENCH_INFER) return 1;
    return strcmp(spec->network, "resunet") == 0 && spec->base >= 32 ? 2 : 8;
}

fv_status bench_job_make(const bench_request *request, bench_job *job) {
    *job = (bench_job){.mode = request->mode};
    fv_status status = make_model(request, &job->model);
    if (status == FV_OK) {
        job->size = job->model->spec.preprocess.size;
        job->batch = standard_batch(request, &job->model->spec);
        status = job->mode == BENCH_TRAIN ? prepare_training(job) : prepare_inference(job);
    }
    if (status == FV_OK)
        job->macs = macs_of(job->graph) / job->batch;
    else
        bench_job_free(job);
    return status;
}

void bench_job_free(bench_job *job) {
    if (job->mode == BENCH_INFER) fv_plan_free(job->plan);
    fv_train_step_free(&job->step);
    fv_graph_free(&job->inference);
    fv_optimizer_free(&job->optimizer);
    free(job->fixed.input);
    free(job->fixed.target);
    free(job->fixed.valid);
    fv_model_free(job->model);
    *job = (bench_job){0};
}

void bench_job_run(void *context) {
    bench_job *job = context;
    if (job->mode == BENCH_INFER) {
        fv_plan_forward(job->plan, false, 0, 0);
        return;
    }
    fv_train_step_run(&job->step, &job->fixed, 1, (uint64_t)job->optimizer.step);
    double begin = fv_seconds();
    fv_optimizer_step(&job->optimizer, 1);
    job->optimizer_s += fv_seconds() - begin;
}

double bench_job_operations(const bench_job *job) {
    return 2 * job->macs * job->batch * (job->mode == BENCH_TRAIN ? 3 : 1);
}
