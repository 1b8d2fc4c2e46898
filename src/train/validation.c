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

static fv_status sample_read(const fv_validation *v, fv_validation_sample *s) {
    const fv_loader_settings *loader = &v->settings->loader;
    const fv_preprocess *pre = &loader->preprocess;
    int classes = v->settings->model.classes;
    size_t pixels = (size_t)pre->size * (size_t)pre->size;
    FV_TRY(fv_sample_read(v->manifest, s->record, pre, loader->mask_threshold, loader->soft_masks, &s->sample));
    s->target = fv_allocate(pixels * (size_t)classes, sizeof(float), "validation masks");
    float *scratch = fv_allocate(pixels * 6, sizeof(float), "validation masks");
    fv_rng rng = fv_rng_make(0, 0, 0, FV_PURPOSE_AUGMENT);
    if (s->target && scratch) {
        fv_augment_apply(NULL, pre, &s->sample.work, s->sample.mask, classes, &rng, scratch, s->target,
                         scratch + 3 * pixels);
        for (size_t i = 0; i < pixels * (size_t)classes && !loader->soft_masks; i++)
            s->target[i] = s->target[i] >= 0.5f;
    }
    bool complete = s->target && scratch;
    free(scratch);
    return complete ? FV_OK : FV_NO_RESOURCE;
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
    int size = settings->model.preprocess.size;
    fv_status status = read_all(v);
    if (status == FV_OK)
        status = fv_loss_meter_make(&settings->loss, (fv_shape){1, size, size, settings->model.classes}, &v->loss);
    if (status != FV_OK) fv_validation_free(v);
    return status;
}

void fv_validation_free(fv_validation *v) {
    for (int i = 0; i < v->count; i++) {
        fv_sample_free(&v->samples[i].sample);
        free(v->samples[i].target);
    }
    free(v->samples);
    fv_loss_meter_free(&v->loss);
    *v = (fv_validation){0};
}

/* ---- measuring ---- */

/* Sums over one class of one image. */
typedef struct class_sums {
    double both, predicted, truth; /* pixels */
} class_sums;

static class_sums sum_class(const float *p, const float *t, size_t pixels, int stride, double threshold) {
    class_sums s = {0};
    for (size_t i = 0; i < pixels; i++) {
        bool is_predicted = (double)p[i * (size_t)stride] >= threshold, is_true = t[i * (size_t)stride] >= 0.5f;
        s.both += is_predicted && is_true;
        s.predicted += is_predicted;
        s.truth += is_true;
    }
    return s;
}

typedef struct image_figures {
    double dice[FV_MAX_CLASSES], iou[FV_MAX_CLASSES]; /* NAN where not annotated */
    double loss;
    int annotated; /* classes */
} image_figures;

static image_figures measure_image(fv_validation *v, const fv_validation_sample *sample, const float *probabilities) {
    const fv_model_spec *spec = &v->settings->model;
    size_t pixels = (size_t)spec->preprocess.size * (size_t)spec->preprocess.size;
    float valid[FV_MAX_CLASSES];
    image_figures f = {.annotated = 0};
    for (int c = 0; c < spec->classes; c++) {
        valid[c] = sample->sample.mask[c].data ? 1 : 0;
        f.dice[c] = f.iou[c] = NAN;
        if (!sample->sample.mask[c].data) continue;
        f.annotated++;
        class_sums sums = sum_class(probabilities + c, sample->target + c, pixels, spec->classes, spec->thresholds[c]);
        double sides = sums.predicted + sums.truth;
        f.dice[c] = sides > 0 ? 2 * sums.both / sides : 1;
        f.iou[c] = sides > 0 ? sums.both / (sides - sums.both) : 1;
    }
    f.loss = fv_loss_meter_run(&v->loss, probabilities, sample->target, valid);
    return f;
}

void fv_validation_measure(fv_validation *v, fv_predictor *predictor, fv_epoch *row) {
    int classes = v->settings->model.classes, images[FV_MAX_CLASSES] = {0}, pairs = 0;
    double loss = 0, dice[FV_MAX_CLASSES] = {0}, iou[FV_MAX_CLASSES] = {0};
    for (int i = 0; i < v->count; i++) {
        const float *probabilities;
        fv_predict_work(predictor, &v->samples[i].sample.work, &probabilities);
        image_figures f = measure_image(v, &v->samples[i], probabilities);
        for (int c = 0; c < classes; c++) {
            if (isnan(f.dice[c])) continue; /* not annotated in this image */
            dice[c] += f.dice[c];
            iou[c] += f.iou[c];
            images[c]++;
        }
        loss += f.loss * f.annotated;
        pairs += f.annotated;
    }
    row->val_loss = pairs ? loss / pairs : NAN;
    for (int c = 0; c < classes; c++) {
        row->val_dice[c] = images[c] ? dice[c] / images[c] : NAN;
        row->val_iou[c] = images[c] ? iou[c] / images[c] : NAN;
    }
}
