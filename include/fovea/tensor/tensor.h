/* Shapes and the number type of tensors. Layout is NHWC everywhere: the element (n, y, x, c) of a tensor of shape
   {n, h, w, c} stands at ((n*h + y)*w + x)*c_count + c. Weights are 4-D too: see op/op.h for each op's. */
#ifndef FOVEA_TENSOR_TENSOR_H
#define FOVEA_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>

/* float32. The gradient checks compile the engine a second time with FV_DOUBLE, so that finite differences are exact
   enough to be a proof; nothing else uses that build. */
#ifdef FV_DOUBLE
typedef double fv_real;
#else
typedef float fv_real;
#endif

typedef struct fv_shape {
    int n, h, w, c;
} fv_shape;

#define FV_SHAPE_TEXT 48

static inline size_t fv_shape_count(fv_shape s) {
    return (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
}
static inline bool fv_shape_equal(fv_shape a, fv_shape b) {
    return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}
/* "8x256x256x3" */
const char *fv_shape_text(fv_shape shape, char text[FV_SHAPE_TEXT]);

#endif
