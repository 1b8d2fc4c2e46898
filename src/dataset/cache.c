#include "cache.h"

#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

fv_status fv_sample_cache_make(fv_sample_cache *cache, int count, size_t limit_bytes) {
    memset(cache, 0, sizeof *cache);
    cache->samples = fv_allocate((size_t)count, sizeof *cache->samples, "the list of cached photographs");
    if (!cache->samples) return FV_NO_RESOURCE;
    pthread_mutex_init(&cache->mutex, NULL);
    cache->count = count;
    cache->limit_bytes = limit_bytes;
    return FV_OK;
}

void fv_sample_cache_free(fv_sample_cache *cache) {
    if (!cache->samples) return;
    for (int i = 0; i < cache->count; i++) fv_sample_free(&cache->samples[i]);
    free(cache->samples);
    cache->samples = NULL;
    pthread_mutex_destroy(&cache->mutex);
}

const fv_sample *fv_sample_cache_find(fv_sample_cache *cache, int slot) {
    pthread_mutex_lock(&cache->mutex);
    const fv_sample *found = cache->samples[slot].work.image.data ? &cache->samples[slot] : NULL;
    pthread_mutex_unlock(&cache->mutex);
    return found;
}

const fv_sample *fv_sample_cache_keep(fv_sample_cache *cache, int slot, fv_sample *sample) {
    const fv_sample *kept = sample;
    size_t bytes = fv_sample_bytes(sample);
    pthread_mutex_lock(&cache->mutex);
    fv_sample *place = &cache->samples[slot];
    if (!place->work.image.data && bytes <= cache->limit_bytes - cache->used_bytes) {
        *place = *sample;
        memset(sample, 0, sizeof *sample);
        cache->used_bytes += bytes;
        kept = place;
    }
    pthread_mutex_unlock(&cache->mutex);
    return kept;
}
