/* The loops of kernel/skeleton.h, compiled once per instruction set: the includer defines FAMILY and LEVEL, and gets
   its vector code from the compiler. A row consists of its first pixel, its last one, and those between, which have
   neighbours on both sides. */
#include "fovea/kernel/skeleton.h"

/* "omp simd" is a permission: without optimisation nothing comes of it. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

#define TILE 256 /* elements whose origins stay in first-level cache before they become bytes */
#define INLINE static inline __attribute__((always_inline))

typedef struct best_of {
    fv_real value;
    int32_t origin;
} best_of;

INLINE best_of better(bool dilate, best_of best, fv_real rival, int32_t origin) {
    bool wins = dilate ? rival > best.value : rival < best.value;
    return (best_of){wins ? rival : best.value, wins ? origin : best.origin};
}

/* `count` elements from the row's element `first` on, the neighbours standing at distances `left` and `right`: 0 where
   there is none, and the row itself for a row that is none. Such a substitute has had its turn before, so it never
   wins. */
INLINE void extreme_part(bool dilate, const fv_real *const rows[3], size_t first, size_t count, size_t left,
                         size_t right, fv_real *restrict out, int32_t *restrict origin) {
    const fv_real *above = rows[0] + first, *middle = rows[1] + first, *below = rows[2] + first;
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        best_of best = {middle[i], 4};
        best = better(dilate, best, middle[i - left], 3);
        best = better(dilate, best, middle[i + right], 5);
        best = better(dilate, best, above[i], 1);
        if (dilate) best = better(dilate, best, above[i - left], 0);
        if (dilate) best = better(dilate, best, above[i + right], 2);
        best = better(dilate, best, below[i], 7);
        if (dilate) best = better(dilate, best, below[i - left], 6);
        if (dilate) best = better(dilate, best, below[i + right], 8);
        out[i] = best.value;
        origin[i] = best.origin;
    }
}

/* One stretch of a row, tile by tile. */
static void extreme_stretch(const fv_real *const rows[3], bool dilate, size_t begin, size_t end, size_t left,
                            size_t right, fv_real *out, uint8_t *origin) {
    int32_t places[TILE];
    for (size_t first = begin; first < end; first += TILE) {
        size_t count = end - first < TILE ? end - first : TILE;
        if (dilate)
            extreme_part(true, rows, first, count, left, right, out + first, places);
        else
            extreme_part(false, rows, first, count, left, right, out + first, places);
        for (size_t i = 0; i < count && origin; i++) origin[first + i] = (uint8_t)places[i];
    }
}

static void extreme(const fv_skeleton_rows *rows, bool dilate, fv_real *out, uint8_t *origin) {
    const fv_real *const given[3] = {rows->row[0] ? rows->row[0] : rows->row[1], rows->row[1],
                                     rows->row[2] ? rows->row[2] : rows->row[1]};
    size_t channels = rows->channels, count = rows->count, last = count - channels;
    extreme_stretch(given, dilate, 0, channels, 0, last ? channels : 0, out, origin);
    if (last == 0) return;
    extreme_stretch(given, dilate, channels, last, channels, channels, out, origin);
    extreme_stretch(given, dilate, last, count, channels, 0, out, origin);
}

INLINE fv_real where(const fv_real *d, const uint8_t *origin, size_t i, int32_t here) {
    fv_real value = d[i]; /* loaded without a condition, so that the loop becomes vectors */
    return origin[i] == here ? value : 0;
}

/* What the row dy below gives to a stretch, seen from where the pixel lies the other way. */
INLINE void gather_stretch(const fv_skeleton_rows *rows, int dy, bool sides, bool has_left, bool has_right,
                           size_t begin, size_t end, fv_real *restrict out) {
    const fv_real *restrict d = rows->row[1 + dy];
    const uint8_t *restrict origin = rows->origin[1 + dy];
    size_t channels = rows->channels;
    int32_t back = (1 - dy) * 3 + 1;
#pragma omp simd
    for (size_t i = begin; i < end; i++) {
        fv_real sum = out[i] + where(d, origin, i, back);
        if (sides && has_left) sum += where(d, origin, i - channels, back + 1);
        if (sides && has_right) sum += where(d, origin, i + channels, back - 1);
        out[i] = sum;
    }
}

INLINE void gather_row(const fv_skeleton_rows *rows, int dy, bool sides, fv_real *out) {
    size_t channels = rows->channels, count = rows->count, last = count - channels;
    if (last == 0) {
        gather_stretch(rows, dy, sides, false, false, 0, count, out);
        return;
    }
    gather_stretch(rows, dy, sides, false, true, 0, channels, out);
    gather_stretch(rows, dy, sides, true, true, channels, last, out);
    gather_stretch(rows, dy, sides, true, false, last, count, out);
}

static void gather(const fv_skeleton_rows *rows, bool dilate, fv_real *out) {
    for (int dy = -1; dy <= 1; dy++) {
        if (!rows->row[1 + dy]) continue;
        if (dilate || dy == 0)
            gather_row(rows, dy, true, out);
        else
            gather_row(rows, dy, false, out);
    }
}

const fv_skeleton_kernels FAMILY = {.level = LEVEL, .extreme = extreme, .gather = gather};
