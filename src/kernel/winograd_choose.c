#include "fovea/kernel/winograd.h"

const fv_winograd_transforms *fv_winograd_transforms_choose(void) {
#if defined(__x86_64__) && !defined(FV_DOUBLE)
    if (fv_cpu() >= FV_CPU_AVX512) return &fv_winograd_avx512;
    if (fv_cpu() >= FV_CPU_AVX2) return &fv_winograd_avx2;
#endif
    return &fv_winograd_scalar;
}
