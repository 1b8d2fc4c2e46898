#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/base/threads.h"
#include "fovea/train/train.h"

#define MAX_SENTENCE 1024 /* bytes: all that fv_fail() keeps */

/* ---- reading ---- */

/* The failure of the lowest index is the one reported. */
typedef struct read_job {
    fv_validation *validation;
    pthread_mutex_t lock; /* of all below */
    fv_progress progress;
    int64_t done, failed_index; /* failed_index: count when none did */
    fv_status status;
    char sentence[MAX_SENTENCE];
} read_job;

/* Truth of a model of whole photographs: masks sampled as the network's input is. */
static fv_status sample_target(const fv_preprocess *pre, int classes, fv_validation_sample *s) {
    size_t pixels = (size_t)pre->size * (size_t)pre->size;
    fv_window whole = {0, 0, s->sample.work.image.width, s->sample.work.image.height};
    float *input = fv_allocate(pixels * 3, sizeof(float), "validation masks");
    s->target = fv_allocate(pixels * (size_t)classes, sizeof(float), "validation masks");
    if (s->target && input)
        fv_augment_apply(NULL, pre, &s->sample.work.image, s->sample.mask, classes, &whole, NULL, input, s->target,
                         NULL);
    free(input);
    s->pixels = pixels;
    return s->target && input ? FV_OK : FV_NO_RESOURCE;
}

/* Truth of a model of windows: the masks at work size. */
static fv_status copy_target(int classes, fv_validation_sample *s) {
    size_t stride = (size_t)classes;
    s->pixels = (size_t)s->sample.work.image.width * (size_t)s->sample.work.image.height;
    s->target = fv_allocate(s->pixels * stride, sizeof(float), "validation masks");
    if (!s->target) return FV_NO_RESOURCE;
    for (size_t c = 0; c < stride; c++) {
        const uint8_t *mask = s->sample.mask[c].data;
        for (size_t i = 0; mask && i < s->pixels; i++) s->target[i * stride + c] = (float)mask[i] / 255;
    }
    return FV_OK;
}

static fv_status sample_read(const fv_validation *v, fv_validation_sample *s) {
    const fv_loader_settings *loader = &v->settings->loader;
    const fv_preprocess *pre = &loader->preprocess;
    int classes = v->settings->model.classes;
    FV_TRY(fv_sample_read(v->manifest, s->record, pre, loader->mask_threshold, loader->soft_masks, &s->sample));
    FV_TRY(pre->windows ? copy_target(classes, s) : sample_target(pre, classes, s));
    for (size_t i = 0; i < s->pixels * (size_t)classes && !loader->soft_masks; i++) s->target[i] = s->target[i] >= 0.5f;
    return FV_OK;
}

static void read_one(void *context, int64_t i, int worker) {
    (void)worker;
    read_job *job = context;
    fv_status status = sample_read(job->validation, &job->validation->samples[i]);
    pthread_mutex_lock(&job->lock);
    if (status != FV_OK && i < job->failed_index) {
        job->failed_index = i;
        job->status = status;
        snprintf(job->sentence, sizeof job->sentence, "%s", fv_error());
    }
    fv_progress_update(&job->progress, ++job->done, NULL);
    pthread_mutex_unlock(&job->lock);
}

static fv_status read_all(fv_validation *v) {
    read_job job = {.validation = v, .failed_index = v->count};
    if (pthread_mutex_init(&job.lock, NULL) != 0)
        return fv_fail(FV_NO_RESOURCE, "validation: the system has no mutex left");
    fv_progress_start(&job.progress, "reading validation photographs", v->count);
    fv_parallel_for(v->count, read_one, &job);
    fv_progress_end(&job.progress);
    pthread_mutex_destroy(&job.lock);
    return job.status == FV_OK ? FV_OK : fv_fail(job.status, "%s", job.sentence);
}

fv_status fv_validation_make(const fv_train_settings *settings, const fv_manifest *manifest, fv_validation *v) {
    *v = (fv_validation){.settings = settings, .manifest = manifest};
    v->samples = fv_allocate((size_t)manifest->count + 1, sizeof *v->samples, "validation");
    if (!v->samples) return FV_NO_RESOURCE;
    for (int r = 0; r < manifest->count; r++)
        if (manifest->records[r].split == FV_SPLIT_VAL) v->samples[v->count++].record = r;
    fv_status status = read_all(v);
    if (status != FV_OK) fv_validation_free(v);
    return status;
}

