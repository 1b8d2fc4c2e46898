#include <limits.h>
#include <math.h>
#include <stdint.h>

#include "fovea/base/threads.h"
#include "fovea/kernel/pool.h"
#include "fovea/op/op.h"
#include "op_window.h"

#define TILE 64 /* channels at once: their best values and places stay in registers and first-level cache */
#define MOST_TAPS UINT16_MAX

static fv_status check_kernel(const fv_op_spec *spec, const char *layer) {
    const fv_attributes *a = &spec->attributes;
    if (a->kernel_h < 1 || a->kernel_w < 1 || a->kernel_h > MOST_TAPS / a->kernel_w)
        return fv_fail(FV_BAD_INPUT, "kernel of layer %s is %dx%d, expected at least 1x1 and up to %d taps", layer,
                       a->kernel_h, a->kernel_w, MOST_TAPS);
    if (a->stride < 1) return fv_fail(FV_BAD_INPUT, "stride of layer %s is %d, expected 1 or more", layer, a->stride);
    const fv_padding *p = &a->padding;
    /* A window must hold at least one pixel, or its maximum is that of nothing. */
    if (p->top < 0 || p->left < 0 || p->bottom < 0 || p->right < 0 || p->top >= a->kernel_h ||
        p->bottom >= a->kernel_h || p->left >= a->kernel_w || p->right >= a->kernel_w)
        return fv_fail(FV_BAD_INPUT,
                       "padding of layer %s is %d %d %d %d, expected 0 or more and less than its %dx%d kernel", layer,
                       p->top, p->left, p->bottom, p->right, a->kernel_h, a->kernel_w);
    return FV_OK;
}

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 1, 1));
    fv_attributes *a = &spec->attributes;
    fv_shape x = spec->in[0];
    if (a->stride == 0) a->stride = 1;
    if (a->padding.mode == FV_PAD_SAME && a->kernel_h > 0 && a->kernel_w > 0 && a->stride > 0) {
        fv_op_pad_same(x.h, a->kernel_h, a->stride, &a->padding.top, &a->padding.bottom);
        fv_op_pad_same(x.w, a->kernel_w, a->stride, &a->padding.left, &a->padding.right);
    }
    FV_TRY(check_kernel(spec, layer));
    int64_t room_h = (int64_t)x.h + a->padding.top + a->padding.bottom - a->kernel_h;
    int64_t room_w = (int64_t)x.w + a->padding.left + a->padding.right - a->kernel_w;
    char text[FV_SHAPE_TEXT];
    if (room_h < 0 || room_w < 0)
        return fv_fail(FV_BAD_INPUT, "input of layer %s is %s, expected no smaller than its %dx%d kernel", layer,
                       fv_shape_text(x, text), a->kernel_h, a->kernel_w);
    if (room_h >= INT_MAX || room_w >= INT_MAX)
        return fv_fail(FV_BAD_INPUT, "input of layer %s is too large, %s", layer, fv_shape_text(x, text));
    spec->out = (fv_shape){x.n, (int)(room_h / a->stride) + 1, (int)(room_w / a->stride) + 1, x.c};
    return FV_OK;
}

/* saved: for every output the tap that won, u * kernel_w + v, in one byte where that is enough. */
static bool taps_fit_byte(const fv_op_spec *spec) {
    return spec->attributes.kernel_h * spec->attributes.kernel_w <= UINT8_MAX;
}

static size_t saved_bytes(const fv_op_spec *spec) {
    return fv_shape_count(spec->out) * (taps_fit_byte(spec) ? sizeof(uint8_t) : sizeof(uint16_t));
}

static inline int least(int a, int b) {
    return a < b ? a : b;
}

static inline int most(int a, int b) {
    return a > b ? a : b;
}

/* One window and up to TILE channels: `x` points to the sample's first channel of the tile, `stride` is the distance of
   two pixels. A NaN wins and stays. */
