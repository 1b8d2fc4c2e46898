#include "fovea/image/warp.h"

#include <stdbool.h>
#include <stddef.h>

#include "fovea/base/cpu.h"
#include "warp_inner.h"

fv_affine fv_affine_scale(int from, int to) {
    double scale = (double)from / to;
    return (fv_affine){.xx = scale, .yy = scale};
}

int fv_warp_taps(int from, int to) {
    if (from <= 2 * to) return 1;
    return from % (2 * to) == 0 ? from / (2 * to) : (from + to - 1) / to;
}

/* Adds the image at (x, y) to sum[0 .. channels-1]. `channels` is the image's, given apart so that it is a constant
 * when inlined. */
static inline void add_bilinear(const fv_image *image, int channels, double x, double y, float *sum) {
    int width = image->width, height = image->height;
    if (!(x >= 0 && y >= 0 && x < width && y < height)) return;
    int left = (int)(x + 0.5) - 1, top = (int)(y + 0.5) - 1;
    float right_share = (float)(x - 0.5 - left), bottom_share = (float)(y - 0.5 - top);
    int x0 = left < 0 ? 0 : left, x1 = left + 1 < width ? left + 1 : width - 1;
    int y0 = top < 0 ? 0 : top, y1 = top + 1 < height ? top + 1 : height - 1;
    const uint8_t *upper = image->data + (size_t)y0 * width * channels;
    const uint8_t *lower = image->data + (size_t)y1 * width * channels;
    for (int c = 0; c < channels; c++) {
        float a = upper[x0 * channels + c], b = upper[x1 * channels + c];
        float d = lower[x0 * channels + c], e = lower[x1 * channels + c];
        float above = a + (b - a) * right_share, below = d + (e - d) * right_share;
        sum[c] += above + (below - above) * bottom_share;
    }
}

/* Adds the taps of output pixel (x, y). */
static inline void add_taps(const fv_image *image, int channels, const fv_affine *map, int x, int y, int taps,
                            float *sum) {
    double step = 1.0 / taps;
    for (int j = 0; j < taps; j++) {
        for (int i = 0; i < taps; i++) {
            double u = x + (i + 0.5) * step, v = y + (j + 0.5) * step;
            add_bilinear(image, channels, map->xx * u + map->xy * v + map->x0, map->yx * u + map->yy * v + map->y0,
                         sum);
        }
    }
}

static inline void warp_pixels(const fv_image *image, int channels, const fv_affine *map, int y, int begin, int end,
                               int taps, float *out, int stride) {
    float tap_count = (float)taps * (float)taps;
    for (int x = begin; x < end; x++, out += stride) {
        float sum[3] = {0};
        add_taps(image, channels, map, x, y, taps, sum);
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

#if defined(__x86_64__)
static bool is_inner(const fv_warp_row *row, int pixel) {
    double u = pixel + 0.5;
    double x = row->along_x * u + row->across_x + row->x0, y = row->along_y * u + row->across_y + row->y0;
    return x >= 0.5 && y >= 0.5 && x < row->image->width - 3 && y < row->image->height - 1;
}

/* The row's middle many pixels at a time, its ends one by one. Along a row the places follow a line, so those within
   the image are neighbours. */
static void warp_row_avx2(const fv_image *image, const fv_affine *map, int y, int size, float *out, int stride) {
    double v = y + 0.5;
    fv_warp_row row = {image, map->xx, map->xy * v, map->x0, map->yx, map->yy * v, map->y0};
    int begin = 0, end = size;
    while (begin < size && !is_inner(&row, begin)) begin++;
    while (end > begin && !is_inner(&row, end - 1)) end--;
    warp_plain(image, map, y, 0, begin, 1, out, stride);
    fv_warp_inner_avx2(&row, begin, end, out + (size_t)begin * stride, stride);
    warp_plain(image, map, y, end, size, 1, out + (size_t)end * stride, stride);
}
#endif

void fv_warp(const fv_image *image, const fv_affine *map, int size, int taps, float *out, int stride) {
    for (int y = 0; y < size; y++, out += (size_t)size * stride) {
#if defined(__x86_64__)
        if (taps == 1 && fv_cpu() >= FV_CPU_AVX2) {
            warp_row_avx2(image, map, y, size, out, stride);
            continue;
        }
#endif
        warp_plain(image, map, y, 0, size, taps, out, stride);
    }
}
