/* The variants of kernel/optimizer.h: near their formulas, and equal to the last bit. */
#include <math.h>
#include <stdio.h>

#include "fovea/kernel/optimizer.h"
#include "kernel_check.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 33, 63, 65, 100, 1000};
static const fv_adam_rule rule = {0.3f, 0.9f, 0.999f, 1e-8f, 12.5f, 0.7f, 0.01f, 0.98f};

/* What Adam changes. */
typedef struct adam_state {
    check_array w, m, v;
} adam_state;

static adam_state make_state(size_t count) {
    return (adam_state){check_random(count, -1, 1, 2), check_random(count, -1, 1, 3), check_random(count, 0, 2, 4)};
}

static void free_state(adam_state *s) {
    check_free(&s->w);
    check_free(&s->m);
    check_free(&s->v);
}

static void step_by_formula(const check_array *g, adam_state *s) {
    for (size_t i = 0; i < g->count; i++) {
        double w = (double)s->w.data[i], m = (double)s->m.data[i], v = (double)s->v.data[i];
        double d = (double)rule.scale * (double)g->data[i] + (double)rule.decay * w;
        m = (double)rule.beta1 * m + (1 - (double)rule.beta1) * d;
        v = (double)rule.beta2 * v + (1 - (double)rule.beta2) * d * d;
        w = (double)rule.shrink * w -
            (double)rule.rate * m / (sqrt(v * (double)rule.correction2) + (double)rule.epsilon);
        s->w.data[i] = (float)w;
        s->m.data[i] = (float)m;
        s->v.data[i] = (float)v;
    }
}

static const fv_optimizer_kernels *plain_c(void) {
    size_t last = 0;
    while (fv_optimizer_variants[last + 1]) last++;
    check_variant(fv_optimizer_variants[last]->level);
    return fv_optimizer_variants[last];
}

static void compare_adam(size_t count) {
    check_case("adam, %zu weights", count);
    check_array g = check_random(count, -1, 1, 1);
    adam_state expected = make_state(count), plain = make_state(count);
    step_by_formula(&g, &expected);
    plain_c()->adam(&rule, count, g.data, plain.w.data, plain.m.data, plain.v.data);
    expect_same("w", &plain.w, &expected.w, 1e-6);
    expect_same("m", &plain.m, &expected.m, 1e-6);
    expect_same("v", &plain.v, &expected.v, 1e-6);
    for (const fv_optimizer_kernels *const *v = fv_optimizer_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        adam_state s = make_state(count);
        (*v)->adam(&rule, count, g.data, s.w.data, s.m.data, s.v.data);
        expect_bits("w", &s.w, &plain.w);
        expect_bits("m", &s.m, &plain.m);
        expect_bits("v", &s.v, &plain.v);
        free_state(&s);
    }
    check_free(&g);
    free_state(&expected);
    free_state(&plain);
}

static void adam(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) compare_adam(sizes[i]);
}

static void compare_sum(size_t count) {
    check_case("sum_of_squares, %zu numbers", count);
    check_array a = check_random(count, -1, 1, 1);
    double expected = 0, plain = plain_c()->sum_of_squares(count, a.data);
    for (size_t i = 0; i < count; i++) expected += (double)a.data[i] * (double)a.data[i];
    expect_near("sum", plain, expected, 1e-13 * expected);
    for (const fv_optimizer_kernels *const *v = fv_optimizer_variants; *v; v++)
        if (check_variant((*v)->level)) expect_near("sum", (*v)->sum_of_squares(count, a.data), plain, 0);
    check_free(&a);
}

static void compare_average(size_t count) {
    check_case("average, %zu weights", count);
    check_array w = check_random(count, -1, 1, 1), plain = check_random(count, -1, 1, 2), expected = check_copy(&plain);
    for (size_t i = 0; i < count; i++)
        expected.data[i] = (float)(0.75 * (double)expected.data[i] + 0.25 * (double)w.data[i]);
    plain_c()->average(count, 0.75f, w.data, plain.data);
    expect_same("average", &plain, &expected, 1e-6);
    for (const fv_optimizer_kernels *const *v = fv_optimizer_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        check_array average = check_random(count, -1, 1, 2);
        (*v)->average(count, 0.75f, w.data, average.data);
        expect_bits("average", &average, &plain);
        check_free(&average);
    }
    check_free(&w);
    check_free(&plain);
    check_free(&expected);
}

static void sums_and_averages(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        compare_sum(sizes[i]);
        compare_average(sizes[i]);
    }
}

/* Bench ------------------------------------------------------------------------------------------------ */

typedef struct bench_job {
    const fv_optimizer_kernels *kernels;
    size_t count;
    const float *g;
    float *w, *m, *v;
} bench_job;

static void run_adam(void *context) {
    bench_job *b = context;
    b->kernels->adam(&rule, b->count, b->g, b->w, b->m, b->v);
}
static void run_sum(void *context) {
    bench_job *b = context;
    volatile double used = b->kernels->sum_of_squares(b->count, b->g);
    (void)used;
}
static void run_average(void *context) {
    bench_job *b = context;
    b->kernels->average(b->count, 0.75f, b->g, b->m);
}

static void bench_function(const char *name, void (*run)(void *context), int reads, int updates, bench_job *job) {
    char label[80];
    snprintf(label, sizeof label, "optimizer %s %zu", name, job->count);
    if (!bench_wanted(label)) return;
    for (const fv_optimizer_kernels *const *v = fv_optimizer_variants; *v; v++) {
        if (!check_variant((*v)->level)) continue;
        job->kernels = *v;
        bench_case c = {label, (*v)->level, job->count, reads, updates, 0, 0};
        bench_run(&c, run, job);
    }
}

static void bench(void) {
    static const size_t counts[] = {50000, 3000000};
    for (size_t i = 0; i < COUNT(counts); i++) {
        size_t n = counts[i];
        check_array g = bench_random(n, -1, 1, 1), w = bench_random(n, -1, 1, 2), m = bench_random(n, -1, 1, 3);
        check_array v = bench_random(n, 0, 1, 4);
        bench_job job = {NULL, n, g.data, w.data, m.data, v.data};
        bench_function("adam", run_adam, 1, 3, &job);
        bench_function("sum of squares", run_sum, 1, 0, &job);
        bench_function("average", run_average, 1, 1, &job);
        check_free(&g);
        check_free(&w);
        check_free(&m);
        check_free(&v);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam),
        cmocka_unit_test(sums_and_averages),
    };
    return check_main(argc, argv, tests, COUNT(tests), bench);
}
