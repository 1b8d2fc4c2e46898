/* kernel/gemm_tile.h for one instruction set. The includer defines FAMILY, LEVEL, NAME and ROWS, the most rows of a
   tile: ROWS x 2 sums, 2 vectors of B and one element of A have to fit into the registers. */
#include "fovea/kernel/gemm_tile.h"
#include "simd.h"

#define PANEL (2 * LANES)

typedef struct tile_sums {
    vec v[ROWS][2];
} tile_sums;

/* Pointers to every fifth row keep the addresses of all rows within what one instruction can express. */
FV_INLINE void tile_multiply(int rows, int vectors, int last, int64_t k, const fv_gemm_left *left, const fv_real *b,
                             int64_t b_row, tile_sums *sums) {
    const fv_real *a0 = left->data, *a5 = a0 + 5 * left->row, *a10 = a0 + 10 * left->row;
    FV_UNROLL
    for (int i = 0; i < rows; i++) FV_UNROLL
    for (int j = 0; j < vectors; j++) sums->v[i][j] = v_zero();
    for (int64_t p = 0; p < k; p++) {
        vec column[2];
        FV_UNROLL
        for (int j = 0; j < vectors; j++)
            column[j] = j == vectors - 1 && last ? v_load_part(b + j * LANES, last) : v_load(b + j * LANES);
        FV_UNROLL
        for (int i = 0; i < rows; i++) {
            vec a = v_set(i < 5 ? a0[i * left->row] : i < 10 ? a5[(i - 5) * left->row] : a10[(i - 10) * left->row]);
            FV_UNROLL
            for (int j = 0; j < vectors; j++) sums->v[i][j] = v_fma(a, column[j], sums->v[i][j]);
        }
        a0 += left->step;
        a5 += left->step;
        a10 += left->step;
        b += b_row;
    }
}

FV_INLINE vec finish(vec value, const fv_gemm_result *r, int64_t i, int j, int count) {
    if (r->scale) value = v_mul(value, v_load_some(r->scale + j, count));
    if (r->offset) value = v_add(value, v_load_some(r->offset + j, count));
    if (r->residual) value = v_add(value, v_load_some(r->residual + i * r->residual_ld + j, count));
    return v_clamp(value, v_set(r->low), v_set(r->high));
}

/* Adds a column's values to its sums; those of the first tile begin them. */
FV_INLINE void add_to_sums(int rows, int vector, const tile_sums *tile, const fv_result_sums *sums, bool first,
                           int count) {
    int j = vector * LANES;
    vec shift = first ? tile->v[0][vector] : v_load_some(sums->shift + j, count), sum = v_zero(), squares = v_zero();
    FV_UNROLL
    for (int i = 0; i < rows; i++) {
        vec distance = v_sub(tile->v[i][vector], shift);
        sum = v_add(sum, distance);
        squares = v_fma(distance, distance, squares);
    }
    if (first) {
        v_store_some(sums->shift + j, shift, count);
    } else {
        sum = v_add(sum, v_load_some(sums->sum + j, count));
        squares = v_add(squares, v_load_some(sums->squares + j, count));
    }
    v_store_some(sums->sum + j, sum, count);
    v_store_some(sums->squares + j, squares, count);
}

FV_INLINE void tile_write(int rows, int vectors, int last, tile_sums *tile, const fv_gemm_result *r, bool first) {
    FV_UNROLL
    for (int j = 0; j < vectors; j++) {
        int count = j == vectors - 1 && last ? last : LANES;
        FV_UNROLL
        for (int i = 0; i < rows; i++) {
            fv_real *c = r->c + i * r->ld + j * LANES;
            vec value = tile->v[i][j];
            if (r->add) value = v_add(value, v_load_some(c, count));
            if (r->finish) value = finish(value, r, i, j * LANES, count);
            if (r->stream && count == LANES)
                v_stream(c, value);
            else
                v_store_some(c, value, count);
            tile->v[i][j] = value;
        }
        if (r->sums) add_to_sums(rows, j, tile, r->sums, first, count);
    }
}

FV_INLINE void tile(int rows, int vectors, int last, int64_t k, const fv_gemm_left *a, const fv_real *b, int64_t b_row,
                    const fv_gemm_result *r, bool first) {
    tile_sums sums;
    if (a->step == 1) { /* known strides make shorter addresses */
        fv_gemm_left rowwise = {a->data, a->row, 1, false};
        tile_multiply(rows, vectors, last, k, &rowwise, b, b_row, &sums);
    } else {
        fv_gemm_left stepwise = {a->data, 1, a->step, false};
        tile_multiply(rows, vectors, last, k, &stepwise, b, b_row, &sums);
    }
    tile_write(rows, vectors, last, &sums, r, first);
}

