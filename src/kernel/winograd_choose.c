#include "fovea/kernel/winograd.h"

const fv_winograd_transforms *const fv_winograd_variants[] = {
#ifdef FV_X86_VARIANTS
    &fv_winograd_avx512, &fv_winograd_avx2,
#endif
#ifdef FV_NEON_VARIANTS
    &fv_winograd_neon,
#endif
    &fv_winograd_scalar, NULL,
};

const fv_winograd_transforms *fv_winograd_transforms_choose(void) {
    int i = 0;
    while (fv_winograd_variants[i]->level > fv_cpu()) i++;
    return fv_winograd_variants[i];
}