void fv_validation_free(fv_validation *v) {
    for (int i = 0; i < v->count; i++) {
        fv_sample_free(&v->samples[i].sample);
        free(v->samples[i].target);
    }
    free(v->samples);
    *v = (fv_validation){0};
}

/* ---- measuring ---- */

/* Sums over one class of one image. */
typedef struct class_sums {
    double bce, soft_both, soft_predicted, soft_true; /* for the loss */
    double both, predicted, truth, pixels;            /* counts, for Dice and IoU */
} class_sums;

/* Over the pixels where `inside` is not 0, over all with NULL. */
static class_sums sum_class(const float *p, const float *t, const uint8_t *inside, size_t pixels, int stride,
                            double threshold) {
    class_sums s = {0};
    for (size_t i = 0; i < pixels; i++) {
        if (inside && !inside[i]) continue;
        s.pixels++;
        double probability = fmin(fmax((double)p[i * (size_t)stride], 1e-7), 1 - 1e-7), target = t[i * (size_t)stride];
        bool is_predicted = probability >= threshold, is_true = target >= 0.5;
        s.bce -= target * log(probability) + (1 - target) * log(1 - probability);
        s.soft_both += probability * target;
        s.soft_predicted += probability;
        s.soft_true += target;
        s.both += is_predicted && is_true;
        s.predicted += is_predicted;
        s.truth += is_true;
    }
    return s;
}

typedef struct image_figures {
    double loss[FV_MAX_CLASSES], dice[FV_MAX_CLASSES], iou[FV_MAX_CLASSES]; /* NAN where not annotated */
} image_figures;

static image_figures measure_image(const fv_validation *v, const fv_validation_sample *sample,
                                   const float *probabilities) {
    const fv_train_settings *s = v->settings;
    const fv_model_spec *spec = &s->model;
    const uint8_t *inside = sample->sample.work.fov.data;
    image_figures f;
    for (int c = 0; c < spec->classes; c++) {
        f.loss[c] = f.dice[c] = f.iou[c] = NAN;
        if (!sample->sample.mask[c].data) continue;
        class_sums sums = sum_class(probabilities + c, sample->target + c, spec->preprocess.windows ? inside : NULL,
                                    sample->pixels, spec->classes, spec->thresholds[c]);
        double soft_dice = (2 * sums.soft_both + s->smooth) / (sums.soft_predicted + sums.soft_true + s->smooth);
        double sides = sums.predicted + sums.truth;
        f.loss[c] = s->weight_bce * sums.bce / sums.pixels + s->weight_dice * (1 - soft_dice);
        f.dice[c] = sides > 0 ? 2 * sums.both / sides : 1;
        f.iou[c] = sides > 0 ? sums.both / (sides - sums.both) : 1;
    }
    return f;
}

fv_status fv_validation_measure(const fv_validation *v, fv_predictor *predictor, fv_epoch *row) {
    int classes = v->settings->model.classes, images[FV_MAX_CLASSES] = {0}, pairs = 0;
    double loss = 0, dice[FV_MAX_CLASSES] = {0}, iou[FV_MAX_CLASSES] = {0};
    for (int i = 0; i < v->count; i++) {
        fv_probability_map map;
        FV_TRY(fv_predict_work(predictor, &v->samples[i].sample.work, &map));
        image_figures f = measure_image(v, &v->samples[i], map.data);
        for (int c = 0; c < classes; c++) {
            if (isnan(f.dice[c])) continue; /* not annotated in this image */
            loss += f.loss[c];
            dice[c] += f.dice[c];
            iou[c] += f.iou[c];
            images[c]++;
            pairs++;
        }
    }
    row->val_loss = pairs ? loss / pairs : NAN;
    for (int c = 0; c < classes; c++) {
        row->val_dice[c] = images[c] ? dice[c] / images[c] : NAN;
        row->val_iou[c] = images[c] ? iou[c] / images[c] : NAN;
    }
    return FV_OK;
}
