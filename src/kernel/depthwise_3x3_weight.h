/* Weight gradient; to be included behind depthwise_tile.h. The nine sums stay in registers over a strip of several
 * tiles. */
#define STRIP 16 /* pixels; a multiple of WEIGHT_PIXELS */

typedef struct weight_strip {
    const float *x; /* at the first tap of the first pixel of dy; may stand outside */
    int64_t x_row, x_pixel, channels;
    fv_tap_range x_rows, x_columns; /* of those that the strip's windows cover, the ones in the picture */
    const float *dy;
    int64_t dy_row;
    int rows, pixels; /* of dy */
    float *dw;
} weight_strip;

/* Adds what one tile, from pixel `first` of the strip on, contributes to the nine sums. */
INLINE void weight_tile(const weight_strip *s, vector *sum, int first, int tile_rows, int stride, bool inner, int64_t c,
                        bool whole, lanes mask) {
    vector gradient[WEIGHT_ROWS][WEIGHT_PIXELS];
    UNROLL
    for (int r = 0; r < tile_rows; r++) {
        UNROLL
        for (int p = 0; p < WEIGHT_PIXELS; p++)
            gradient[r][p] = r < s->rows && (inner || first + p < s->pixels)
                                 ? load(s->dy + r * s->dy_row + (first + p) * s->channels + c, whole, mask)
                                 : zero();
    }
    UNROLL
    for (int row = 0; row < (tile_rows - 1) * stride + 3; row++) {
        if (!within(s->x_rows, row)) continue;
        const float *in = s->x + row * s->x_row + first * stride * s->x_pixel + c;
        UNROLL
        for (int q = 0; q < (WEIGHT_PIXELS - 1) * stride + 3; q++) {
            if (!inner && !within(s->x_columns, first * stride + q)) continue;
            vector pixel = load(in + q * s->x_pixel, whole, mask);
            UNROLL
            for (int tap = 0; tap < 9; tap++) {
                int r = row - tap / 3, p = q - tap % 3;
                if (r < 0 || r % stride || r / stride >= tile_rows) continue;
                if (p < 0 || p % stride || p / stride >= WEIGHT_PIXELS) continue;
                sum[tap] = multiply_add(pixel, gradient[r / stride][p / stride], sum[tap]);
            }
        }
    }
}

INLINE void weight_block(const weight_strip *s, int tile_rows, int stride, bool inner, int64_t c, bool whole,
                         lanes mask) {
    vector sum[9];
    UNROLL
    for (int tap = 0; tap < 9; tap++) sum[tap] = load(s->dw + tap * s->channels + c, whole, mask);
    for (int first = 0; first < s->pixels; first += WEIGHT_PIXELS)
        weight_tile(s, sum, first, tile_rows, stride, inner, c, whole, mask);
    UNROLL
    for (int tap = 0; tap < 9; tap++) store(s->dw + tap * s->channels + c, sum[tap], whole, mask);
}

INLINE void weight_run(weight_strip s, int tile_rows, int stride, bool inner) {
#define BLOCK(c, whole, mask) weight_block(&s, tile_rows, stride, inner, c, whole, mask)
    FOR_CHANNELS(s.channels, BLOCK);
#undef BLOCK
}

/* With stride 2 a tile has half the rows, and covers as many of the picture. */
#define WEIGHT_ROWS_2 ((WEIGHT_ROWS + 1) / 2)

static void weight_inner_1(const weight_strip *s) {
    weight_run(*s, WEIGHT_ROWS, 1, true);
}
static void weight_inner_2(const weight_strip *s) {
    weight_run(*s, WEIGHT_ROWS_2, 2, true);
}
static void weight_edge_1(const weight_strip *s) {
    weight_run(*s, WEIGHT_ROWS, 1, false);
}
static void weight_edge_2(const weight_strip *s) {
    weight_run(*s, WEIGHT_ROWS_2, 2, false);
}

/* Positions [j, j + pixels) of the rows [i, i + rows), of which there are no more than a strip holds. */
static void weight_strip_run(const fv_window *w, int channels, const float *x, int64_t x_stride, const float *dy, int i,
                             int rows, int j, int pixels, float *dw) {
    int stride = w->stride, top = i * stride - w->top, left = j * stride - w->left;
    int covered_w = (pixels - 1) * stride + 3;
    weight_strip s = {.x = x + ((int64_t)top * w->in_w + left) * x_stride,
                      .x_row = w->in_w * x_stride,
                      .x_pixel = x_stride,
                      .channels = channels,
                      .x_rows = inside(top, (rows - 1) * stride + 3, w->in_h),
                      .x_columns = inside(left, covered_w, w->in_w),
                      .dy = dy + ((int64_t)i * w->out_w + j) * channels,
                      .dy_row = (int64_t)w->out_w * channels,
                      .rows = rows,
                      .pixels = pixels,
                      .dw = dw};
    bool inner = s.x_columns.begin == 0 && s.x_columns.end == covered_w && pixels % WEIGHT_PIXELS == 0;
    if (stride == 1) {
        (inner ? weight_inner_1 : weight_edge_1)(&s);
    } else {
        (inner ? weight_inner_2 : weight_edge_2)(&s);
    }
}

static void weight_gradient(const fv_window *w, int channels, const float *x, int64_t x_stride, const float *dy,
                            int row, int row_end, float *dw) {
    int tile_rows = w->stride == 1 ? WEIGHT_ROWS : WEIGHT_ROWS_2, pixels;
    for (int i = row; i < row_end; i += tile_rows) {
        int rows = row_end - i < tile_rows ? row_end - i : tile_rows;
        for (int j = 0; j < w->out_w; j += pixels) {
            pixels = w->out_w - j < STRIP ? w->out_w - j : STRIP;
            weight_strip_run(w, channels, x, x_stride, dy, i, rows, j, pixels, dw);
        }
    }
}
