/* A step of a network that can be run again and again: what `fovea bench` times and profiles. */
#ifndef FOVEA_APP_BENCH_JOB_H
#define FOVEA_APP_BENCH_JOB_H

#include "bench.h"
#include "fovea/train/optimizer.h"
#include "fovea/train/step.h"

typedef struct bench_job {
    bench_mode mode;
    int batch, size;
    fv_model *model;
    const fv_graph *graph; /* of the step, or of the inference */
    fv_plan *plan;
    double macs;        /* of one image, forward */
    double optimizer_s; /* spent in the optimiser so far */
    /* train: forward, BCE + Dice, backward and Adam on one fixed batch of random numbers */
    fv_train_settings settings;
    fv_train_step step;
    fv_optimizer optimizer;
    fv_batch fixed;
    /* infer: the inference plan with its sigmoid */
    fv_graph inference;
} bench_job;

/* A batch of 0 becomes 8 to train (2 for resunet of base 32 and more), 1 to infer; a size of 0 becomes the model
   file's, or 256. FV_BAD_INPUT when the network or file is not there or the size does not fit. */
fv_status bench_job_make(const bench_request *request, bench_job *job);
void bench_job_free(bench_job *job);
/* One step; `job` is a bench_job. */
void bench_job_run(void *job);
/* Floating-point operations of a step: 2 a multiply-accumulate; three times the forward pass to train. */
double bench_job_operations(const bench_job *job);

/* What can be told without the model's weights: that there is such a network or file, and whether a network takes the
 * size. */
fv_status bench_model_check(const bench_request *request);

#endif
