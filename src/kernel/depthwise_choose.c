#include "fovea/base/cpu.h"
#include "fovea/kernel/depthwise.h"

const fv_depthwise *fv_depthwise_choose(const fv_window *window, int channels) {
#if defined(__x86_64__) && !defined(FV_DOUBLE)
    if (fv_cpu() >= FV_CPU_AVX2 && fv_depthwise_3x3_avx2.accepts(window, channels)) return &fv_depthwise_3x3_avx2;
#endif
    (void)window;
    (void)channels;
    return &fv_depthwise_direct_scalar;
}
