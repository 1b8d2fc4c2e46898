/* The changes by number: names, keys and probabilities. */
#ifndef FOVEA_SRC_AUGMENT_CHANGES_H
#define FOVEA_SRC_AUGMENT_CHANGES_H

#include "fovea/dataset/augment.h"

typedef struct fv_change_entry {
    const char *name, *key; /* key: of the probability */
    double standard;        /* probability */
    size_t offset;          /* of the probability in fv_augment */
} fv_change_entry;

extern const fv_change_entry fv_change_list[FV_CHANGES];

double *fv_change_probability(fv_augment *augment, fv_change change);
/* Sum of the members' probabilities. */
double fv_group_weight(fv_augment *augment, const fv_augment_group *group);

#endif
