#include <stddef.h>

#include "fovea/kernel/gemm_tile.h"

const fv_gemm_tiles *const fv_gemm_tiles_variants[] = {
#ifdef FV_X86_VARIANTS
    &fv_gemm_tiles_avx512,   &fv_gemm_tiles_avx2,
#endif
#ifdef FV_NEON_VARIANTS
    &fv_gemm_tiles_neon,
#endif
    &fv_gemm_tiles_openblas, &fv_gemm_tiles_scalar, NULL,
};

const fv_gemm_tiles *fv_gemm_tiles_choose(void) {
    int i = 0;
    while (fv_gemm_tiles_variants[i]->level > fv_cpu()) i++;
    return fv_gemm_tiles_variants[i];
}
