/* The transformations of kernel/winograd.h for one instruction set: the includer defines FAMILY and LEVEL. With a =
   sqrt(1/2) and b = sqrt(2), every one of them splits into an even and an odd half for the points a, -a and b, -b. */
#include "fovea/kernel/winograd.h"
#include "simd.h"

#define PLANES FV_WINOGRAD_PLANES
#define A ((fv_real)0.70710678118654752440)
#define B ((fv_real)1.41421356237309504880)

/* c + a b with a number b */
FV_INLINE vec scaled(vec a, fv_real b, vec c) {
    return v_fma(a, v_set(b), c);
}

/* One dimension of B^T d. */
FV_INLINE void spread(const vec d[6], vec out[6]) {
    out[0] = scaled(d[2], (fv_real)-2.5, v_add(d[4], d[0]));
    out[5] = scaled(d[3], (fv_real)-2.5, v_add(d[5], d[1]));
    vec even = scaled(d[2], -2, d[4]), odd = scaled(d[1], -B, v_mul(d[3], v_set(A)));
    out[1] = v_add(even, odd);
    out[2] = v_sub(even, odd);
    even = scaled(d[2], (fv_real)-0.5, d[4]);
    odd = scaled(d[1], -A, v_mul(d[3], v_set(B)));
    out[3] = v_add(even, odd);
    out[4] = v_sub(even, odd);
}

/* One dimension of A^T m, four results; with three, the last is that of F(3, 4). */
FV_INLINE void collect(const vec m[6], int results, vec out[4]) {
    vec sum_a = v_add(m[1], m[2]), sum_b = v_add(m[3], m[4]);
    vec difference_a = v_sub(m[1], m[2]), difference_b = v_sub(m[3], m[4]);
    out[0] = v_add(m[0], v_add(sum_a, sum_b));
    out[1] = scaled(difference_b, B, v_mul(difference_a, v_set(A)));
    out[2] = scaled(sum_b, 2, v_mul(sum_a, v_set((fv_real)0.5)));
    if (results == 3)
        out[2] = v_add(out[2], m[5]);
    else
        out[3] = scaled(difference_b, 2 * B, scaled(difference_a, A / 2, m[5]));
}

/* One dimension of G g for three taps, or with four the gradients' of F(3, 4). */
FV_INLINE void widen(const vec g[4], int taps, vec out[6]) {
    const fv_real share_a = (fv_real)(-2.0 / 3), share_b = (fv_real)(1.0 / 6);
    vec even = v_mul(scaled(g[2], (fv_real)0.5, g[0]), v_set(share_a));
    vec odd = v_mul(taps == 4 ? scaled(g[3], (fv_real)0.5, g[1]) : g[1], v_set(share_a * A));
    out[0] = g[0];
    out[1] = v_add(even, odd);
    out[2] = v_sub(even, odd);
    even = v_mul(scaled(g[2], 2, g[0]), v_set(share_b));
    odd = v_mul(taps == 4 ? scaled(g[3], 2, g[1]) : g[1], v_set(share_b * B));
    out[3] = v_add(even, odd);
    out[4] = v_sub(even, odd);
    out[5] = g[taps - 1];
}

/* Where a tile lies ------------------------------------------------------------------------------------ */

typedef struct place {
    int64_t image;
    int y, x; /* of the first result */
} place;

FV_INLINE place place_of(const fv_winograd_grid *grid, int64_t tile) {
    int64_t row = tile / grid->tiles_x;
    return (place){row / grid->tiles_y, (int)(row % grid->tiles_y) * 4, (int)(tile % grid->tiles_x) * 4};
}

/* The rows or columns i of 0 .. count - 1 for which start + i lies in 0 .. size - 1. */
typedef struct range {
    int begin, end;
} range;

FV_INLINE range inside(int start, int count, int size) {
    range r = {start < 0 ? -start : 0, size - start < count ? size - start : count};
    return r;
}

FV_INLINE int vectors_of(int channels) {
    return (channels + LANES - 1) / LANES;
}

/* Input and gradient: a square of pixels, zeros where there is no picture ------------------------------- */

typedef struct square {
    const fv_real *corner; /* first pixel, which may lie outside */
    int64_t row, pixel;    /* distances */
    range y, x;            /* what lies inside */
} square;

/* A map's coefficients for one vector of channels. */
typedef struct channel_map {
    vec center, scale, offset, low, high;
} channel_map;

