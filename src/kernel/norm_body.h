/* The inner loops of kernel/norm.h, compiled once per instruction set: the includer defines FAMILY, LEVEL and, where
   the CPU has it, FUSED_MULTIPLY_ADD, and gets its vector code from the compiler. Four rows at a time, so that the
   column sums are loaded and stored once per four.
 */
#include "fovea/kernel/norm.h"
#include "multiply_add.h"

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
            squares[c] += MULTIPLY_ADD(e0, e0, e1 * e1) + MULTIPLY_ADD(e2, e2, e3 * e3);
        }
    }
    for (; r < rows; r++, x += stride) {
        for (size_t c = 0; c < width; c++) {
            fv_real e = x[c] - shift[c];
            sum[c] += e;
            squares[c] = MULTIPLY_ADD(e, e, squares[c]);
        }
    }
}

/* Forward and backward take the same, so that they see the same values inside the limits. */
static inline fv_real affine(fv_real distance, fv_real scale, fv_real offset) {
    return MULTIPLY_ADD(distance, scale, offset);
}

/* The loops below are written once and compiled for each of the cases that their last arguments tell apart, which are
   constants where they are called. */
#define FOR_EACH_CASE static inline __attribute__((always_inline))

FOR_EACH_CASE void apply_rows(const fv_norm_block *block, const fv_norm_coefficients *k, bool with_residual) {
    const fv_real *x = block->x, *residual = block->residual;
    fv_real *y = block->y;
    size_t rows = block->rows, width = block->width;
    const fv_real *restrict center = k->center, *restrict scale = k->scale, *restrict offset = k->offset;
    fv_real low = k->low, high = k->high;
    for (size_t r = 0; r < rows; r++, x += block->x_stride, y += block->y_stride) {
#pragma omp simd
        for (size_t c = 0; c < width; c++) {
            fv_real value = affine(x[c] - center[c], scale[c], offset[c]);
            if (with_residual) value += residual[c];
            value = value < low ? low : value; /* in this order a NaN passes */
            y[c] = value > high ? high : value;
        }
        if (with_residual) residual += block->residual_stride;
    }
}

static void apply(const fv_norm_block *block, const fv_norm_coefficients *k) {
    if (block->residual)
        apply_rows(block, k, true);
    else
        apply_rows(block, k, false);
}

/* d_out where the activation let it pass. */
static inline fv_real passed(fv_real d_out, fv_real value, fv_real low, fv_real high) {
    return ((value > low) & (value < high)) ? d_out : 0;
}

/* keep: d goes to y. Where that is d_out, each element is read before it is written. */
FOR_EACH_CASE void sum_rows(const fv_norm_block *block, const fv_norm_coefficients *k, fv_real *restrict sum,
                            fv_real *restrict sum_x, bool by_out, bool keep) {
    const fv_real *x = block->x, *d_out = block->d_out, *out = block->out;
    fv_real *kept = block->y;
    size_t rows = block->rows, width = block->width;
    size_t x_row = block->x_stride, d_row = block->d_out_stride, out_row = block->out_stride,
           kept_row = block->y_stride;
    const fv_real *restrict center = k->center, *restrict scale = k->scale, *restrict offset = k->offset;
    fv_real low = k->low, high = k->high;
    for (size_t c = 0; c < width; c++) sum[c] = sum_x[c] = 0;
    size_t r = 0;
    for (; r + 2 <= rows; r += 2, x += 2 * x_row, d_out += 2 * d_row) {
#pragma omp simd
        for (size_t c = 0; c < width; c++) {
            fv_real e0 = x[c] - center[c], e1 = x[x_row + c] - center[c];
            fv_real d0 = passed(d_out[c], by_out ? out[c] : affine(e0, scale[c], offset[c]), low, high);
            fv_real d1 =
                passed(d_out[d_row + c], by_out ? out[out_row + c] : affine(e1, scale[c], offset[c]), low, high);
            if (keep) kept[c] = d0;
            if (keep) kept[kept_row + c] = d1;
            sum[c] += d0 + d1;
            sum_x[c] = MULTIPLY_ADD(d0, e0, MULTIPLY_ADD(d1, e1, sum_x[c]));
        }
        if (by_out) out += 2 * out_row;
        if (keep) kept += 2 * kept_row;
    }
    if (r == rows) return;
#pragma omp simd
    for (size_t c = 0; c < width; c++) {
        fv_real e = x[c] - center[c];
        fv_real d = passed(d_out[c], by_out ? out[c] : affine(e, scale[c], offset[c]), low, high);
        if (keep) kept[c] = d;
        sum[c] += d;
        sum_x[c] = MULTIPLY_ADD(d, e, sum_x[c]);
    }
}

