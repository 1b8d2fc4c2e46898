#include <limits.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/conv.h"
#include "fovea/kernel/gemm.h"
#include "op_window.h"

/* A transposed convolution is a convolution seen from its output: the window slides over out, and its positions are the
   pixels of in[0]. */
enum { INPUT, WEIGHT, BIAS };

static fv_status check_kernel(fv_op_spec *spec, const char *layer) {
    fv_attributes *a = &spec->attributes;
    fv_padding *p = &a->padding;
    int kernel = a->kernel_h, over = kernel - 2; /* rows that the windows cover beyond 2H */
    if (a->kernel_h != a->kernel_w || (kernel != 2 && kernel != 3) || a->stride != 2 || a->dilation != 1) {
        return fv_fail(
            FV_BAD_INPUT,
            "layer %s: conv_transpose knows kernel 2 or 3 with stride 2 and dilation 1, found kernel %dx%d, stride "
            "%d, dilation %d",
            layer, a->kernel_h, a->kernel_w, a->stride, a->dilation);
    }
    if (p->mode == FV_PAD_SAME) {
        p->top = p->left = over;
        p->bottom = p->right = 0;
    }
    if (p->top < 0 || p->bottom < 0 || p->left < 0 || p->right < 0 || p->top + p->bottom != over ||
        p->left + p->right != over) {
        return fv_fail(
            FV_BAD_INPUT,
            "layer %s: conv_transpose has a padding of %d, %d, %d, %d (top, left, bottom, right); to double the "
            "picture, kernel %d needs top + bottom = left + right = %d",
            layer, p->top, p->left, p->bottom, p->right, kernel, over);
    }
    return FV_OK;
}

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 2, 3));
    FV_TRY(fv_op_check_kernel(spec, layer, "conv_transpose"));
    FV_TRY(check_kernel(spec, layer));
    fv_shape in = spec->in[INPUT], weight = spec->in[WEIGHT];
    char in_text[FV_SHAPE_TEXT], weight_text[FV_SHAPE_TEXT];
    if (weight.w != in.c) {
        return fv_fail(
            FV_BAD_INPUT,
            "layer %s: the weight of conv_transpose has the shape %s, expected %dx%dx%dx%d (kernel, channels, "
            "filters) for the input %s",
            layer, fv_shape_text(weight, weight_text), weight.n, weight.h, in.c, weight.c, fv_shape_text(in, in_text));
    }
    int widest = in.c > weight.c ? in.c : weight.c, tallest = in.h > in.w ? in.h : in.w;
    if (widest > INT_MAX / 16 || tallest > INT_MAX / 4) {
        return fv_fail(FV_BAD_INPUT,
                       "layer %s: conv_transpose has an input of %s and a weight of %s, which is too large", layer,
                       fv_shape_text(in, in_text), fv_shape_text(weight, weight_text));
    }
    FV_TRY(fv_op_check_bias(spec, layer, "conv_transpose", weight.c));
    spec->out = (fv_shape){in.n, 2 * in.h, 2 * in.w, weight.c};
    return FV_OK;
}

static fv_window window_of(const fv_op_spec *spec) {
    fv_window window = fv_op_window(spec);
    window.in_h = spec->out.h;
    window.in_w = spec->out.w;
    window.out_h = spec->in[INPUT].h;
    window.out_w = spec->in[INPUT].w;
    return window;
}

/* The weight as panels: {c_in, c_out} a tap forwards, transposed backwards. */
static size_t packed_bytes(const fv_op_spec *spec, bool backward) {
    int64_t taps = (int64_t)spec->in[WEIGHT].n * spec->in[WEIGHT].h;
    int c = spec->in[INPUT].c, f = spec->out.c;
    size_t count = backward ? fv_gemm_packed_count(c, taps * f) : fv_gemm_packed_count(f, taps * c);
    return fv_align_up(count * sizeof(fv_real));
}

static size_t prepared_bytes(const fv_op_spec *spec) {
    return packed_bytes(spec, false);
}

/* Each step of backward starts over with all of the work memory. */
static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    fv_window window = window_of(spec);
    size_t threads = (size_t)fv_threads();
    int c = spec->in[INPUT].c, f = spec->out.c;
    if (!backward)
        return fv_op_offset_bytes(spec) + packed_bytes(spec, false) +
               threads * fv_conv_transposed_scratch(&window, c, f);
    size_t data = packed_bytes(spec, true) + threads * fv_conv_direct_scratch(&window, f, c);
    size_t weight = fv_conv_weight_parts(&window, f, c) + threads * fv_conv_weight_scratch(&window, f, c);
    size_t bias = spec->inputs > BIAS ? fv_column_sums_work(fv_window_in_pixels(&window), f) : 0;
    return fv_larger(bias, fv_larger(data, weight));
}

