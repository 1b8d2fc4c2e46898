/* Weight gradient; to be included behind depthwise_3x3.h. */
#define WEIGHT_STRIP 16 /* pixels of a strip, weight gradient */
#define WEIGHT_GROUP 4  /* of which so many share their columns */

/* Adds the pixels of a strip to the weights of `rows` kernel rows. */
typedef struct weight_strip {
    const float *in[3]; /* the first tap's column of the first pixel */
    float *dw[3];
    int rows, pixels;
    int64_t channels;
    const float *dy;
} weight_strip;

/* Pixels [first, first + pixels) of the strip. */
INLINE void weight_group(const weight_strip *s, vector *sum, int first, int rows, int pixels, int stride, int64_t c,
                         bool whole, lanes mask) {
    vector gradient[WEIGHT_GROUP];
    UNROLL
    for (int p = 0; p < pixels; p++) gradient[p] = load(s->dy + (first + p) * s->channels + c, whole, mask);
    UNROLL
    for (int r = 0; r < rows; r++) {
        const float *in = s->in[r] + (int64_t)first * stride * s->channels + c;
        UNROLL
        for (int q = 0; q < (pixels - 1) * stride + 3; q++) { /* columns */
            vector column = load(in + q * s->channels, whole, mask);
            UNROLL
            for (int v = 0; v < 3; v++) {
                int p = (q - v) / stride, t = 3 * r + v;
                if (q >= v && (q - v) % stride == 0 && p < pixels) sum[t] = multiply_add(column, gradient[p], sum[t]);
            }
        }
    }
}

INLINE void weight_block(const weight_strip *s, int rows, int stride, int64_t c, bool whole, lanes mask) {
    vector sum[9];
    UNROLL
    for (int t = 0; t < 3 * rows; t++) sum[t] = load(s->dw[t / 3] + t % 3 * s->channels + c, whole, mask);
    int p = 0;
    for (; p + WEIGHT_GROUP <= s->pixels; p += WEIGHT_GROUP) {
        weight_group(s, sum, p, rows, WEIGHT_GROUP, stride, c, whole, mask);
    }
    for (; p < s->pixels; p++) weight_group(s, sum, p, rows, 1, stride, c, whole, mask);
    UNROLL
    for (int t = 0; t < 3 * rows; t++) store(s->dw[t / 3] + t % 3 * s->channels + c, sum[t], whole, mask);
}

INLINE void weight_rows_run(weight_strip s, int rows, int stride) {
#define BLOCK(c, whole, mask) weight_block(&s, rows, stride, c, whole, mask)
    FOR_CHANNELS(s.channels, BLOCK);
#undef BLOCK
}

static void weight_3_1(const weight_strip *s) {
    weight_rows_run(*s, 3, 1);
}
static void weight_3_2(const weight_strip *s) {
    weight_rows_run(*s, 3, 2);
}
static void weight_1_1(const weight_strip *s) {
    weight_rows_run(*s, 1, 1);
}
static void weight_1_2(const weight_strip *s) {
    weight_rows_run(*s, 1, 2);
}

/* All three kernel rows at once inside the image, one by one at its top and bottom. */
static void weight_strip_run(const weight_strip *s, int stride) {
    if (s->rows == 3) {
        (stride == 1 ? weight_3_1 : weight_3_2)(s);
        return;
    }
    for (int r = 0; r < s->rows; r++) {
        weight_strip one = *s;
        one.in[0] = s->in[r];
        one.dw[0] = s->dw[r];
        (stride == 1 ? weight_1_1 : weight_1_2)(&one);
    }
}

/* dw[c] += in[c] dy[c] */
static void weight_tap(int channels, const float *in, const float *dy, float *dw) {
#define BLOCK(c, whole, mask)                                                                                          \
    store(dw + c, multiply_add(load(in + c, whole, mask), load(dy + c, whole, mask), load(dw + c, whole, mask)),       \
          whole, mask)
    FOR_CHANNELS(channels, BLOCK);
#undef BLOCK
}

/* The kernel rows of output row i that meet the image: first of them, and the row of x that it meets. */
typedef struct weight_rows {
    fv_tap_range u;
    const float *x; /* row of tap u.begin */
} weight_rows;

static void weight_edges(const fv_window *w, int channels, const weight_rows *rows, const float *dy, int begin, int end,
                         float *dw) {
    for (int j = begin; j < end; j++) {
        int left = j * w->stride - w->left;
        fv_tap_range v = fv_window_clip(left, 1, 3, w->in_w);
        for (int u = rows->u.begin; u < rows->u.end; u++) {
            const float *line = rows->x + (int64_t)(u - rows->u.begin) * w->in_w * channels;
            for (int t = v.begin; t < v.end; t++) {
                weight_tap(channels, line + (int64_t)(left + t) * channels, dy + (int64_t)j * channels,
                           dw + (3 * u + t) * (int64_t)channels);
            }
        }
    }
}

static void weight_gradient(const fv_window *w, int channels, const float *x, const float *dy, int row, int row_end,
                            float *dw) {
    fv_tap_range whole = whole_windows(w->in_w, w->stride, w->left, w->out_w);
    for (int i = row; i < row_end; i++) {
        int top = i * w->stride - w->top;
        weight_rows rows = {.u = fv_window_clip(top, 1, 3, w->in_h)};
        if (rows.u.begin == rows.u.end) continue;
        rows.x = x + (int64_t)(top + rows.u.begin) * w->in_w * channels;
        const float *line = dy + (int64_t)i * w->out_w * channels;
        weight_edges(w, channels, &rows, line, 0, whole.begin, dw);
        for (int j = whole.begin; j < whole.end; j += WEIGHT_STRIP) {
            weight_strip s = {.rows = rows.u.end - rows.u.begin,
                              .pixels = whole.end - j < WEIGHT_STRIP ? whole.end - j : WEIGHT_STRIP,
                              .channels = channels,
                              .dy = line + (int64_t)j * channels};
            for (int r = 0; r < s.rows; r++) {
                s.in[r] = rows.x + ((int64_t)r * w->in_w + (int64_t)j * w->stride - w->left) * channels;
                s.dw[r] = dw + 3 * (rows.u.begin + r) * (int64_t)channels;
            }
            weight_strip_run(&s, w->stride);
        }
        weight_edges(w, channels, &rows, line, whole.end, w->out_w, dw);
    }
}
