/* The vectors of the depthwise kernels in AVX2; depthwise_tile.h says what each operation does. */
#ifndef FOVEA_SRC_KERNEL_DEPTHWISE_VECTOR_AVX2_H
#define FOVEA_SRC_KERNEL_DEPTHWISE_VECTOR_AVX2_H

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 8

typedef __m256 vector;
typedef __m256i lanes;

INLINE lanes first_lanes(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE vector load(const float *p, bool whole, lanes mask) {
    return whole ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask);
}

INLINE void store(float *p, vector value, bool whole, lanes mask) {
    if (whole) {
        _mm256_storeu_ps(p, value);
    } else {
        _mm256_maskstore_ps(p, mask, value);
    }
}

INLINE vector zero(void) {
    return _mm256_setzero_ps();
}

INLINE vector add(vector a, vector b) {
    return _mm256_add_ps(a, b);
}

INLINE vector broadcast(float x) {
    return _mm256_set1_ps(x);
}

INLINE vector minimum(vector a, vector b) {
    return _mm256_min_ps(a, b);
}

INLINE vector maximum(vector a, vector b) {
    return _mm256_max_ps(a, b);
}

INLINE vector multiply_add(vector a, vector b, vector c) {
    return _mm256_fmadd_ps(a, b, c);
}

#endif