FV_INLINE channel_map map_at(const fv_norm_map *map, int c, int count) {
    return (channel_map){v_load_some(map->center + c, count), v_load_some(map->scale + c, count),
                         v_load_some(map->offset + c, count), v_set(map->low), v_set(map->high)};
}

FV_INLINE vec square_load(const square *s, bool whole, int i, int j, int c, int count) {
    if (!whole && (i < s->y.begin || i >= s->y.end || j < s->x.begin || j >= s->x.end)) return v_zero();
    return v_load_some(s->corner + i * s->row + j * s->pixel + c, count);
}

FV_INLINE vec mapped_load(const square *s, bool whole, int i, int j, int c, int count, const channel_map *map) {
    bool outside = i < s->y.begin || i >= s->y.end || j < s->x.begin || j >= s->x.end;
    if (!whole && outside) return v_zero();
    vec d = v_load_some(s->corner + i * s->row + j * s->pixel + c, count);
    return map ? v_clamp(v_fma(v_sub(d, map->center), map->scale, map->offset), map->low, map->high) : d;
}

FV_INLINE void spread_square(const square *s, bool whole, int c, int count, const channel_map *map, fv_real *out,
                             int64_t plane) {
    vec half[6][6];
    for (int j = 0; j < 6; j++) {
        vec d[6], column[6];
        FV_UNROLL
        for (int i = 0; i < 6; i++) d[i] = mapped_load(s, whole, i, j, c, count, map);
        spread(d, column);
        FV_UNROLL
        for (int i = 0; i < 6; i++) half[i][j] = column[i];
    }
    for (int i = 0; i < 6; i++) {
        vec row[6];
        spread(half[i], row);
        FV_UNROLL
        for (int j = 0; j < 6; j++) v_store(out + (i * 6 + j) * plane, row[j]);
    }
}

FV_INLINE void widen_square(const square *s, bool whole, int c, int count, fv_real *out, int64_t plane) {
    vec half[6][4];
    for (int j = 0; j < 4; j++) {
        vec g[4], column[6];
        FV_UNROLL
        for (int i = 0; i < 4; i++) g[i] = square_load(s, whole, i, j, c, count);
        widen(g, 4, column);
        FV_UNROLL
        for (int i = 0; i < 6; i++) half[i][j] = column[i];
    }
    for (int i = 0; i < 6; i++) {
        vec row[6];
        widen(half[i], 4, row);
        FV_UNROLL
        for (int j = 0; j < 6; j++) v_store(out + (i * 6 + j) * plane, row[j]);
    }
}

static void spread_tile(const square *s, int channels, const fv_norm_map *map, fv_real *out, int64_t plane) {
    bool whole = s->y.begin == 0 && s->y.end == 6 && s->x.begin == 0 && s->x.end == 6;
    for (int c = 0; c < channels; c += LANES) {
        int count = channels - c;
        channel_map coefficients;
        if (map) coefficients = map_at(map, c, count);
        if (map && whole)
            spread_square(s, true, c, count, &coefficients, out + c, plane);
        else if (map)
            spread_square(s, false, c, count, &coefficients, out + c, plane);
        else if (whole)
            spread_square(s, true, c, count, NULL, out + c, plane);
        else
            spread_square(s, false, c, count, NULL, out + c, plane);
    }
}

static void input(const fv_winograd_grid *grid, const fv_real *in, int stride, int channels, const fv_norm_map *map,
                  int64_t begin, int64_t end, const fv_winograd_planes *out) {
    for (int64_t t = begin; t < end; t++) {
        place at = place_of(grid, t);
        int y = at.y - grid->top, x = at.x - grid->left;
        square s = {.row = (int64_t)grid->in_w * stride, .pixel = stride};
        s.corner = in + at.image * grid->in_h * s.row + y * s.row + (int64_t)x * stride;
        s.y = inside(y, 6, grid->in_h);
        s.x = inside(x, 6, grid->in_w);
        spread_tile(&s, channels, map, out->data + (t - begin) * out->row_size, out->plane_size);
    }
}

