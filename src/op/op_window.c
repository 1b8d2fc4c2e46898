#include "op_window.h"

#include <limits.h>

#include "fovea/base/memory.h"

#define MOST 4096 /* of kernel, stride, dilation and padding, so that no sum of them overflows */

fv_status fv_op_check_bias(const fv_op_spec *spec, const char *layer, const char *op, int filters) {
    char found[FV_SHAPE_TEXT];
    if (spec->inputs < 3 || fv_shape_equal(spec->in[2], (fv_shape){1, 1, 1, filters})) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "layer %s: the bias of %s has the shape %s, expected 1x1x1x%d, one number a filter",
                   layer, op, fv_shape_text(spec->in[2], found), filters);
}

fv_status fv_op_check_kernel(fv_op_spec *spec, const char *layer, const char *op) {
    fv_attributes *a = &spec->attributes;
    int h = spec->in[1].n, w = spec->in[1].h;
    if ((a->kernel_h != 0 && a->kernel_h != h) || (a->kernel_w != 0 && a->kernel_w != w)) {
        return fv_fail(FV_BAD_INPUT, "layer %s: %s is asked for a kernel of %dx%d, but its weight is one of %dx%d",
                       layer, op, a->kernel_h, a->kernel_w, h, w);
    }
    a->kernel_h = h;
    a->kernel_w = w;
    if (a->stride == 0) a->stride = 1;
    if (a->dilation == 0) a->dilation = 1;
    if (h > MOST || w > MOST || a->stride < 1 || a->stride > MOST || a->dilation < 1 || a->dilation > MOST) {
        return fv_fail(FV_BAD_INPUT, "layer %s: %s has kernel %dx%d, stride %d, dilation %d, expected 1 to %d for each",
                       layer, op, h, w, a->stride, a->dilation, MOST);
    }
    return FV_OK;
}

void fv_op_pad_same(int size, int reach, int stride, int *before, int *after) {
    int positions = (size + stride - 1) / stride;
    int total = (positions - 1) * stride + reach - size;
    if (total < 0) total = 0;
    *before = total / 2;
    *after = total - total / 2;
}

fv_status fv_op_slide(fv_op_spec *spec, const char *layer, const char *op) {
    const fv_attributes *a = &spec->attributes;
    fv_padding *p = &spec->attributes.padding;
    fv_shape in = spec->in[0];
    int reach_h = (a->kernel_h - 1) * a->dilation + 1, reach_w = (a->kernel_w - 1) * a->dilation + 1;
    if (p->mode == FV_PAD_SAME) {
        fv_op_pad_same(in.h, reach_h, a->stride, &p->top, &p->bottom);
        fv_op_pad_same(in.w, reach_w, a->stride, &p->left, &p->right);
    } else if (p->top < 0 || p->left < 0 || p->bottom < 0 || p->right < 0 || p->top > MOST || p->left > MOST ||
               p->bottom > MOST || p->right > MOST) {
        return fv_fail(FV_BAD_INPUT,
                       "layer %s: %s has a padding of %d, %d, %d, %d (top, left, bottom, right), expected 0 to %d",
                       layer, op, p->top, p->left, p->bottom, p->right, MOST);
    }
    int64_t room_h = (int64_t)in.h + p->top + p->bottom - reach_h,
            room_w = (int64_t)in.w + p->left + p->right - reach_w;
    if (room_h < 0 || room_w < 0) {
        return fv_fail(
            FV_BAD_INPUT,
            "layer %s: the window of %s covers %dx%d pixels, more than the input of %dx%d with its padding; take "
            "larger pictures or more padding",
            layer, op, reach_h, reach_w, in.h, in.w);
    }
    if (room_h >= INT_MAX || room_w >= INT_MAX)
        return fv_fail(FV_BAD_INPUT, "layer %s: the input of %s is too large, %dx%d", layer, op, in.h, in.w);
    spec->out.h = (int)(room_h / a->stride) + 1;
    spec->out.w = (int)(room_w / a->stride) + 1;
    return FV_OK;
}

fv_window fv_op_window(const fv_op_spec *spec) {
    const fv_attributes *a = &spec->attributes;
    return (fv_window){.n = spec->in[0].n,
                       .in_h = spec->in[0].h,
                       .in_w = spec->in[0].w,
                       .out_h = spec->out.h,
                       .out_w = spec->out.w,
                       .kernel_h = a->kernel_h,
                       .kernel_w = a->kernel_w,
                       .stride = a->stride,
                       .dilation = a->dilation,
                       .top = a->padding.top,
                       .left = a->padding.left};
}

size_t fv_op_offset_bytes(const fv_op_spec *spec) {
    return fv_align_up((size_t)spec->out.c * sizeof(fv_real));
}

/* (y + bias) scale + offset = y scale + (bias scale + offset) */
static const fv_real *join_offsets(const fv_op_call *call, const fv_real *bias) {
    const fv_epilogue *e = call->epilogue;
    if (!e || !bias) return e ? e->offset : bias;
    fv_real *joined = call->work;
    for (int c = 0; c < call->spec->out.c; c++)
        joined[c] = bias[c] * (e->scale ? e->scale[c] : 1) + (e->offset ? e->offset[c] : 0);
    return joined;
}

fv_gemm_result fv_op_result(const fv_op_call *call, const fv_real *bias) {
    const fv_epilogue *e = call->epilogue;
    int channels = call->spec->out.c;
    fv_gemm_result result = {.c = call->out,
                             .ld = fv_pixel_stride(call->out_stride, channels),
                             .finish = e || bias,
                             .offset = join_offsets(call, bias),
                             .low = -INFINITY,
                             .high = INFINITY};
    if (!e) return result;
    result.scale = e->scale;
    result.residual = e->residual;
    result.residual_ld = fv_pixel_stride(e->residual_stride, channels);
    result.low = e->low;
    result.high = e->high;
    return result;
}
