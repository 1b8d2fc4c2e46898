/* What this machine can do at most, measured by two loops: independent multiply-adds in registers, and the triad c = a
   + s b (McCalpin 1995) on arrays that fit each cache. What kernels reach is told as a share of these. */
#ifndef FOVEA_KERNEL_LIMIT_H
#define FOVEA_KERNEL_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea/base/status.h"

enum { FV_LIMIT_L1, FV_LIMIT_L2, FV_LIMIT_L3, FV_LIMIT_MEMORY, FV_LIMIT_LEVELS };

extern const char *const fv_limit_level_names[]; /* "L1", "L2", "L3", "memory" */

typedef struct fv_limits {
    int threads;
    double flops;                      /* floating-point operations a second, all threads together */
    double bandwidth[FV_LIMIT_LEVELS]; /* bytes a second, all threads together; every array counted once */
    size_t capacity[FV_LIMIT_LEVELS];  /* bytes that fit, all threads together */
} fv_limits;

/* Measures for fv_threads() threads with the vectors that fv_cpu() allows; takes about a second and up to 768 MiB. */
fv_status fv_limits_measure(fv_limits *limits);

/* The fastest level that holds so many bytes. */
int fv_limit_level(const fv_limits *limits, double bytes);
/* The shortest time, in seconds, for so many operations on so many bytes: the longer of what the multiply-adds and what
   the transfers take (roofline; Williams et al. 2009). *level becomes the level of the transfers, or -1 when the
   multiply-adds take longer. */
double fv_limit_seconds(const fv_limits *limits, double operations, double bytes, int *level);

/* ---- the loops, one set an instruction set ---- */

typedef struct fv_limit_kernels {
    double round_operations;                /* floating-point operations of a round */
    float (*multiply_adds)(int64_t rounds); /* the result only keeps the compiler from leaving the loop out */
    /* c = a + 3 b; count is a multiple of 64, arrays are aligned to 64 bytes. `stream`: past the caches where the
       instruction set can. */
    void (*triad)(const float *a, const float *b, float *c, size_t count, bool stream);
} fv_limit_kernels;

extern const fv_limit_kernels fv_limit_scalar, fv_limit_avx2, fv_limit_avx512;

#endif
