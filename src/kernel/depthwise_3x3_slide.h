/* Forward and data gradient; to be included behind depthwise_3x3.h. */
#define STRIP 8       /* pixels of a strip, forward and data gradient */
#define SHORT_STRIP 4 /* what is left of a row goes in these, and then one by one */

/* Kernel rows that fall into the image: where the row of pixels begins, and its three taps' weights. */
typedef struct tap_rows {
    int count;
    const float *in[3], *weight[3];
} tap_rows;

/* Single taps of one pixel. */
typedef struct tap_list {
    int count;
    const float *in[9], *weight[9];
} tap_list;

/* One pixel ------------------------------------------------------------------------------------------- */

INLINE void pixel_block(const tap_list *taps, float *out, bool add, int64_t c, bool whole, lanes mask) {
    vector sum = add ? load(out + c, whole, mask) : zero();
    for (int t = 0; t < taps->count; t++) {
        sum = multiply_add(load(taps->in[t] + c, whole, mask), load(taps->weight[t] + c, whole, mask), sum);
    }
    store(out + c, sum, whole, mask);
}

static void pixel(const tap_list *taps, int channels, bool add, float *out) {
#define BLOCK(c, whole, mask) pixel_block(taps, out, add, c, whole, mask)
    FOR_CHANNELS(channels, BLOCK);
#undef BLOCK
}

/* The taps [v.begin, v.end) of all rows, the first of which stands at element `in`. */
static tap_list taps_of(const tap_rows *rows, int64_t in, int64_t tap, int channels, fv_tap_range v) {
    tap_list taps = {.count = 0};
    for (int r = 0; r < rows->count; r++) {
        for (int t = v.begin; t < v.end; t++) {
            taps.in[taps.count] = rows->in[r] + (in + (int64_t)t * channels);
            taps.weight[taps.count++] = rows->weight[r] + t * tap;
        }
    }
    return taps;
}

/* Windows: forward, and the data gradient of stride 1 ------------------------------------------------- */

/* Pixels whose windows lie inside the rows. `in` is the first tap's column of the first pixel; from one tap to the
   next, weights are `tap` elements apart (negative: mirrored). Passed by value, so that stores to `out` can't change
   it. */
typedef struct strip {
    tap_rows rows;
    int64_t tap, channels;
    bool add;
    float *out;
} strip;

INLINE void strip_block(const strip *s, int rows, int pixels, int stride, int64_t c, bool whole, lanes mask) {
    vector sum[STRIP];
    UNROLL
    for (int p = 0; p < pixels; p++) sum[p] = s->add ? load(s->out + p * s->channels + c, whole, mask) : zero();
    for (int r = 0; r < rows; r++) {
        const float *in = s->rows.in[r] + c, *weight = s->rows.weight[r] + c;
        vector w[3] = {load(weight, whole, mask), load(weight + s->tap, whole, mask),
                       load(weight + 2 * s->tap, whole, mask)};
        UNROLL
        for (int q = 0; q < (pixels - 1) * stride + 3; q++) { /* columns */
            vector column = load(in + q * s->channels, whole, mask);
            UNROLL
            for (int v = 0; v < 3; v++) {
                int p = (q - v) / stride;
                if (q >= v && (q - v) % stride == 0 && p < pixels) sum[p] = multiply_add(column, w[v], sum[p]);
            }
        }
    }
    UNROLL
    for (int p = 0; p < pixels; p++) store(s->out + p * s->channels + c, sum[p], whole, mask);
}

INLINE void strip_run(strip s, int pixels, int stride) {
    if (s.rows.count == 3) {
#define BLOCK(c, whole, mask) strip_block(&s, 3, pixels, stride, c, whole, mask)
        FOR_CHANNELS(s.channels, BLOCK);
#undef BLOCK
    } else {
#define BLOCK(c, whole, mask) strip_block(&s, s.rows.count, pixels, stride, c, whole, mask)
        FOR_CHANNELS(s.channels, BLOCK);
#undef BLOCK
    }
}

