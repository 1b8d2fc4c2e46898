#include "fovea/train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/optimizer.h"

const char *const fv_optimizer_names[] = {"adam", "adamw", NULL};

#define CHUNK 16384 /* values of a task, at most */

static int64_t count_chunks(const fv_params *params) {
    int64_t count = 0;
    for (int p = 0; p < params->count; p++) count += (int64_t)((params->list[p].count + CHUNK - 1) / CHUNK);
    return count;
}

static void cut_chunks(fv_optimizer *o) {
    fv_optimizer_chunk *chunk = o->chunks;
    for (int p = 0; p < o->params->count; p++) {
        const fv_param *param = &o->params->list[p];
        for (size_t i = 0; i < param->count; i += CHUNK, chunk++) {
            size_t left = param->count - i;
            *chunk =
                (fv_optimizer_chunk){.param = p, .offset = param->offset + i, .count = left < CHUNK ? left : CHUNK};
        }
    }
}

static bool is_kernel(const fv_param *param) {
    return param->shape.n * param->shape.h * param->shape.w > 1;
}

/* Names are matched by whole parts: encoder.b1 does not mean encoder.b10. */
static bool is_chosen(const fv_param *param, const char *word) {
    if (!param->trainable || !is_kernel(param)) return false;
    if (strcmp(word, "all") == 0) return true;
    if (strcmp(word, "decoder") == 0) return !fv_param_is_encoder(param);
    size_t length = strlen(word);
    return strncmp(param->name, word, length) == 0 && (param->name[length] == '.' || param->name[length] == '\0');
}

/* Words may overlap; each kernel counts once. */
static fv_status choose_l2(fv_optimizer *o) {
    char words[sizeof o->settings.l2_layers], *rest = NULL;
    if (o->settings.l2 == 0) return FV_OK;
    memcpy(words, o->settings.l2_layers, sizeof words);
    for (char *word = strtok_r(words, " ,", &rest); word; word = strtok_r(NULL, " ,", &rest)) {
        bool found = false;
        for (int64_t i = 0; i < o->chunk_count; i++) {
            if (!is_chosen(&o->params->list[o->chunks[i].param], word)) continue;
            o->chunks[i].l2 = o->settings.l2;
            found = true;
        }
        if (!found)
            return fv_fail(
                FV_BAD_INPUT,
                "[optimizer] l2_layers: the network has no kernel of the name %s; give all, encoder, decoder "
                "or the beginning of a layer's name up to a dot (fovea inspect lists them)",
                word);
    }
    return FV_OK;
}

fv_status fv_optimizer_make(const fv_optimizer_settings *settings, fv_params *params, fv_optimizer *optimizer) {
    *optimizer = (fv_optimizer){.settings = *settings, .params = params, .chunk_count = count_chunks(params)};
    size_t bytes = params->total * sizeof(float),
           chunk_bytes = (size_t)optimizer->chunk_count * sizeof(fv_optimizer_chunk);
    fv_status status = fv_block_allocate(chunk_bytes, "the optimiser's tasks", (void **)&optimizer->chunks);
    if (status == FV_OK) cut_chunks(optimizer);
    if (status == FV_OK) status = choose_l2(optimizer);
    if (status == FV_OK) status = fv_params_allocate_gradients(params);
    if (status == FV_OK) status = fv_block_allocate(bytes, "the optimiser's moments", (void **)&optimizer->moment1);
    if (status == FV_OK) status = fv_block_allocate(bytes, "the optimiser's moments", (void **)&optimizer->moment2);
    if (status == FV_OK && settings->average_decay > 0) {
        status = fv_block_allocate(bytes, "the average of the weights", (void **)&optimizer->average);
        if (status == FV_OK) memcpy(optimizer->average, params->values, bytes);
    }
    if (status != FV_OK) fv_optimizer_free(optimizer);
    return status;
}

