#include "fovea/kernel/depthwise.h"

#ifdef FV_NEON_VARIANTS
#define SIDE 5
/* What 32 registers hold. */
#define SLIDE_ROWS 4
#define SLIDE_PIXELS 4

#include "depthwise_vector_neon.h"
/* in this order */
#include "depthwise_tile.h"
#include "depthwise_slide.h"
#include "depthwise_5x5_backward.h"

const fv_depthwise fv_depthwise_5x5_neon = {.level = FV_CPU_NEON,
                                            .name = "depthwise 5x5, NEON",
                                            .accepts = accepts,
                                            .forward = forward,
                                            .data = data,
                                            .weight = weight_gradient};
#endif
