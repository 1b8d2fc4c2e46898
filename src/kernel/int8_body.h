/* Products and 3x3 depthwise layers of 8 bits (kernel/int8.h), written once for the instruction sets that multiply four
   bytes at a time. The file that includes this one defines TABLE, LEVEL, TITLE, LANES, ROWS (of pixels, of a product's
   tile), vector (LANES whole numbers of 32 bits) and, of such vectors:

   zero()
   load4(p)          LANES groups of 4 bytes
   same4(p)          the 4 bytes at p in every group
   spread(p)         LANES bytes as whole numbers
   columns(a, b, c)  the groups (a[i], b[i], c[i], 0); may read 16 bytes
   dot(sum, x, w)    sum plus, in each group, the 4 products of x's unsigned and w's signed bytes
   finish(y, count, sum, scale, offset)
                     the first `count` of sum scale + offset, fused, rounded and limited to 0 .. 255 */
#include "int8_maps.h"

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define CHUNK_BYTES 131072 /* of a product's pixels: they stay in second-level cache */

static int lesser(int a, int b) {
    return a < b ? a : b;
}

/* ---- products ---- */

/* `rows` pixels by `blocks` vectors of filters from `first` on. */
INLINE void tile(const fv_int8_layer *l, const uint8_t *x, uint8_t *y, int first, int rows, int blocks) {
    vector sum[ROWS][2];
    UNROLL
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = zero();
    const int8_t *w = l->weight + (int64_t)first * l->channels;
    for (int k = 0; k < l->channels; k += 4, w += 4 * LANES) {
        vector w0 = load4(w), w1 = blocks > 1 ? load4(w + (int64_t)l->channels * LANES) : w0;
        UNROLL
        for (int r = 0; r < rows; r++) {
            vector pixel = same4(x + (int64_t)r * l->channels + k);
            sum[r][0] = dot(sum[r][0], pixel, w0);
            if (blocks > 1) sum[r][1] = dot(sum[r][1], pixel, w1);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int b = 0; b < blocks; b++) {
            int f = first + b * LANES;
            finish(y + (int64_t)r * l->filters + f, lesser(LANES, l->filters - f), sum[r][b], l->scale + f,
                   l->offset + f);
        }
    }
}

static void tile_whole(const fv_int8_layer *l, const uint8_t *x, uint8_t *y, int first) {
    if (l->filters - first > LANES)
        tile(l, x, y, first, ROWS, 2);
    else
        tile(l, x, y, first, ROWS, 1);
}

static void tile_single(const fv_int8_layer *l, const uint8_t *x, uint8_t *y, int first) {
    if (l->filters - first > LANES)
        tile(l, x, y, first, 1, 2);
    else
        tile(l, x, y, first, 1, 1);
}

/* Pixels in chunks, in them the filters, whose weights are in first-level cache while the chunk goes by. */
static void product(const fv_int8_layer *l, int64_t begin, int64_t end, const uint8_t *x, uint8_t *y) {
    int64_t step = CHUNK_BYTES / l->channels / ROWS * ROWS + ROWS;
    for (int64_t chunk = begin; chunk < end; chunk += step)
        for (int f = 0; f < l->filters; f += 2 * LANES) {
            int64_t chunk_end = chunk + step < end ? chunk + step : end, pixel = chunk;
            for (; pixel + ROWS <= chunk_end; pixel += ROWS)
                tile_whole(l, x + pixel * l->channels, y + pixel * l->filters, f);
            for (; pixel < chunk_end; pixel++) tile_single(l, x + pixel * l->channels, y + pixel * l->filters, f);
        }
}

/* ---- 3x3 depthwise ---- */

/* Three rows of the picture, or of what is outside, at a block of channels. */
typedef struct three_rows {
    const uint8_t *row[3], *outside;
    int64_t pixel[3]; /* bytes between two pixels; 0 outside, where all are one */
    int width;
} three_rows;

INLINE vector column_at(const three_rows *t, int q) {
    if (q < 0 || q >= t->width) return columns(t->outside, t->outside, t->outside);
    return columns(t->row[0] + q * t->pixel[0], t->row[1] + q * t->pixel[1], t->row[2] + q * t->pixel[2]);
}

/* A row of results; a column that neighbouring windows share is made once. */
INLINE void slide(const fv_int8_layer *l, const three_rows *t, int stride, int c, uint8_t *y) {
    const int8_t *w = l->weight + (int64_t)c * FV_INT8_DEPTHWISE;
    vector w0 = load4(w), w1 = load4(w + 4 * LANES), w2 = load4(w + 8 * LANES);
    int q = -l->window.left, count = lesser(LANES, l->channels - c);
    vector left = column_at(t, q), middle = column_at(t, q + 1);
    for (int j = 0; j < l->window.out_w; j++, q += stride, y += l->channels) {
        vector right = column_at(t, q + 2);
        vector sum = dot(dot(dot(zero(), left, w0), middle, w1), right, w2);
        finish(y, count, sum, l->scale + c, l->offset + c);
        left = stride == 1 ? middle : right;
        middle = stride == 1 ? right : column_at(t, q + 3);
    }
}

static three_rows rows_at(const fv_int8_layer *l, int i, int c, const uint8_t *x, const uint8_t *outside) {
    const fv_window *w = &l->window;
    three_rows t = {.outside = outside + c, .width = w->in_w};
    for (int u = 0; u < 3; u++) {
        int row = i * w->stride + u - w->top;
        bool inside = row >= 0 && row < w->in_h;
        t.row[u] = inside ? x + (int64_t)row * w->in_w * l->channels + c : t.outside;
        t.pixel[u] = inside ? l->channels : 0;
    }
    return t;
}

static void depthwise(const fv_int8_layer *l, int row, int row_end, const uint8_t *x, const uint8_t *outside,
                      uint8_t *y) {
    for (int i = row; i < row_end; i++)
        for (int c = 0; c < l->channels; c += LANES) {
            three_rows t = rows_at(l, i, c, x, outside);
            uint8_t *out = y + (int64_t)i * l->window.out_w * l->channels + c;
            if (l->window.stride == 1)
                slide(l, &t, 1, c, out);
            else
                slide(l, &t, 2, c, out);
        }
}

/* ---- rescaling ---- */

static void rescale(size_t rows, size_t channels, const uint8_t *x, float scale, float offset, uint8_t *y,
                    size_t y_stride) {
    float scales[LANES], offsets[LANES];
    for (int i = 0; i < LANES; i++) {
        scales[i] = scale;
        offsets[i] = offset;
    }
    for (size_t r = 0; r < rows; r++, x += channels, y += y_stride) {
        size_t c = 0;
        for (; c + LANES <= channels; c += LANES) finish(y + c, LANES, spread(x + c), scales, offsets);
        rescale_rest(c, channels, x, scale, offset, y);
    }
}

const fv_int8_kernels TABLE = {.level = LEVEL,
                               .name = TITLE,
                               .lanes = LANES,
                               .product = product,
                               .depthwise = depthwise,
                               .logits = logits,
                               .quantise = quantise,
                               .rescale = rescale,
                               .add = add};
