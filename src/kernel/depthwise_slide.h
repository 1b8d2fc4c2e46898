/* Windows of SIDE x SIDE that slide over a picture: forward, and the data gradient of stride 1, a convolution of dy
   with the mirrored kernel. To be included behind depthwise_tile.h. */

/* A tile of results. Pointers may stand outside of the picture; what is there is not read. */
typedef struct slide_tile {
    const float *in, *weight; /* at the first tap of the first result */
    int64_t in_row, in_pixel, channels, tap;
    fv_tap_range rows, columns; /* of the pixels that the tile's windows cover, those in the picture */
    float *out;
    int64_t out_row, out_pixel;
    fv_tap_range out_rows, out_columns; /* of the tile, those wanted */
    bool add;
    const fv_channel_epilogue *epilogue; /* or NULL */
    const float *residual;               /* at the tile's first pixel, or NULL */
    int64_t residual_row;
} slide_tile;

/* The epilogue, on one row of sums. */
INLINE void finish_row(const slide_tile *t, int row, vector *sum, bool inner, int64_t c, bool whole, lanes mask) {
    const fv_channel_epilogue *e = t->epilogue;
    if (e->scale) {
        vector scale = load(e->scale + c, whole, mask), offset = load(e->offset + c, whole, mask);
        UNROLL
        for (int p = 0; p < SLIDE_PIXELS; p++) sum[p] = multiply_add(sum[p], scale, offset);
    }
    if (t->residual) {
        const float *residual = t->residual + row * t->residual_row + c;
        UNROLL
        for (int p = 0; p < SLIDE_PIXELS; p++)
            if (inner || within(t->out_columns, p))
                sum[p] = add(sum[p], load(residual + p * e->residual_stride, whole, mask));
    }
    vector low = broadcast(e->low), high = broadcast(e->high);
    UNROLL
    for (int p = 0; p < SLIDE_PIXELS; p++) sum[p] = minimum(high, maximum(low, sum[p]));
}

/* Adds what the pixels of one row of the picture contribute. */
INLINE void slide_row(const slide_tile *t, int row, int tile_rows, int stride, const vector *w,
                      vector (*sum)[SLIDE_PIXELS], bool inner, int64_t c, bool whole, lanes mask) {
    const float *in = t->in + row * t->in_row + c;
    UNROLL
    for (int q = 0; q < (SLIDE_PIXELS - 1) * stride + SIDE; q++) {
        if (!inner && !within(t->columns, q)) continue;
        vector pixel = load(in + q * t->in_pixel, whole, mask);
        UNROLL
        for (int tap = 0; tap < TAPS; tap++) {
            int r = row - tap / SIDE, p = q - tap % SIDE;
            if (r < 0 || r % stride || r / stride >= tile_rows) continue;
            if (p < 0 || p % stride || p / stride >= SLIDE_PIXELS) continue;
            sum[r / stride][p / stride] = multiply_add(pixel, w[tap], sum[r / stride][p / stride]);
        }
    }
}

INLINE void slide_block(const slide_tile *t, int tile_rows, int stride, bool inner, int64_t c, bool whole, lanes mask) {
    vector sum[SLIDE_ROWS][SLIDE_PIXELS], w[TAPS];
    UNROLL
    for (int tap = 0; tap < TAPS; tap++) w[tap] = load(t->weight + tap * t->tap + c, whole, mask);
    UNROLL
    for (int r = 0; r < tile_rows; r++) {
        UNROLL
        for (int p = 0; p < SLIDE_PIXELS; p++)
            sum[r][p] = t->add && (inner || within(t->out_columns, p)) && within(t->out_rows, r)
                            ? load(t->out + r * t->out_row + p * t->out_pixel + c, whole, mask)
                            : zero();
    }
    UNROLL
    for (int row = 0; row < (tile_rows - 1) * stride + SIDE; row++)
        if (within(t->rows, row)) slide_row(t, row, tile_rows, stride, w, sum, inner, c, whole, mask);
    UNROLL
    for (int r = 0; r < tile_rows; r++) {
        if (!within(t->out_rows, r)) continue;
        if (t->epilogue) finish_row(t, r, sum[r], inner, c, whole, mask);
        UNROLL
        for (int p = 0; p < SLIDE_PIXELS; p++)
            if (inner || within(t->out_columns, p))
                store(t->out + r * t->out_row + p * t->out_pixel + c, sum[r][p], whole, mask);
    }
}