static void gradient(const fv_winograd_grid *grid, const fv_real *d_out, int stride, int filters, int64_t begin,
                     int64_t end, const fv_winograd_planes *out) {
    for (int64_t t = begin; t < end; t++) {
        place at = place_of(grid, t);
        square s = {.row = (int64_t)grid->out_w * stride, .pixel = stride};
        s.corner = d_out + at.image * grid->out_h * s.row + at.y * s.row + (int64_t)at.x * stride;
        s.y = inside(at.y, 4, grid->out_h);
        s.x = inside(at.x, 4, grid->out_w);
        bool whole = s.y.end == 4 && s.x.end == 4;
        fv_real *v = out->data + (t - begin) * out->row_size;
        for (int f = 0; f < filters; f += LANES) {
            if (whole)
                widen_square(&s, true, f, filters - f, v + f, out->plane_size);
            else
                widen_square(&s, false, f, filters - f, v + f, out->plane_size);
        }
    }
}

/* Weights ----------------------------------------------------------------------------------------------- */

#define AHEAD                                                                                                          \
    6 /* channels whose weights are asked for early: their rows lie too far apart for the processor to guess */

FV_INLINE void widen_taps(const fv_winograd_taps *taps, int c, int f, int count, fv_real *out, int64_t plane) {
    vec half[6][4];
    for (int j = 0; j < 3; j++) {
        vec g[4] = {v_zero(), v_zero(), v_zero(), v_zero()}, column[6];
        FV_UNROLL
        for (int i = 0; i < 3; i++) {
            int number = taps->turned ? 8 - i * 3 - j : i * 3 + j;
            const fv_real *from = taps->data + number * taps->tap + c * taps->row + f;
            __builtin_prefetch(from + AHEAD * taps->row);
            g[i] = v_load_some(from, count);
        }
        widen(g, 3, column);
        FV_UNROLL
        for (int i = 0; i < 6; i++) half[i][j] = column[i];
    }
    for (int i = 0; i < 6; i++) {
        vec row[6];
        widen(half[i], 3, row);
        FV_UNROLL
        for (int j = 0; j < 6; j++) v_store(out + (i * 6 + j) * plane, row[j]);
    }
}

static void weight(const fv_winograd_taps *taps, int panel, fv_real *packed) {
    int64_t plane = (int64_t)taps->channels * panel;
    for (int first = 0; first < taps->filters; first += panel, packed += PLANES * plane) {
        for (int c = 0; c < taps->channels; c++) {
            fv_real *out = packed + (int64_t)c * panel;
            for (int j = 0; j < panel; j += LANES) {
                int count = taps->filters - first - j;
                if (count > 0)
                    widen_taps(taps, c, first + j, count, out + j, plane);
                else
                    for (int p = 0; p < PLANES; p++) v_store(out + p * plane + j, v_zero());
            }
        }
    }
}

/* Output ------------------------------------------------------------------------------------------------ */

typedef struct filter_sums {
    vec shift, sum, squares;
} filter_sums;

/* What becomes of a result, for one vector of filters. */
typedef struct ending {
    const fv_gemm_result *result;
    vec scale, offset, low, high;
    int f, count;
} ending;

FV_INLINE ending ending_of(const fv_gemm_result *r, int f, int count) {
    ending e = {.result = r, .f = f, .count = count, .scale = v_set(1), .offset = v_zero()};
    if (r->finish && r->scale) e.scale = v_load_some(r->scale + f, count);
    if (r->finish && r->offset) e.offset = v_load_some(r->offset + f, count);
    if (r->finish) {
        e.low = v_set(r->low);
        e.high = v_set(r->high);
    }
    return e;
}

FV_INLINE vec put(const ending *e, int64_t pixel, vec value) {
    const fv_gemm_result *r = e->result;
    fv_real *c = r->c + pixel * r->ld + e->f;
    if (r->add) value = v_add(value, v_load_some(c, e->count));
    if (r->finish) {
        value = v_fma(value, e->scale, e->offset);
        if (r->residual) value = v_add(value, v_load_some(r->residual + pixel * r->residual_ld + e->f, e->count));
        value = v_clamp(value, e->low, e->high);
    }
    if (r->stream)
        v_stream(c, value);
    else
        v_store_some(c, value, e->count);
    return value;
}

FV_INLINE void add_to(filter_sums *s, vec value, bool first) {
    if (first) s->shift = value;
    vec distance = v_sub(value, s->shift);
    s->sum = v_add(s->sum, distance);
    s->squares = v_fma(distance, distance, s->squares);
}

