/* The variants of kernel/pool.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fovea/kernel/pool.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MOST (16 * 300) /* windows times channels */

/* A row of windows: `windows` times two pixels in each of two rows, and what the formula makes of them. */
typedef struct pool_case {
    size_t windows, channels, stride;
    check_array picture; /* both rows */
    check_array y;
    uint8_t tap[MOST];
} pool_case;

static size_t pixel_of(const pool_case *t, size_t window, int tap) {
    return ((size_t)(tap / 2) * 2 * t->windows + 2 * window + (size_t)(tap % 2)) * t->stride;
}

static void find_largest(pool_case *t) {
    for (size_t j = 0; j < t->windows; j++)
        for (size_t c = 0; c < t->channels; c++) {
            size_t at = j * t->channels + c;
            t->tap[at] = 0;
            for (int k = 1; k < 4; k++) {
                float x = t->picture.data[pixel_of(t, j, k) + c];
                float best = t->picture.data[pixel_of(t, j, t->tap[at]) + c];
                if (x > best || isnan(x)) t->tap[at] = (uint8_t)k;
            }
            t->y.data[at] = t->picture.data[pixel_of(t, j, t->tap[at]) + c];
        }
}

static void compare_forward(const pool_case *t) {
    for (size_t v = 0; fv_pool_variants[v]; v++) {
        if (!check_variant(fv_pool_variants[v]->level)) continue;
        check_array y = check_unset(t->y.count);
        uint8_t tap[MOST + 1] = {0};
        tap[t->y.count] = 77;
        fv_pool_row row = {t->windows, t->channels, t->stride, tap};
        fv_pool_variants[v]->forward(&row, t->picture.data, t->picture.data + pixel_of(t, 0, 2), y.data);
        expect_same("largest", &y, &t->y, 0);
        assert_memory_equal(tap, t->tap, t->y.count);
        assert_int_equal(tap[t->y.count], 77);
        check_free(&y);
    }
}

static void compare_gradient(const pool_case *t, bool add) {
    check_array d_y = check_random(t->y.count, -1, 1, 2);
    check_array expected = add ? check_filled(t->picture.count, 0.5f) : check_unset(t->picture.count);
    for (size_t e = 0; e < 4 * t->y.count; e++) {
        size_t at = e / 4;
        int tap = (int)(e % 4);
        float *d_x = &expected.data[pixel_of(t, at / t->channels, tap) + at % t->channels];
        *d_x = (add ? *d_x : 0) + (t->tap[at] == tap ? d_y.data[at] : 0);
    }
    for (size_t v = 0; fv_pool_variants[v]; v++) {
        if (!check_variant(fv_pool_variants[v]->level)) continue;
        check_array d_x = add ? check_filled(t->picture.count, 0.5f) : check_unset(t->picture.count);
        uint8_t tap[MOST];
        memcpy(tap, t->tap, sizeof tap);
        fv_pool_row row = {t->windows, t->channels, t->stride, tap};
        fv_pool_variants[v]->gradient(&row, d_y.data, d_x.data, d_x.data + pixel_of(t, 0, 2), add);
        expect_same("gradient", &d_x, &expected, 0);
        check_free(&d_x);
    }
    check_free(&d_y);
    check_free(&expected);
}

static void pooling(void **state) {
    (void)state;
    static const size_t channels[] = {1, 2, 3, 7, 8, 15, 16, 17, 24, 33, 64, 65, 300}, windows[] = {1, 2, 5, 16};
    for (size_t i = 0; i < COUNT(channels) * COUNT(windows) * 2; i++) {
        pool_case t = {.channels = channels[i / 2 % COUNT(channels)], .windows = windows[i / 2 / COUNT(channels)]};
        t.stride = t.channels + (i % 2 ? 5 : 0);
        check_case("%zu windows, %zu channels, stride %zu", t.windows, t.channels, t.stride);
        t.picture = check_random(4 * t.windows * t.stride, -1, 1, 1);
        t.y = check_unset(t.windows * t.channels);
        t.picture.data[t.stride + t.channels - 1] = (float)NAN; /* tap 1 of the first window */
        t.picture.data[0] = t.picture.data[pixel_of(&t, 0, 2)]; /* a tie in channel 0 */
        find_largest(&t);
        compare_forward(&t);
        compare_gradient(&t, false);
        compare_gradient(&t, true);
        check_free(&t.picture);
        check_free(&t.y);
    }
}

/* Bench ------------------------------------------------------------------------------------------------ */

typedef struct bench_job {
    const fv_pool_kernels *kernel;
    fv_pool_row row;
    size_t rows;
    float *x, *y;
} bench_job;

static void run_forward(void *context) {
    const bench_job *b = context;
    size_t results = b->row.windows * b->row.channels, pixels = 4 * b->row.windows * b->row.stride;
    for (size_t r = 0; r < b->rows; r++) {
        fv_pool_row row = b->row;
        row.tap += r * results;
        b->kernel->forward(&row, b->x + r * pixels, b->x + r * pixels + pixels / 2, b->y + r * results);
    }
}

static void run_gradient(void *context) {
    const bench_job *b = context;
    size_t results = b->row.windows * b->row.channels, pixels = 4 * b->row.windows * b->row.stride;
    for (size_t r = 0; r < b->rows; r++) {
        fv_pool_row row = b->row;
        row.tap += r * results;
        b->kernel->gradient(&row, b->y + r * results, b->x + r * pixels, b->x + r * pixels + pixels / 2, false);
    }
}

static void bench(void) {
    static const size_t sizes[][2] = {{256, 32}, {64, 128}, {32, 32}};
    for (size_t i = 0; i < COUNT(sizes) * 2; i++) {
        size_t half = sizes[i / 2][0] / 2, channels = sizes[i / 2][1], results = half * half * channels;
        char label[80];
        snprintf(label, sizeof label, "pool %s %zux%zux%zu", i % 2 ? "gradient" : "forward", 2 * half, 2 * half,
                 channels);
        if (!bench_wanted(label)) continue;
        check_array x = bench_random(4 * results, -1, 1, 1), y = bench_random(results, -1, 1, 2);
        check_array tap = check_filled(results / 4, 0);
        for (size_t v = 0; fv_pool_variants[v]; v++) {
            if (!check_variant(fv_pool_variants[v]->level)) continue;
            bench_job job = {
                fv_pool_variants[v], {half, channels, channels, (uint8_t *)tap.data}, half, x.data, y.data};
            bench_case c = {label, fv_pool_variants[v]->level, results, i % 2 ? 1 : 4, 0, i % 2 ? 4 : 1, 0};
            bench_run(&c, i % 2 ? run_gradient : run_forward, &job);
        }
        check_free(&x);
        check_free(&y);
        check_free(&tap);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pooling)};
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