/* By value: stores to `out` can't change it. */
INLINE void slide_run(slide_tile t, int tile_rows, int stride, bool inner) {
#define BLOCK(c, whole, mask) slide_block(&t, tile_rows, stride, inner, c, whole, mask)
    FOR_CHANNELS(t.channels, BLOCK);
#undef BLOCK
}

static void inner_1(const slide_tile *t) {
    slide_run(*t, SLIDE_ROWS, 1, true);
}
static void inner_2(const slide_tile *t) {
    slide_run(*t, SLIDE_ROWS / 2, 2, true);
}
static void edge_1(const slide_tile *t) {
    slide_run(*t, SLIDE_ROWS, 1, false);
}
static void edge_2(const slide_tile *t) {
    slide_run(*t, SLIDE_ROWS / 2, 2, false);
}

/* A window over a picture of `h` x `w` pixels. */
typedef struct slide {
    int h, w, stride, top, left;
    int positions; /* of a row of results */
    int64_t channels, in_pixel, out_pixel;
    const float *in, *weight; /* weight of the tap that meets the window's first pixel */
    int64_t tap;              /* from one weight to the next: channels, or -channels for a mirrored kernel */
    bool add;
    const fv_channel_epilogue *epilogue;
    float *out;
} slide;

/* Results [j, j + SLIDE_PIXELS) of the rows [i, i + rows), as far as there are so many. */
static void slide_tile_run(const slide *s, int i, int rows, int j) {
    int covered_h = (rows - 1) * s->stride + SIDE, covered_w = (SLIDE_PIXELS - 1) * s->stride + SIDE;
    int y = i * s->stride - s->top, x = j * s->stride - s->left, left = s->positions - j;
    const fv_channel_epilogue *e = s->epilogue;
    int64_t first = (int64_t)i * s->positions + j;
    slide_tile t = {.in = s->in + ((int64_t)y * s->w + x) * s->in_pixel,
                    .weight = s->weight,
                    .in_row = s->w * s->in_pixel,
                    .in_pixel = s->in_pixel,
                    .channels = s->channels,
                    .tap = s->tap,
                    .rows = inside(y, covered_h, s->h),
                    .columns = inside(x, covered_w, s->w),
                    .out = s->out + first * s->out_pixel,
                    .out_row = s->positions * s->out_pixel,
                    .out_pixel = s->out_pixel,
                    .out_rows = {0, rows},
                    .out_columns = {0, left < SLIDE_PIXELS ? left : SLIDE_PIXELS},
                    .add = s->add,
                    .epilogue = e,
                    .residual = e && e->residual ? e->residual + first * e->residual_stride : NULL,
                    .residual_row = e ? s->positions * e->residual_stride : 0};
    bool inner = t.columns.begin == 0 && t.columns.end == covered_w && left >= SLIDE_PIXELS;
    if (s->stride == 1) {
        (inner ? inner_1 : edge_1)(&t);
    } else {
        (inner ? inner_2 : edge_2)(&t);
    }
}

static void slide_rows(const slide *s, int row, int row_end) {
    int tile_rows = SLIDE_ROWS / s->stride;
    for (int i = row; i < row_end; i += tile_rows) {
        int rows = row_end - i < tile_rows ? row_end - i : tile_rows;
        for (int j = 0; j < s->positions; j += SLIDE_PIXELS) slide_tile_run(s, i, rows, j);
    }
}

static void forward(const fv_window *w, int channels, const float *x, int64_t x_stride, const float *weight, int row,
                    int row_end, const fv_channel_epilogue *epilogue, float *y) {
    slide s = {.h = w->in_h,
               .w = w->in_w,
               .stride = w->stride,
               .top = w->top,
               .left = w->left,
               .positions = w->out_w,
               .channels = channels,
               .in_pixel = x_stride,
               .out_pixel = channels,
               .in = x,
               .weight = weight,
               .tap = channels,
               .epilogue = epilogue,
               .out = y};
    slide_rows(&s, row, row_end);
}

static void data_stride_1(const fv_window *w, int channels, const float *dy, const float *weight, int row, int row_end,
                          bool add_to, float *dx, int64_t x_stride) {
    slide s = {.h = w->out_h,
               .w = w->out_w,
               .stride = 1,
               .top = SIDE - 1 - w->top,
               .left = SIDE - 1 - w->left,
               .positions = w->in_w,
               .channels = channels,
               .in_pixel = channels,
               .out_pixel = x_stride,
               .in = dy,
               .weight = weight + (TAPS - 1) * (int64_t)channels,
               .tap = -(int64_t)channels,
               .add = add_to,
               .out = dx};
    slide_rows(&s, row, row_end);
}