void fv_optimizer_free(fv_optimizer *optimizer) {
    fv_block_free(optimizer->chunks);
    fv_block_free(optimizer->moment1);
    fv_block_free(optimizer->moment2);
    fv_block_free(optimizer->average);
    *optimizer = (fv_optimizer){0};
}

const float *fv_optimizer_weights(const fv_optimizer *optimizer) {
    return optimizer->average ? optimizer->average : optimizer->params->values;
}

/* The gradient's length: sums of chunks, added in their order whatever the number of threads. */
static void measure_chunk(void *context, int64_t i, int worker) {
    (void)worker;
    const fv_optimizer *o = context;
    fv_optimizer_chunk *chunk = &o->chunks[i];
    chunk->squares =
        o->params->list[chunk->param].trainable
            ? fv_optimizer_kernels_now()->sum_of_squares(chunk->count, o->params->gradients + chunk->offset)
            : 0;
}

static double gradient_norm(fv_optimizer *o) {
    fv_parallel_for(o->chunk_count, measure_chunk, o);
    double total = 0;
    for (int64_t i = 0; i < o->chunk_count; i++) total += o->chunks[i].squares;
    return sqrt(total);
}

typedef struct step_job {
    fv_optimizer *optimizer;
    double factor, scale;            /* of the rates, of the gradient */
    double correction1, correction2; /* of the moments' bias */
    float keep;                      /* of the average */
} step_job;

static fv_adam_rule rule_of(const step_job *job, const fv_param *param, double l2) {
    const fv_optimizer_settings *s = &job->optimizer->settings;
    double rate = job->factor * (fv_param_is_encoder(param) ? s->encoder_rate : s->rate);
    double decay = is_kernel(param) ? s->weight_decay : 0;
    return (fv_adam_rule){.rate = (float)(rate * job->correction1),
                          .beta1 = (float)s->beta1,
                          .beta2 = (float)s->beta2,
                          .epsilon = (float)s->epsilon,
                          .correction2 = (float)job->correction2,
                          .scale = (float)job->scale,
                          .decay = (float)((s->kind == FV_ADAM ? decay : 0) + 2 * l2),
                          .shrink = (float)(s->kind == FV_ADAMW ? 1 - rate * decay : 1)};
}

static void step_chunk(void *context, int64_t i, int worker) {
    (void)worker;
    const step_job *job = context;
    const fv_optimizer *o = job->optimizer;
    const fv_optimizer_kernels *kernels = fv_optimizer_kernels_now();
    const fv_optimizer_chunk *chunk = &o->chunks[i];
    const fv_param *param = &o->params->list[chunk->param];
    float *w = o->params->values + chunk->offset;
    if (param->trainable) {
        fv_adam_rule rule = rule_of(job, param, chunk->l2);
        kernels->adam(&rule, chunk->count, o->params->gradients + chunk->offset, w, o->moment1 + chunk->offset,
                      o->moment2 + chunk->offset);
    }
    if (o->average) kernels->average(chunk->count, job->keep, w, o->average + chunk->offset);
}

/* The first steps follow the weights closely, so that the average does not drag the initial weights along. */
static float average_keeps(const fv_optimizer *o) {
    double t = (double)o->step, warm = (1 + t) / (10 + t);
    return (float)(warm < o->settings.average_decay ? warm : o->settings.average_decay);
}

double fv_optimizer_step(fv_optimizer *o, double factor) {
    double norm = gradient_norm(o), clip = o->settings.clip_norm;
    if (!isfinite(norm)) return norm;
    double t = (double)++o->step;
    step_job job = {.optimizer = o,
                    .factor = factor,
                    .scale = clip > 0 && norm > clip ? clip / norm : 1,
                    .correction1 = 1 / (1 - pow(o->settings.beta1, t)),
                    .correction2 = 1 / (1 - pow(o->settings.beta2, t)),
                    .keep = average_keeps(o)};
    fv_parallel_for(o->chunk_count, step_chunk, &job);
    return norm;
}
