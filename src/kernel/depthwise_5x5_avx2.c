#include "fovea/kernel/depthwise.h"

#ifdef FV_X86_VARIANTS
#define SIDE 5
/* Measured: what 16 registers hold, and rather rows than pixels for pictures that come from memory. */
#define SLIDE_ROWS 4
#define SLIDE_PIXELS 2

#include "depthwise_vector_avx2.h"
/* in this order */
#include "depthwise_tile.h"
#include "depthwise_slide.h"
#include "depthwise_5x5_backward.h"

const fv_depthwise fv_depthwise_5x5_avx2 = {.level = FV_CPU_AVX2,
                                            .name = "depthwise 5x5, AVX2",
                                            .accepts = accepts,
                                            .forward = forward,
                                            .data = data,
                                            .weight = weight_gradient};
#endif
