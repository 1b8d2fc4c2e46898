#include "fovea/tensor/half.h"

#include <string.h>

/* Bits of a float32, and steps from a half's to a float32's. */
#define SIGN 0x80000000u
#define INFINITE 0x7F800000u
#define FRACTION 0x007FFFFFu
#define SHIFT 13                    /* bits of fraction that a half lacks */
#define REBIAS ((127u - 15u) << 23) /* difference of the exponents' biases */
#define HALF_INFINITE 0x7C00u
#define HALF_QUIET 0x0200u            /* the fraction's first bit: a NaN that does not trap */
#define HALF_OVERFLOW 0x47800000u     /* 2^16 */
#define HALF_LEAST_NORMAL 0x38800000u /* 2^-14 */
#define SUBNORMAL_MAGIC 0x3F000000u   /* 0.5, whose last bit is worth 2^-24, as a subnormal half's */

static inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* All cases are computed and one is selected, so that loops over arrays become vector code. */
static inline uint16_t narrow(float value) {
    uint32_t bits = bits_of(value), size = bits & ~SIGN;
    /* Half of the last bit's worth, less one where the result would be even, carries into the fraction or not. */
    uint32_t normal = (size - REBIAS + (1u << (SHIFT - 1)) - 1 + (size >> SHIFT & 1)) >> SHIFT;
    /* The addition rounds where the half's last bit is. */
    uint32_t subnormal = bits_of(float_of(size) + float_of(SUBNORMAL_MAGIC)) - SUBNORMAL_MAGIC;
    uint32_t nan = HALF_INFINITE | HALF_QUIET | (size & FRACTION) >> SHIFT;
    uint32_t half = size < HALF_LEAST_NORMAL ? subnormal : normal;
    half = size >= HALF_OVERFLOW ? HALF_INFINITE : half;
    half = size > INFINITE ? nan : half;
    return (uint16_t)(half | (bits & SIGN) >> 16);
}

static inline float widen(uint16_t half) {
    uint32_t sign = (half & 0x8000u) << 16, size = half & 0x7FFFu;
    uint32_t normal = (size << SHIFT) + REBIAS;
    /* size * 2^-24, as the difference of two normal numbers: no subnormal float32 takes part. */
    uint32_t subnormal = bits_of(float_of(HALF_LEAST_NORMAL + (size << SHIFT)) - float_of(HALF_LEAST_NORMAL));
    uint32_t nan = size > HALF_INFINITE ? HALF_QUIET << SHIFT : 0;
    uint32_t bits = size < 1u << 10 ? subnormal : normal;
    bits = size >= HALF_INFINITE ? INFINITE | size << SHIFT | nan : bits;
    return float_of(bits | sign);
}

uint16_t fv_half_from_float(float value) {
    return narrow(value);
}

float fv_half_to_float(uint16_t half) {
    return widen(half);
}

float fv_bfloat16_to_float(uint16_t bfloat16) {
    return float_of((uint32_t)bfloat16 << 16);
}

void fv_halves_from_floats(size_t count, const float *values, void *halves) {
    unsigned char *bytes = halves;
    for (size_t i = 0; i < count; i++) {
        uint16_t half = narrow(values[i]);
        memcpy(bytes + i * sizeof half, &half, sizeof half);
    }
}

void fv_halves_to_floats(size_t count, const void *halves, float *values) {
    const unsigned char *bytes = halves;
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, bytes + i * sizeof half, sizeof half);
        values[i] = widen(half);
    }
}

void fv_bfloat16s_to_floats(size_t count, const void *bfloat16s, float *values) {
    const unsigned char *bytes = bfloat16s;
    for (size_t i = 0; i < count; i++) {
        uint16_t bfloat16;
        memcpy(&bfloat16, bytes + i * sizeof bfloat16, sizeof bfloat16);
        values[i] = fv_bfloat16_to_float(bfloat16);
    }
}