/* One tile of up to ROWS rows and one panel; `last` columns in its last vector, 0 for all of them. */
#define TILE_OF(number)                                                                                                \
    case number:                                                                                                       \
        if (number <= ROWS) tile(number <= ROWS ? number : ROWS, vectors, last, k, a, b, b_row, r, first);             \
        break;

FV_INLINE void tile_of_rows(int rows, int vectors, int last, int64_t k, const fv_gemm_left *a, const fv_real *b,
                            int64_t b_row, const fv_gemm_result *r, bool first) {
    switch (rows) {
        TILE_OF(1)
        TILE_OF(2)
        TILE_OF(4)
        TILE_OF(6)
        TILE_OF(8)
        TILE_OF(10)
        TILE_OF(12)
        TILE_OF(14)
    }
}

/* `first`: of its columns, so that it begins their sums. */
typedef void tile_function(int rows, int last, int64_t k, const fv_gemm_left *a, const fv_real *b, int64_t b_row,
                           const fv_gemm_result *r, bool first);

static void wide_tile(int rows, int last, int64_t k, const fv_gemm_left *a, const fv_real *b, int64_t b_row,
                      const fv_gemm_result *r, bool first) {
    (void)last;
    tile_of_rows(rows, 2, 0, k, a, b, b_row, r, first);
}

static void narrow_tile(int rows, int last, int64_t k, const fv_gemm_left *a, const fv_real *b, int64_t b_row,
                        const fv_gemm_result *r, bool first) {
    (void)last;
    tile_of_rows(rows, 1, 0, k, a, b, b_row, r, first);
}

static void wide_part_tile(int rows, int last, int64_t k, const fv_gemm_left *a, const fv_real *b, int64_t b_row,
                           const fv_gemm_result *r, bool first) {
    tile_of_rows(rows, 2, last, k, a, b, b_row, r, first);
}

static void narrow_part_tile(int rows, int last, int64_t k, const fv_gemm_left *a, const fv_real *b, int64_t b_row,
                             const fv_gemm_result *r, bool first) {
    tile_of_rows(rows, 1, last, k, a, b, b_row, r, first);
}

/* The next tile's rows when `left` remain: even ones of nearly equal size, and 1. */
static int next_rows(int64_t left) {
    if (left == 1) return 1;
    int64_t tiles = (left + ROWS - 1) / ROWS, rows = (left + tiles - 1) / tiles;
    rows += rows & 1;
    return (int)(rows <= left ? rows : rows - 2);
}

/* Asks for the rows of A of the next tile while this one is multiplied. */
static void prefetch_rows(const fv_gemm_left *a, int64_t row, int rows, int64_t k) {
    for (int64_t i = row; i < row + rows; i++)
        for (int64_t p = 0; p < k; p += 64 / (int64_t)sizeof(fv_real))
            __builtin_prefetch(a->data + i * a->row + p, 0, 2);
}

/* With the first panel A comes from memory, afterwards from a cache. */
static void multiply_panel(int64_t m, int n, int64_t k, const fv_gemm_left *a, const fv_real *b, int64_t b_row,
                           const fv_gemm_result *result, bool first_panel) {
    static tile_function *const functions[2][2] = {{narrow_tile, narrow_part_tile}, {wide_tile, wide_part_tile}};
    int last = n % LANES;
    tile_function *run = functions[n > LANES][last != 0];
    fv_gemm_left rows_of_a = *a;
    for (int64_t i = 0; i < m;) {
        int rows = next_rows(m - i);
        rows_of_a.data = a->data + i * a->row;
        if (a->far && first_panel) prefetch_rows(a, i + rows, i + 2 * rows <= m ? rows : 0, k);
        fv_gemm_result part = fv_gemm_result_at(result, i, 0);
        run(rows, last, k, &rows_of_a, b, b_row, &part, i == 0);
        i += rows;
    }
}

static void multiply(int64_t m, int n, int64_t k, const fv_gemm_left *a, const fv_gemm_right *b,
                     const fv_gemm_result *result) {
    for (int j = 0; j < n; j += PANEL) {
        fv_gemm_result part = fv_gemm_result_at(result, 0, j);
        fv_result_sums sums;
        if (result->sums) {
            sums = (fv_result_sums){result->sums->shift + j, result->sums->sum + j, result->sums->squares + j};
            part.sums = &sums;
        }
        multiply_panel(m, n - j < PANEL ? n - j : PANEL, k, a, b->data + j / PANEL * b->next, b->row, &part, j == 0);
    }
    if (result->stream) v_stream_end();
}

const fv_gemm_tiles FAMILY = {LEVEL, NAME, ROWS, PANEL, multiply};
