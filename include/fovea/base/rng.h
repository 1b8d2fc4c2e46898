/* Random numbers that depend on nothing but (seed, epoch, sample, purpose): a resumed run draws what an undisturbed one
   would have drawn, whatever the number of threads. Generator: xoshiro256** (Blackman and Vigna, 2018), seeded by
   splitmix64 over the four words. */
#ifndef FOVEA_BASE_RNG_H
#define FOVEA_BASE_RNG_H

#include <stdint.h>

typedef enum fv_purpose {
    FV_PURPOSE_INIT = 1, /* weights */
    FV_PURPOSE_SHUFFLE,  /* order of samples in an epoch */
    FV_PURPOSE_SPLIT,    /* train / val / test */
    FV_PURPOSE_AUGMENT,
    FV_PURPOSE_DROPOUT,
    FV_PURPOSE_PHANTOM,
    FV_PURPOSE_BOOTSTRAP,
    FV_PURPOSE_TEST,
    FV_PURPOSE_WINDOW, /* where a training window lies */
} fv_purpose;

typedef struct fv_rng {
    uint64_t s[4];
} fv_rng;

fv_rng fv_rng_make(uint64_t seed, uint64_t epoch, uint64_t sample, fv_purpose purpose);
uint64_t fv_rng_next(fv_rng *rng);
double fv_rng_uniform(fv_rng *rng);                                /* in [0, 1), 53 bits */
double fv_rng_range(fv_rng *rng, double low, double high);         /* in [low, high) */
double fv_rng_normal(fv_rng *rng);                                 /* mean 0, standard deviation 1 (Box and Muller) */
uint32_t fv_rng_below(fv_rng *rng, uint32_t n);                    /* in 0 .. n-1, unbiased; n >= 1 */
void fv_rng_shuffle(fv_rng *rng, uint32_t *items, uint32_t count); /* Fisher and Yates */

#endif
