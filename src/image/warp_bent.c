#include <stdbool.h>

#include "fovea/base/cpu.h"
#include "fovea/image/mask.h"
#include "warp_bilinear.h"
#include "warp_inner.h"

/* Up to FV_WARP_PART neighbouring pixels of an output row. */
typedef struct bent_part {
    const fv_image *image;
    const fv_affine *map;
    const float *shift_x, *shift_y;
    int x, y, count;
    float *out;
    int stride;
} bent_part;

/* Within which the places of a part lie. */
typedef struct extent {
    double x0, y0, x1, y1;
} extent;

/* Behind a part's last pixel its place is repeated. */
static void find_places(const bent_part *part, fv_warp_places *places) {
    const fv_affine *map = part->map;
    int count = part->count;
    for (int i = 0; i < count; i++) {
        double u = part->x + i + 0.5 + part->shift_x[i], v = part->y + 0.5 + part->shift_y[i];
        places->x[i] = map->xx * u + map->xy * v + map->x0;
        places->y[i] = map->yx * u + map->yy * v + map->y0;
    }
    for (int i = count; i < FV_WARP_PART; i++) {
        places->x[i] = places->x[count - 1];
        places->y[i] = places->y[count - 1];
    }
}

/* In the form that becomes one instruction. */
static inline double lesser(double a, double b) {
    return a < b ? a : b;
}

static inline double greater(double a, double b) {
    return a > b ? a : b;
}

/* Smallest and largest of FV_WARP_PART values, the even and the odd ones apart, so that fewer wait for each other. */
static void find_range(const double *values, double *low, double *high) {
    double least = values[0], most = values[0], least_odd = values[1], most_odd = values[1];
    for (int i = 2; i < FV_WARP_PART; i += 2) {
        least = lesser(values[i], least);
        most = greater(values[i], most);
        least_odd = lesser(values[i + 1], least_odd);
        most_odd = greater(values[i + 1], most_odd);
    }
    *low = lesser(least, least_odd);
    *high = greater(most, most_odd);
}

static extent extent_of(const fv_warp_places *places) {
    extent e;
    find_range(places->x, &e.x0, &e.x1);
    find_range(places->y, &e.y0, &e.y1);
    return e;
}

/* The neighbours of a place lie less than a pixel from it. */
static bool is_off(const fv_box *box, const extent *e) {
    return e->x1 < box->x0 - 1 || e->y1 < box->y0 - 1 || e->x0 > box->x1 + 2 || e->y0 > box->y1 + 2;
}

static inline void read_places(const bent_part *part, const fv_warp_places *places, int channels) {
    float *out = part->out;
    for (int i = 0; i < part->count; i++, out += part->stride) {
        float sum[3] = {0};
        fv_warp_add_bilinear(part->image, channels, places->x[i], places->y[i], sum);
        for (int c = 0; c < channels; c++) out[c] = sum[c];
    }
}

#if defined(__x86_64__)
/* The bounds of fv_warp_places_avx2(). */
static bool is_inner(const fv_image *image, const extent *e) {
    return e->x0 >= 0.5 && e->y0 >= 0.5 && e->x1 < image->width - 3 && e->y1 < image->height - 1;
}
#endif

static void read_part(const bent_part *part, const fv_warp_places *places, const extent *e) {
#if defined(__x86_64__)
    if (is_inner(part->image, e) && fv_cpu() >= FV_CPU_AVX2) {
        fv_warp_places_avx2(part->image, places, part->count, part->out, part->stride);
        return;
    }
#else
    (void)e;
#endif
    if (part->image->channels == 1)
        read_places(part, places, 1);
    else
        read_places(part, places, 3);
}

/* A tap a pixel. `box` is what of a mask is set. */
static void sample_once(const bent_part *part, const fv_box *box) {
    fv_warp_places places;
    find_places(part, &places);
    extent e = extent_of(&places);
    if (part->image->channels == 1 && is_off(box, &e)) {
        for (int i = 0; i < part->count; i++) part->out[(size_t)i * (size_t)part->stride] = 0;
    } else {
        read_part(part, &places, &e);
    }
}

static void sample_taps(const bent_part *part, int taps) {
    int channels = part->image->channels;
    float tap_count = (float)taps * (float)taps, *out = part->out;
    for (int i = 0; i < part->count; i++, out += part->stride) {
        double x = (double)part->x + i + part->shift_x[i], y = (double)part->y + part->shift_y[i];
        float sum[3] = {0};
        fv_warp_add_taps(part->image, channels, part->map, x, y, taps, sum);
        for (int c = 0; c < channels; c++) out[c] = sum[c] / tap_count;
    }
}

void fv_warp_bent(const fv_image *image, const fv_affine *map, const fv_bend *bend, int size, int taps, float *out,
                  int stride) {
    fv_box box = {0, 0, image->width - 1, image->height - 1};
    if (image->channels == 1 && !fv_mask_box(image, &box)) box = (fv_box){0, 0, 0, 0}; /* 0 wherever it is read */
    for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x += FV_WARP_PART) {
            int count = size - x < FV_WARP_PART ? size - x : FV_WARP_PART;
            size_t at = (size_t)y * (size_t)size + (size_t)x;
            bent_part part = {image, map, bend->x + at, bend->y + at, x, y, count, out + at * (size_t)stride, stride};
            if (taps == 1)
                sample_once(&part, &box);
            else
                sample_taps(&part, taps);
        }
    }
}
