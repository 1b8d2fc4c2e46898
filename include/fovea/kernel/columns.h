/* How kernels that work column by column (normalisation, losses) see a tensor. */
#ifndef FOVEA_KERNEL_COLUMNS_H
#define FOVEA_KERNEL_COLUMNS_H

#include <stddef.h>

/* `segments` matrices of rows x channels, one behind the other. A {N, H, W, C} tensor is one segment of N*H*W rows, or
   N segments of H*W rows. Arrays "per column" hold segments * channels numbers.

   Work is cut into chunks of rows by shape alone; the chunks' sums are added in order, in double: results do not depend
   on the number of threads. */
typedef struct fv_columns {
    size_t segments, rows, channels;
    /* The distance of two rows in elements, for each of the tensors that a function of kernel/norm.h takes; 0 for one
       whose rows stand side by side. More than `channels` for a range of a wider tensor's channels. A loss takes no
       strides. */
    size_t x_stride, y_stride, d_out_stride, d_x_stride, residual_stride, d_residual_stride;
} fv_columns;

/* Rows of a block whose sums stay in fv_real before they go to double: short enough that rounding stays near 1e-7. */
#define FV_BLOCK_ROWS 64

#endif
