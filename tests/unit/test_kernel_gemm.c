/* The variants of kernel/gemm_tile.h: plain products over awkward sizes, and what becomes of them on the way out. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fovea/kernel/gemm.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define GAP 3 /* elements between the rows of matrices that have gaps */

typedef struct product_case {
    int m, n, k;
    bool transposed, packed, gaps; /* A column by column; B in panels; rows apart */
    bool add, scale, offset, residual, own_residual, clamp, sums;
} product_case;

static void describe(const product_case *t) {
    check_case("m %d, n %d, k %d, A transposed %d, B packed %d, gaps %d, add %d, scale %d, offset %d, residual %d (c "
               "itself %d), clamp %d, sums %d",
               t->m, t->n, t->k, t->transposed, t->packed, t->gaps, t->add, t->scale, t->offset, t->residual,
               t->own_residual, t->clamp, t->sums);
}

typedef struct product_data {
    check_array a, b, c, scale, offset, residual; /* c: what it holds before */
    int64_t lda, ldb, ldc;
} product_data;

static product_data data_of(const product_case *t) {
    int gap = t->gaps ? GAP : 0;
    product_data d = {.lda = (t->transposed ? t->m : t->k) + gap, .ldb = t->n + gap, .ldc = t->n + gap};
    d.a = check_random((size_t)((t->transposed ? t->k : t->m) * d.lda), -1, 1, 1);
    d.b = check_random((size_t)(t->k * d.ldb), -1, 1, 2);
    d.c = check_random((size_t)(t->m * d.ldc), -1, 1, 3);
    d.scale = check_random((size_t)t->n, 0.5, 1.5, 4);
    d.offset = check_random((size_t)t->n, -1, 1, 5);
    d.residual = check_random((size_t)(t->m * d.ldc), -1, 1, 6);
    return d;
}

static void free_data(product_data *d) {
    check_array *arrays[] = {&d->a, &d->b, &d->c, &d->scale, &d->offset, &d->residual};
    for (size_t i = 0; i < COUNT(arrays); i++) check_free(arrays[i]);
}

/* The formula of the header, element by element. */
static double expected_element(const product_case *t, const product_data *d, int i, int j) {
    double value = 0;
    for (int p = 0; p < t->k; p++)
        value += (double)d->a.data[t->transposed ? p * d->lda + i : i * d->lda + p] * (double)d->b.data[p * d->ldb + j];
    if (t->add) value += (double)d->c.data[i * d->ldc + j];
    if (t->scale) value *= (double)d->scale.data[j];
    if (t->offset) value += (double)d->offset.data[j];
    if (t->own_residual)
        value += (double)d->c.data[i * d->ldc + j];
    else if (t->residual)
        value += (double)d->residual.data[i * d->ldc + j];
    return t->clamp ? fmin(fmax(value, 0), 6) : value;
}

static void expect_sums(const product_case *t, const product_data *d, const check_array *expected,
                        const check_array *sums) {
    for (int j = 0; j < t->n; j++) {
        double shift = (double)sums->data[j], sum = 0, squares = 0;
        for (int i = 0; i < t->m; i++) {
            double distance = (double)expected->data[i * d->ldc + j] - shift;
            sum += distance;
            squares += distance * distance;
        }
        expect_near("shift", shift, (double)expected->data[j], 1e-5 * (1 + fabs(shift)));
        expect_near("sum", (double)sums->data[t->n + j], sum, 1e-4 * (1 + squares));
        expect_near("squares", (double)sums->data[2 * t->n + j], squares, 1e-4 * (1 + squares));
    }
}

static void run_variant(const fv_gemm_tiles *tiles, const product_case *t, product_data *d, check_array *c,
                        check_array *sums) {
    check_array packed = check_unset(fv_gemm_packed_count(t->n, t->k) + 1);
    fv_gemm_left a =
        t->transposed ? (fv_gemm_left){d->a.data, 1, d->lda, false} : (fv_gemm_left){d->a.data, d->lda, 1, false};
    fv_gemm_right b = {d->b.data, d->ldb, tiles->panel};
    if (t->packed) {
        int64_t next = (int64_t)t->k * tiles->panel;
        fv_gemm_pack pack = {d->b.data, d->ldb, false, t->k, tiles->panel, next, packed.data};
        fv_gemm_pack_columns(&pack, 0, t->n);
        b = (fv_gemm_right){packed.data, tiles->panel, next};
    }
    fv_result_sums places = {sums->data, sums->data + t->n, sums->data + 2 * t->n};
    fv_gemm_result result = {.c = c->data,
                             .ld = d->ldc,
                             .add = t->add,
                             .finish = t->scale || t->offset || t->residual || t->own_residual || t->clamp,
                             .sums = t->sums ? &places : NULL,
                             .scale = t->scale ? d->scale.data : NULL,
                             .offset = t->offset ? d->offset.data : NULL,
                             .residual = t->own_residual ? c->data
                                         : t->residual   ? d->residual.data
                                                         : NULL,
                             .residual_ld = d->ldc,
                             .low = t->clamp ? 0 : -INFINITY,
                             .high = t->clamp ? 6 : INFINITY};
    tiles->multiply(t->m, t->n, t->k, &a, &b, &result);
    check_free(&packed);
}

