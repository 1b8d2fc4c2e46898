#include "fovea/kernel/int8.h"

#ifdef FV_X86_VARIANTS
#include <immintrin.h>
#include <string.h>

#define TABLE fv_int8_avx512
#define LEVEL FV_CPU_AVX512
#define TITLE "8 bits, AVX-512 VNNI"
#define LANES 16
#define ROWS 8

#define INLINE static inline __attribute__((always_inline))

typedef __m512i vector;

INLINE vector zero(void) {
    return _mm512_setzero_si512();
}

INLINE vector load4(const void *p) {
    return _mm512_loadu_si512(p);
}

INLINE vector same4(const uint8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

INLINE vector spread(const uint8_t *p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
}

INLINE vector columns(const uint8_t *a, const uint8_t *b, const uint8_t *c) {
    vector low = _mm512_or_si512(spread(a), _mm512_slli_epi32(spread(b), 8));
    return _mm512_or_si512(low, _mm512_slli_epi32(spread(c), 16));
}

INLINE vector dot(vector sum, vector x, vector w) {
    return _mm512_dpbusd_epi32(sum, x, w);
}

/* What no 32-bit number holds must not come to the conversion, which makes the least of all of it. */
INLINE void finish(uint8_t *y, int count, vector sum, const float *scale, const float *offset) {
    __mmask16 mask = (__mmask16)((1u << count) - 1);
    __m512 value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(scale), _mm512_loadu_ps(offset));
    __m512i limited = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_set1_ps(255), value));
    __m512i whole = _mm512_max_epi32(limited, _mm512_setzero_si512());
    _mm_mask_storeu_epi8(y, mask, _mm512_cvtusepi32_epi8(whole));
}

#include "int8_body.h"
#endif
