/* Golden values of tests/golden/: the noise they were made with, and comparison with stored samples. */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

#include "fovea/tensor/params.h"
#include "fovea/tensor/safetensors.h"

/* u(name, k) of tests/golden/README.md, in [-1, 1). */
double golden_noise(const char *name, uint64_t k);
/* Fills all parameters by the README's table; `evaluation` chooses the running statistics. */
void golden_fill_params(fv_params *params, bool evaluation);
/* The stored tensor; fails the test when it is missing. */
const fv_safetensor *golden_find(const fv_safetensors *file, const char *prefix, const char *name);
/* L2 distance of the samples of `values` (count values) to the stored ones, and the stored samples' own norm. */
void golden_distance(const fv_safetensor *samples, const float *values, size_t count, double *distance, double *norm);
double golden_norm(const float *values, size_t count);
/* The F64 scalar of a stored tensor, element i. */
double golden_double(const fv_safetensor *tensor, int i);

#endif
