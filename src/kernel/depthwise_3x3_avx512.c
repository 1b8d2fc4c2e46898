#include "fovea/kernel/depthwise.h"

#ifdef FV_X86_VARIANTS
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
/* Measured: what 32 registers hold, and rather rows than pixels for pictures that come from memory. */
#define SLIDE_ROWS 8
#define SLIDE_PIXELS 2
#define SPREAD_ROWS 8
#define SPREAD_PIXELS 2
#define WEIGHT_ROWS 4
#define WEIGHT_PIXELS 4
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

#include "depthwise_3x3.h"
#include "depthwise_3x3_slide.h"
#include "depthwise_3x3_spread.h"
#include "depthwise_3x3_weight.h"

const fv_depthwise fv_depthwise_3x3_avx512 = {.level = FV_CPU_AVX512,
                                              .name = "depthwise 3x3, AVX-512",
                                              .accepts = accepts,
                                              .forward = forward,
                                              .data = data,
                                              .weight = weight_gradient};
#endif
