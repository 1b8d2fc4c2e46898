/* A block of rows for the kernels of kernel/norm.h, and what the header's formulas say of its elements. */
#ifndef KERNEL_NORM_CASE_H
#define KERNEL_NORM_CASE_H

#include "fovea/kernel/norm.h"
#include "kernel_check.h"

#define EXTRA 3 /* floats between two rows that lie apart */

/* A block, its coefficients, and the places of its numbers. */
typedef struct norm_case {
    size_t rows, width;
    bool add;
    check_array x, d, beside, k; /* beside: a residual, or what forward gave; k: five coefficients behind each other */
    fv_norm_block block;         /* without y */
    fv_norm_coefficients coefficients;
} norm_case;

static norm_case make_case(size_t rows, size_t width, bool apart, bool add, bool beside) {
    norm_case t = {.rows = rows, .width = width, .add = add, .k = check_random(5 * width, -1, 2, 3)};
    size_t x_stride = width + (apart ? EXTRA : 0), d_stride = width + (apart ? 2 * EXTRA : 0);
    t.x = check_random(rows * x_stride, -2, 5, 1);
    t.d = check_random(rows * d_stride, -1, 1, 2);
    size_t beside_stride = width + (apart ? 3 * EXTRA : 0);
    t.beside = check_random(rows * beside_stride, -2, 8, 4);
    t.block = (fv_norm_block){.rows = rows,
                              .width = width,
                              .x = t.x.data,
                              .d_out = t.d.data,
                              .residual = beside ? t.beside.data : NULL,
                              .out = beside ? t.beside.data : NULL,
                              .x_stride = x_stride,
                              .d_out_stride = d_stride,
                              .residual_stride = beside_stride,
                              .out_stride = beside_stride,
                              .y_stride = width + (apart ? 1 : 0),
                              .add = add};
    const float *k = t.k.data;
    t.coefficients = (fv_norm_coefficients){k, k + width, k + 2 * width, k + 3 * width, k + 4 * width, 0, 6};
    check_case("%zu rows of %zu columns, strides %zu, %zu, %zu, add %d, with a residual %d", rows, width, x_stride,
               d_stride, t.block.y_stride, add, beside);
    return t;
}

static void free_case(norm_case *t) {
    check_free(&t->x);
    check_free(&t->d);
    check_free(&t->beside);
    check_free(&t->k);
}

/* The formulas of the header, of element (r, c) */
static double distance_of(const norm_case *t, size_t r, size_t c) {
    return (double)t->x.data[r * t->block.x_stride + c] - (double)t->coefficients.center[c];
}

static double mapped(const norm_case *t, size_t r, size_t c) {
    return distance_of(t, r, c) * (double)t->coefficients.scale[c] + (double)t->coefficients.offset[c];
}

static double beside_of(const norm_case *t, size_t r, size_t c) {
    return (double)t->beside.data[r * t->block.out_stride + c];
}

static double passed(const norm_case *t, size_t r, size_t c) {
    double y = t->block.out ? beside_of(t, r, c) : mapped(t, r, c);
    return y > 0 && y < 6 ? (double)t->d.data[r * t->block.d_out_stride + c] : 0;
}

static check_array make_result(const norm_case *t, bool filled) {
    size_t count = t->rows * t->block.y_stride;
    return filled ? check_random(count, -1, 1, 9) : check_unset(count);
}

#endif
