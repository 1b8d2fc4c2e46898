#include "fovea/kernel/depthwise.h"

#ifdef FV_X86_VARIANTS
#define SIDE 5
/* Measured: what 32 registers hold, and rather rows than pixels for pictures that come from memory. */
#define SLIDE_ROWS 8
#define SLIDE_PIXELS 2

#include "depthwise_vector_avx512.h"
/* in this order */
#include "depthwise_tile.h"
#include "depthwise_slide.h"
#include "depthwise_5x5_backward.h"

const fv_depthwise fv_depthwise_5x5_avx512 = {.level = FV_CPU_AVX512,
                                              .name = "depthwise 5x5, AVX-512",
                                              .accepts = accepts,
                                              .forward = forward,
                                              .data = data,
                                              .weight = weight_gradient};
#endif
