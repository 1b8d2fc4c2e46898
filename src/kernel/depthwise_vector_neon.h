/* The vectors of the depthwise kernels in NEON; depthwise_tile.h says what each operation does. */
#ifndef FOVEA_SRC_KERNEL_DEPTHWISE_VECTOR_NEON_H
#define FOVEA_SRC_KERNEL_DEPTHWISE_VECTOR_NEON_H

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 4

typedef float32x4_t vector;
typedef int lanes; /* how many */

INLINE lanes first_lanes(int count) {
    return count;
}

INLINE vector load(const float *p, bool whole, lanes mask) {
    if (whole) return vld1q_f32(p);
    vector value = vld1q_lane_f32(p, vdupq_n_f32(0), 0);
    if (mask > 1) value = vld1q_lane_f32(p + 1, value, 1);
    if (mask > 2) value = vld1q_lane_f32(p + 2, value, 2);
    return value;
}

INLINE void store(float *p, vector value, bool whole, lanes mask) {
    if (whole) {
        vst1q_f32(p, value);
        return;
    }
    vst1q_lane_f32(p, value, 0);
    if (mask > 1) vst1q_lane_f32(p + 1, value, 1);
    if (mask > 2) vst1q_lane_f32(p + 2, value, 2);
}

INLINE vector zero(void) {
    return vdupq_n_f32(0);
}

INLINE vector add(vector a, vector b) {
    return vaddq_f32(a, b);
}

INLINE vector broadcast(float x) {
    return vdupq_n_f32(x);
}

INLINE vector minimum(vector a, vector b) {
    return vminq_f32(a, b); /* NaN where either is */
}

INLINE vector maximum(vector a, vector b) {
    return vmaxq_f32(a, b);
}

INLINE vector multiply_add(vector a, vector b, vector c) {
    return vfmaq_f32(c, a, b);
}

#endif
