#include "fovea/tensor/tensor.h"

#include <stdio.h>

const char *fv_shape_text(fv_shape shape, char text[FV_SHAPE_TEXT]) {
    snprintf(text, FV_SHAPE_TEXT, "%dx%dx%dx%d", shape.n, shape.h, shape.w, shape.c);
    return text;
}
