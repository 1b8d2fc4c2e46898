#include <stddef.h>

#include "fovea/kernel/depthwise.h"

extern const fv_depthwise fv_depthwise_3x3_avx2, fv_depthwise_3x3_avx512, fv_depthwise_3x3_neon, fv_depthwise_5x5_avx2,
    fv_depthwise_5x5_avx512, fv_depthwise_5x5_neon, fv_depthwise_direct_scalar;

const fv_depthwise *const fv_depthwise_variants[] = {
#ifdef FV_X86_VARIANTS
    &fv_depthwise_3x3_avx512,    &fv_depthwise_5x5_avx512,
    &fv_depthwise_3x3_avx2,      &fv_depthwise_5x5_avx2,
#endif
#ifdef FV_NEON_VARIANTS
    &fv_depthwise_3x3_neon,      &fv_depthwise_5x5_neon,
#endif
    &fv_depthwise_direct_scalar, NULL,
};

const fv_depthwise *fv_depthwise_choose(const fv_window *window, int channels) {
    const fv_depthwise *const *variant = fv_depthwise_variants;
    while ((*variant)->level > fv_cpu() || !(*variant)->accepts(window, channels)) variant++;
    return *variant;
}
