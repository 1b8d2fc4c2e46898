/* What the tests of kernel variants have in common, in the manner of dav1d's checkasm.

   A family of kernels (kernel/norm.h, ...) lists its variants, best first and plain C last. A test goes through
   awkward shapes and through every variant that the processor and FOVEA_CPU allow, plain C among them, and compares
   its result with the family's formula, computed in the test, in double. So plain C is tested too, and on a machine
   that has nothing else the test still tests.

       for (...) {
           check_case("%zu rows of %zu channels, stride %zu", rows, channels, stride);
           check_array x = check_random(rows * stride, -1, 1, 1), expected = check_unset(rows * channels);
           ... expected.data[...] = formula ...
           for (size_t v = 0; fv_norm_variants[v]; v++) {
               if (!check_variant(fv_norm_variants[v]->level)) continue;
               check_array y = check_unset(rows * channels);
               ... fv_norm_variants[v]->apply(...) ...
               expect_same("y", &y, &expected, 1e-6);
               check_free(&y);
           }
           ...
       }

   When a comparison fails, the case, the variant and the element are printed. Arrays stand between guard bands that
   check_free() looks at; a kernel that reads them gets NaN. They begin at an address that is a multiple of 4 only.

   The same program measures: with --bench [word] it runs, instead of its tests, the cases of its bench function whose
   label contains the word. */
#ifndef FOVEA_TESTS_KERNEL_CHECK_H
#define FOVEA_TESTS_KERNEL_CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fovea/base/cpu.h"

typedef struct check_array {
    float *data;
    size_t count;
    void *block;
} check_array;

/* Numbers that a kernel must write: NaN of a bit pattern of its own, so that what stays untouched is seen. */
check_array check_unset(size_t count);
check_array check_filled(size_t count, float value);
/* Evenly distributed over [low, high), the same for the same seed and count. */
check_array check_random(size_t count, double low, double high, uint64_t seed);
check_array check_copy(const check_array *array);
/* Fails if the guard bands were written. */
void check_free(check_array *array);

/* Describes the case in hand, for messages: the parameters that make it up. */
void check_case(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Whether the variant of this level may run here; then it is named in messages. */
bool check_variant(fv_cpu_level level);

/* Fails unless the counts are equal and every |found - expected| <= tolerance (|expected| + scale), where scale is the
   root mean square of `expected`. An element that is NaN in `expected` has to be so in `found`: bit by bit where it is
   still unset. */
void expect_same(const char *what, const check_array *found, const check_array *expected, double tolerance);
/* The same for a single number: |found - expected| <= allowed. */
void expect_near(const char *what, double found, double expected, double allowed);
/* Fails unless all bits are equal. */
void expect_bits(const char *what, const check_array *found, const check_array *expected);

/* Bench ------------------------------------------------------------------------------------------------ */

/* What a case moves: numbers of arrays of `units` floats each. */
typedef struct bench_case {
    const char *label;
    fv_cpu_level level;
    size_t units;
    int reads, updates, writes; /* arrays only read; read and written again; only written */
    double flops;               /* 0: not stated */
} bench_case;

/* Whether --bench wants a case of this label; saves setting it up. */
bool bench_wanted(const char *label);
/* As check_random(), but aligned as the plan's tensors are: to 64 bytes. */
check_array bench_random(size_t count, double low, double high, uint64_t seed);
/* Runs it again and again for a moment and prints the median time of a run, GB/s (an update counts twice), GFLOP/s, and
   GB/s in percent of those of a plain loop over as many arrays, measured in the same breath. */
void bench_run(const bench_case *c, void (*run)(void *context), void *context);

/* main() of a test program: runs the tests, or with --bench [word] `bench`, if there is one. */
int check_main(int argc, char **argv, const struct CMUnitTest *tests, size_t count, void (*bench)(void));

#endif
