/* Shape inference that the convolutions share. */
#ifndef FOVEA_SRC_OP_OP_WINDOW_H
#define FOVEA_SRC_OP_OP_WINDOW_H

#include "fovea/kernel/gemm_tile.h"
#include "fovea/kernel/window.h"
#include "fovea/op/op.h"
#include "op_common.h"

static inline size_t fv_larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* TensorFlow's "same" padding of one axis, size px long, for a window that reaches over `reach` px: ceil(size / stride)
   positions, the odd pixel at the end. */
void fv_op_pad_same(int size, int reach, int stride, int *before, int *after);
/* Refuses a bias, if there is one as in[2], that is not {1,1,1,filters}. */
fv_status fv_op_check_bias(const fv_op_spec *spec, const char *layer, const char *op, int filters);
/* Fills the kernel of the attributes from the weight in[1] and the defaults of stride and dilation (0 means 1), and
   refuses what is out of range (sizes up to 4096) or a kernel attribute that is not the weight's. */
fv_status fv_op_check_kernel(fv_op_spec *spec, const char *layer, const char *op);
/* Resolves the padding of FV_PAD_SAME and sets height and width of the output of a window that slides over in[0]. */
fv_status fv_op_slide(fv_op_spec *spec, const char *layer, const char *op);
/* The window of a spec that fv_op_slide() has seen. */
fv_window fv_op_window(const fv_op_spec *spec);

/* Where forward's product of a convolution goes: call->out with bias {filters} (NULL: none) and epilogue. Bias and an
   epilogue's scale make an offset of their own, for which work memory begins with fv_op_offset_bytes(). */
size_t fv_op_offset_bytes(const fv_op_spec *spec);
fv_gemm_result fv_op_result(const fv_op_call *call, const fv_real *bias);

#endif
