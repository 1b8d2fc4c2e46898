/* The loops of kernel/skeleton.h, compiled once per instruction set: the includer defines FAMILY and LEVEL, and gets
   its vector code from the compiler. A row is done in tiles that stay in first-level cache, neighbour by neighbour. */
#include "fovea/kernel/skeleton.h"

/* "omp simd" is a permission: without optimisation nothing comes of it. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

#define TILE 256
#define INLINE static inline __attribute__((always_inline))

/* The part of a tile whose pixels have a neighbour at distance dx: elements begin .. end - 1 of the row. */
typedef struct span {
    size_t begin, end;
} span;

static span span_of(const fv_skeleton_rows *rows, size_t first, int dx) {
    size_t last = first + TILE < rows->count ? first + TILE : rows->count;
    size_t begin = dx < 0 && first < rows->channels ? rows->channels : first;
    size_t end = dx > 0 && last > rows->count - rows->channels ? rows->count - rows->channels : last;
    return (span){begin, end < begin ? begin : end};
}

/* The neighbour in question; erosion looks at no diagonal one, and the pixel itself has had its turn. */
static bool is_skipped(int dy, int dx, bool dilate) {
    return (dy == 0 && dx == 0) || (!dilate && dy != 0 && dx != 0);
}

INLINE void contest(bool dilate, size_t count, const fv_real *restrict rival, int32_t here, fv_real *restrict best,
                    int32_t *restrict origin) {
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        bool wins = dilate ? rival[i] > best[i] : rival[i] < best[i];
        best[i] = wins ? rival[i] : best[i];
        origin[i] = wins ? here : origin[i];
    }
}

static void extreme_tile(const fv_skeleton_rows *rows, bool dilate, size_t first, fv_real *best, int32_t *origin) {
    span all = span_of(rows, first, 0);
    for (size_t i = all.begin; i < all.end; i++) best[i - first] = rows->row[1][i];
    for (size_t i = all.begin; i < all.end; i++) origin[i - first] = 4;
    for (int dy = -1; dy <= 1; dy++) {
        for (int dx = -1; dx <= 1; dx++) {
            if (is_skipped(dy, dx, dilate) || !rows->row[1 + dy]) continue;
            span part = span_of(rows, first, dx);
            const fv_real *rival = rows->row[1 + dy] + part.begin + (ptrdiff_t)rows->channels * dx;
            size_t at = part.begin - first, count = part.end - part.begin;
            int32_t here = (dy + 1) * 3 + dx + 1;
            if (dilate)
                contest(true, count, rival, here, best + at, origin + at);
            else
                contest(false, count, rival, here, best + at, origin + at);
        }
    }
}

static void extreme(const fv_skeleton_rows *rows, bool dilate, fv_real *out, uint8_t *origin) {
    for (size_t first = 0; first < rows->count; first += TILE) {
        fv_real best[TILE];
        int32_t places[TILE];
        extreme_tile(rows, dilate, first, best, places);
        size_t count = span_of(rows, first, 0).end - first;
        for (size_t i = 0; i < count; i++) out[first + i] = best[i];
        if (!origin) continue;
        for (size_t i = 0; i < count; i++) origin[first + i] = (uint8_t)places[i];
    }
}

/* Origins are widened in a loop of their own: one loop over numbers of two sizes makes poor vectors. */
static void add_where(size_t count, const fv_real *restrict d, const uint8_t *restrict origin, int32_t here,
                      fv_real *restrict out) {
    int32_t places[TILE];
    for (size_t i = 0; i < count; i++) places[i] = origin[i];
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        fv_real value = d[i]; /* loaded without a condition, so that the loop becomes vectors */
        out[i] += places[i] == here ? value : 0;
    }
}

static void gather(const fv_skeleton_rows *rows, bool dilate, fv_real *out) {
    for (size_t first = 0; first < rows->count; first += TILE) {
        for (int dy = -1; dy <= 1; dy++) {
            for (int dx = -1; dx <= 1; dx++) {
                if ((!dilate && dy != 0 && dx != 0) || !rows->row[1 + dy]) continue;
                span part = span_of(rows, first, dx);
                size_t at = part.begin + (size_t)((ptrdiff_t)rows->channels * dx);
                int32_t back = (1 - dy) * 3 + 1 - dx; /* from the neighbour, the pixel lies the other way */
                add_where(part.end - part.begin, rows->row[1 + dy] + at, rows->origin[1 + dy] + at, back,
                          out + part.begin);
            }
        }
    }
}

const fv_skeleton_kernels FAMILY = {.level = LEVEL, .extreme = extreme, .gather = gather};
