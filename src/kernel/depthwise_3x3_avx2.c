#include "fovea/kernel/depthwise.h"

#ifdef FV_X86_VARIANTS
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
/* Measured: what 16 registers hold, and rather rows than pixels for pictures that come from memory. */
#define SLIDE_ROWS 4
#define SLIDE_PIXELS 2
#define SPREAD_ROWS 4
#define SPREAD_PIXELS 2
#define WEIGHT_ROWS 3
#define WEIGHT_PIXELS 2
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

#include "depthwise_3x3.h"
#include "depthwise_3x3_slide.h"
#include "depthwise_3x3_spread.h"
#include "depthwise_3x3_weight.h"

const fv_depthwise fv_depthwise_3x3_avx2 = {.level = FV_CPU_AVX2,
                                            .name = "depthwise 3x3, AVX2",
                                            .accepts = accepts,
                                            .forward = forward,
                                            .data = data,
                                            .weight = weight_gradient};
#endif
