#include "fovea/kernel/depthwise.h"

#ifdef FV_NEON_VARIANTS
#define SIDE 3
/* What 32 registers hold. */
#define SLIDE_ROWS 4
#define SLIDE_PIXELS 4
#define SPREAD_ROWS 4
#define SPREAD_PIXELS 4
#define WEIGHT_ROWS 4
#define WEIGHT_PIXELS 4

#include "depthwise_vector_neon.h"
/* in this order */
#include "depthwise_tile.h"
#include "depthwise_slide.h"
#include "depthwise_3x3_spread.h"
#include "depthwise_3x3_weight.h"

const fv_depthwise fv_depthwise_3x3_neon = {.level = FV_CPU_NEON,
                                            .name = "depthwise 3x3, NEON",
                                            .accepts = accepts,
                                            .forward = forward,
                                            .data = data,
                                            .weight = weight_gradient};
#endif
