#include "fovea/kernel/pool.h"

extern const fv_pool_kernels fv_pool_scalar, fv_pool_avx2, fv_pool_avx512;

const fv_pool_kernels *const fv_pool_variants[] = {
#ifdef FV_X86_VARIANTS
    &fv_pool_avx512,
    &fv_pool_avx2,
#endif
    &fv_pool_scalar,
    NULL,
};

const fv_pool_kernels *fv_pool_choose(void) {
    int i = 0;
    while (fv_pool_variants[i]->level > fv_cpu()) i++;
    return fv_pool_variants[i];
}
