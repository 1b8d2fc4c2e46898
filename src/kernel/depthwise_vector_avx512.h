/* The vectors of the depthwise kernels in AVX-512; depthwise_tile.h says what each operation does. */
#ifndef FOVEA_SRC_KERNEL_DEPTHWISE_VECTOR_AVX512_H
#define FOVEA_SRC_KERNEL_DEPTHWISE_VECTOR_AVX512_H

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16

typedef __m512 vector;
typedef __mmask16 lanes;

INLINE lanes first_lanes(int count) {
    return (lanes)((1u << count) - 1);
}

INLINE vector load(const float *p, bool whole, lanes mask) {
    return whole ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(mask, p);
}

INLINE void store(float *p, vector value, bool whole, lanes mask) {
    if (whole) {
        _mm512_storeu_ps(p, value);
    } else {
        _mm512_mask_storeu_ps(p, mask, value);
    }
}

INLINE vector zero(void) {
    return _mm512_setzero_ps();
}

INLINE vector add(vector a, vector b) {
    return _mm512_add_ps(a, b);
}

INLINE vector broadcast(float x) {
    return _mm512_set1_ps(x);
}

INLINE vector minimum(vector a, vector b) {
    return _mm512_min_ps(a, b);
}

INLINE vector maximum(vector a, vector b) {
    return _mm512_max_ps(a, b);
}

INLINE vector multiply_add(vector a, vector b, vector c) {
    return _mm512_fmadd_ps(a, b, c);
}

#endif
