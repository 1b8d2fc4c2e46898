#include "fovea/kernel/int8.h"

#ifdef FV_X86_VARIANTS
#include <immintrin.h>
#include <string.h>

#define TABLE fv_int8_avx2
#define LEVEL FV_CPU_AVX2
#define TITLE "8 bits, AVX2"
#define LANES 8
#define ROWS 4

#define INLINE static inline __attribute__((always_inline))

typedef __m256i vector;

INLINE vector zero(void) {
    return _mm256_setzero_si256();
}

INLINE vector load4(const void *p) {
    return _mm256_loadu_si256(p);
}

INLINE vector same4(const uint8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}

INLINE vector spread(const uint8_t *p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
}

INLINE vector columns(const uint8_t *a, const uint8_t *b, const uint8_t *c) {
    vector low = _mm256_or_si256(spread(a), _mm256_slli_epi32(spread(b), 8));
    return _mm256_or_si256(low, _mm256_slli_epi32(spread(c), 16));
}

INLINE vector dot(vector sum, vector x, vector w) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1)));
}

/* `count` is LANES: the network's channels are multiples of 8. What no 32-bit number holds must not come to the
   conversion, which makes the least of all of it. */
INLINE void finish(uint8_t *y, int count, vector sum, const float *scale, const float *offset) {
    (void)count;
    __m256 value = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(scale), _mm256_loadu_ps(offset));
    __m256i whole = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_set1_ps(255), value));
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((void *)y, _mm_packus_epi16(words, words));
}

#include "int8_body.h"
#endif
