/* The inner loops of kernel/norm.h, compiled once per instruction set: the includer defines FAMILY and LEVEL and gets
   its vector code from the compiler. Four rows at a time, so that the column sums are loaded and stored once per four.
 */
#include "fovea/kernel/norm.h"

/* "omp simd" is a permission: without optimisation nothing comes of it. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"
#endif

static void block_moments(const fv_norm_block *block, fv_real *restrict shift, fv_real *restrict sum,
                          fv_real *restrict squares) {
    const fv_real *restrict x = block->x;
    size_t rows = block->rows, width = block->width, stride = block->x_stride, first = rows < 8 ? rows : 8;
    fv_real share = (fv_real)1 / (fv_real)first;
    for (size_t c = 0; c < width; c++) shift[c] = sum[c] = squares[c] = 0;
    for (size_t r = 0; r < first; r++)
        for (size_t c = 0; c < width; c++) shift[c] += x[r * stride + c] * share;
    size_t r = 0;
    for (; r + 4 <= rows; r += 4, x += 4 * stride) {
        const fv_real *x1 = x + stride, *x2 = x1 + stride, *x3 = x2 + stride;
        for (size_t c = 0; c < width; c++) {
            fv_real e0 = x[c] - shift[c], e1 = x1[c] - shift[c], e2 = x2[c] - shift[c], e3 = x3[c] - shift[c];
            sum[c] += (e0 + e1) + (e2 + e3);
            squares[c] += (e0 * e0 + e1 * e1) + (e2 * e2 + e3 * e3);
        }
    }
    for (; r < rows; r++, x += stride) {
        for (size_t c = 0; c < width; c++) {
            fv_real e = x[c] - shift[c];
            sum[c] += e;
            squares[c] += e * e;
        }
    }
}

static inline fv_real affine(fv_real distance, fv_real scale, fv_real offset) {
    return distance * scale + offset;
}

static void apply(const fv_norm_block *block, const fv_norm_coefficients *k) {
    const fv_real *x = block->x;
    fv_real *y = block->y;
    size_t rows = block->rows, width = block->width;
    const fv_real *restrict center = k->center, *restrict scale = k->scale, *restrict offset = k->offset;
    fv_real low = k->low, high = k->high;
    for (size_t r = 0; r < rows; r++, x += block->x_stride, y += block->y_stride) {
#pragma omp simd
        for (size_t c = 0; c < width; c++) {
            fv_real value = affine(x[c] - center[c], scale[c], offset[c]);
            value = value < low ? low : value; /* in this order a NaN passes */
            y[c] = value > high ? high : value;
        }
    }
}

/* d_out where the activation let it pass. */
static inline fv_real passed(fv_real d_out, fv_real value, fv_real low, fv_real high) {
    return ((value > low) & (value < high)) ? d_out : 0;
}

static void block_gradient_sums(const fv_norm_block *block, const fv_norm_coefficients *k, fv_real *restrict sum,
                                fv_real *restrict sum_x) {
    const fv_real *restrict x = block->x, *restrict d_out = block->d_out;
    size_t rows = block->rows, width = block->width, x_stride = block->x_stride, d_stride = block->d_out_stride;
    const fv_real *restrict center = k->center, *restrict scale = k->scale, *restrict offset = k->offset;
    fv_real low = k->low, high = k->high;
    for (size_t c = 0; c < width; c++) sum[c] = sum_x[c] = 0;
    size_t r = 0;
    for (; r + 2 <= rows; r += 2, x += 2 * x_stride, d_out += 2 * d_stride) {
        for (size_t c = 0; c < width; c++) {
            fv_real e0 = x[c] - center[c], e1 = x[x_stride + c] - center[c];
            fv_real d0 = passed(d_out[c], affine(e0, scale[c], offset[c]), low, high);
            fv_real d1 = passed(d_out[d_stride + c], affine(e1, scale[c], offset[c]), low, high);
            sum[c] += d0 + d1;
            sum_x[c] += d0 * e0 + d1 * e1;
        }
    }
    if (r == rows) return;
    for (size_t c = 0; c < width; c++) {
        fv_real e = x[c] - center[c], d = passed(d_out[c], affine(e, scale[c], offset[c]), low, high);
        sum[c] += d;
        sum_x[c] += d * e;
    }
}

static void gradient_apply(const fv_norm_block *block, const fv_norm_coefficients *k) {
    const fv_real *x = block->x, *d_out = block->d_out;
    fv_real *d_x = block->y;
    size_t rows = block->rows, width = block->width;
    const fv_real *restrict center = k->center, *restrict scale = k->scale, *restrict offset = k->offset;
    const fv_real *restrict slope = k->slope, *restrict constant = k->constant;
    fv_real low = k->low, high = k->high;
    for (size_t r = 0; r < rows; r++, x += block->x_stride, d_out += block->d_out_stride, d_x += block->y_stride) {
        if (block->add) {
#pragma omp simd
            for (size_t c = 0; c < width; c++) {
                fv_real e = x[c] - center[c], d = passed(d_out[c], affine(e, scale[c], offset[c]), low, high);
                d_x[c] += scale[c] * d + (slope[c] * e + constant[c]);
            }
        } else {
#pragma omp simd
            for (size_t c = 0; c < width; c++) {
                fv_real e = x[c] - center[c], d = passed(d_out[c], affine(e, scale[c], offset[c]), low, high);
                d_x[c] = scale[c] * d + (slope[c] * e + constant[c]);
            }
        }
    }
}

const fv_norm_kernels FAMILY = {LEVEL, block_moments, apply, block_gradient_sums, gradient_apply};
