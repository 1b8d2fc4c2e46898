/* Cross entropy with logits and the sums of the Dice loss, in one pass over logits and targets. */
#ifndef FOVEA_KERNEL_LOSS_H
#define FOVEA_KERNEL_LOSS_H

#include <stdbool.h>
#include <stddef.h>

#include "fovea/base/cpu.h"
#include "fovea/kernel/columns.h"
#include "fovea/tensor/tensor.h"

/* Sums over the rows of a column, p = sigmoid(z). */
typedef struct fv_loss_sums {
    double cross_entropy; /* of max(z, 0) - z t + log(1 + exp(-|z|)) */
    double overlap;       /* of p t */
    double probability;   /* of p */
    double target;        /* of t */
} fv_loss_sums;

/* Coefficients of a column: d_z = cross_entropy (p - t) + p (1 - p) (whole - overlap t). */
typedef struct fv_loss_slopes {
    const fv_real *cross_entropy, *overlap, *whole;
} fv_loss_slopes;

/* Work memory that both functions need. */
size_t fv_loss_work_bytes(fv_columns columns);
/* z: logits, t: targets; sums[] per column. */
void fv_loss_measure(fv_columns columns, const fv_real *z, const fv_real *t, fv_loss_sums *sums, void *work);
/* d_z (+)= as fv_loss_slopes says; d_z may be z. */
void fv_loss_gradient(fv_columns columns, const fv_loss_slopes *slopes, const fv_real *z, const fv_real *t,
                      fv_real *d_z, bool add, void *work);

/* The inner loops, on rows x width with the rows side by side in memory. */
typedef struct fv_loss_kernels {
    fv_cpu_level level;
    /* sums[k * width + c], k in the order of fv_loss_sums. */
    void (*block_sums)(const fv_real *z, const fv_real *t, size_t rows, size_t width, fv_real *sums);
    void (*gradient)(const fv_real *z, const fv_real *t, size_t rows, size_t width, const fv_loss_slopes *slopes,
                     fv_real *d_z, bool add);
} fv_loss_kernels;

/* The variants, best first, plain C last, then NULL. The functions above take the first that fv_cpu() allows. */
extern const fv_loss_kernels *const fv_loss_variants[];

#endif
