#include "fovea/kernel/depthwise.h"

#ifdef FV_X86_VARIANTS
#define SIDE 3
/* Measured: what 16 registers hold, and rather rows than pixels for pictures that come from memory. */
#define SLIDE_ROWS 4
#define SLIDE_PIXELS 2
#define SPREAD_ROWS 4
#define SPREAD_PIXELS 2
#define WEIGHT_ROWS 3
#define WEIGHT_PIXELS 2

#include "depthwise_vector_avx2.h"
/* in this order */
#include "depthwise_tile.h"
#include "depthwise_slide.h"
#include "depthwise_3x3_spread.h"
#include "depthwise_3x3_weight.h"

const fv_depthwise fv_depthwise_3x3_avx2 = {.level = FV_CPU_AVX2,
                                            .name = "depthwise 3x3, AVX2",
                                            .accepts = accepts,
                                            .forward = forward,
                                            .data = data,
                                            .weight = weight_gradient};
#endif
