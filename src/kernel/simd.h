/* Vectors of fv_real for kernels that are written once and compiled for every instruction set: the file's name decides
   (ISA_FLAGS in the Makefile), and *_scalar.c define FV_SIMD_PLAIN before they include this. The plain vectors are the
   compiler's own of 16 bytes; they also make the float64 build of the gradient checks. */
#ifndef FOVEA_SRC_KERNEL_SIMD_H
#define FOVEA_SRC_KERNEL_SIMD_H

#include <string.h>

#include "fovea/tensor/tensor.h"

#define FV_INLINE static inline __attribute__((always_inline))

/* Loops over a constant number of registers. */
#ifdef __clang__
#define FV_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FV_UNROLL _Pragma("GCC unroll 16")
#endif

#if defined(FV_DOUBLE) || defined(FV_SIMD_PLAIN)

#define LANES ((int)(16 / sizeof(fv_real)))
typedef fv_real vec __attribute__((vector_size(16)));

FV_INLINE vec v_load(const fv_real *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
FV_INLINE void v_store(fv_real *p, vec v) {
    memcpy(p, &v, sizeof v);
}
FV_INLINE vec v_zero(void) {
    return (vec){0};
}
FV_INLINE vec v_set(fv_real x) {
    return (vec){0} + x;
}
FV_INLINE vec v_add(vec a, vec b) {
    return a + b;
}
FV_INLINE vec v_sub(vec a, vec b) {
    return a - b;
}
FV_INLINE vec v_mul(vec a, vec b) {
    return a * b;
}
/* a b + c */
FV_INLINE vec v_fma(vec a, vec b, vec c) {
    return a * b + c;
}
/* A NaN in x stays one. */
FV_INLINE vec v_clamp(vec x, vec low, vec high) {
    for (int i = 0; i < LANES; i++) {
        fv_real value = x[i] < low[i] ? low[i] : x[i];
        x[i] = value > high[i] ? high[i] : value;
    }
    return x;
}
/* The first `count` lanes, zeros behind them. */
FV_INLINE vec v_load_part(const fv_real *p, int count) {
    fv_real lanes[LANES] = {0};
    for (int i = 0; i < count; i++) lanes[i] = p[i];
    return v_load(lanes);
}
FV_INLINE void v_store_part(fv_real *p, vec v, int count) {
    for (int i = 0; i < count; i++) p[i] = v[i];
}

#elif defined(__AVX512F__)
#include <immintrin.h>

#define LANES 16
typedef __m512 vec;

FV_INLINE vec v_load(const float *p) {
    return _mm512_loadu_ps(p);
}
FV_INLINE void v_store(float *p, vec v) {
    _mm512_storeu_ps(p, v);
}
FV_INLINE vec v_zero(void) {
    return _mm512_setzero_ps();
}
FV_INLINE vec v_set(float x) {
    return _mm512_set1_ps(x);
}
FV_INLINE vec v_add(vec a, vec b) {
    return _mm512_add_ps(a, b);
}
FV_INLINE vec v_sub(vec a, vec b) {
    return _mm512_sub_ps(a, b);
}
FV_INLINE vec v_mul(vec a, vec b) {
    return _mm512_mul_ps(a, b);
}
FV_INLINE vec v_fma(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}
/* max() and min() return their second operand when one is a NaN. */
FV_INLINE vec v_clamp(vec x, vec low, vec high) {
    return _mm512_min_ps(high, _mm512_max_ps(low, x));
}
FV_INLINE vec v_load_part(const float *p, int count) {
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
}
FV_INLINE void v_store_part(float *p, vec v, int count) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), v);
}

#elif defined(__AVX2__)
#include <immintrin.h>

#define LANES 8
typedef __m256 vec;

FV_INLINE vec v_load(const float *p) {
    return _mm256_loadu_ps(p);
}
FV_INLINE void v_store(float *p, vec v) {
    _mm256_storeu_ps(p, v);
}
FV_INLINE vec v_zero(void) {
    return _mm256_setzero_ps();
}
FV_INLINE vec v_set(float x) {
    return _mm256_set1_ps(x);
}
FV_INLINE vec v_add(vec a, vec b) {
    return _mm256_add_ps(a, b);
}
FV_INLINE vec v_sub(vec a, vec b) {
    return _mm256_sub_ps(a, b);
}
FV_INLINE vec v_mul(vec a, vec b) {
    return _mm256_mul_ps(a, b);
}
FV_INLINE vec v_fma(vec a, vec b, vec c) {
    return _mm256_fmadd_ps(a, b, c);
}
FV_INLINE vec v_clamp(vec x, vec low, vec high) {
    return _mm256_min_ps(high, _mm256_max_ps(low, x));
}
FV_INLINE __m256i v_first_lanes(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
FV_INLINE vec v_load_part(const float *p, int count) {
    return _mm256_maskload_ps(p, v_first_lanes(count));
}
FV_INLINE void v_store_part(float *p, vec v, int count) {
    _mm256_maskstore_ps(p, v_first_lanes(count), v);
}

#elif defined(__ARM_NEON)
#include <arm_neon.h>

#define LANES 4
typedef float32x4_t vec;

FV_INLINE vec v_load(const float *p) {
    return vld1q_f32(p);
}
FV_INLINE void v_store(float *p, vec v) {
    vst1q_f32(p, v);
}
FV_INLINE vec v_zero(void) {
    return vdupq_n_f32(0);
}
FV_INLINE vec v_set(float x) {
    return vdupq_n_f32(x);
}
FV_INLINE vec v_add(vec a, vec b) {
    return vaddq_f32(a, b);
}
FV_INLINE vec v_sub(vec a, vec b) {
    return vsubq_f32(a, b);
}
FV_INLINE vec v_mul(vec a, vec b) {
    return vmulq_f32(a, b);
}
FV_INLINE vec v_fma(vec a, vec b, vec c) {
    return vfmaq_f32(c, a, b);
}
FV_INLINE vec v_clamp(vec x, vec low, vec high) {
    return vminq_f32(high, vmaxq_f32(low, x)); /* NEON's pass a NaN on from either side */
}
FV_INLINE vec v_load_part(const float *p, int count) {
    float lanes[LANES] = {0};
    for (int i = 0; i < count; i++) lanes[i] = p[i];
    return vld1q_f32(lanes);
}
FV_INLINE void v_store_part(float *p, vec v, int count) {
    float lanes[LANES];
    vst1q_f32(lanes, v);
    for (int i = 0; i < count; i++) p[i] = lanes[i];
}

#else
#error "no vectors for this instruction set: define FV_SIMD_PLAIN"
#endif

/* Past the caches, to an address that is a multiple of the vector's size; v_stream_end() before others may read it. */
#if defined(__x86_64__) && !defined(FV_DOUBLE) && !defined(FV_SIMD_PLAIN)
#ifdef __AVX512F__
#define v_stream(p, v) _mm512_stream_ps(p, v)
#else
#define v_stream(p, v) _mm256_stream_ps(p, v)
#endif
#define v_stream_end() _mm_sfence()
#else
#define v_stream(p, v) v_store(p, v)
#define v_stream_end() ((void)0)
#endif

FV_INLINE vec v_load_some(const fv_real *p, int count) {
    return count >= LANES ? v_load(p) : v_load_part(p, count);
}
FV_INLINE void v_store_some(fv_real *p, vec v, int count) {
    if (count >= LANES) {
        v_store(p, v);
    } else {
        v_store_part(p, v, count);
    }
}

#endif
