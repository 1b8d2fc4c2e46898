/* What a kernel does to its result y before it writes it: min(max(y scale[c] + offset[c] + residual, low), high). */
#ifndef FOVEA_KERNEL_EPILOGUE_H
#define FOVEA_KERNEL_EPILOGUE_H

#include <stdint.h>

#include "fovea/tensor/tensor.h"

typedef struct fv_channel_epilogue {
    const fv_real *scale, *offset; /* per channel; both NULL: 1 and 0 */
    const fv_real *residual;       /* pixels as those of y, or NULL; may be y itself */
    int64_t residual_stride;       /* distance of two of its pixels in elements */
    fv_real low, high;             /* minus and plus INFINITY for none; a NaN passes */
} fv_channel_epilogue;

/* Of one number. `residual` points to its pixel. */
static inline fv_real fv_epilogue_apply(const fv_channel_epilogue *e, const fv_real *residual, int64_t c, fv_real y) {
    if (e->scale) y = y * e->scale[c] + e->offset[c];
    if (residual) y += residual[c];
    y = y < e->low ? e->low : y;
    return y > e->high ? e->high : y;
}

#endif
