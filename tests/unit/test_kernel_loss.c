/* The variants of kernel/loss.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/loss.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const size_t awkward[] = {1, 2, 3, 7, 8, 15, 16, 17, 24, 33, 63, 100};

static const double gammas[] = {FV_NO_FOCAL, 0, 0.5, 2, 5};

static double probability_of(double z) {
    return 1 / (1 + exp(-z));
}

static double cross_entropy_of(double z, double t) {
    return fmax(z, 0) - z * t + log1p(exp(-fabs(z)));
}

/* 1 - p_t, without cancellation for targets of 0 and 1. */
static double miss_of(double z, double t) {
    return probability_of(z) * (1 - t) + probability_of(-z) * t;
}

static double focal_of(double z, double t, double gamma) {
    return gamma < 0 ? 0 : pow(miss_of(z, t), gamma) * cross_entropy_of(z, t);
}

static void compare_sums(size_t rows, size_t width, double gamma) {
    check_case("block_sums, %zu rows of %zu columns, gamma %g", rows, width, gamma);
    check_array z = check_random(rows * width, -12, 12, 1), t = check_random(rows * width, 0, 1, 2);
    check_array expected = check_filled(FV_LOSS_SUMS * width, 0);
    for (size_t k = 0; k < expected.count; k++) {
        double sum = 0;
        for (size_t r = 0; r < rows; r++) {
            double logit = (double)z.data[r * width + k % width], target = (double)t.data[r * width + k % width];
            double p = probability_of(logit);
            double terms[] = {cross_entropy_of(logit, target), p * target, p, target, focal_of(logit, target, gamma)};
            sum += terms[k / width];
        }
        expected.data[k] = (float)sum;
    }
    for (const fv_loss_kernels *const *v = fv_loss_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array sums = check_unset(expected.count);
        (*v)->block_sums(gamma, z.data, t.data, rows, width, sums.data);
        expect_same("sums", &sums, &expected, 3e-6);
        check_free(&sums);
    }
    check_free(&z);
    check_free(&t);
    check_free(&expected);
}

/* The formula of kernel/loss.h. */
static double focal_slope(double z, double t, double gamma) {
    double p = probability_of(z), miss = miss_of(z, t);
    return pow(miss, gamma) * (p - t + gamma * p * (1 - p) / miss * (1 - 2 * t) * cross_entropy_of(z, t));
}

static void compare_gradient(size_t rows, size_t width, double gamma, bool add) {
    check_case("gradient, %zu rows of %zu columns, gamma %g, add %d", rows, width, gamma, add);
    check_array z = check_random(rows * width, -12, 12, 1), t = check_random(rows * width, 0, 1, 2);
    check_array slopes = check_random(4 * width, 0, 1, 3);
    check_array before = add ? check_random(z.count, -1, 1, 4) : check_unset(z.count), expected = check_copy(&before);
    const float *bce = slopes.data, *overlap = bce + width, *whole = overlap + width, *focal = whole + width;
    for (size_t i = 0; i < z.count; i++) {
        double p = probability_of((double)z.data[i]), target = (double)t.data[i];
        double d = (double)bce[i % width] * (p - target) +
                   p * (1 - p) * ((double)whole[i % width] - (double)overlap[i % width] * target);
        if (gamma >= 0) d += (double)focal[i % width] * focal_slope((double)z.data[i], target, gamma);
        expected.data[i] = (float)((add ? (double)before.data[i] : 0) + d);
    }
    for (const fv_loss_kernels *const *v = fv_loss_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array d_z = check_copy(&before);
        fv_loss_slopes k = {bce, overlap, whole, gamma < 0 ? NULL : focal, gamma};
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
            for (size_t g = 0; g < COUNT(gammas); g++) {
                compare_sums(rows, awkward[i], gammas[g]);
                compare_gradient(rows, awkward[i], gammas[g], rows % 2);
            }
        }
    }
}

/* One row: cross entropy and focal loss of single logits, over their whole range. What is smaller than exp(-87) a power
   becomes that. */
static void single_logits_are_accurate(void **state) {
    (void)state;
    enum { VALUES = 20001 };
    check_case("cross entropy and focal loss of -80 to 80");
    check_array z = check_unset(VALUES), t = check_unset(VALUES), sums = check_unset(FV_LOSS_SUMS * VALUES);
    for (int i = 0; i < VALUES; i++) {
        z.data[i] = (float)(i - 10000) * 0.008f;
        t.data[i] = (float)(i % 2);
    }
    for (const fv_loss_kernels *const *v = fv_loss_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        (*v)->block_sums(2, z.data, t.data, 1, VALUES, sums.data);
        for (int i = 0; i < VALUES; i++) {
            double expected = cross_entropy_of((double)z.data[i], (double)t.data[i]);
            expect_near("cross entropy", (double)sums.data[i], expected, 5e-7 * expected + 1e-37);
            expected = focal_of((double)z.data[i], (double)t.data[i], 2);
            expect_near("focal loss", (double)sums.data[4 * VALUES + i], expected, 1e-5 * expected + 1e-37);
        }
    }
    check_free(&z);
    check_free(&t);
    check_free(&sums);
}

/* Bench ------------------------------------------------------------------------------------------------ */

typedef struct bench_job {
    fv_columns columns;
    double gamma;
    const float *z, *t, *slopes;
    float *d_z;
    void *work;
} bench_job;

static void run_measure(void *context) {
    bench_job *b = context;
    fv_loss_sums sums[8];
    fv_loss_measure(b->columns, b->gamma, b->z, b->t, sums, b->work);
}

static void run_gradient(void *context) {
    bench_job *b = context;
    size_t channels = b->columns.channels;
    const float *focal = b->gamma < 0 ? NULL : b->slopes + 3 * channels;
    fv_loss_slopes slopes = {b->slopes, b->slopes + channels, b->slopes + 2 * channels, focal, b->gamma};
    fv_loss_gradient(b->columns, &slopes, b->z, b->t, b->d_z, false, b->work);
}

static void bench_function(const char *name, void (*run)(void *context), int writes, bench_job *job) {
    char label[80];
    size_t count = job->columns.rows * job->columns.channels;
    snprintf(label, sizeof label, "loss %s%s %zux%zu", name, job->gamma < 0 ? "" : " focal", job->columns.rows,
             job->columns.channels);
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
    check_array slopes = bench_random(4 * channels, 0, 1, 4);
    bench_job job = {
        {.segments = 1, .rows = rows, .channels = channels}, FV_NO_FOCAL, z.data, t.data, slopes.data, d.data, NULL};
    job.work = aligned_alloc(64, fv_loss_work_bytes(job.columns));
    assert_non_null(job.work);
    for (int focal = 0; focal < 2; focal++) {
        job.gamma = focal ? 2 : FV_NO_FOCAL;
        bench_function("measure", run_measure, 0, &job);
        bench_function("gradient", run_gradient, 1, &job);
    }
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
        cmocka_unit_test(single_logits_are_accurate),
    };
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
