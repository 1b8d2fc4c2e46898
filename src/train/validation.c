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
    fv_loss_meter_free(&v->loss);
    *v = (fv_validation){0};
}

/* ---- measuring ---- */

/* Sums over one class of one image. */
typedef struct class_sums {
    double both, predicted, truth; /* pixels */
} class_sums;

/* Over the pixels where `inside` is not 0, over all with NULL. */
static class_sums sum_class(const float *p, const float *t, const uint8_t *inside, size_t pixels, int stride,
                            double threshold) {
    class_sums s = {0};
    for (size_t i = 0; i < pixels; i++) {
        if (inside && !inside[i]) continue;
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

static image_figures measure_image(fv_validation *v, const fv_validation_sample *sample,
                                   const fv_probability_map *map) {
    const fv_model_spec *spec = &v->settings->model;
    const uint8_t *inside = sample->sample.work.fov.data;
    float valid[FV_MAX_CLASSES];
    image_figures f = {.annotated = 0};
    for (int c = 0; c < spec->classes; c++) {
        valid[c] = sample->sample.mask[c].data ? 1 : 0;
        f.dice[c] = f.iou[c] = NAN;
        if (!sample->sample.mask[c].data) continue;
        f.annotated++;
        class_sums sums = sum_class(map->data + c, sample->target + c, spec->preprocess.windows ? inside : NULL,
                                    sample->pixels, spec->classes, spec->thresholds[c]);
        double sides = sums.predicted + sums.truth;
        f.dice[c] = sides > 0 ? 2 * sums.both / sides : 1;
        f.iou[c] = sides > 0 ? sums.both / (sides - sums.both) : 1;
    }
    f.loss = fv_loss_meter_run(&v->loss, map->data, sample->target, valid);
    return f;
}

/* Work images of windows differ in size from photograph to photograph. */
static fv_status fit_loss_meter(fv_validation *v, const fv_probability_map *map) {
    fv_shape shape = {1, map->height, map->width, map->classes};
    if (v->loss.plan && fv_shape_equal(fv_graph_shape(&v->loss.graph, v->loss.logits), shape)) return FV_OK;
    fv_loss_meter_free(&v->loss);
    return fv_loss_meter_make(&v->settings->loss, shape, &v->loss);
}

fv_status fv_validation_measure(fv_validation *v, fv_predictor *predictor, fv_epoch *row) {
    int classes = v->settings->model.classes, images[FV_MAX_CLASSES] = {0}, pairs = 0;
    double loss = 0, dice[FV_MAX_CLASSES] = {0}, iou[FV_MAX_CLASSES] = {0};
    for (int i = 0; i < v->count; i++) {
        fv_probability_map map;
        FV_TRY(fv_predict_work(predictor, &v->samples[i].sample.work, &map));
        FV_TRY(fit_loss_meter(v, &map));
        image_figures f = measure_image(v, &v->samples[i], &map);
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
    return FV_OK;
}
