/* 8-bit layers, compiled once for each instruction set: int8_avx2.c, int8_avx512.c. The includer defines TABLE (the
   name of its functions' table), LANES, ROWS (height of a product's tile), vector (LANES whole numbers of 32 bits) and

   zero()
   load4(p)          LANES groups of 4 bytes
   same4(p)          the 4 bytes at p in every group
   columns(a, b, c)  the groups (a[i], b[i], c[i], 0)
   dot(sum, x, w)    sum plus, in each group, the 4 products of x's unsigned and w's signed bytes
   finish(y, count, sum, scale, offset, residual, share)
                     the first `count` of sum scale + offset (+ residual share, unless that is NULL), rounded, 0 .. 255
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "int8.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define CHUNK_BYTES 131072 /* of a product's rows: they stay in second-level cache */

static int lesser(int a, int b) {
    return a < b ? a : b;
}

/* ---- 1x1: products ---- */

/* `rows` pixels by `blocks` vectors of filters from `first` on. */
INLINE void tile(const int8_layer *l, const uint8_t *x, const uint8_t *residual, uint8_t *y, int first, int rows,
                 int blocks) {
    vector sum[ROWS][2];
    UNROLL
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = zero();
    const int8_t *w = l->weight + (size_t)first * (size_t)l->channels;
    size_t block = (size_t)l->channels * LANES;
    for (int k = 0; k < l->channels; k += 4, w += 4 * LANES) {
        vector w0 = load4(w), w1 = blocks > 1 ? load4(w + block) : w0;
        UNROLL
        for (int r = 0; r < rows; r++) {
            vector pixel = same4(x + (size_t)r * (size_t)l->channels + k);
            sum[r][0] = dot(sum[r][0], pixel, w0);
            if (blocks > 1) sum[r][1] = dot(sum[r][1], pixel, w1);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int b = 0; b < blocks; b++) {
            int f = first + b * LANES;
            size_t at = (size_t)r * (size_t)l->filters + (size_t)f;
            finish(y + at, lesser(LANES, l->filters - f), sum[r][b], l->scale + f, l->offset + f,
                   residual ? residual + at : NULL, l->share);
        }
    }
}

static void tile_whole(const int8_layer *l, const uint8_t *x, const uint8_t *residual, uint8_t *y, int first) {
    if (l->filters - first > LANES)
        tile(l, x, residual, y, first, ROWS, 2);
    else
        tile(l, x, residual, y, first, ROWS, 1);
}

static void tile_single(const int8_layer *l, const uint8_t *x, const uint8_t *residual, uint8_t *y, int first) {
    if (l->filters - first > LANES)
        tile(l, x, residual, y, first, 1, 2);
    else
        tile(l, x, residual, y, first, 1, 1);
}

/* Rows in chunks, in them the filters, whose weights are in first-level cache while the chunk goes by. */
static void pointwise(const int8_layer *l, const uint8_t *x, const uint8_t *residual, uint8_t *y) {
    int pixels = l->in_h * l->in_w, step = CHUNK_BYTES / l->channels / ROWS * ROWS + ROWS;
    for (int chunk = 0; chunk < pixels; chunk += step)
        for (int f = 0; f < l->filters; f += 2 * LANES)
            for (int row = chunk, end = lesser(chunk + step, pixels), rows; row < end; row += rows) {
                size_t in = (size_t)row * (size_t)l->channels, out = (size_t)row * (size_t)l->filters;
                rows = end - row >= ROWS ? ROWS : 1;
                (rows > 1 ? tile_whole : tile_single)(l, x + in, residual ? residual + out : NULL, y + out, f);
            }
}

/* ---- 3x3 depthwise ---- */

/* Three rows of the picture, or of zeros, at a block of channels. */
typedef struct three_rows {
    const uint8_t *row[3];
    size_t pixel; /* bytes between two pixels */
    int width;
} three_rows;

INLINE vector column_at(const three_rows *t, int q) {
    if (q < 0 || q >= t->width) return zero();
    size_t at = (size_t)q * t->pixel;
    return columns(t->row[0] + at, t->row[1] + at, t->row[2] + at);
}

/* A row of results; the columns that neighbouring windows share are made once. */
INLINE void slide(const int8_layer *l, const three_rows *t, int stride, int c, uint8_t *y) {
    const int8_t *w = l->weight + (size_t)c * 12;
    vector w0 = load4(w), w1 = load4(w + 4 * LANES), w2 = load4(w + 8 * LANES);
    vector left = column_at(t, -l->left), middle = column_at(t, 1 - l->left), right;
    for (int j = 0; j < l->out_w; j++) {
        int q = j * stride - l->left;
        if (stride == 2) middle = column_at(t, q + 1);
        right = column_at(t, q + 2);
        vector sum = dot(dot(dot(zero(), left, w0), middle, w1), right, w2);
        finish(y + (size_t)j * t->pixel, LANES, sum, l->scale + c, l->offset + c, NULL, 0);
        left = stride == 2 ? right : middle;
        middle = right;
    }
}

static void depthwise(const int8_layer *l, const uint8_t *x, const uint8_t *zeros, uint8_t *y) {
    size_t channels = (size_t)l->channels, in_row = (size_t)l->in_w * channels, out_row = (size_t)l->out_w * channels;
    for (int i = 0; i < l->out_h; i++)
        for (int c = 0; c < l->channels; c += LANES) {
            three_rows t = {.pixel = channels, .width = l->in_w};
            for (int u = 0; u < 3; u++) {
                int row = i * l->stride + u - l->top;
                t.row[u] = (row < 0 || row >= l->in_h ? zeros : x + (size_t)row * in_row) + c;
            }
            if (l->stride == 1)
                slide(l, &t, 1, c, y + (size_t)i * out_row + c);
            else
                slide(l, &t, 2, c, y + (size_t)i * out_row + c);
        }
}

const int8_kernels TABLE = {.lanes = LANES, .pointwise = pointwise, .depthwise = depthwise};