static void best_of_window(const fv_op_spec *spec, const fv_real *x, size_t stride, int i, int j, int count,
                           fv_real *best, int32_t *tap) {
    const fv_attributes *a = &spec->attributes;
    fv_shape in = spec->in[0];
    int top = i * a->stride - a->padding.top, left = j * a->stride - a->padding.left;
    int u_end = least(a->kernel_h, in.h - top), v_end = least(a->kernel_w, in.w - left);
    for (int c = 0; c < count; c++) best[c] = -INFINITY;
    int u_begin = most(0, -top), v_begin = most(0, -left);
    for (int c = 0; c < count; c++) tap[c] = u_begin * a->kernel_w + v_begin; /* should all be minus infinity */
    for (int u = u_begin; u < u_end; u++) {
        for (int v = v_begin; v < v_end; v++) {
            const fv_real *pixel = x + ((size_t)(top + u) * (size_t)in.w + (size_t)(left + v)) * stride;
            int32_t here = u * a->kernel_w + v;
            for (int c = 0; c < count; c++) {
                bool wins = (pixel[c] > best[c]) | (pixel[c] != pixel[c]);
                best[c] = wins ? pixel[c] : best[c];
                tap[c] = wins ? here : tap[c];
            }
        }
    }
}

static void store_taps(const fv_op_call *call, size_t at, int count, const int32_t *restrict tap) {
    if (taps_fit_byte(call->spec)) {
        uint8_t *restrict saved = (uint8_t *)call->saved + at;
        for (int c = 0; c < count; c++) saved[c] = (uint8_t)tap[c];
    } else {
        uint16_t *restrict saved = (uint16_t *)call->saved + at;
        for (int c = 0; c < count; c++) saved[c] = (uint16_t)tap[c];
    }
}

static void forward_row(void *context, int64_t task, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    fv_shape in = call->spec->in[0], out = call->spec->out;
    int n = (int)(task / out.h), i = (int)(task % out.h);
    size_t stride = (size_t)fv_pixel_stride(call->in_stride[0], in.c);
    const fv_real *x = call->in[0] + (size_t)n * (size_t)in.h * (size_t)in.w * stride;
    for (int j = 0; j < out.w; j++) {
        size_t pixel = ((size_t)task * (size_t)out.w + (size_t)j) * (size_t)out.c;
        for (int first = 0; first < out.c; first += TILE) {
            fv_real best[TILE];
            int32_t tap[TILE];
            int count = least(TILE, out.c - first);
            best_of_window(call->spec, x + first, stride, i, j, count, best, tap);
            size_t at = pixel + (size_t)first;
            for (int c = 0; c < count; c++) call->out[at + (size_t)c] = best[c];
            store_taps(call, at, count, tap);
        }
    }
}

/* Windows of 2x2 side by side that cover the picture: kernel/pool.h. */
static bool is_plain(const fv_op_spec *spec) {
    const fv_attributes *a = &spec->attributes;
    return a->kernel_h == 2 && a->kernel_w == 2 && a->stride == 2 && a->padding.top == 0 && a->padding.left == 0 &&
           spec->in[0].h == 2 * spec->out.h && spec->in[0].w == 2 * spec->out.w;
}

/* A row of windows, and its first element among the results and (`pixel`) among the picture's pixels. */
static fv_pool_row pool_row(const fv_op_call *call, int64_t task, size_t stride, size_t *result, size_t *pixel) {
    fv_shape out = call->spec->out;
    *result = (size_t)task * (size_t)out.w * (size_t)out.c;
    *pixel = (size_t)task * 4 * (size_t)out.w * stride;
    return (fv_pool_row){(size_t)out.w, (size_t)out.c, stride, (uint8_t *)call->saved + *result};
}

static void plain_forward_row(void *context, int64_t task, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    size_t result, pixel, stride = (size_t)fv_pixel_stride(call->in_stride[0], call->spec->in[0].c);
    fv_pool_row row = pool_row(call, task, stride, &result, &pixel);
    const fv_real *upper = call->in[0] + pixel;
    fv_pool_choose()->forward(&row, upper, upper + 2 * row.windows * stride, call->out + result);
}

