/* The variants of kernel/skeleton.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/skeleton.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Pixels, channels: rows shorter and longer than a tile of 256, and such that end just beside one. */
static const size_t shapes[][2] = {{1, 1},   {1, 3},   {2, 1},   {3, 2},   {7, 1},   {16, 1},  {33, 3},
                                   {255, 1}, {256, 1}, {257, 1}, {129, 2}, {100, 3}, {513, 1}, {2, 300}};

/* What one neighbour of pixel x in the middle row is: row dy, pixel x + dx; -1 where there is none. */
static ptrdiff_t place_of(const fv_skeleton_rows *rows, size_t i, int dy, int dx) {
    size_t pixels = rows->count / rows->channels, x = i / rows->channels;
    if (!rows->row[1 + dy] || (dx < 0 && x == 0) || (dx > 0 && x + 1 == pixels)) return -1;
    return (ptrdiff_t)i + dx * (ptrdiff_t)rows->channels;
}

/* The order of kernel/skeleton.h: only a better one wins. */
static int origin_of(const fv_skeleton_rows *rows, size_t i, bool dilate, float *best) {
    int origin = 4;
    *best = rows->row[1][i];
    static const int order[] = {3, 5, 1, 0, 2, 7, 6, 8};
    for (int j = 0; j < 8; j++) {
        int k = order[j], dy = k / 3 - 1, dx = k % 3 - 1;
        ptrdiff_t at = place_of(rows, i, dy, dx);
        if (at < 0 || (!dilate && dy && dx)) continue;
        float value = rows->row[1 + dy][at];
        if (dilate ? value <= *best : value >= *best) continue;
        *best = value;
        origin = k;
    }
    return origin;
}

static void compare_extreme(const fv_skeleton_rows *rows, bool dilate) {
    check_array expected = check_unset(rows->count);
    uint8_t *origins = malloc(rows->count), *found = malloc(rows->count);
    assert_non_null(origins);
    assert_non_null(found);
    for (size_t i = 0; i < rows->count; i++) origins[i] = (uint8_t)origin_of(rows, i, dilate, &expected.data[i]);
    for (const fv_skeleton_kernels *const *v = fv_skeleton_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array out = check_unset(rows->count), alone = check_unset(rows->count);
        (*v)->extreme(rows, dilate, out.data, found);
        (*v)->extreme(rows, dilate, alone.data, NULL);
        expect_bits("out", &out, &expected);
        expect_bits("out without origins", &alone, &expected);
        assert_memory_equal(found, origins, rows->count);
        check_free(&out);
        check_free(&alone);
    }
    free(origins);
    free(found);
    check_free(&expected);
}

static void compare_gather(const fv_skeleton_rows *rows, bool dilate) {
    check_array before = check_random(rows->count, -1, 1, 9), expected = check_copy(&before);
    for (size_t i = 0; i < rows->count; i++) {
        static const int order[] = {1, 0, 2, 4, 3, 5, 7, 6, 8}; /* of the sum */
        for (int j = 0; j < 9; j++) {
            int k = order[j], dy = k / 3 - 1, dx = k % 3 - 1;
            ptrdiff_t at = place_of(rows, i, dy, dx);
            if (at >= 0 && (dilate || !dy || !dx) && rows->origin[1 + dy][at] == 8 - k)
                expected.data[i] += rows->row[1 + dy][at];
        }
    }
    for (const fv_skeleton_kernels *const *v = fv_skeleton_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array out = check_copy(&before);
        (*v)->gather(rows, dilate, out.data);
        expect_bits("gathered", &out, &expected);
        check_free(&out);
    }
    check_free(&before);
    check_free(&expected);
}

/* Values on a coarse scale, so that many are equal; `missing` rows: bit 0 the one above, bit 1 the one below. */
static void compare_rows(size_t pixels, size_t channels, int missing, bool dilate) {
    check_case("%zu pixels of %zu channels, rows missing %d, dilate %d", pixels, channels, missing, dilate);
    size_t count = pixels * channels;
    check_array values = check_random(3 * count, 0, 8, 1), draws = check_random(3 * count, 0, 9, 2);
    uint8_t *origins = malloc(3 * count);
    assert_non_null(origins);
    for (size_t i = 0; i < 3 * count; i++) values.data[i] = floorf(values.data[i]) / 8;
    for (size_t i = 0; i < 3 * count; i++) origins[i] = (uint8_t)draws.data[i];
    fv_skeleton_rows rows = {.count = count, .channels = channels};
    for (size_t r = 0; r < 3; r++) {
        if ((r == 0 && missing & 1) || (r == 2 && missing & 2)) continue;
        rows.row[r] = values.data + r * count;
        rows.origin[r] = origins + r * count;
    }
    compare_extreme(&rows, dilate);
    compare_gather(&rows, dilate);
    free(origins);
    check_free(&values);
    check_free(&draws);
}

static void rows_follow_the_formula(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (int k = 0; k < 8; k++) compare_rows(shapes[i][0], shapes[i][1], k / 2, k % 2);
}

/* Bench ------------------------------------------------------------------------------------------------ */

enum { ITERATIONS = 3 };

typedef struct bench_job {
    fv_shape shape;
    const float *image;
    float *skeleton, *work;
    fv_skeleton_trace trace;
} bench_job;

static void run_forward(void *context) {
    bench_job *b = context;
    fv_skeleton_run(b->shape, ITERATIONS, b->image, b->skeleton, &b->trace, b->work);
}

static void run_gradient(void *context) {
    bench_job *b = context;
    fv_skeleton_gradient(b->shape, ITERATIONS, &b->trace, b->image, b->skeleton, b->work);
}

static void bench_function(const char *name, void (*run)(void *context), bench_job *job) {
    char label[80];
    snprintf(label, sizeof label, "skeleton %s %dx%dx%d, %d iterations", name, job->shape.h, job->shape.w, job->shape.c,
             ITERATIONS);
    if (!bench_wanted(label)) return;
    fv_cpu_level before = fv_cpu();
    for (const fv_skeleton_kernels *const *v = fv_skeleton_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        fv_cpu_limit((*v)->level);
        bench_case c = {label, (*v)->level, fv_shape_count(job->shape), 1, 0, 1, 0};
        bench_run(&c, run, job);
        fv_cpu_limit(before);
    }
}

static void bench(void) {
    fv_threads_set(1);
    fv_shape shape = {1, 512, 512, 1};
    size_t count = fv_shape_count(shape), levels = ITERATIONS + 1;
    check_array image = bench_random(count, 0, 1, 1), skeleton = bench_random(count, 0, 1, 2);
    check_array work = bench_random(2 * count, 0, 1, 3), slopes = bench_random(levels * count, 0, 1, 4);
    uint8_t *origins = malloc(2 * levels * count);
    assert_non_null(origins);
    bench_job job = {shape, image.data, skeleton.data, work.data, {slopes.data, origins, origins + levels * count}};
    run_forward(&job); /* the trace */
    bench_function("forward", run_forward, &job);
    bench_function("gradient", run_gradient, &job);
    free(origins);
    check_free(&image);
    check_free(&skeleton);
    check_free(&work);
    check_free(&slopes);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_follow_the_formula),
    };
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
