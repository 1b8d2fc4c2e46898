/* exp and log1p on the half lines that sigmoid and cross entropy need, in a form that the compiler turns into vectors.
   In float64 (gradient checks) they are the C library's. */
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

/* log(1 + e) for 0 <= e <= 1, relative error below 3e-7: 2 atanh(s), s = e / (2 + e) <= 1/3, which loses nothing for
   small e; atanh(s) / s by its minimax polynomial in s^2. */
static inline float log1p_unit(float e) {
    float s = e / (2.0f + e), z = s * s;
    float p = MULTIPLY_ADD(z, 0.2819154635f, 0.2795766596f);
    p = MULTIPLY_ADD(z, p, 0.4002511432f);
    p = MULTIPLY_ADD(z, p, 0.6666631014f);
    return s * MULTIPLY_ADD(z, p, 2.000000008f);
}

#endif
