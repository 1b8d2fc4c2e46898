#include "fovea/kernel/optimizer.h"

extern const fv_optimizer_kernels fv_optimizer_scalar, fv_optimizer_avx2, fv_optimizer_avx512;

const fv_optimizer_kernels *const fv_optimizer_variants[] = {
#ifdef FV_X86_VARIANTS
    &fv_optimizer_avx512,
    &fv_optimizer_avx2,
#endif
    &fv_optimizer_scalar,
    NULL,
};

const fv_optimizer_kernels *fv_optimizer_kernels_now(void) {
    int i = 0;
    while (fv_optimizer_variants[i]->level > fv_cpu()) i++;
    return fv_optimizer_variants[i];
}
