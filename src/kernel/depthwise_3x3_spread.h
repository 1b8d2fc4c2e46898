/* Data gradient of stride 2, where every pixel of dy is spread over 3x3 pixels of dx. To be included behind
   depthwise_tile.h and depthwise_slide.h.

   Pixel (y, x) of dx meets tap u of row (y + top - u) / 2, where that is whole. A tile begins where y + top and x +
   left are odd, so that the pixel at (b, d) of the part of dy that belongs to it meets, with tap (u, v), the tile's
   pixel (2 b + u - 1, 2 d + v - 1). */

typedef struct spread_tile {
    const float *in, *weight; /* in: dy at (b, d) = (0, 0); may stand outside, as `out` may */
    int64_t in_row, channels;
    fv_tap_range rows, columns; /* of dy, those that there are */
    float *out;
    int64_t out_row, out_pixel;
    fv_tap_range out_rows, out_columns; /* of the tile, those wanted */
    bool add;
} spread_tile;

/* Adds what row b of dy contributes. */
INLINE void spread_row(const spread_tile *t, int b, const vector *w, vector (*sum)[SPREAD_PIXELS], bool inner,
                       int64_t c, bool whole, lanes mask) {
    const float *in = t->in + b * t->in_row + c;
    UNROLL
    for (int d = 0; d <= SPREAD_PIXELS / 2; d++) {
        if (!inner && !within(t->columns, d)) continue;
        vector pixel = load(in + d * t->channels, whole, mask);
        UNROLL
        for (int tap = 0; tap < 9; tap++) {
            int r = 2 * b + tap / 3 - 1, p = 2 * d + tap % 3 - 1;
            if (r >= 0 && r < SPREAD_ROWS && p >= 0 && p < SPREAD_PIXELS)
                sum[r][p] = multiply_add(pixel, w[tap], sum[r][p]);
        }
    }
}

INLINE void spread_block(const spread_tile *t, bool inner, int64_t c, bool whole, lanes mask) {
    vector sum[SPREAD_ROWS][SPREAD_PIXELS], w[9];
    UNROLL
    for (int tap = 0; tap < 9; tap++) w[tap] = load(t->weight + tap * t->channels + c, whole, mask);
    UNROLL
    for (int r = 0; r < SPREAD_ROWS; r++) {
        UNROLL
        for (int p = 0; p < SPREAD_PIXELS; p++)
            sum[r][p] = t->add && within(t->out_rows, r) && (inner || within(t->out_columns, p))
                            ? load(t->out + r * t->out_row + p * t->out_pixel + c, whole, mask)
                            : zero();
    }
    UNROLL
    for (int b = 0; b <= SPREAD_ROWS / 2; b++)
        if (within(t->rows, b)) spread_row(t, b, w, sum, inner, c, whole, mask);
    UNROLL
    for (int r = 0; r < SPREAD_ROWS; r++) {
        if (!within(t->out_rows, r)) continue;
        UNROLL
        for (int p = 0; p < SPREAD_PIXELS; p++)
            if (inner || within(t->out_columns, p))
                store(t->out + r * t->out_row + p * t->out_pixel + c, sum[r][p], whole, mask);
    }
}

INLINE void spread_run(spread_tile t, bool inner) {
#define BLOCK(c, whole, mask) spread_block(&t, inner, c, whole, mask)
    FOR_CHANNELS(t.channels, BLOCK);
#undef BLOCK
}

static void spread_inner(const spread_tile *t) {
    spread_run(*t, true);
}
static void spread_edge(const spread_tile *t) {
    spread_run(*t, false);
}

/* The last pixel before or at `pixel` where pixel + padding is odd, and the position whose tap 1 it meets. */
static int tile_begin(int pixel, int padding) {
    return pixel - (pixel + padding + 1) % 2;
}
static int position_at(int begin, int padding) {
    return (begin + padding + 1) / 2 - 1;
}

static void data_stride_2(const fv_window *w, int channels, const float *dy, const float *weight, int row, int row_end,
                          bool add_to, float *dx, int64_t x_stride) {
    for (int y = tile_begin(row, w->top); y < row_end; y += SPREAD_ROWS) {
        int i = position_at(y, w->top), needed = row_end - y < SPREAD_ROWS ? row_end - y : SPREAD_ROWS;
        for (int x = tile_begin(0, w->left); x < w->in_w; x += SPREAD_PIXELS) {
            int j = position_at(x, w->left);
            spread_tile t = {.in = dy + ((int64_t)i * w->out_w + j) * channels,
                             .weight = weight,
                             .in_row = (int64_t)w->out_w * channels,
                             .channels = channels,
                             .rows = inside(i, needed / 2 + 1, w->out_h),
                             .columns = inside(j, SPREAD_PIXELS / 2 + 1, w->out_w),
                             .out = dx + ((int64_t)y * w->in_w + x) * x_stride,
                             .out_row = w->in_w * x_stride,
                             .out_pixel = x_stride,
                             .out_rows = inside(y - row, SPREAD_ROWS, row_end - row),
                             .out_columns = inside(x, SPREAD_PIXELS, w->in_w),
                             .add = add_to};
            bool inner = t.columns.begin == 0 && t.columns.end == SPREAD_PIXELS / 2 + 1 && t.out_columns.begin == 0 &&
                         t.out_columns.end == SPREAD_PIXELS;
            (inner ? spread_inner : spread_edge)(&t);
        }
    }
}

static void data(const fv_window *w, int channels, const float *dy, const float *weight, int row, int row_end,
                 bool add_to, float *dx, int64_t x_stride) {
    (w->stride == 1 ? data_stride_1 : data_stride_2)(w, channels, dy, weight, row, row_end, add_to, dx, x_stride);
}
