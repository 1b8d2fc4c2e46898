/* Bilinear sampling of one pixel, wherever it lies: what every path of the warps falls back on. */
#ifndef FOVEA_SRC_WARP_BILINEAR_H
#define FOVEA_SRC_WARP_BILINEAR_H

#include <stddef.h>

#include "fovea/image/warp.h"

/* Adds the image at (x, y) to sum[0 .. channels-1]. `channels` is the image's, given apart so that it is a constant
 * when inlined. */
static inline void fv_warp_add_bilinear(const fv_image *image, int channels, double x, double y, float *sum) {
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

/* Adds the taps of the output pixel whose upper left corner is (x, y). */
static inline void fv_warp_add_taps(const fv_image *image, int channels, const fv_affine *map, double x, double y,
                                    int taps, float *sum) {
    double step = 1.0 / taps;
    for (int j = 0; j < taps; j++) {
        for (int i = 0; i < taps; i++) {
            double u = x + (i + 0.5) * step, v = y + (j + 0.5) * step;
            fv_warp_add_bilinear(image, channels, map->xx * u + map->xy * v + map->x0,
                                 map->yx * u + map->yy * v + map->y0, sum);
        }
    }
}

#endif
