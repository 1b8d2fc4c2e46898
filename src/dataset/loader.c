/* Background preparation of batches.

   Batches are numbered through all epochs: position = epoch * batches + index. A window of RING positions, beginning
   with the one the caller holds, is being filled; position p lives in slot p % RING. The threads take single samples in
   order of position, so that the next batch is always the one worked at. Everything but the pixels is guarded by one
   mutex. */
#include "fovea/dataset/loader.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/rng.h"

#include "cache.h"
#include "window.h"

enum { RING = 4, MAX_WORKERS = 64 };

typedef struct slot {
    fv_batch batch;
    int *members; /* place in loader->records of each sample's photograph */
    int *records; /* index in the manifest of it */
    int *windows; /* which of the photograph's windows */
    int epoch;
    int unfinished;   /* samples that are not ready yet */
    int first_failed; /* the lowest sample that failed, `count` when none */
    fv_status status;
    char error[1024];
} slot;

struct fv_loader {
    const fv_manifest *manifest;
    fv_loader_settings settings;
    int *records;
    int count, samples, batches; /* photographs; their windows in an epoch; batches in an epoch */
    fv_sample_cache cache;
    slot slots[RING];
    void *block; /* the batches' floats and the workers' scratch */
    float *scratch[MAX_WORKERS];

    pthread_mutex_t mutex;
    pthread_cond_t work_there, sample_done;
    pthread_t threads[MAX_WORKERS];
    int workers, started;
    bool stop, running; /* running: a position has been asked for */
    int64_t first;      /* the position that the caller holds or waits for */
    int64_t next;       /* the next sample to hand out: position ... */
    int next_sample;    /* ... and sample in it */
    int busy;           /* samples being prepared */
    uint32_t *order;    /* permutation of an epoch */
    int order_epoch;    /* -1: none yet */
};

/* ---- a sample ---- */

static void fill_sample(const fv_loader *loader, const fv_sample *sample, const slot *target, int j, float *scratch) {
    const fv_loader_settings *settings = &loader->settings;
    int classes = loader->manifest->classes;
    size_t pixels = (size_t)settings->preprocess.size * (size_t)settings->preprocess.size;
    float *input = target->batch.input + (size_t)j * pixels * 3;
    float *truth = target->batch.target + (size_t)j * pixels * (size_t)classes;
    uint64_t number =
        (uint64_t)target->records[j] * (uint64_t)settings->windows_per_photo + (uint64_t)target->windows[j];
    fv_rng place = fv_rng_make(settings->seed, (uint64_t)target->epoch, number, FV_PURPOSE_WINDOW);
    fv_rng change = fv_rng_make(settings->seed, (uint64_t)target->epoch, number, FV_PURPOSE_AUGMENT);
    fv_window window = fv_window_place(settings, sample, classes, target->windows[j], &place);
    fv_augment_apply(&settings->augment, &settings->preprocess, &sample->work.image, sample->mask, classes, &window,
                     &change, input, truth, scratch);
    if (!settings->soft_masks) {
        for (size_t i = 0; i < pixels * (size_t)classes; i++) truth[i] = truth[i] >= 0.5f ? 1.0f : 0.0f;
    }
    for (int c = 0; c < classes; c++) target->batch.valid[j * classes + c] = sample->mask[c].data ? 1.0f : 0.0f;
}

static fv_status prepare(fv_loader *loader, const slot *target, int j, float *scratch) {
    int member = target->members[j];
    const fv_sample *sample = fv_sample_cache_find(&loader->cache, member);
    fv_sample read = {0};
    if (!sample) {
        const fv_loader_settings *settings = &loader->settings;
        FV_TRY(fv_sample_read(loader->manifest, target->records[j], &settings->preprocess, settings->mask_threshold,
                              settings->soft_masks, &read));
        sample = fv_sample_cache_keep(&loader->cache, member, &read);
    }
    fill_sample(loader, sample, target, j, scratch);
    fv_sample_free(&read);
    return FV_OK;
}

/* ---- the queue; all called with the mutex held ---- */

static void shuffle_epoch(fv_loader *loader, int epoch) {
    if (loader->order_epoch == epoch) return;
    for (int i = 0; i < loader->samples; i++) loader->order[i] = (uint32_t)i;
    fv_rng rng = fv_rng_make(loader->settings.seed, (uint64_t)epoch, 0, FV_PURPOSE_SHUFFLE);
    fv_rng_shuffle(&rng, loader->order, (uint32_t)loader->samples);
    loader->order_epoch = epoch;
}

static void begin_slot(fv_loader *loader, int64_t position) {
    slot *target = &loader->slots[position % RING];
    int batch = loader->settings.batch;
    target->epoch = (int)(position / loader->batches);
    int64_t begin = position % loader->batches * batch;
    shuffle_epoch(loader, target->epoch);
    for (int j = 0; j < batch; j++) {
        int sample = (int)loader->order[(begin + j) % loader->samples];
        target->members[j] = sample / loader->settings.windows_per_photo;
        target->windows[j] = sample % loader->settings.windows_per_photo;
        target->records[j] = loader->records[target->members[j]];
    }
    target->unfinished = target->first_failed = batch;
    target->status = FV_OK;
}

