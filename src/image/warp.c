#include "fovea/image/warp.h"

#include <stddef.h>

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

static inline void warp(const fv_image *image, int channels, const fv_affine *map, int size, int taps, float *out,
                        int stride) {
    float tap_count = (float)taps * (float)taps;
    for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x++, out += stride) {
            float sum[3] = {0};
            add_taps(image, channels, map, x, y, taps, sum);
            for (int c = 0; c < channels; c++) out[c] = sum[c] / tap_count;
        }
    }
}

/* Each call is compiled for its constants. */
void fv_warp(const fv_image *image, const fv_affine *map, int size, int taps, float *out, int stride) {
    if (image->channels == 3 && taps == 1) {
        warp(image, 3, map, size, 1, out, stride);
    } else if (image->channels == 3) {
        warp(image, 3, map, size, taps, out, stride);
    } else if (taps == 1) {
        warp(image, 1, map, size, 1, out, stride);
    } else {
        warp(image, 1, map, size, taps, out, stride);
    }
}
