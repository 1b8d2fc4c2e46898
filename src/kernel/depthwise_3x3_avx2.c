/* 3x3, dilation 1, stride 1 and 2. Work goes strip by strip: a few neighbouring pixels of a row, over all channels,
   eight at a time. So memory is read in order, the nine weights of eight channels serve every pixel of the strip, and
   the columns that its windows share are loaded once. Pixels whose window leaves the image at the left or right are
   done one by one. */
#include "fovea/kernel/depthwise.h"

#if defined(__x86_64__) && !defined(FV_DOUBLE)
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 8
#define STRIP 4         /* pixels of a strip, forward and data gradient: their sums stay in registers */
#define WEIGHT_STRIP 16 /* pixels of a strip, weight gradient: the nine sums stay in registers */

/* The first lanes of a vector: what is left when the channels are no multiple of eight. */
static __m256i first_lanes(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE __m256 load(const float *p, bool whole, __m256i lanes) {
    return whole ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, lanes);
}

INLINE void store(float *p, __m256 value, bool whole, __m256i lanes) {
    if (whole) {
        _mm256_storeu_ps(p, value);
    } else {
        _mm256_maskstore_ps(p, lanes, value);
    }
}

/* Runs BLOCK(c, whole, lanes) for c = 0, 8, ..., the last one masked when channels are left over. */
#define FOR_CHANNELS(channels, BLOCK)                                                                                  \
    do {                                                                                                               \
        int c_ = 0;                                                                                                    \
        for (; c_ + LANES <= (channels); c_ += LANES) BLOCK(c_, true, _mm256_setzero_si256());                         \
        if (c_ < (channels)) BLOCK(c_, false, first_lanes((channels)-c_));                                             \
    } while (0)

/* Kernel rows that fall into the image: where the row of pixels begins, and its three taps' weights. */
typedef struct tap_rows {
    int count;
    const float *in[3], *weight[3];
} tap_rows;

/* Pixels whose windows lie inside the rows. `in` is the first tap's column of the first pixel, in elements; from one
   tap to the next, weights are `tap` elements apart (negative: mirrored). */
typedef struct strip {
    const tap_rows *rows;
    int64_t in, tap;
    int channels;
    bool add;
    float *out;
} strip;

/* Single taps of one pixel. */
typedef struct tap_list {
    int count;
    const float *in[9], *weight[9];
} tap_list;

/* One pixel ---------------------------------------------------------------------------------------------------------
 */

INLINE void pixel_block(const tap_list *taps, float *out, bool add, int c, bool whole, __m256i lanes) {
    __m256 sum = add ? load(out + c, whole, lanes) : _mm256_setzero_ps();
    for (int t = 0; t < taps->count; t++) {
        sum = _mm256_fmadd_ps(load(taps->in[t] + c, whole, lanes), load(taps->weight[t] + c, whole, lanes), sum);
    }
    store(out + c, sum, whole, lanes);
}

