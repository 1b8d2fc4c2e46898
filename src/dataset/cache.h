/* Samples kept in memory: filled until the limit is reached, nothing is ever thrown out, so a sample's address stays
 * good. */
#ifndef FOVEA_SRC_DATASET_CACHE_H
#define FOVEA_SRC_DATASET_CACHE_H

#include <pthread.h>

#include "fovea/dataset/loader.h"

typedef struct fv_sample_cache {
    pthread_mutex_t mutex;
    fv_sample *samples; /* by slot; work.data NULL where absent */
    int count;
    size_t used_bytes, limit_bytes;
} fv_sample_cache;

/* `count` empty slots, at most `limit_bytes` of pixels. */
fv_status fv_sample_cache_make(fv_sample_cache *cache, int count, size_t limit_bytes);
void fv_sample_cache_free(fv_sample_cache *cache);
/* The sample in `slot`, or NULL. Any thread. */
const fv_sample *fv_sample_cache_find(fv_sample_cache *cache, int slot);
/* Moves `sample` into the cache and zeroes it when there is room and the slot is empty; leaves it alone otherwise.
   Returns where the sample now lies: in the cache or `sample` itself. Any thread. */
const fv_sample *fv_sample_cache_keep(fv_sample_cache *cache, int slot, fv_sample *sample);

#endif
