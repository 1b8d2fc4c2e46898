#include "fovea/kernel/gemm_tile.h"

const fv_gemm_tiles *fv_gemm_tiles_choose(void) {
#if defined(__x86_64__) && !defined(FV_DOUBLE)
    if (fv_cpu() >= FV_CPU_AVX512) return &fv_gemm_tiles_avx512;
    if (fv_cpu() >= FV_CPU_AVX2) return &fv_gemm_tiles_avx2;
#endif
    return &fv_gemm_tiles_openblas;
}
