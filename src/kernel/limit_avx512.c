#if defined(__x86_64__)
#include <immintrin.h>

typedef __m512 vector;

static inline vector load(const float *p) {
    return _mm512_load_ps(p);
}

static inline void store(float *p, vector value) {
    _mm512_storeu_ps(p, value);
}

static inline void store_streaming(float *p, vector value) {
    _mm512_stream_ps(p, value);
}

static inline vector fill(float value) {
    return _mm512_set1_ps(value);
}

static inline vector multiply_add(vector a, vector b, vector c) {
    return _mm512_fmadd_ps(a, b, c);
}

#define FAMILY fv_limit_avx512
#include "limit_body.h"
#endif
