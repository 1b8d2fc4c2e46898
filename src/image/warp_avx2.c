#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "warp_inner.h"

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* the bits are those of the plain version, which has no fused multiplication */
#endif

enum { PART = FV_WARP_PART, LANES = 8 };

/* Of up to PART pixels: the upper left neighbour, counted in pixels, and the shares of the right and lower ones. */
typedef struct places {
    int neighbour[PART];
    float right[PART], lower[PART];
} places;

static inline void set_place(double x, double y, int width, places *p, int i) {
    int left = (int)(x + 0.5) - 1, top = (int)(y + 0.5) - 1;
    p->neighbour[i] = top * width + left;
    p->right[i] = (float)(x - 0.5 - left);
    p->lower[i] = (float)(y - 0.5 - top);
}

static void find_places(const fv_warp_row *row, int begin, int count, places *p) {
    int width = row->image->width;
    for (int i = 0; i < count; i++) {
        double u = begin + i + 0.5;
        set_place(row->along_x * u + row->across_x + row->x0, row->along_y * u + row->across_y + row->y0, width, p, i);
    }
}

/* Four bytes of the upper row, four of the lower one, as floats. */
static inline __m256 two_rows(const uint8_t *upper, const uint8_t *lower) {
    int a, b;
    memcpy(&a, upper, 4);
    memcpy(&b, lower, 4);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_insert_epi32(_mm_cvtsi32_si128(a), b, 1)));
}

static inline __m128 colour_at(const uint8_t *upper, size_t row_bytes, float right, float lower) {
    __m256 left = two_rows(upper, upper + row_bytes), beside = two_rows(upper + 3, upper + row_bytes + 3);
    __m256 mixed = _mm256_add_ps(left, _mm256_mul_ps(_mm256_sub_ps(beside, left), _mm256_set1_ps(right)));
    __m128 above = _mm256_castps256_ps128(mixed), below = _mm256_extractf128_ps(mixed, 1);
    return _mm_add_ps(above, _mm_mul_ps(_mm_sub_ps(below, above), _mm_set1_ps(lower)));
}

static void read_colours(const fv_image *image, const places *p, int count, float *out, int stride) {
    size_t row_bytes = 3 * (size_t)image->width;
    for (int i = 0; i < count; i++, out += stride) {
        __m128 colour = colour_at(image->data + 3 * (size_t)p->neighbour[i], row_bytes, p->right[i], p->lower[i]);
        _mm_storel_pi((__m64 *)(void *)out, colour);
        _mm_store_ss(out + 2, _mm_movehl_ps(colour, colour));
    }
}

/* The pixels at eight places and their right neighbours, mixed. */
static inline __m256 mixed_pairs(const uint8_t *data, __m256i places_of, __m256 right) {
    const __m256i byte = _mm256_set1_epi32(255);
    __m256i pairs = _mm256_i32gather_epi32((const int *)(const void *)data, places_of, 1);
    __m256 a = _mm256_cvtepi32_ps(_mm256_and_si256(pairs, byte));
    __m256 b = _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(pairs, 8), byte));
    return _mm256_add_ps(a, _mm256_mul_ps(_mm256_sub_ps(b, a), right));
}

static void read_greys(const fv_image *image, const places *p, int count, float *out, int stride) {
    for (int i = 0; i < count; i += LANES) {
        __m256i at = _mm256_loadu_si256((const __m256i *)(const void *)(p->neighbour + i));
        __m256 right = _mm256_loadu_ps(p->right + i), lower = _mm256_loadu_ps(p->lower + i);
        __m256 above = mixed_pairs(image->data, at, right), below = mixed_pairs(image->data + image->width, at, right);
        float greys[LANES];
        _mm256_storeu_ps(greys, _mm256_add_ps(above, _mm256_mul_ps(_mm256_sub_ps(below, above), lower)));
        for (int lane = 0; lane < LANES && i + lane < count; lane++, out += stride) *out = greys[lane];
    }
}

static void read_places(const fv_image *image, const places *p, int count, float *out, int stride) {
    if (image->channels == 3) {
        read_colours(image, p, count, out, stride);
    } else {
        read_greys(image, p, count, out, stride);
    }
}

void fv_warp_inner_avx2(const fv_warp_row *row, int begin, int end, float *out, int stride) {
    places p = {0}; /* lanes past the end read pixel 0 */
    for (int at = begin; at < end; at += PART, out += (size_t)PART * stride) {
        int count = end - at < PART ? end - at : PART;
        find_places(row, at, count, &p);
        read_places(row->image, &p, count, out, stride);
    }
}

void fv_warp_places_avx2(const fv_image *image, const fv_warp_places *given, int count, float *out, int stride) {
    places p = {0};
    for (int i = 0; i < count; i++) set_place(given->x[i], given->y[i], image->width, &p, i);
    read_places(image, &p, count, out, stride);
}
#endif
