#include "fovea/kernel/depthwise.h"

#if defined(__x86_64__) && !defined(FV_DOUBLE)
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

INLINE vector multiply_add(vector a, vector b, vector c) {
    return _mm512_fmadd_ps(a, b, c);
}

#include "depthwise_3x3.h"
#include "depthwise_3x3_weight.h"

/* Forward and data gradient wait for memory, and wider vectors don't help: measured, they are slower on large pictures.
 */
static void forward(const fv_window *w, int channels, const float *x, const float *weight, int row, int row_end,
                    float *y) {
    fv_depthwise_3x3_avx2.forward(w, channels, x, weight, row, row_end, y);
}

static void data(const fv_window *w, int channels, const float *dy, const float *weight, int row, int row_end, bool add,
                 float *dx) {
    fv_depthwise_3x3_avx2.data(w, channels, dy, weight, row, row_end, add, dx);
}

const fv_depthwise fv_depthwise_3x3_avx512 = {
    .name = "depthwise 3x3, AVX-512", .accepts = accepts, .forward = forward, .data = data, .weight = weight_gradient};
#endif
