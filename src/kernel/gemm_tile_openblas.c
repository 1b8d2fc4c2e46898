/* OpenBLAS as one of the families: for processors that have no vectors of ours, and for the float64 build. */
#include <cblas.h>
#include <pthread.h>

#include "fovea/kernel/gemm_tile.h"

#define PANEL 32

static void silence_openblas(void) {
    openblas_set_num_threads(1);
}

/* C{m,n} (+)= A{m,k} B{k,n}; A transposed in memory where its step is not 1. */
static void multiply_columns(int m, int n, int k, const fv_gemm_left *a, const fv_real *b, int ldb, bool add,
                             const fv_gemm_result *r) {
    CBLAS_TRANSPOSE transpose = a->step == 1 ? CblasNoTrans : CblasTrans;
    int lda = (int)(a->step == 1 ? a->row : a->step), least = a->step == 1 ? k : m;
    if (lda < least) lda = least; /* of a single row */
#ifdef FV_DOUBLE
    cblas_dgemm(CblasRowMajor, transpose, CblasNoTrans, m, n, k, 1, a->data, lda, b, ldb, add ? 1 : 0, r->c,
                (int)r->ld);
#else
    cblas_sgemm(CblasRowMajor, transpose, CblasNoTrans, m, n, k, 1, a->data, lda, b, ldb, add ? 1 : 0, r->c,
                (int)r->ld);
#endif
}

static fv_real finish(fv_real value, const fv_gemm_result *r, int64_t i, int j) {
    if (r->scale) value *= r->scale[j];
    if (r->offset) value += r->offset[j];
    if (r->residual) value += r->residual[i * r->residual_ld + j];
    value = value < r->low ? r->low : value; /* in this order a NaN passes */
    return value > r->high ? r->high : value;
}

/* With something to finish, through a small block on the stack: the residual may be c. */
#define BLOCK_ROWS 64

static void multiply_and_finish(int64_t m, int n, int k, const fv_gemm_left *a, const fv_real *b, int ldb,
                                const fv_gemm_result *r) {
    fv_real block[BLOCK_ROWS * PANEL];
    fv_gemm_result product = {.c = block, .ld = PANEL};
    for (int64_t i = 0; i < m; i += BLOCK_ROWS) {
        int rows = (int)(m - i < BLOCK_ROWS ? m - i : BLOCK_ROWS);
        fv_gemm_left part = {a->data + i * a->row, a->row, a->step, false};
        multiply_columns(rows, n, k, &part, b, ldb, false, &product);
        for (int y = 0; y < rows; y++) {
            fv_real *c = r->c + (i + y) * r->ld;
            for (int x = 0; x < n; x++) c[x] = finish(block[y * PANEL + x] + (r->add ? c[x] : 0), r, i + y, x);
        }
    }
}

static void sum_columns(int64_t m, int n, const fv_gemm_result *r) {
    for (int j = 0; j < n; j++) {
        fv_real shift = r->c[j], sum = 0, squares = 0;
        for (int64_t i = 0; i < m; i++) {
            fv_real distance = r->c[i * r->ld + j] - shift;
            sum += distance;
            squares += distance * distance;
        }
        r->sums->shift[j] = shift;
        r->sums->sum[j] = sum;
        r->sums->squares[j] = squares;
    }
}

static void multiply(int64_t m, int n, int64_t k, const fv_gemm_left *a, const fv_gemm_right *b,
                     const fv_gemm_result *result) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, silence_openblas);
    bool as_it_is = b->next == PANEL && b->row >= n; /* such a B needs no cutting */
    int columns = as_it_is && !result->finish ? n : PANEL;
    for (int j = 0; j < n; j += columns) {
        int count = n - j < columns ? n - j : columns;
        fv_gemm_result part = fv_gemm_result_at(result, 0, j);
        const fv_real *panel = b->data + j / PANEL * b->next;
        if (result->finish) {
            multiply_and_finish(m, count, (int)k, a, panel, (int)b->row, &part);
        } else {
            multiply_columns((int)m, count, (int)k, a, panel, (int)b->row, part.add, &part);
        }
    }
    if (result->sums) sum_columns(m, n, result);
}

const fv_gemm_tiles fv_gemm_tiles_openblas = {FV_CPU_SCALAR, "matrix product, OpenBLAS", 1, PANEL, multiply};