static void strip_8_1(const strip *s) {
    strip_run(*s, STRIP, 1);
}
static void strip_8_2(const strip *s) {
    strip_run(*s, STRIP, 2);
}
static void strip_4_1(const strip *s) {
    strip_run(*s, SHORT_STRIP, 1);
}
static void strip_4_2(const strip *s) {
    strip_run(*s, SHORT_STRIP, 2);
}
static void strip_1(const strip *s) {
    strip_run(*s, 1, 1);
}

/* A 3x3 window over a picture of `h` x `w` pixels. */
typedef struct slide {
    int h, w, stride, top, left;
    int positions; /* of a row */
    int channels;
    const float *in, *weight; /* weight of the tap that meets the window's first pixel */
    int64_t tap;              /* from one weight to the next: channels, or -channels for a mirrored kernel */
    bool add;
} slide;

static tap_rows rows_of(const slide *s, int i) {
    tap_rows rows = {.count = 0};
    int top = i * s->stride - s->top;
    fv_tap_range range = fv_window_clip(top, 1, 3, s->h);
    for (int u = range.begin; u < range.end; u++) {
        rows.in[rows.count] = s->in + (int64_t)(top + u) * s->w * s->channels;
        rows.weight[rows.count++] = s->weight + 3 * u * s->tap;
    }
    return rows;
}

static void edge_windows(const slide *s, const tap_rows *rows, int begin, int end, float *out) {
    for (int j = begin; j < end; j++) {
        int left = j * s->stride - s->left;
        tap_list taps =
            taps_of(rows, (int64_t)left * s->channels, s->tap, s->channels, fv_window_clip(left, 1, 3, s->w));
        pixel(&taps, s->channels, s->add, out + (int64_t)j * s->channels);
    }
}

static void slide_row(const slide *s, int i, float *out) {
    tap_rows rows = rows_of(s, i);
    fv_tap_range whole = whole_windows(s->w, s->stride, s->left, s->positions);
    edge_windows(s, &rows, 0, whole.begin, out);
    int pixels;
    for (int j = whole.begin; j < whole.end; j += pixels) {
        strip part = {
            .rows = rows, .tap = s->tap, .channels = s->channels, .add = s->add, .out = out + (int64_t)j * s->channels};
        for (int r = 0; r < rows.count; r++) part.rows.in[r] += ((int64_t)j * s->stride - s->left) * s->channels;
        if (j + STRIP <= whole.end) {
            pixels = STRIP;
            (s->stride == 1 ? strip_8_1 : strip_8_2)(&part);
        } else if (j + SHORT_STRIP <= whole.end) {
            pixels = SHORT_STRIP;
            (s->stride == 1 ? strip_4_1 : strip_4_2)(&part);
        } else {
            pixels = 1;
            strip_1(&part);
        }
    }
    edge_windows(s, &rows, whole.end, s->positions, out);
}

static void forward(const fv_window *w, int channels, const float *x, const float *weight, int row, int row_end,
                    float *y) {
    slide s = {.h = w->in_h,
               .w = w->in_w,
               .stride = w->stride,
               .top = w->top,
               .left = w->left,
               .positions = w->out_w,
               .channels = channels,
               .in = x,
               .weight = weight,
               .tap = channels};
    for (int i = row; i < row_end; i++) slide_row(&s, i, y + (int64_t)i * w->out_w * channels);
}

/* Data gradient of stride 2 --------------------------------------------------------------------------- */

/* Pixel x of dx meets tap v of position (x + left - v) / 2. Where x + left is odd that is tap 1 only, of position j;
   its right neighbour meets tap 2 of j and tap 0 of j + 1. A strip is `pairs` such pairs. */
INLINE void pairs_block(const strip *s, int pairs, int64_t c, bool whole, lanes mask) {
    vector sum[STRIP];
    UNROLL
    for (int p = 0; p < 2 * pairs; p++) sum[p] = s->add ? load(s->out + p * s->channels + c, whole, mask) : zero();
    for (int r = 0; r < s->rows.count; r++) {
        const float *in = s->rows.in[r] + c, *weight = s->rows.weight[r] + c;
        vector w0 = load(weight, whole, mask), w1 = load(weight + s->tap, whole, mask);
        vector w2 = load(weight + 2 * s->tap, whole, mask), left = load(in, whole, mask);
        UNROLL
        for (int q = 0; q < pairs; q++) {
            vector right = load(in + (q + 1) * s->channels, whole, mask);
            sum[2 * q] = multiply_add(left, w1, sum[2 * q]);
            sum[2 * q + 1] = multiply_add(left, w2, multiply_add(right, w0, sum[2 * q + 1]));
            left = right;
        }
    }
    UNROLL
    for (int p = 0; p < 2 * pairs; p++) store(s->out + p * s->channels + c, sum[p], whole, mask);
}

