/* How the learning rate changes: a factor on the optimiser's rates. */
#ifndef FOVEA_TRAIN_SCHEDULE_H
#define FOVEA_TRAIN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum fv_schedule_kind {
    FV_SCHEDULE_CONSTANT,
    FV_SCHEDULE_STEP,    /* times `factor` every `every` epochs */
    FV_SCHEDULE_COSINE,  /* (1 + cos(pi t / T)) / 2, from 1 after the warm-up to `floor` at the end (Loshchilov and
                            Hutter 2017) */
    FV_SCHEDULE_PLATEAU, /* times `factor` after `every` epochs without a better validation loss */
} fv_schedule_kind;

extern const char *const fv_schedule_names[]; /* "constant", "step", "cosine", "plateau", NULL */

typedef struct fv_schedule {
    fv_schedule_kind kind;
    int warmup_steps; /* factor grows linearly from 1 / warmup_steps to 1 */
    int every;        /* epochs */
    double factor;
    double floor; /* the factor never falls below this (after warm-up) */
} fv_schedule;

/* What a plateau schedule remembers from epoch to epoch. */
typedef struct fv_plateau {
    double best;   /* lowest validation loss; INFINITY at first */
    int flat;      /* epochs since */
    double factor; /* 1 at first */
} fv_plateau;

/* Factor for step `step` (0-based) of `total_steps`, `steps_per_epoch` steps an epoch. */
double fv_schedule_factor(const fv_schedule *schedule, const fv_plateau *plateau, int64_t step, int64_t total_steps,
                          int64_t steps_per_epoch);
/* After each validated epoch. */
void fv_plateau_update(const fv_schedule *schedule, fv_plateau *plateau, double validation_loss);

#endif