static void plain_backward_row(void *context, int64_t task, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    size_t result, pixel, stride = (size_t)fv_pixel_stride(call->d_in_stride[0], call->spec->in[0].c);
    fv_pool_row row = pool_row(call, task, stride, &result, &pixel);
    fv_real *upper = call->d_in[0] + pixel;
    fv_pool_choose()->gradient(&row, call->d_out + result, upper, upper + 2 * row.windows * stride, call->add[0]);
}

static void forward(const fv_op_call *call) {
    fv_op_call copy = *call;
    if (is_plain(call->spec)) {
        fv_parallel_for((int64_t)call->spec->out.n * call->spec->out.h, plain_forward_row, &copy);
        return;
    }
    fv_parallel_for((int64_t)call->spec->out.n * call->spec->out.h, forward_row, &copy);
}

/* Adds d_out of one window to the pixel at its tap `here`, where that tap won. */
static void take_from_window(const fv_op_call *call, size_t at, int here, int count, fv_real *restrict sum) {
    const fv_real *restrict d_out = call->d_out + at;
    if (taps_fit_byte(call->spec)) {
        const uint8_t *restrict tap = (const uint8_t *)call->saved + at;
        for (int c = 0; c < count; c++) {
            fv_real d = d_out[c]; /* loaded without a condition, so that the loop becomes vectors */
            sum[c] += tap[c] == (uint8_t)here ? d : 0;
        }
    } else {
        const uint16_t *restrict tap = (const uint16_t *)call->saved + at;
        for (int c = 0; c < count; c++) {
            fv_real d = d_out[c];
            sum[c] += tap[c] == (uint16_t)here ? d : 0;
        }
    }
}

/* Every pixel of one row collects from the windows that it lies in, so that no two tasks write the same memory. */
static void backward_row(void *context, int64_t task, int worker) {
    (void)worker;
    const fv_op_call *call = context;
    const fv_attributes *a = &call->spec->attributes;
    fv_shape in = call->spec->in[0], out = call->spec->out;
    size_t stride = (size_t)fv_pixel_stride(call->d_in_stride[0], in.c);
    int n = (int)(task / in.h), y = (int)(task % in.h) + a->padding.top;
    /* Windows i with i * stride <= y < i * stride + kernel. */
    int i_begin = most(0, (y - a->kernel_h + a->stride) / a->stride), i_end = least(out.h, y / a->stride + 1);
    for (int x = 0; x < in.w; x++) {
        int left = x + a->padding.left;
        int j_begin = most(0, (left - a->kernel_w + a->stride) / a->stride), j_end = least(out.w, left / a->stride + 1);
        fv_real *d_x = call->d_in[0] + ((size_t)task * (size_t)in.w + (size_t)x) * stride;
        for (int first = 0; first < in.c; first += TILE) {
            fv_real sum[TILE] = {0};
            int count = least(TILE, in.c - first);
            for (int i = i_begin; i < i_end; i++) {
                for (int j = j_begin; j < j_end; j++) {
                    size_t window = ((size_t)n * (size_t)out.h + (size_t)i) * (size_t)out.w + (size_t)j;
                    int here = (y - i * a->stride) * a->kernel_w + left - j * a->stride;
                    take_from_window(call, window * (size_t)out.c + (size_t)first, here, count, sum);
                }
            }
            for (int c = 0; c < count; c++) d_x[first + c] = (call->add[0] ? d_x[first + c] : 0) + sum[c];
        }
    }
}

static void backward(const fv_op_call *call) {
    if (!call->d_in[0]) return;
    fv_op_call copy = *call;
    if (is_plain(call->spec)) {
        fv_parallel_for((int64_t)call->spec->out.n * call->spec->out.h, plain_backward_row, &copy);
        return;
    }
    fv_parallel_for((int64_t)call->spec->in[0].n * call->spec->in[0].h, backward_row, &copy);
}

const fv_op fv_op_max_pool = {
    .name = "max_pool",
    .strided = FV_READS_IN(0),
    .infer = infer,
    .saved_bytes = saved_bytes,
    .forward = forward,
    .backward = backward,
};
