/* Kernels that touch every element once: activations, sums, products. Plain C, overridden by AVX2 and AVX-512. */
#ifndef FOVEA_KERNEL_ELEMENTWISE_H
#define FOVEA_KERNEL_ELEMENTWISE_H

#include <stdbool.h>
#include <stddef.h>

#include "fovea/base/cpu.h"
#include "fovea/tensor/tensor.h"

/* y[i] = f(a[i], b[i]). The arrays may be the same one, but must not overlap otherwise. */
typedef struct fv_stream {
    const fv_real *a, *b;
    fv_real *y;
    fv_real low, high; /* limits of the clamping kernels; minus and plus INFINITY for none */
    bool add;          /* y += f instead of y = f, where the kernel says so */
    /* For fv_stream_run_rows(): the distance of two rows in elements, 0 for rows side by side. */
    size_t a_stride, b_stride, y_stride;
} fv_stream;

/* Does elements begin .. end - 1. */
typedef void fv_stream_kernel(const fv_stream *stream, size_t begin, size_t end);

typedef struct fv_elementwise {
    fv_cpu_level level;
    fv_stream_kernel *clamp;            /* y = min(max(a, low), high); a NaN stays one */
    fv_stream_kernel *clamp_gradient;   /* y (+)= a where low < b < high, else 0; a: d_out, b: out */
    fv_stream_kernel *add;              /* y = min(max(a + b, low), high) */
    fv_stream_kernel *copy;             /* y (+)= a */
    fv_stream_kernel *multiply;         /* y (+)= a b */
    fv_stream_kernel *sigmoid;          /* y = 1 / (1 + exp(-a)); relative error below 4e-7 */
    fv_stream_kernel *sigmoid_gradient; /* y (+)= a b (1 - b); a: d_out, b: out */
    fv_stream_kernel *silu;             /* y = a / (1 + exp(-a)); relative error below 5e-7, 0 at minus infinity */
    fv_stream_kernel *silu_gradient;    /* y (+)= a s (1 + b (1 - s)), s = 1 / (1 + exp(-b)); a: d_out, b: in */
    /* y[r, c] (+)= a[r, c] factor[c] for a matrix of rows x channels; y may be a. */
    void (*scale_channels)(size_t rows, size_t channels, const fv_real *a, const fv_real *factor, fv_real *y, bool add);
    /* sums[c] = sum over r of a[r * stride + c] b[r * stride + c], c = 0 .. count - 1, in double; b NULL: of a alone.
     */
    void (*dot_channels)(size_t rows, size_t stride, size_t count, const fv_real *a, const fv_real *b, double *sums);
} fv_elementwise;

/* The best variant that fv_cpu() allows now. */
const fv_elementwise *fv_elementwise_kernels(void);

/* Runs a kernel over 0 .. count - 1 in parallel. */
void fv_stream_run(fv_stream_kernel *kernel, const fv_stream *stream, size_t count);

/* The same over a matrix of rows x channels, whose rows may lie apart: see the strides of fv_stream. */
void fv_stream_run_rows(fv_stream_kernel *kernel, const fv_stream *stream, size_t rows, size_t channels);

/* scale_channels() for every sample n of a {samples, rows, 1, channels} tensor, in parallel; factor {samples,
 * channels}. */
void fv_scale_channels_run(size_t samples, size_t rows, size_t channels, const fv_real *a, const fv_real *factor,
                           fv_real *y, bool add);
/* out[n, c] (+)= share * sum over rows of a b (b NULL: of a), in parallel over samples and channels. */
void fv_dot_channels_run(size_t samples, size_t rows, size_t channels, const fv_real *a, const fv_real *b, double share,
                         fv_real *out, bool add);

/* The variants, best first, plain C last, then NULL. */
extern const fv_elementwise *const fv_elementwise_variants[];

#endif
