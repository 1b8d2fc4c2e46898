/* The loops of kernel/elementwise.h, compiled once per instruction set: the includer defines FAMILY (name of the
   table), LEVEL and, where the CPU has it, FUSED_MULTIPLY_ADD, and gets its vector code from the compiler.

   "omp simd" says that equal arrays (in place) do not stand in the way of vectors. */
#include "exponential_body.h"
#include "fovea/kernel/elementwise.h"

/* "omp simd" is a permission: without optimisation nothing comes of it. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

static inline fv_real clamped(fv_real x, fv_real low, fv_real high) {
    x = x < low ? low : x; /* in this order a NaN passes */
    return x > high ? high : x;
}

static void clamp(const fv_stream *s, size_t begin, size_t end) {
    const fv_real *a = s->a, low = s->low, high = s->high;
    fv_real *y = s->y;
#pragma omp simd
    for (size_t i = begin; i < end; i++) y[i] = clamped(a[i], low, high);
}

static void clamp_gradient(const fv_stream *s, size_t begin, size_t end) {
    const fv_real *a = s->a, *b = s->b, low = s->low, high = s->high;
    fv_real *y = s->y;
    if (s->add) {
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] += ((b[i] > low) & (b[i] < high)) ? a[i] : 0;
    } else {
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] = ((b[i] > low) & (b[i] < high)) ? a[i] : 0;
    }
}

static void add(const fv_stream *s, size_t begin, size_t end) {
    const fv_real *a = s->a, *b = s->b, low = s->low, high = s->high;
    fv_real *y = s->y;
#pragma omp simd
    for (size_t i = begin; i < end; i++) y[i] = clamped(a[i] + b[i], low, high);
}

static void copy(const fv_stream *s, size_t begin, size_t end) {
    const fv_real *a = s->a;
    fv_real *y = s->y;
    if (s->add) {
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] += a[i];
    } else if (y != a) {
        memcpy(y + begin, a + begin, (end - begin) * sizeof *y);
    }
}

static void multiply(const fv_stream *s, size_t begin, size_t end) {
    const fv_real *a = s->a, *b = s->b;
    fv_real *y = s->y;
    if (s->add) {
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] += a[i] * b[i];
    } else {
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] = a[i] * b[i];
    }
}

static void sigmoid(const fv_stream *s, size_t begin, size_t end) {
    const fv_real *a = s->a;
    fv_real *y = s->y;
#pragma omp simd
    for (size_t i = begin; i < end; i++) {
        fv_real z = a[i], e = exp_negative(z > 0 ? -z : z);
        y[i] = (z > 0 ? 1 : e) / (1 + e);
    }
}

static void sigmoid_gradient(const fv_stream *s, size_t begin, size_t end) {
    const fv_real *a = s->a, *b = s->b;
    fv_real *y = s->y;
    if (s->add) {
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] += a[i] * (b[i] * (1 - b[i]));
    } else {
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] = a[i] * (b[i] * (1 - b[i]));
    }
}

/* Beyond 87 a sigmoid is 0 or 1, to float32; the limits keep infinity out of infinity times 0. */
#define SIGMOID_END 87

static void silu(const fv_stream *s, size_t begin, size_t end) {
    const fv_real *a = s->a;
    fv_real *y = s->y;
#pragma omp simd
    for (size_t i = begin; i < end; i++) {
        fv_real z = a[i] < -SIGMOID_END ? -SIGMOID_END : a[i], e = exp_negative(z > 0 ? -z : z);
        y[i] = z * ((z > 0 ? 1 : e) / (1 + e));
    }
}

/* The derivative of x sigmoid(x). */
static inline fv_real silu_slope(fv_real x) {
    fv_real z = clamped(x, -SIGMOID_END, SIGMOID_END), e = exp_negative(z > 0 ? -z : z), whole = 1 / (1 + e);
    fv_real rising = (z > 0 ? 1 : e) * whole, falling = (z > 0 ? e : 1) * whole; /* sigmoid(z), sigmoid(-z) */
    return rising * (1 + z * falling);
}

static void silu_gradient(const fv_stream *s, size_t begin, size_t end) {
    const fv_real *a = s->a, *b = s->b;
    fv_real *y = s->y;
    if (s->add) {
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] += a[i] * silu_slope(b[i]);
    } else {
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] = a[i] * silu_slope(b[i]);
    }
}

static void scale_channels(size_t rows, size_t channels, const fv_real *a, const fv_real *factor, fv_real *y,
                           bool accumulate) {
    for (size_t r = 0; r < rows; r++, a += channels, y += channels) {
        if (accumulate) {
#pragma omp simd
            for (size_t c = 0; c < channels; c++) y[c] += a[c] * factor[c];
        } else {
#pragma omp simd
            for (size_t c = 0; c < channels; c++) y[c] = a[c] * factor[c];
        }
    }
}

static void dot_channels(size_t rows, size_t stride, size_t count, const fv_real *a, const fv_real *b, double *sums) {
    for (size_t c = 0; c < count; c++) sums[c] = 0;
    for (size_t r = 0; r < rows; r++) {
        const fv_real *row_a = a + r * stride, *row_b = b ? b + r * stride : NULL;
        if (b) {
#pragma omp simd
            for (size_t c = 0; c < count; c++) sums[c] += (double)row_a[c] * (double)row_b[c];
        } else {
#pragma omp simd
            for (size_t c = 0; c < count; c++) sums[c] += (double)row_a[c];
        }
    }
}

const fv_elementwise FAMILY = {
    .level = LEVEL,
    .clamp = clamp,
    .clamp_gradient = clamp_gradient,
    .add = add,
    .copy = copy,
    .multiply = multiply,
    .sigmoid = sigmoid,
    .sigmoid_gradient = sigmoid_gradient,
    .silu = silu,
    .silu_gradient = silu_gradient,
    .scale_channels = scale_channels,
    .dot_channels = dot_channels,
};
