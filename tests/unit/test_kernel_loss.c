/* The variants of kernel/loss.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/loss.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const size_t awkward[] = {1, 2, 3, 7, 8, 15, 16, 17, 24, 33, 63, 100};

static double probability_of(double z) {
    return 1 / (1 + exp(-z));
}

static double cross_entropy_of(double z, double t) {
    return fmax(z, 0) - z * t + log1p(exp(-fabs(z)));
}

static void compare_sums(size_t rows, size_t width) {
    check_case("block_sums, %zu rows of %zu columns", rows, width);
    check_array z = check_random(rows * width, -12, 12, 1), t = check_random(rows * width, 0, 1, 2);
    check_array expected = check_filled(4 * width, 0);
    for (size_t k = 0; k < 4 * width; k++) {
        double sum = 0;
        for (size_t r = 0; r < rows; r++) {
            double logit = (double)z.data[r * width + k % width], target = (double)t.data[r * width + k % width];
            double terms[] = {cross_entropy_of(logit, target), probability_of(logit) * target, probability_of(logit),
                              target};
            sum += terms[k / width];
        }
        expected.data[k] = (float)sum;
    }
    for (const fv_loss_kernels *const *v = fv_loss_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array sums = check_unset(4 * width);
        (*v)->block_sums(z.data, t.data, rows, width, sums.data);
        expect_same("sums", &sums, &expected, 3e-6);
        check_free(&sums);
    }
    check_free(&z);
    check_free(&t);
    check_free(&expected);
}

static void compare_gradient(size_t rows, size_t width, bool add) {
    check_case("gradient, %zu rows of %zu columns, add %d", rows, width, add);
    check_array z = check_random(rows * width, -12, 12, 1), t = check_random(rows * width, 0, 1, 2);
    check_array slopes = check_random(3 * width, 0, 1, 3);
    check_array before = add ? check_random(z.count, -1, 1, 4) : check_unset(z.count), expected = check_copy(&before);
    const float *bce = slopes.data, *overlap = bce + width, *whole = overlap + width;
    for (size_t i = 0; i < z.count; i++) {
        double p = probability_of((double)z.data[i]), target = (double)t.data[i];
        double d = (double)bce[i % width] * (p - target) +
                   p * (1 - p) * ((double)whole[i % width] - (double)overlap[i % width] * target);
        expected.data[i] = (float)((add ? (double)before.data[i] : 0) + d);
    }
    for (const fv_loss_kernels *const *v = fv_loss_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array d_z = check_copy(&before);
        fv_loss_slopes k = {bce, overlap, whole};
        (*v)->gradient(z.data, t.data, rows, width, &k, d_z.data, add);
        expect_same("d_z", &d_z, &expected, 1e-6);
        check_free(&d_z);
    }
    check_free(&z);
    check_free(&t);
    check_free(&slopes);
    check_free(&before);
    check_free(&expected);
}

static void blocks(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(awkward); i++) {
        for (size_t rows = 1; rows <= FV_BLOCK_ROWS; rows += 7) {
            compare_sums(rows, awkward[i]);
            compare_gradient(rows, awkward[i], false);
            compare_gradient(rows, awkward[i], true);
        }
    }
}

/* One row: the cross entropy of single logits, over their whole range. */
static void cross_entropy_is_accurate(void **state) {
    (void)state;
    enum { VALUES = 20001 };
    check_case("cross entropy of -80 to 80");
    check_array z = check_unset(VALUES), t = check_unset(VALUES), sums = check_unset(4 * VALUES);
    for (int i = 0; i < VALUES; i++) {
        z.data[i] = (float)(i - 10000) * 0.008f;
        t.data[i] = (float)(i % 2);
    }
    for (const fv_loss_kernels *const *v = fv_loss_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        (*v)->block_sums(z.data, t.data, 1, VALUES, sums.data);
        for (int i = 0; i < VALUES; i++) {
            double expected = cross_entropy_of((double)z.data[i], (double)t.data[i]);
            expect_near("cross entropy", (double)sums.data[i], expected, 5e-7 * expected + 1e-37);
        }
    }
    check_free(&z);
    check_free(&t);
    check_free(&sums);
}

/* Bench ------------------------------------------------------------------------------------------------ */

typedef struct bench_job {
    fv_columns columns;
    const float *z, *t, *slopes;
    float *d_z;
    void *work;
} bench_job;

static void run_measure(void *context) {
    bench_job *b = context;
    fv_loss_sums sums[8];
    fv_loss_measure(b->columns, b->z, b->t, sums, b->work);
}

static void run_gradient(void *context) {
    bench_job *b = context;
    fv_loss_slopes slopes = {b->slopes, b->slopes + b->columns.channels, b->slopes + 2 * b->columns.channels};
    fv_loss_gradient(b->columns, &slopes, b->z, b->t, b->d_z, false, b->work);
}

static void bench_function(const char *name, void (*run)(void *context), int writes, bench_job *job) {
    char label[80];
    size_t count = job->columns.rows * job->columns.channels;
    snprintf(label, sizeof label, "loss %s %zux%zu", name, job->columns.rows, job->columns.channels);
    if (!bench_wanted(label)) return;
    fv_cpu_level before = fv_cpu();
    for (const fv_loss_kernels *const *v = fv_loss_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        fv_cpu_limit((*v)->level);
        bench_case c = {label, (*v)->level, count, 2, 0, writes, 0};
        bench_run(&c, run, job);
        fv_cpu_limit(before);
    }
}

static void bench_shape(size_t rows, size_t channels) {
    size_t count = rows * channels;
    check_array z = bench_random(count, -4, 4, 1), t = bench_random(count, 0, 1, 2), d = bench_random(count, 0, 1, 3);
    check_array slopes = bench_random(3 * channels, 0, 1, 4);
    bench_job job = {{.segments = 1, .rows = rows, .channels = channels}, z.data, t.data, slopes.data, d.data, NULL};
    job.work = aligned_alloc(64, fv_loss_work_bytes(job.columns));
    assert_non_null(job.work);
    bench_function("measure", run_measure, 0, &job);
    bench_function("gradient", run_gradient, 1, &job);
    free(job.work);
    check_free(&z);
    check_free(&t);
    check_free(&d);
    check_free(&slopes);
}

static void bench(void) {
    fv_threads_set(1);
    bench_shape(65536, 2);
    bench_shape(8 * 65536, 2);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks),
        cmocka_unit_test(cross_entropy_is_accurate),
    };
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
