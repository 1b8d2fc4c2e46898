#include "fovea/train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"

const char *const fv_optimizer_names[] = {"adam", "adamw", NULL};

#define CHUNK 16384 /* values a task; a multiple of 16, so that vector loops meet no remainder inside a block */

fv_status fv_optimizer_make(const fv_optimizer_settings *settings, fv_params *params, fv_optimizer *optimizer) {
    *optimizer = (fv_optimizer){.settings = *settings, .params = params};
    size_t bytes = params->total * sizeof(float);
    FV_TRY(fv_params_allocate_gradients(params));
    FV_TRY(fv_block_allocate(bytes, "the optimiser's moments", (void **)&optimizer->moment1));
    fv_status status = fv_block_allocate(bytes, "the optimiser's moments", (void **)&optimizer->moment2);
    if (status == FV_OK && settings->average_decay > 0) {
        status = fv_block_allocate(bytes, "the average of the weights", (void **)&optimizer->average);
        if (status == FV_OK) memcpy(optimizer->average, params->values, bytes);
    }
    if (status != FV_OK) fv_optimizer_free(optimizer);
    return status;
}

void fv_optimizer_free(fv_optimizer *optimizer) {
    fv_block_free(optimizer->moment1);
    fv_block_free(optimizer->moment2);
    fv_block_free(optimizer->average);
    *optimizer = (fv_optimizer){0};
}

const float *fv_optimizer_weights(const fv_optimizer *optimizer) {
    return optimizer->average ? optimizer->average : optimizer->params->values;
}

/* Sums in parameter order, whatever the number of threads: gradients are 3 M values, not worth a parallel reduction. */
static double gradient_norm(const fv_params *params) {
    double total = 0;
    for (int p = 0; p < params->count; p++) {
        if (!params->list[p].trainable) continue;
        const float *g = params->gradients + params->list[p].offset;
        for (size_t i = 0; i < params->list[p].count; i += 256) {
            size_t end = i + 256 < params->list[p].count ? i + 256 : params->list[p].count;
            double sum = 0;
            for (size_t j = i; j < end; j++) sum += (double)g[j] * (double)g[j];
            total += sum;
        }
    }
    return sqrt(total);
}

typedef struct adam_job {
    float *w, *m, *v;
    const float *g;
    size_t count;
    float rate, beta1, beta2, epsilon, correction2, scale, decay, shrink;
} adam_job;

static void adam_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const adam_job job = *(const adam_job *)context;
    size_t begin = (size_t)chunk * CHUNK, end = begin + CHUNK < job.count ? begin + CHUNK : job.count;
    float *restrict w = job.w, *restrict m = job.m, *restrict v = job.v;
    for (size_t i = begin; i < end; i++) {
        float g = job.g[i] * job.scale + job.decay * w[i];
        m[i] = job.beta1 * m[i] + (1 - job.beta1) * g;
        v[i] = job.beta2 * v[i] + (1 - job.beta2) * g * g;
        w[i] = w[i] * job.shrink - job.rate * m[i] / (sqrtf(v[i] * job.correction2) + job.epsilon);
    }
}

static void adam_step(fv_optimizer *o, const fv_param *param, double factor, double scale) {
    const fv_optimizer_settings *s = &o->settings;
    double rate = factor * (fv_param_is_encoder(param) ? s->encoder_rate : s->rate);
    bool kernel = param->shape.n * param->shape.h * param->shape.w > 1;
    double decay = kernel ? s->weight_decay : 0, t = (double)o->step;
    adam_job job = {.w = o->params->values + param->offset,
                    .m = o->moment1 + param->offset,
                    .v = o->moment2 + param->offset,
                    .g = o->params->gradients + param->offset,
                    .count = param->count,
                    .rate = (float)(rate / (1 - pow(s->beta1, t))),
                    .beta1 = (float)s->beta1,
                    .beta2 = (float)s->beta2,
                    .epsilon = (float)s->epsilon,
                    .correction2 = (float)(1 / (1 - pow(s->beta2, t))),
                    .scale = (float)scale,
                    .decay = (float)(s->kind == FV_ADAM ? decay : 0),
                    .shrink = (float)(s->kind == FV_ADAMW ? 1 - rate * decay : 1)};
    fv_parallel_for((int64_t)((param->count + CHUNK - 1) / CHUNK), adam_chunk, &job);
}

/* The first steps follow the weights closely, so that the average does not drag the initial weights along. */
static void average_step(fv_optimizer *o) {
    double t = (double)o->step, warm = (1 + t) / (10 + t);
    float keep = (float)(warm < o->settings.average_decay ? warm : o->settings.average_decay);
    const float *w = o->params->values;
    for (size_t i = 0; i < o->params->total; i++) o->average[i] = keep * o->average[i] + (1 - keep) * w[i];
}

double fv_optimizer_step(fv_optimizer *o, double factor) {
    double norm = gradient_norm(o->params), clip = o->settings.clip_norm;
    double scale = clip > 0 && norm > clip ? clip / norm : 1;
    if (!isfinite(norm)) return norm;
    o->step++;
    for (int p = 0; p < o->params->count; p++)
        if (o->params->list[p].trainable) adam_step(o, &o->params->list[p], factor, scale);
    if (o->average) average_step(o);
    return norm;
}
