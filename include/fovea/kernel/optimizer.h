/* What an optimiser does to every weight: Adam's rule, the length of the gradient, a moving average. Every variant
   gives the same bits, so that a run may be resumed on another processor. */
#ifndef FOVEA_KERNEL_OPTIMIZER_H
#define FOVEA_KERNEL_OPTIMIZER_H

#include <stddef.h>

#include "fovea/base/cpu.h"
#include "fovea/tensor/tensor.h"

/* With g' = scale g + decay w:
       m = beta1 m + (1 - beta1) g'
       v = beta2 v + (1 - beta2) g'^2
       w = shrink w - rate m / (sqrt(correction2 v) + epsilon)
   Kingma and Ba, "Adam", 2015 (rate and correction2 hold its bias corrections), with the weight decay of Loshchilov and
   Hutter, "Decoupled Weight Decay Regularization", 2019, in shrink, or the older one in decay. */
typedef struct fv_adam_rule {
    fv_real rate, beta1, beta2, epsilon, correction2, scale, decay, shrink;
} fv_adam_rule;

typedef struct fv_optimizer_kernels {
    fv_cpu_level level;
    void (*adam)(const fv_adam_rule *rule, size_t count, const fv_real *g, fv_real *w, fv_real *m, fv_real *v);
    /* Sum of a[i]^2, in double. */
    double (*sum_of_squares)(size_t count, const fv_real *a);
    /* average = keep average + (1 - keep) w */
    void (*average)(size_t count, fv_real keep, const fv_real *w, fv_real *average);
} fv_optimizer_kernels;

/* The best variant that fv_cpu() allows now. */
const fv_optimizer_kernels *fv_optimizer_kernels_now(void);

/* The variants, best first, plain C last, then NULL. */
extern const fv_optimizer_kernels *const fv_optimizer_variants[];

#endif
