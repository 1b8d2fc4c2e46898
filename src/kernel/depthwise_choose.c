#include "fovea/base/cpu.h"
#include "fovea/kernel/depthwise.h"

/* Best first; the last one accepts everything. */
static const struct {
    fv_cpu_level level;
    const fv_depthwise *kernel;
} variants[] = {
#if defined(__x86_64__) && !defined(FV_DOUBLE)
    {FV_CPU_AVX512, &fv_depthwise_3x3_avx512},
    {FV_CPU_AVX2, &fv_depthwise_3x3_avx2},
#endif
    {FV_CPU_SCALAR, &fv_depthwise_direct_scalar},
};

const fv_depthwise *fv_depthwise_choose(const fv_window *window, int channels) {
    fv_cpu_level level = fv_cpu();
    int i = 0;
    while (variants[i].level > level || !variants[i].kernel->accepts(window, channels)) i++;
    return variants[i].kernel;
}