static fv_conv_taps taps_of(const fv_op_call *call, bool transpose) {
    int c = call->spec->in[INPUT].c, f = call->spec->out.c;
    return (fv_conv_taps){.weight = call->in[WEIGHT], .rows = c, .columns = f, .stride = f, .transpose = transpose};
}

static void pack_taps(const fv_op_call *call, void *packed) {
    fv_window window = window_of(call->spec);
    fv_conv_taps taps = taps_of(call, false);
    fv_conv_transposed_pack(&window, &taps, packed);
}

static void prepare(const fv_op_call *call) {
    pack_taps(call, call->prepared);
}

static void forward(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    char *work = (char *)call->work + fv_op_offset_bytes(spec);
    if (!call->prepared) pack_taps(call, work);
    fv_conv_product product = {.window = window_of(spec),
                               .c_in = spec->in[INPUT].c,
                               .c_out = spec->out.c,
                               .in = call->in[INPUT],
                               .in_stride = fv_pixel_stride(call->in_stride[INPUT], spec->in[INPUT].c),
                               .weight = call->prepared ? call->prepared : (fv_real *)(void *)work,
                               .result = fv_op_result(call, spec->inputs > BIAS ? call->in[BIAS] : NULL),
                               .scratch = work + packed_bytes(spec, false)};
    fv_conv_transposed(&product);
}

static void backward_input(const fv_op_call *call, const fv_window *window) {
    const fv_op_spec *spec = call->spec;
    fv_conv_taps taps = taps_of(call, true);
    fv_conv_direct_pack(window, &taps, call->work);
    fv_conv_product product = {.window = *window,
                               .c_in = spec->out.c,
                               .c_out = spec->in[INPUT].c,
                               .in = call->d_out,
                               .in_stride = fv_pixel_stride(call->d_out_stride, spec->out.c),
                               .weight = call->work,
                               .result = {.c = call->d_in[INPUT],
                                          .ld = fv_pixel_stride(call->d_in_stride[INPUT], spec->in[INPUT].c),
                                          .add = call->add[INPUT]},
                               .scratch = (char *)call->work + packed_bytes(spec, true)};
    fv_conv_direct(&product);
}

static void backward_weight(const fv_op_call *call, const fv_window *window) {
    const fv_op_spec *spec = call->spec;
    int c = spec->in[INPUT].c, f = spec->out.c;
    fv_conv_weight product = {.window = *window,
                              .wide = call->d_out,
                              .wide_stride = fv_pixel_stride(call->d_out_stride, f),
                              .wide_channels = f,
                              .narrow = call->in[INPUT],
                              .narrow_stride = fv_pixel_stride(call->in_stride[INPUT], c),
                              .narrow_channels = c,
                              .swap = true,
                              .add = call->add[WEIGHT],
                              .dw = call->d_in[WEIGHT],
                              .dw_stride = f,
                              .parts = call->work,
                              .scratch = (char *)call->work + fv_conv_weight_parts(window, f, c)};
    fv_conv_weight_run(&product);
}

static void backward(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    fv_window window = window_of(spec);
    if (call->d_in[WEIGHT]) backward_weight(call, &window); /* first: d_in may lie over in */
    if (call->d_in[INPUT]) backward_input(call, &window);
    if (spec->inputs > BIAS && call->d_in[BIAS]) {
        fv_column_sums(fv_window_in_pixels(&window), spec->out.c, call->d_out,
                       fv_pixel_stride(call->d_out_stride, spec->out.c), call->add[BIAS], call->d_in[BIAS], call->work);
    }
}

static double macs(const fv_op_spec *spec) {
    return (double)spec->in[INPUT].n * spec->in[INPUT].h * spec->in[INPUT].w * (double)fv_shape_count(spec->in[WEIGHT]);
}

const fv_op fv_op_conv_transpose = {.name = "conv_transpose",
                                    .backward_reads = FV_READS_IN(INPUT) | FV_READS_IN(WEIGHT),
                                    .strided = FV_READS_IN(INPUT) | FV_READS_OUT,
                                    .epilogue = true,
                                    .overwrites_input = true,
                                    .prepared_bytes = prepared_bytes,
                                    .prepare = prepare,
                                    .infer = infer,
                                    .work_bytes = work_bytes,
                                    .forward = forward,
                                    .backward = backward,
                                    .macs = macs};