static void block_gradient_sums(const fv_norm_block *block, const fv_norm_coefficients *k, fv_real *restrict sum,
                                fv_real *restrict sum_x) {
    if (!block->out)
        sum_rows(block, k, sum, sum_x, false, false);
    else if (!block->y)
        sum_rows(block, k, sum, sum_x, true, false);
    else
        sum_rows(block, k, sum, sum_x, true, true);
}

FOR_EACH_CASE void gradient_rows(const fv_norm_block *block, const fv_norm_coefficients *k, bool by_out, bool add) {
    const fv_real *x = block->x, *d_out = block->d_out, *out = block->out;
    fv_real *d_x = block->y;
    size_t rows = block->rows, width = block->width;
    const fv_real *restrict center = k->center, *restrict scale = k->scale, *restrict offset = k->offset;
    const fv_real *restrict slope = k->slope, *restrict constant = k->constant;
    fv_real low = k->low, high = k->high;
    for (size_t r = 0; r < rows; r++, x += block->x_stride, d_out += block->d_out_stride, d_x += block->y_stride) {
#pragma omp simd
        for (size_t c = 0; c < width; c++) {
            fv_real e = x[c] - center[c];
            fv_real d = passed(d_out[c], by_out ? out[c] : affine(e, scale[c], offset[c]), low, high);
            fv_real value = MULTIPLY_ADD(scale[c], d, MULTIPLY_ADD(slope[c], e, constant[c]));
            d_x[c] = add ? d_x[c] + value : value;
        }
        if (by_out) out += block->out_stride;
    }
}

static void gradient_apply(const fv_norm_block *block, const fv_norm_coefficients *k) {
    if (block->out && block->add)
        gradient_rows(block, k, true, true);
    else if (block->out)
        gradient_rows(block, k, true, false);
    else if (block->add)
        gradient_rows(block, k, false, true);
    else
        gradient_rows(block, k, false, false);
}

static void merge_moments(size_t width, double count, double *restrict mean, double *restrict total, double rows,
                          const fv_real *restrict shift, const fv_real *restrict sum, const fv_real *restrict squares) {
    double share = rows / (count + rows), weight = count * share, inverse = 1 / rows;
#pragma omp simd
    for (size_t c = 0; c < width; c++) {
        double distance = (double)sum[c] * inverse, rest = (double)squares[c] - (double)sum[c] * distance;
        double delta = (double)shift[c] + distance - mean[c];
        mean[c] += delta * share;
        total[c] += (rest > 0 ? rest : 0) + delta * delta * weight;
    }
}

static void add_sums(size_t width, const fv_real *restrict sum, double *restrict total) {
#pragma omp simd
    for (size_t c = 0; c < width; c++) total[c] += (double)sum[c];
}

const fv_norm_kernels FAMILY = {.level = LEVEL,
                                .block_moments = block_moments,
                                .apply = apply,
                                .block_gradient_sums = block_gradient_sums,
                                .gradient_apply = gradient_apply,
                                .merge_moments = merge_moments,
                                .add_sums = add_sums};
