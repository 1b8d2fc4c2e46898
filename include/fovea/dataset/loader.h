/* Batches for training, decoded and augmented by background threads, in an order and with random numbers that depend
   only on (seed, epoch, sample). Enhanced photographs are cached in memory up to a limit. */
#ifndef FOVEA_DATASET_LOADER_H
#define FOVEA_DATASET_LOADER_H

#include "fovea/dataset/augment.h"
#include "fovea/dataset/manifest.h"

/* A sample at work size, as cached: photograph enhanced, masks soft 0..255 (area averaged). */
typedef struct fv_sample {
    fv_work work;
    fv_image mask[FV_MAX_CLASSES]; /* data NULL where not annotated */
} fv_sample;

typedef struct fv_loader_settings {
    fv_preprocess preprocess;
    fv_augment augment;
    int mask_threshold; /* mask pixels above this (0..255) belong to the class */
    bool soft_masks;    /* targets 0..1 from area averaging and soft expert masks, instead of 0 or 1 */
    /* Where preprocess.windows is set, each photograph gives so many windows an epoch, placed at random: with
       probability `foreground` centred on a pixel of a mask, else on one of the field of view. Or, with grid > 0, in
       grid x grid places spread evenly over the work image (windows_per_photo = grid * grid). Otherwise one, the whole.
     */
    int windows_per_photo, grid;
    double foreground;
    int batch, workers; /* samples a batch, background threads (below 1 counts as 1) */
    size_t cache_bytes; /* enhanced samples kept in memory at most; samples beyond it are decoded in every epoch */
    uint64_t seed;
} fv_loader_settings;

/* Float buffers filled for one batch. */
typedef struct fv_batch {
    int count;          /* samples */
    float *input;       /* {count, size, size, 3} */
    float *target;      /* {count, size, size, classes} in 0..1; 0 for a class that is not annotated */
    float *valid;       /* {count, 1, 1, classes} 0 or 1 */
    const int *records; /* index in the manifest of each sample */
} fv_batch;

typedef struct fv_loader fv_loader;

/* `records`: indices in the manifest of the samples to draw from (the training split), copied. The manifest must
   outlive the loader. Starts the threads; they begin with the first batch that is asked for. FV_BAD_INPUT for an empty
   list, a batch below 1 or an index outside the manifest; FV_NO_RESOURCE when memory or threads are not to be had. */
fv_status fv_loader_make(const fv_manifest *manifest, const int *records, int count, const fv_loader_settings *settings,
                         fv_loader **loader);
/* Stops the threads (each finishes the sample it is at) and frees everything. NULL is fine. */
void fv_loader_free(fv_loader *loader);
/* Batches of an epoch: ceil(samples / batch); the last one is filled up with samples from the epoch's beginning so that
 * all have the same size. */
int fv_loader_batches(const fv_loader *loader);
/* Batch `index` of `epoch`; sequential calls find it ready, any (epoch, index) works (resuming). The buffers stay valid
   until the next call. The order of an epoch is fv_rng_shuffle() of the samples (records, each windows_per_photo times)
   by fv_rng_make(seed, epoch, 0, FV_PURPOSE_SHUFFLE); window w of a record is placed by fv_rng_make(seed, epoch, record
   * windows_per_photo + w, FV_PURPOSE_WINDOW) and augmented by the same with FV_PURPOSE_AUGMENT: the bits of a batch
   depend on nothing else. A sample that can't be read fails with the sentence of the reading thread;
   the next call may ask for any batch. */
fv_status fv_loader_get(fv_loader *loader, int epoch, int index, const fv_batch **batch);

/* One sample without augmentation (validation): read, fitted, enhanced. Uncached. The manifest's field of view is used
   where it has one and the preprocessing looks at it. A mask that has not the photograph's
   size is FV_BAD_INPUT with both files and sizes. A coloured mask counts by its brightest channel; unless `soft_masks`
   it is cut at `mask_threshold` at its own size, before it is averaged down to the work size. */
fv_status fv_sample_read(const fv_manifest *manifest, int record, const fv_preprocess *preprocess, int mask_threshold,
                         bool soft_masks, fv_sample *sample);
/* The photograph of a record alone, without its masks. */
fv_status fv_record_read(const fv_record *record, const fv_preprocess *preprocess, int mask_threshold, fv_work *work);
void fv_sample_free(fv_sample *sample); /* safe on a zeroed struct, and twice */
/* Bytes of pixels that the sample holds. */
size_t fv_sample_bytes(const fv_sample *sample);

#endif
