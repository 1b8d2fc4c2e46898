#include "fovea/image/warp.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "fovea/base/cpu.h"
#include "fovea/image/mask.h"
#include "warp_bilinear.h"
#include "warp_inner.h"

enum { CACHE_BYTES = 1 << 20, LINE_BYTES = 64 };

fv_affine fv_affine_scale(int from, int to) {
    double scale = (double)from / to;
    return (fv_affine){.xx = scale, .yy = scale};
}

int fv_warp_taps(double from, int to) {
    double ratio = from / to, half = ratio / 2;
    if (half <= 1) return 1;
    return (int)(half == floor(half) ? half : ceil(ratio));
}

static inline void warp_pixels(const fv_image *image, int channels, const fv_affine *map, int y, int begin, int end,
                               int taps, float *out, int stride) {
    float tap_count = (float)taps * (float)taps;
    for (int x = begin; x < end; x++, out += stride) {
        float sum[3] = {0};
        fv_warp_add_taps(image, channels, map, x, y, taps, sum);
        for (int c = 0; c < channels; c++) out[c] = sum[c] / tap_count;
    }
}

/* Each call is compiled for its constants. */
static void warp_plain(const fv_image *image, const fv_affine *map, int y, int begin, int end, int taps, float *out,
                       int stride) {
    if (image->channels == 3 && taps == 1) {
        warp_pixels(image, 3, map, y, begin, end, 1, out, stride);
    } else if (image->channels == 3) {
        warp_pixels(image, 3, map, y, begin, end, taps, out, stride);
    } else if (taps == 1) {
        warp_pixels(image, 1, map, y, begin, end, 1, out, stride);
    } else {
        warp_pixels(image, 1, map, y, begin, end, taps, out, stride);
    }
}

/* ---- plain sampling, a tap a pixel ---- */

/* Pixels begin .. end-1 of an output row. */
typedef struct stretch {
    int begin, end;
} stretch;

/* Narrows [*low, *high] to where from <= slope t + start <= to. */
static void narrow(double slope, double start, double from, double to, double *low, double *high) {
    if (slope == 0) {
        if (start < from || start > to) *high = *low - 1;
        return;
    }
    double a = (from - start) / slope, b = (to - start) / slope;
    *low = fmax(*low, fmin(a, b));
    *high = fmin(*high, fmax(a, b));
}

/* Every pixel whose four neighbours touch the box is in it, and few others: the places of a row follow a line. */
static stretch pixels_near(const fv_warp_row *row, const fv_box *box, int size) {
    double low = 0, high = size;
    narrow(row->along_x, row->across_x + row->x0, box->x0 - 1, box->x1 + 2, &low, &high);
    narrow(row->along_y, row->across_y + row->y0, box->y0 - 1, box->y1 + 2, &low, &high);
    if (low > high) return (stretch){0, 0};
    int begin = (int)low - 1, end = (int)high + 2;
    return (stretch){begin < 0 ? 0 : begin, end > size ? size : end};
}

static bool is_inner(const fv_warp_row *row, int pixel) {
    double u = pixel + 0.5;
    double x = row->along_x * u + row->across_x + row->x0, y = row->along_y * u + row->across_y + row->y0;
    return x >= 0.5 && y >= 0.5 && x < row->image->width - 3 && y < row->image->height - 1;
}

/* The middle of the stretch many pixels at a time where the CPU can, its ends one by one. */
static void warp_stretch(const fv_warp_row *row, const fv_affine *map, int y, stretch part, float *out, int stride) {
    stretch inner = part;
    while (inner.begin < inner.end && !is_inner(row, inner.begin)) inner.begin++;
    while (inner.begin < inner.end && !is_inner(row, inner.end - 1)) inner.end--;
#if defined(__x86_64__)
    if (fv_cpu() >= FV_CPU_AVX2)
        fv_warp_inner_avx2(row, inner.begin, inner.end, out + (size_t)inner.begin * stride, stride);
    else
#endif
        inner.end = inner.begin;
    warp_plain(row->image, map, y, part.begin, inner.begin, 1, out + (size_t)part.begin * stride, stride);
    warp_plain(row->image, map, y, inner.end, part.end, 1, out + (size_t)inner.end * stride, stride);
}

static void clear(float *out, stretch part, int stride) {
    for (int x = part.begin; x < part.end; x++) out[(size_t)x * stride] = 0;
}

/* Masks are 0 nearly everywhere: only what lies near their box is sampled. */
static void warp_once(const fv_image *image, const fv_affine *map, int size, float *out, int stride) {
    fv_box box = {0, 0, image->width - 1, image->height - 1};
    bool is_grey = image->channels == 1, is_set = !is_grey || fv_mask_box(image, &box);
    for (int y = 0; y < size; y++, out += (size_t)size * stride) {
        double v = y + 0.5;
        fv_warp_row row = {image, map->xx, map->xy * v, map->x0, map->yx, map->yy * v, map->y0};
        stretch part = {0, is_set ? size : 0};
        if (is_grey && is_set) part = pixels_near(&row, &box, size);
        warp_stretch(&row, map, y, part, out, stride);
        if (!is_grey) continue;
        clear(out, (stretch){0, part.begin}, stride);
        clear(out, (stretch){part.end, size}, stride);
    }
}

/* A turned line crosses a row of the image every few pixels, which no prefetcher of a CPU follows: the image is asked
   for row by row, as far as it fits into a second-level cache. */
static void ask_for_image(const fv_image *image) {
    size_t bytes = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    for (size_t at = 0; bytes <= CACHE_BYTES && at < bytes; at += LINE_BYTES) __builtin_prefetch(image->data + at);
}

void fv_warp(const fv_image *image, const fv_affine *map, int size, int taps, float *out, int stride) {
    ask_for_image(image);
    if (taps == 1) {
        warp_once(image, map, size, out, stride);
        return;
    }
    for (int y = 0; y < size; y++, out += (size_t)size * stride) warp_plain(image, map, y, 0, size, taps, out, stride);
}
