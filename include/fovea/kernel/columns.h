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
} fv_columns;

/* Rows of a block whose sums stay in fv_real before they go to double: short enough that rounding stays near 1e-7. */
#define FV_BLOCK_ROWS 64

#endif