static void pixel(const tap_list *taps, int channels, bool add, float *out) {
#define BLOCK(c, whole, lanes) pixel_block(taps, out, add, c, whole, lanes)
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

INLINE void strip_block(const strip *s, int row_count, int pixels, int stride, int c, bool whole, __m256i lanes) {
    __m256 sum[STRIP];
    for (int p = 0; p < pixels; p++) {
        sum[p] = s->add ? load(s->out + p * s->channels + c, whole, lanes) : _mm256_setzero_ps();
    }
    for (int r = 0; r < row_count; r++) {
        const float *in = s->rows->in[r] + s->in + c, *weight = s->rows->weight[r] + c;
        __m256 w0 = load(weight, whole, lanes), w1 = load(weight + s->tap, whole, lanes);
        __m256 w2 = load(weight + 2 * s->tap, whole, lanes);
        for (int p = 0; p < pixels; p++) {
            const float *first = in + p * stride * s->channels;
            sum[p] = _mm256_fmadd_ps(load(first, whole, lanes), w0, sum[p]);
            sum[p] = _mm256_fmadd_ps(load(first + s->channels, whole, lanes), w1, sum[p]);
            sum[p] = _mm256_fmadd_ps(load(first + 2 * s->channels, whole, lanes), w2, sum[p]);
        }
    }
    for (int p = 0; p < pixels; p++) store(s->out + p * s->channels + c, sum[p], whole, lanes);
}

INLINE void strip_run(const strip *s, int pixels, int stride) {
    if (s->rows->count == 3) {
#define BLOCK(c, whole, lanes) strip_block(s, 3, pixels, stride, c, whole, lanes)
        FOR_CHANNELS(s->channels, BLOCK);
#undef BLOCK
    } else {
#define BLOCK(c, whole, lanes) strip_block(s, s->rows->count, pixels, stride, c, whole, lanes)
        FOR_CHANNELS(s->channels, BLOCK);
#undef BLOCK
    }
}

static void four_pixels(const strip *s, int stride) {
    if (stride == 1) {
        strip_run(s, STRIP, 1);
    } else {
        strip_run(s, STRIP, 2);
    }
}

static void one_pixel(const strip *s) {
    strip_run(s, 1, 1);
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
    int j = whole.begin;
    while (j < whole.end) {
        strip part = {.rows = &rows,
                      .in = ((int64_t)j * s->stride - s->left) * s->channels,
                      .tap = s->tap,
                      .channels = s->channels,
                      .add = s->add,
                      .out = out + (int64_t)j * s->channels};
        if (j + STRIP <= whole.end) {
            four_pixels(&part, s->stride);
            j += STRIP;
        } else {
            one_pixel(&part);
            j++;
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
   its right neighbour meets tap 2 of j and tap 0 of j + 1. A strip is two such pairs. */
INLINE void pairs_block(const strip *s, int c, bool whole, __m256i lanes) {
    __m256 sum[STRIP];
    for (int p = 0; p < STRIP; p++) {
        sum[p] = s->add ? load(s->out + p * s->channels + c, whole, lanes) : _mm256_setzero_ps();
    }
    for (int r = 0; r < s->rows->count; r++) {
        const float *in = s->rows->in[r] + s->in + c, *weight = s->rows->weight[r] + c;
        __m256 w0 = load(weight, whole, lanes), w1 = load(weight + s->tap, whole, lanes);
        __m256 w2 = load(weight + 2 * s->tap, whole, lanes);
        __m256 d0 = load(in, whole, lanes), d1 = load(in + s->channels, whole, lanes);
        __m256 d2 = load(in + 2 * s->channels, whole, lanes);
        sum[0] = _mm256_fmadd_ps(d0, w1, sum[0]);
        sum[1] = _mm256_fmadd_ps(d0, w2, _mm256_fmadd_ps(d1, w0, sum[1]));
        sum[2] = _mm256_fmadd_ps(d1, w1, sum[2]);
        sum[3] = _mm256_fmadd_ps(d1, w2, _mm256_fmadd_ps(d2, w0, sum[3]));
    }
    for (int p = 0; p < STRIP; p++) store(s->out + p * s->channels + c, sum[p], whole, lanes);
}

static void two_pairs(const strip *s) {
#define BLOCK(c, whole, lanes) pairs_block(s, c, whole, lanes)
    FOR_CHANNELS(s->channels, BLOCK);
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
        int x = 0;
        while (x < w->in_w) {
            int j = (x + w->left - 1) / 2;
            if ((x + w->left) % 2 == 1 && x + STRIP <= w->in_w && j + 2 < w->out_w) {
                strip s = {.rows = &rows,
                           .in = (int64_t)j * channels,
                           .tap = channels,
                           .channels = channels,
                           .add = add,
                           .out = out + (int64_t)x * channels};
                two_pairs(&s);
                x += STRIP;
            } else {
                gradient_pixel(w, channels, &rows, x, add, out + (int64_t)x * channels);
                x++;
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

/* Adds the pixels of a strip to the weights of one kernel row. */
typedef struct weight_strip {
    const float *in[3]; /* the first tap's column of the first pixel */
    float *dw[3];
    int rows, pixels, stride, channels;
    const float *dy;
} weight_strip;

/* `rows` and `stride` stand outside the structure because they are constants where it matters. */
INLINE void weight_block(const weight_strip *s, int first, int rows, int stride, int c, bool whole, __m256i lanes) {
    __m256 sum[9];
    int64_t channels = s->channels;
    for (int t = 0; t < 3 * rows; t++) {
        sum[t] = load(s->dw[first + t / 3] + t % 3 * channels + c, whole, lanes);
    }
    for (int p = 0; p < s->pixels; p++) {
        __m256 gradient = load(s->dy + p * channels + c, whole, lanes);
        int64_t offset = p * stride * channels + c;
        for (int r = 0; r < rows; r++) {
            const float *in = s->in[first + r] + offset;
            sum[3 * r] = _mm256_fmadd_ps(load(in, whole, lanes), gradient, sum[3 * r]);
            sum[3 * r + 1] = _mm256_fmadd_ps(load(in + channels, whole, lanes), gradient, sum[3 * r + 1]);
            sum[3 * r + 2] = _mm256_fmadd_ps(load(in + 2 * channels, whole, lanes), gradient, sum[3 * r + 2]);
        }
    }
    for (int t = 0; t < 3 * rows; t++) {
        store(s->dw[first + t / 3] + t % 3 * channels + c, sum[t], whole, lanes);
    }
}

static void weight_strip_run(const weight_strip *s) {
    if (s->rows == 3) {
#define BLOCK(c, whole, lanes) weight_block(s, 0, 3, s->stride, c, whole, lanes)
        FOR_CHANNELS(s->channels, BLOCK);
#undef BLOCK
        return;
    }
    for (int r = 0; r < s->rows; r++) {
#define BLOCK(c, whole, lanes) weight_block(s, r, 1, s->stride, c, whole, lanes)
        FOR_CHANNELS(s->channels, BLOCK);
#undef BLOCK
    }
}

/* dw[c] += in[c] dy[c] */
static void weight_tap(int channels, const float *in, const float *dy, float *dw) {
#define BLOCK(c, whole, lanes)                                                                                         \
    store(dw + c, _mm256_fmadd_ps(load(in + c, whole, lanes), load(dy + c, whole, lanes), load(dw + c, whole, lanes)), \
          whole, lanes)
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
                              .stride = w->stride,
                              .channels = channels,
                              .dy = line + (int64_t)j * channels};
            for (int r = 0; r < s.rows; r++) {
                s.in[r] = rows.x + ((int64_t)r * w->in_w + (int64_t)j * w->stride - w->left) * channels;
                s.dw[r] = dw + 3 * (rows.u.begin + r) * (int64_t)channels;
            }
            weight_strip_run(&s);
        }
        weight_edges(w, channels, &rows, line, whole.end, w->out_w, dw);
    }
}

static bool accepts(const fv_window *w, int channels) {
    (void)channels;
    return w->kernel_h == 3 && w->kernel_w == 3 && w->dilation == 1 && (w->stride == 1 || w->stride == 2);
}

const fv_depthwise fv_depthwise_3x3_avx2 = {
    .name = "depthwise 3x3, AVX2", .accepts = accepts, .forward = forward, .data = data, .weight = weight_gradient};
#endif
