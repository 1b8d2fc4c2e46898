#include "fovea/kernel/depthwise.h"

#ifdef FV_X86_VARIANTS
#define SIDE 3
/* Measured: what 32 registers hold, and rather rows than pixels for pictures that come from memory. */
#define SLIDE_ROWS 8
#define SLIDE_PIXELS 2
#define SPREAD_ROWS 8
#define SPREAD_PIXELS 2
#define WEIGHT_ROWS 4
#define WEIGHT_PIXELS 4

#include "depthwise_vector_avx512.h"
/* in this order */
#include "depthwise_tile.h"
#include "depthwise_slide.h"
#include "depthwise_3x3_spread.h"
#include "depthwise_3x3_weight.h"

const fv_depthwise fv_depthwise_3x3_avx512 = {.level = FV_CPU_AVX512,
                                              .name = "depthwise 3x3, AVX-512",
                                              .accepts = accepts,
                                              .forward = forward,
                                              .data = data,
                                              .weight = weight_gradient};
#endif
