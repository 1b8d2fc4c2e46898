/* exp, log1p and powers on the ranges that sigmoid, cross entropy and focal loss need, in a form that the compiler
   turns into vectors. In float64 (gradient checks) they are the C library's. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "fovea/tensor/tensor.h"
#include "multiply_add.h"

#ifdef FV_DOUBLE

static inline fv_real exp_negative(fv_real x) {
    return exp(x);
}

static inline fv_real log1p_unit(fv_real e) {
    return log1p(e);
}

static inline fv_real power_of_unit(fv_real x, fv_real exponent) {
    return pow(x, exponent);
}

#else

/* exp(x) for x <= 0, relative error below 2e-7; exp(-87) from there down. x = n ln 2 + r with |r| <= ln(2) / 2;
   exp(r) = 1 + r + r^2 p(r), p the minimax polynomial (Remez); 2^n by its bits. Adding 1.5 * 2^23 rounds to the nearest
   integer and leaves it in the low bits of the sum. */
static inline float exp_negative(float x) {
    x = x < -87.0f ? -87.0f : x;
    float shifted = MULTIPLY_ADD(x, 1.442695041f, 12582912.0f), n = shifted - 12582912.0f;
    /* ln 2 in two parts, the first with few bits: n times it is exact. */
    float r = MULTIPLY_ADD(n, -0.693359375f, x);
    r = MULTIPLY_ADD(n, 2.12194440e-4f, r);
    float p = MULTIPLY_ADD(r, 0.001394121835f, 0.008363235073f);
    p = MULTIPLY_ADD(r, p, 0.04166637408f);
    p = MULTIPLY_ADD(r, p, 0.1666657665f);
    p = MULTIPLY_ADD(r, p, 0.5000000027f);
    p = MULTIPLY_ADD(r * r, p, r) + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3F800000u;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

/* 2 atanh(s) = log((1 + s) / (1 - s)) for |s| <= 1/3; atanh(s) / s by its minimax polynomial in s^2. */
static inline float twice_atanh(float s) {
    float z = s * s;
    float p = MULTIPLY_ADD(z, 0.2819154635f, 0.2795766596f);
    p = MULTIPLY_ADD(z, p, 0.4002511432f);
    p = MULTIPLY_ADD(z, p, 0.6666631014f);
    return s * MULTIPLY_ADD(z, p, 2.000000008f);
}

/* log(1 + e) for 0 <= e <= 1, relative error below 3e-7: s = e / (2 + e) <= 1/3, which loses nothing for small e. */
static inline float log1p_unit(float e) {
    return twice_atanh(e / (2.0f + e));
}

/* x^exponent for 0 < x <= 1 (and no denormal number), exponent >= 0; relative error below 1e-7 |log(x^exponent)| and
   3e-7, and what is smaller than exp(-87) becomes that. x = 2^n m with m from sqrt(1/2) to sqrt(2), log m =
   2 atanh((m - 1) / (m + 1)). */
static inline float power_of_unit(float x, float exponent) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t n = (bits - 0x3F3504F3) >> 23, rest = bits - n * (1 << 23);
    float m;
    memcpy(&m, &rest, sizeof m);
    float logarithm = MULTIPLY_ADD((float)n, 0.6931471806f, twice_atanh((m - 1.0f) / (m + 1.0f)));
    return exp_negative(exponent * logarithm);
}

#endif