/* `rows` x `columns` results of a tile from its first pixel on. */
FV_INLINE void collect_tile(const fv_real *m, int64_t plane, int64_t pixel, int64_t width, int rows, int columns,
                            const ending *e, filter_sums *sums, bool first) {
    vec half[4][6];
    for (int j = 0; j < 6; j++) {
        vec column[6], short_column[4];
        FV_UNROLL
        for (int i = 0; i < 6; i++) column[i] = v_load(m + (i * 6 + j) * plane);
        collect(column, 4, short_column);
        FV_UNROLL
        for (int i = 0; i < 4; i++) half[i][j] = short_column[i];
    }
    for (int i = 0; i < rows; i++) {
        vec row[4];
        collect(half[i], 4, row);
        FV_UNROLL
        for (int j = 0; j < 4; j++) {
            if (j >= columns) continue;
            vec value = put(e, pixel + i * width + j, row[j]);
            if (sums) add_to(sums, value, first && i == 0 && j == 0);
        }
    }
}

/* The whole tile with nothing but a store: the way of training. */
FV_INLINE void collect_whole_tile(const fv_real *m, int64_t plane, int64_t pixel, int64_t width, const ending *e,
                                  filter_sums *sums, bool first) {
    if (!e->result->add && !e->result->finish && e->count >= LANES) {
        fv_gemm_result plain = {.c = e->result->c, .ld = e->result->ld, .stream = e->result->stream};
        ending store = {.result = &plain, .f = e->f, .count = LANES};
        collect_tile(m, plane, pixel, width, 4, 4, &store, sums, first);
    } else {
        collect_tile(m, plane, pixel, width, 4, 4, e, sums, first);
    }
}

static void output(const fv_winograd_grid *grid, const fv_winograd_planes *in, int filters, int64_t begin, int64_t end,
                   const fv_gemm_result *result) {
    const fv_result_sums *sums = result->sums;
    for (int64_t t = begin; t < end; t++) {
        place at = place_of(grid, t);
        int64_t pixel = (at.image * grid->out_h + at.y) * grid->out_w + at.x;
        range rows = inside(at.y, 4, grid->out_h), columns = inside(at.x, 4, grid->out_w);
        const fv_real *m = in->data + (t - begin) * in->row_size;
        for (int f = 0; f < filters; f += LANES) {
            ending e = ending_of(result, f, filters - f);
            filter_sums s = {v_zero(), v_zero(), v_zero()};
            if (sums && t > begin)
                s = (filter_sums){v_load(sums->shift + f), v_load(sums->sum + f), v_load(sums->squares + f)};
            if (rows.end == 4 && columns.end == 4)
                collect_whole_tile(m + f, in->plane_size, pixel, grid->out_w, &e, sums ? &s : NULL, t == begin);
            else
                collect_tile(m + f, in->plane_size, pixel, grid->out_w, rows.end, columns.end, &e, sums ? &s : NULL,
                             t == begin);
            if (sums) {
                v_store(sums->shift + f, s.shift);
                v_store(sums->sum + f, s.sum);
                v_store(sums->squares + f, s.squares);
            }
        }
    }
    if (result->stream) v_stream_end();
}

static void weight_gradient(const fv_winograd_planes *in, int channels, int filters, int c_in, int c_out, bool add,
                            fv_real *dw) {
    int64_t plane = in->plane_size, tap = (int64_t)c_in * c_out;
    for (int c = 0; c < channels; c++) {
        for (int f = 0; f < filters; f += LANES) {
            const fv_real *m = in->data + c * in->row_size + f;
            fv_real *out = dw + (int64_t)c * c_out + f;
            vec half[3][6];
            for (int j = 0; j < 6; j++) {
                vec column[6], short_column[4];
                FV_UNROLL
                for (int i = 0; i < 6; i++) column[i] = v_load(m + (i * 6 + j) * plane);
                collect(column, 3, short_column);
                FV_UNROLL
                for (int i = 0; i < 3; i++) half[i][j] = short_column[i];
            }
            for (int i = 0; i < 3; i++) {
                vec row[4];
                collect(half[i], 3, row);
                for (int j = 0; j < 3; j++) {
                    fv_real *d = out + (i * 3 + j) * tap;
                    vec value = add ? v_add(row[j], v_load_some(d, filters - f)) : row[j];
                    v_store_some(d, value, filters - f);
                }
            }
        }
    }
}

const fv_winograd_transforms FAMILY = {LEVEL, input, weight, output, gradient, weight_gradient};
