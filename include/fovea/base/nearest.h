/* "Did you mean": the known name that a mistyped word was probably meant to be. */
#ifndef FOVEA_BASE_NEAREST_H
#define FOVEA_BASE_NEAREST_H

/* Number of single letters to insert, delete, replace or swap with their neighbour that turn a into b (optimal string
   alignment distance). Looks at the first 63 bytes of each. */
int fv_edit_distance(const char *a, const char *b);

/* The index of the name with the smallest distance, the first of equals; -1 when all are so far (more than 2 edits, and
   more than a third of the word) that none was meant. NULL entries are skipped. */
int fv_nearest(const char *word, const char *const *names, int count);

#endif
