/* Cross entropy with logits, focal loss, and the sums that Dice and Tversky losses are made of, in one pass over logits
   and targets. */
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
    double focal;         /* of u^gamma times the cross entropy, u = p (1 - t) + (1 - p) t; 0 with FV_NO_FOCAL */
} fv_loss_sums;

#define FV_NO_FOCAL (-1.0) /* the exponent gamma when there is no focal loss: nothing is spent on it */

/* Coefficients of a column: d_z = cross_entropy (p - t) + p (1 - p) (whole - overlap t)
   + focal u^gamma (p - t + gamma p (1 - p) / u (1 - 2 t) BCE(z, t)). */
typedef struct fv_loss_slopes {
    const fv_real *cross_entropy, *overlap, *whole;
    const fv_real *focal; /* NULL with FV_NO_FOCAL */
    double gamma;         /* 0 or more, or FV_NO_FOCAL */
} fv_loss_slopes;

/* Work memory that both functions need. */
size_t fv_loss_work_bytes(fv_columns columns);
/* z: logits, t: targets; gamma: 0 or more, or FV_NO_FOCAL; sums[] per column. */
void fv_loss_measure(fv_columns columns, double gamma, const fv_real *z, const fv_real *t, fv_loss_sums *sums,
                     void *work);
/* d_z (+)= as fv_loss_slopes says; d_z may be z. */
void fv_loss_gradient(fv_columns columns, const fv_loss_slopes *slopes, const fv_real *z, const fv_real *t,
                      fv_real *d_z, bool add, void *work);

#define FV_LOSS_SUMS 5 /* members of fv_loss_sums */

/* The inner loops, on rows x width with the rows side by side in memory. */
typedef struct fv_loss_kernels {
    fv_cpu_level level;
    /* sums[k * width + c], k in the order of fv_loss_sums; with FV_NO_FOCAL those of the focal loss become 0. */
    void (*block_sums)(double gamma, const fv_real *z, const fv_real *t, size_t rows, size_t width, fv_real *sums);
    void (*gradient)(const fv_real *z, const fv_real *t, size_t rows, size_t width, const fv_loss_slopes *slopes,
                     fv_real *d_z, bool add);
} fv_loss_kernels;

/* The variants, best first, plain C last, then NULL. The functions above take the first that fv_cpu() allows. */
extern const fv_loss_kernels *const fv_loss_variants[];

#endif