static void check_product(const product_case *t) {
    describe(t);
    product_data d = data_of(t);
    check_array expected = check_copy(&d.c);
    for (int i = 0; i < t->m; i++)
        for (int j = 0; j < t->n; j++) expected.data[i * d.ldc + j] = (float)expected_element(t, &d, i, j);
    for (size_t v = 0; fv_gemm_tiles_variants[v]; v++) {
        if (!check_variant(fv_gemm_tiles_variants[v]->level)) continue;
        check_array c = check_copy(&d.c), sums = check_unset(3 * (size_t)t->n);
        if (!t->add && !t->own_residual) /* what c held before must not matter */
            for (int i = 0; i < t->m; i++)
                for (int j = 0; j < t->n; j++) c.data[i * d.ldc + j] = NAN;
        run_variant(fv_gemm_tiles_variants[v], t, &d, &c, &sums);
        expect_same("c", &c, &expected, 2e-7 * (16 + t->k));
        if (t->sums) expect_sums(t, &d, &expected, &sums);
        check_free(&c);
        check_free(&sums);
    }
    check_free(&expected);
    free_data(&d);
}

static void products_of_awkward_sizes(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 3, 5, 7, 8, 13, 14, 15, 16, 17, 24, 29, 31, 33, 48, 65};
    for (unsigned i = 0; i < COUNT(sizes) * COUNT(sizes) * COUNT(sizes); i++) {
        product_case t = {.m = sizes[i % COUNT(sizes)],
                          .n = sizes[i / COUNT(sizes) % COUNT(sizes)],
                          .k = sizes[i / COUNT(sizes) / COUNT(sizes)]};
        t.transposed = i & 1; /* 17 has no common factor with 16: all sizes meet all of these */
        t.packed = i & 2;
        t.gaps = i & 4;
        t.add = i & 8;
        check_product(&t);
    }
}

static void ends_of_products(void **state) {
    (void)state;
    static const int sizes[][3] = {{1, 1, 4}, {29, 33, 7}, {14, 32, 5}, {70, 17, 3}, {130, 70, 20}};
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (int i = 0; i < 128; i++) {
            product_case t = {
                .m = sizes[s][0], .n = sizes[s][1], .k = sizes[s][2], .gaps = i / 3 & 1, .packed = i / 5 & 1};
            t.scale = i & 1;
            t.offset = i & 2;
            t.residual = i & 4;
            t.clamp = i & 8;
            t.sums = i & 16;
            t.add = i & 32;
            t.own_residual = i & 64;
            check_product(&t);
        }
}

static void empty_sums(void **state) {
    (void)state;
    check_product(&(product_case){.m = 3, .n = 5, .k = 0});
    check_product(&(product_case){.m = 17, .n = 33, .k = 0, .add = true, .offset = true});
}

/* Written past the caches, results are the same bits. */
static void streams_of_results(void **state) {
    (void)state;
    enum { M = 61, N = 96, K = 20 };
    check_array a = bench_random(M * K, -1, 1, 1), b = bench_random(K * N, -1, 1, 2);
    for (size_t v = 0; fv_gemm_tiles_variants[v]; v++) {
        const fv_gemm_tiles *tiles = fv_gemm_tiles_variants[v];
        check_case("%d x %d x %d, streamed", M, N, K);
        if (!check_variant(tiles->level)) continue;
        check_array c = bench_random(M * N, 0, 1, 3), streamed = bench_random(M * N, 0, 1, 4);
        fv_gemm_left left = {a.data, K, 1, false};
        fv_gemm_right right = {b.data, N, tiles->panel};
        tiles->multiply(M, N, K, &left, &right, &(fv_gemm_result){.c = c.data, .ld = N});
        tiles->multiply(M, N, K, &left, &right, &(fv_gemm_result){.c = streamed.data, .ld = N, .stream = true});
        expect_bits("c", &streamed, &c);
        check_free(&c);
        check_free(&streamed);
    }
    check_free(&a);
    check_free(&b);
}

/* Bench ------------------------------------------------------------------------------------------------- */

typedef struct bench_job {
    const fv_gemm_tiles *tiles;
    int m, n, k;
    fv_gemm_left a;
    fv_gemm_right b;
    fv_gemm_result result;
} bench_job;

static void run_bench(void *context) {
    const bench_job *job = context;
    job->tiles->multiply(job->m, job->n, job->k, &job->a, &job->b, &job->result);
}

/* Tiles as the networks have them: they stay in a level-2 cache. */
static void bench(void) {
    static const int shapes[][3] = {{84, 32, 32},   {84, 64, 64},   {56, 128, 128}, {56, 64, 256}, {112, 96, 16},
                                    {112, 24, 144}, {112, 192, 32}, {112, 576, 96}, {112, 64, 576}};
    for (size_t i = 0; i < COUNT(shapes); i++) {
        int m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
        for (int transposed = 0; transposed < 2; transposed++) {
            char label[80];
            snprintf(label, sizeof label, "product %dx%dx%d%s", m, n, k, transposed ? ", A transposed" : "");
            if (!bench_wanted(label)) continue;
            check_array a = bench_random((size_t)(m * k), -1, 1, 1), b = bench_random((size_t)(n * k), -1, 1, 2);
            check_array c = bench_random((size_t)(m * n), -1, 1, 3);
            for (size_t v = 0; fv_gemm_tiles_variants[v]; v++) {
                if (!check_variant(fv_gemm_tiles_variants[v]->level)) continue;
                bench_job job = {.tiles = fv_gemm_tiles_variants[v], .m = m, .n = n, .k = k};
                job.a = transposed ? (fv_gemm_left){a.data, 1, m, false} : (fv_gemm_left){a.data, k, 1, false};
                job.b = (fv_gemm_right){b.data, n, job.tiles->panel};
                job.result = (fv_gemm_result){.c = c.data, .ld = n};
                bench_case measured = {label, job.tiles->level, (size_t)(m * n), 0, 0, 1, 2.0 * m * n * k};
                bench_run(&measured, run_bench, &job);
            }
            check_free(&a);
            check_free(&b);
            check_free(&c);
        }
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_awkward_sizes),
        cmocka_unit_test(ends_of_products),
        cmocka_unit_test(empty_sums),
        cmocka_unit_test(streams_of_results),
    };
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