static void pairs_4(strip s) {
#define BLOCK(c, whole, mask) pairs_block(&s, STRIP / 2, c, whole, mask)
    FOR_CHANNELS(s.channels, BLOCK);
#undef BLOCK
}

static void pairs_1(strip s) {
#define BLOCK(c, whole, mask) pairs_block(&s, 1, c, whole, mask)
    FOR_CHANNELS(s.channels, BLOCK);
#undef BLOCK
}

/* The rows of dy that meet row y of dx. */
static tap_rows gradient_rows(const fv_window *w, int channels, const float *dy, const float *weight, int y) {
    tap_rows rows = {.count = 0};
    for (int u = (y + w->top) % 2; u < 3; u += 2) {
        int i = (y + w->top - u) / 2;
        if (y + w->top < u || i >= w->out_h) continue;
        rows.in[rows.count] = dy + (int64_t)i * w->out_w * channels;
        rows.weight[rows.count++] = weight + 3 * u * (int64_t)channels;
    }
    return rows;
}

static void gradient_pixel(const fv_window *w, int channels, const tap_rows *rows, int x, bool add, float *out) {
    tap_list taps = {.count = 0};
    for (int v = (x + w->left) % 2; v < 3; v += 2) {
        int64_t j = (x + w->left - v) / 2;
        if (x + w->left < v || j >= w->out_w) continue;
        for (int r = 0; r < rows->count; r++) {
            taps.in[taps.count] = rows->in[r] + j * channels;
            taps.weight[taps.count++] = rows->weight[r] + (int64_t)v * channels;
        }
    }
    pixel(&taps, channels, add, out);
}

static void data_stride_2(const fv_window *w, int channels, const float *dy, const float *weight, int row, int row_end,
                          bool add, float *dx) {
    for (int y = row; y < row_end; y++) {
        tap_rows rows = gradient_rows(w, channels, dy, weight, y);
        float *out = dx + (int64_t)y * w->in_w * channels;
        int pixels;
        for (int x = 0; x < w->in_w; x += pixels, out += (int64_t)pixels * channels) {
            int j = (x + w->left - 1) / 2, left = w->in_w - x, positions = w->out_w - j;
            pixels = 1;
            if ((x + w->left) % 2 == 0 || left < 2 || positions < 2) {
                gradient_pixel(w, channels, &rows, x, add, out);
                continue;
            }
            strip s = {.rows = rows, .tap = channels, .channels = channels, .add = add, .out = out};
            for (int r = 0; r < rows.count; r++) s.rows.in[r] += (int64_t)j * channels;
            if (left >= STRIP && positions > STRIP / 2) {
                pixels = STRIP;
                pairs_4(s);
            } else {
                pixels = 2;
                pairs_1(s);
            }
        }
    }
}

/* With stride 1 the data gradient is a convolution of dy with the mirrored kernel. */
static void data(const fv_window *w, int channels, const float *dy, const float *weight, int row, int row_end, bool add,
                 float *dx) {
    if (w->stride == 2) {
        data_stride_2(w, channels, dy, weight, row, row_end, add, dx);
        return;
    }
    slide s = {.h = w->out_h,
               .w = w->out_w,
               .stride = 1,
               .top = 2 - w->top,
               .left = 2 - w->left,
               .positions = w->in_w,
               .channels = channels,
               .in = dy,
               .weight = weight + 8 * (int64_t)channels,
               .tap = -(int64_t)channels,
               .add = add};
    for (int y = row; y < row_end; y++) slide_row(&s, y, dx + (int64_t)y * w->in_w * channels);
}
