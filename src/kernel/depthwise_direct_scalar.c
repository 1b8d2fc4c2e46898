#include <string.h>

#include "fovea/kernel/depthwise.h"

#define TILE 64 /* channels at once, whose sums stay in first-level cache */

static bool accepts(const fv_window *window, int channels) {
    (void)window;
    (void)channels;
    return true;
}

/* out[c] += a[c] b[c] */
static void multiply_add(int channels, const fv_real *restrict a, const fv_real *restrict b, fv_real *restrict out) {
    for (int c = 0; c < channels; c++) out[c] += a[c] * b[c];
}

/* y of one window and up to TILE channels from `first` on. */
static void window_sums(const fv_window *w, int channels, const fv_real *x, int64_t x_stride, const fv_real *weight,
                        int i, int j, int first, int count, fv_real *sums) {
    int top = i * w->stride - w->top, left = j * w->stride - w->left;
    fv_tap_range taps_y = fv_window_clip(top, w->dilation, w->kernel_h, w->in_h);
    fv_tap_range taps_x = fv_window_clip(left, w->dilation, w->kernel_w, w->in_w);
    memset(sums, 0, (size_t)count * sizeof *sums);
    for (int u = taps_y.begin; u < taps_y.end; u++) {
        for (int v = taps_x.begin; v < taps_x.end; v++) {
            int64_t pixel = (int64_t)(top + u * w->dilation) * w->in_w + left + v * w->dilation;
            int64_t tap = u * w->kernel_w + v;
            multiply_add(count, x + pixel * x_stride + first, weight + tap * channels + first, sums);
        }
    }
}

static void forward(const fv_window *w, int channels, const fv_real *x, int64_t x_stride, const fv_real *weight,
                    int row, int row_end, const fv_channel_epilogue *epilogue, fv_real *y) {
    for (int64_t pixel = (int64_t)row * w->out_w; pixel < (int64_t)row_end * w->out_w; pixel++) {
        const fv_real *residual =
            epilogue && epilogue->residual ? epilogue->residual + pixel * epilogue->residual_stride : NULL;
        fv_real *out = y + pixel * channels, sums[TILE];
        for (int first = 0; first < channels; first += TILE) {
            int count = channels - first < TILE ? channels - first : TILE;
            window_sums(w, channels, x, x_stride, weight, (int)(pixel / w->out_w), (int)(pixel % w->out_w), first,
                        count, sums);
            for (int c = 0; c < count; c++)
                out[first + c] = epilogue ? fv_epilogue_apply(epilogue, residual, first + c, sums[c]) : sums[c];
        }
    }
}

/* The window position that meets `pixel` with tap `tap` along one axis, or -1. */
static int position_of(int pixel, int padding, int tap, const fv_window *w, int positions) {
    int offset = pixel + padding - tap * w->dilation;
    return offset < 0 || offset % w->stride != 0 || offset / w->stride >= positions ? -1 : offset / w->stride;
}

static void data(const fv_window *w, int channels, const fv_real *dy, const fv_real *weight, int row, int row_end,
                 bool add, fv_real *dx, int64_t x_stride) {
    fv_real *out = dx + (int64_t)row * w->in_w * x_stride;
    for (int64_t pixel = (int64_t)row * w->in_w; pixel < (int64_t)row_end * w->in_w; pixel++, out += x_stride) {
        if (!add) memset(out, 0, (size_t)channels * sizeof *out);
        for (int u = 0; u < w->kernel_h; u++) {
            int i = position_of((int)(pixel / w->in_w), w->top, u, w, w->out_h);
            for (int v = 0; v < w->kernel_w && i >= 0; v++) {
                int j = position_of((int)(pixel % w->in_w), w->left, v, w, w->out_w);
                if (j < 0) continue;
                multiply_add(channels, dy + ((int64_t)i * w->out_w + j) * channels,
                             weight + (u * w->kernel_w + v) * (int64_t)channels, out);
            }
        }
    }
}

static void weight_gradient(const fv_window *w, int channels, const fv_real *x, int64_t x_stride, const fv_real *dy,
                            int row, int row_end, fv_real *dw) {
    for (int i = row; i < row_end; i++) {
        int top = i * w->stride - w->top;
        fv_tap_range taps_y = fv_window_clip(top, w->dilation, w->kernel_h, w->in_h);
        for (int j = 0; j < w->out_w; j++) {
            int left = j * w->stride - w->left;
            fv_tap_range taps_x = fv_window_clip(left, w->dilation, w->kernel_w, w->in_w);
            const fv_real *gradient = dy + ((int64_t)i * w->out_w + j) * channels;
            for (int u = taps_y.begin; u < taps_y.end; u++) {
                for (int v = taps_x.begin; v < taps_x.end; v++) {
                    int64_t pixel = (int64_t)(top + u * w->dilation) * w->in_w + left + v * w->dilation;
                    multiply_add(channels, x + pixel * x_stride, gradient,
                                 dw + (u * w->kernel_w + v) * (int64_t)channels);
                }
            }
        }
    }
}

const fv_depthwise fv_depthwise_direct_scalar = {.level = FV_CPU_SCALAR,
                                                 .name = "depthwise direct, plain C",
                                                 .accepts = accepts,
                                                 .forward = forward,
                                                 .data = data,
                                                 .weight = weight_gradient};