/* The next sample to prepare, if the window has one. */
static bool take(fv_loader *loader, slot **target, int *j) {
    if (!loader->running || loader->next >= loader->first + RING) return false;
    if (loader->next_sample == 0) begin_slot(loader, loader->next);
    *target = &loader->slots[loader->next % RING];
    *j = loader->next_sample++;
    if (loader->next_sample == loader->settings.batch) {
        loader->next++;
        loader->next_sample = 0;
    }
    return true;
}

static void put_back(fv_loader *loader, slot *target, int j, fv_status status) {
    target->unfinished--;
    if (status != FV_OK && j < target->first_failed) {
        target->first_failed = j;
        target->status = status;
        snprintf(target->error, sizeof target->error, "%s", fv_error());
    }
    loader->busy--;
    pthread_cond_broadcast(&loader->sample_done);
}

typedef struct worker_start {
    fv_loader *loader;
    int worker;
} worker_start;

static void *work(void *argument) {
    worker_start start = *(worker_start *)argument;
    free(argument);
    fv_loader *loader = start.loader;
    pthread_mutex_lock(&loader->mutex);
    for (;;) {
        slot *target = NULL;
        int j = 0;
        while (!loader->stop && !take(loader, &target, &j)) pthread_cond_wait(&loader->work_there, &loader->mutex);
        if (loader->stop) break;
        loader->busy++;
        pthread_mutex_unlock(&loader->mutex);
        fv_status status = prepare(loader, target, j, loader->scratch[start.worker]);
        pthread_mutex_lock(&loader->mutex);
        put_back(loader, target, j, status);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

/* ---- making and freeing ---- */

static fv_status check_settings(const fv_manifest *manifest, const int *records, int count,
                                const fv_loader_settings *settings) {
    if (count < 1) return fv_fail(FV_BAD_INPUT, "there are no photographs to train on: the training split is empty");
    if (settings->batch < 1)
        return fv_fail(FV_BAD_INPUT, "a batch of %d samples: at least 1 is needed", settings->batch);
    if (settings->windows_per_photo < 1 || settings->windows_per_photo > INT_MAX / count) {
        return fv_fail(FV_BAD_INPUT, "%d windows of each photograph: at least 1 is needed, and fewer than %d",
                       settings->windows_per_photo, INT_MAX / count);
    }
    if (settings->preprocess.size < 1)
        return fv_fail(FV_BAD_INPUT, "an input of %d px: the side must be positive", settings->preprocess.size);
    FV_TRY(fv_preprocess_check(&settings->preprocess));
    for (int i = 0; i < count; i++) {
        if (records[i] >= 0 && records[i] < manifest->count) continue;
        return fv_fail(FV_BAD_INPUT, "record %d is outside the manifest of %d photographs", records[i],
                       manifest->count);
    }
    return FV_OK;
}

/* Lists of ints: what to draw from, its order, and who is in each slot. */
static fv_status make_lists(fv_loader *loader, const int *records) {
    size_t count = (size_t)loader->count, batch = (size_t)loader->settings.batch;
    loader->records = fv_allocate(count, sizeof *loader->records, "the list of training photographs");
    loader->order = fv_allocate((size_t)loader->samples, sizeof *loader->order, "the order of an epoch");
    if (!loader->records || !loader->order) return FV_NO_RESOURCE;
    memcpy(loader->records, records, count * sizeof *records);
    for (int s = 0; s < RING; s++) {
        slot *target = &loader->slots[s];
        target->members = fv_allocate(batch, sizeof *target->members, "the list of a batch");
        target->records = fv_allocate(batch, sizeof *target->records, "the list of a batch");
        target->windows = fv_allocate(batch, sizeof *target->windows, "the list of a batch");
        if (!target->members || !target->records || !target->windows) return FV_NO_RESOURCE;
    }
    return FV_OK;
}

/* One block for all floats: batches of the ring, then a scratch for each worker, each part aligned. */
static fv_status make_buffers(fv_loader *loader) {
    size_t size = (size_t)loader->settings.preprocess.size, batch = (size_t)loader->settings.batch;
    size_t classes = (size_t)loader->manifest->classes;
    size_t plane = fv_size_multiply(fv_size_multiply(size, size), sizeof(float));
    size_t largest = SIZE_MAX / (2 * (RING + MAX_WORKERS) * (3 + FV_MAX_CLASSES + 1));
    if (fv_size_multiply(plane, batch) > largest) {
        return fv_fail(FV_NO_RESOURCE, "a batch of %zu samples of %zu x %zu px does not fit into memory", batch, size,
                       size);
    }
    size_t input = fv_align_up(batch * 3 * plane), target = fv_align_up(batch * classes * plane);
    size_t valid = fv_align_up(batch * classes * sizeof(float));
    size_t scratch = fv_align_up(fv_augment_scratch_floats((int)size) * sizeof(float));
    size_t bytes = RING * (input + target + valid) + (size_t)loader->workers * scratch;
    FV_TRY(fv_block_allocate(bytes, "the batches of the loader", &loader->block));
    char *place = loader->block;
    for (int s = 0; s < RING; s++) {
        fv_batch *made = &loader->slots[s].batch;
        made->count = loader->settings.batch;
        made->records = loader->slots[s].records;
        made->input = (float *)place;
        made->target = (float *)(place + input);
        made->valid = (float *)(place + input + target);
        place += input + target + valid;
    }
    for (int w = 0; w < loader->workers; w++) loader->scratch[w] = (float *)(place + (size_t)w * scratch);
    return FV_OK;
}

static fv_status start_worker(fv_loader *loader, int worker) {
    worker_start *start = fv_allocate(1, sizeof *start, "a thread of the loader");
    if (!start) return FV_NO_RESOURCE;
    *start = (worker_start){loader, worker};
    int error = pthread_create(&loader->threads[worker], NULL, work, start);
    if (error != 0) {
        free(start);
        return fv_fail(FV_NO_RESOURCE, "thread %d of %d that prepare batches can't be started: %s", worker + 1,
                       loader->workers, strerror(error));
    }
    loader->started++;
    return FV_OK;
}

/* Signals are for the thread that trains: the workers are started with all of them blocked. */
static fv_status start_workers(fv_loader *loader) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    fv_status status = FV_OK;
    for (int w = 0; w < loader->workers && status == FV_OK; w++) status = start_worker(loader, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

fv_status fv_loader_make(const fv_manifest *manifest, const int *records, int count, const fv_loader_settings *settings,
                         fv_loader **result) {
    *result = NULL;
    FV_TRY(check_settings(manifest, records, count, settings));
    fv_loader *loader = fv_allocate(1, sizeof *loader, "the loader");
    if (!loader) return FV_NO_RESOURCE;
    loader->manifest = manifest;
    loader->settings = *settings;
    loader->count = count;
    loader->samples = count * settings->windows_per_photo;
    loader->batches = loader->samples / settings->batch + (loader->samples % settings->batch != 0);
    loader->workers = settings->workers < 1 ? 1 : settings->workers > MAX_WORKERS ? MAX_WORKERS : settings->workers;
    loader->order_epoch = -1;
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->work_there, NULL);
    pthread_cond_init(&loader->sample_done, NULL);
    fv_status status = make_lists(loader, records);
    if (status == FV_OK) status = fv_sample_cache_make(&loader->cache, count, settings->cache_bytes);
    if (status == FV_OK) status = make_buffers(loader);
    if (status == FV_OK) status = start_workers(loader);
    if (status != FV_OK) {
        fv_loader_free(loader);
        return status;
    }
    *result = loader;
    return FV_OK;
}

void fv_loader_free(fv_loader *loader) {
    if (!loader) return;
    pthread_mutex_lock(&loader->mutex);
    loader->stop = true;
    pthread_cond_broadcast(&loader->work_there);
    pthread_mutex_unlock(&loader->mutex);
    for (int w = 0; w < loader->started; w++) pthread_join(loader->threads[w], NULL);
    pthread_cond_destroy(&loader->work_there);
    pthread_cond_destroy(&loader->sample_done);
    pthread_mutex_destroy(&loader->mutex);
    fv_sample_cache_free(&loader->cache);
    fv_block_free(loader->block);
    for (int s = 0; s < RING; s++) {
        free(loader->slots[s].members);
        free(loader->slots[s].records);
        free(loader->slots[s].windows);
    }
    free(loader->records);
    free(loader->order);
    free(loader);
}

int fv_loader_batches(const fv_loader *loader) {
    return loader->batches;
}

/* ---- asking for a batch ---- */

/* Lets the window begin at `position`. A jump waits for the samples in work, whose slots are about to be used anew. */
static void seek(fv_loader *loader, int64_t position) {
    bool step = loader->running && (position == loader->first || position == loader->first + 1);
    if (!step) {
        loader->running = false;
        while (loader->busy > 0) pthread_cond_wait(&loader->sample_done, &loader->mutex);
        loader->next = position;
        loader->next_sample = 0;
        loader->running = true;
    }
    loader->first = position;
    pthread_cond_broadcast(&loader->work_there);
}

static bool is_ready(const fv_loader *loader, int64_t position) {
    return loader->next > position && loader->slots[position % RING].unfinished == 0;
}

fv_status fv_loader_get(fv_loader *loader, int epoch, int index, const fv_batch **batch) {
    *batch = NULL;
    if (epoch < 0 || index < 0 || index >= loader->batches) {
        return fv_fail(FV_BAD_INPUT, "batch %d of epoch %d: an epoch has the batches 0 to %d", index, epoch,
                       loader->batches - 1);
    }
    int64_t position = (int64_t)epoch * loader->batches + index;
    pthread_mutex_lock(&loader->mutex);
    seek(loader, position);
    while (!is_ready(loader, position)) pthread_cond_wait(&loader->sample_done, &loader->mutex);
    const slot *ready = &loader->slots[position % RING];
    pthread_mutex_unlock(&loader->mutex);
    if (ready->status != FV_OK) return fv_fail(ready->status, "%s", ready->error);
    *batch = &ready->batch;
    return FV_OK;
}
