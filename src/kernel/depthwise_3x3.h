/* 3x3, dilation 1, stride 1 and 2: the body of the variants of each instruction set. Work goes strip by strip: a few
   neighbouring pixels of a row, over all channels, one vector of channels at a time. So memory is read in order, the
   nine weights of a channel serve every pixel of the strip, and the columns that its windows share are loaded once.
   Pixels whose window leaves the image at the left or right are done one by one.

   The file that includes this one defines, for its vectors of LANES floats: vector, lanes (a mask of the first lanes),
   first_lanes(count), load(p, whole, mask), store(p, value, whole, mask), zero() and multiply_add(a, b, c) = a b + c.
   With `whole` the mask is ignored; without, memory behind the mask is not touched. */
#include "fovea/kernel/depthwise.h"

/* Sums and indices below stay in registers only when the loops over them are unrolled. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define STRIP 8         /* pixels of a strip, forward and data gradient */
#define SHORT_STRIP 4   /* what is left of a row goes in these, and then one by one */
#define WEIGHT_STRIP 16 /* pixels of a strip, weight gradient */
#define WEIGHT_GROUP 4  /* of which so many share their columns */

/* Runs BLOCK(c, whole, mask) for c = 0, LANES, ..., the last one masked when channels are left over. */
#define FOR_CHANNELS(channels, BLOCK)                                                                                  \
    do {                                                                                                               \
        int64_t c_ = 0;                                                                                                \
        for (; c_ + LANES <= (channels); c_ += LANES) BLOCK(c_, true, first_lanes(LANES));                             \
        if (c_ < (channels)) BLOCK(c_, false, first_lanes((int)((channels)-c_)));                                      \
    } while (0)

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

/* One pixel ---------------------------------------------------------------------------------------------------------
 */

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

/* Windows: forward, and the data gradient of stride 1 -----------------------------------------------------------------
 */

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

/* The positions [begin, end) whose three columns all lie inside. */
static fv_tap_range whole_windows(int w, int stride, int left, int positions) {
    fv_tap_range range = {left > 0 ? (left + stride - 1) / stride : 0, w + left >= 3 ? (w + left - 3) / stride + 1 : 0};
    if (range.end > positions) range.end = positions;
    if (range.begin > range.end) range.begin = range.end;
    return range;
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

/* Data gradient of stride 2 -----------------------------------------------------------------------------------------
 */

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

/* Weight gradient -----------------------------------------------------------------------------------------------------
 */

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

static bool accepts(const fv_window *w, int channels) {
    (void)channels;
    return w->kernel_h == 3 && w->kernel_w == 3 && w->dilation == 1 && (w->stride == 1 || w->stride == 2);
}
