#include "fovea/kernel/int8.h"

extern const fv_int8_kernels fv_int8_scalar, fv_int8_avx2, fv_int8_avx512;

const fv_int8_kernels *const fv_int8_variants[] = {
#ifdef FV_X86_VARIANTS
    &fv_int8_avx512,
    &fv_int8_avx2,
#endif
    &fv_int8_scalar,
    NULL,
};

bool fv_int8_runs(const fv_int8_kernels *kernels) {
#ifdef FV_X86_VARIANTS
    if (kernels->level == FV_CPU_AVX512 && !__builtin_cpu_supports("avx512vnni")) return false;
#endif
    return kernels->level <= fv_cpu();
}

const fv_int8_kernels *fv_int8_kernels_choose(void) {
    int i = 0;
    while (!fv_int8_runs(fv_int8_variants[i])) i++;
    return fv_int8_variants[i];
}
