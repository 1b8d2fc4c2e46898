#include "int8_maps.h"

#define LANES 8

static void product(const fv_int8_layer *l, int64_t begin, int64_t end, const uint8_t *x, uint8_t *y) {
    for (int64_t pixel = begin; pixel < end; pixel++)
        for (int first = 0; first < l->filters; first += LANES) {
            const int8_t *w = l->weight + (int64_t)first * l->channels;
            const uint8_t *in = x + pixel * l->channels;
            int32_t sum[LANES] = {0};
            for (int k = 0; k < l->channels; k += 4, w += 4 * LANES)
                for (int f = 0; f < LANES; f++)
                    for (int i = 0; i < 4; i++) sum[f] += in[k + i] * w[4 * f + i];
            for (int f = 0; f < LANES; f++)
                y[pixel * l->filters + first + f] =
                    to_byte(fmaf((float)sum[f], l->scale[first + f], l->offset[first + f]));
        }
}

/* y of one window and LANES channels. */
static void window_bytes(const fv_int8_layer *l, int i, int j, int first, const uint8_t *x, uint8_t *y) {
    const fv_window *w = &l->window;
    const int8_t *weight = l->weight + (int64_t)first * FV_INT8_DEPTHWISE;
    int32_t sum[LANES] = {0};
    for (int u = 0; u < 3; u++)
        for (int v = 0; v < 3; v++) {
            int row = i * w->stride + u - w->top, column = j * w->stride + v - w->left;
            bool inside = row >= 0 && row < w->in_h && column >= 0 && column < w->in_w;
            const uint8_t *in = inside ? x + ((int64_t)row * w->in_w + column) * l->channels + first : NULL;
            for (int c = 0; c < LANES; c++) sum[c] += (in ? in[c] : l->zero) * weight[4 * v * LANES + 4 * c + u];
        }
    for (int c = 0; c < LANES; c++) y[c] = to_byte(fmaf((float)sum[c], l->scale[first + c], l->offset[first + c]));
}

static void depthwise(const fv_int8_layer *l, int row, int row_end, const uint8_t *x, const uint8_t *outside,
                      uint8_t *y) {
    (void)outside;
    for (int i = row; i < row_end; i++)
        for (int j = 0; j < l->window.out_w; j++)
            for (int first = 0; first < l->channels; first += LANES)
                window_bytes(l, i, j, first, x, y + ((int64_t)i * l->window.out_w + j) * l->channels + first);
}

static void rescale(size_t rows, size_t channels, const uint8_t *x, float scale, float offset, uint8_t *y,
                    size_t y_stride) {
    for (size_t r = 0; r < rows; r++) rescale_rest(0, channels, x + r * channels, scale, offset, y + r * y_stride);
}

const fv_int8_kernels fv_int8_scalar = {.level = FV_CPU_SCALAR,
                                        .name = "8 bits, plain C",
                                        .lanes = LANES,
                                        .product = product,
                                        .depthwise = depthwise,
                                        .logits = logits,
                                        .quantise = quantise,
                                        .rescale = rescale,
                                        .add = add};
