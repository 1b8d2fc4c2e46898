/* In vectors of four, which every processor has that we build for; no streaming stores. */
#include <string.h>

typedef float vector __attribute__((vector_size(16)));

static inline vector load(const float *p) {
    vector value;
    memcpy(&value, p, sizeof value);
    return value;
}

static inline void store(float *p, vector value) {
    memcpy(p, &value, sizeof value);
}

static inline void store_streaming(float *p, vector value) {
    store(p, value);
}

static inline vector fill(float value) {
    return (vector){value, value, value, value};
}

static inline vector multiply_add(vector a, vector b, vector c) {
    return a * b + c;
}

#define FAMILY fv_limit_scalar
#include "limit_body.h"
