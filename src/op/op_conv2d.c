#include <limits.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/conv.h"
#include "fovea/kernel/gemm.h"
#include "op_window.h"

enum { INPUT, WEIGHT, BIAS };

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, 2, 3));
    FV_TRY(fv_op_check_kernel(spec, layer, "conv2d"));
    fv_attributes *a = &spec->attributes;
    fv_shape in = spec->in[INPUT], weight = spec->in[WEIGHT];
    char in_text[FV_SHAPE_TEXT], weight_text[FV_SHAPE_TEXT];
    if (a->groups == 0) a->groups = 1;
    if (a->groups < 1 || in.c % a->groups != 0 || weight.c % a->groups != 0) {
        return fv_fail(FV_BAD_INPUT, "layer %s: conv2d can't split %d channels and %d filters into %d equal groups",
                       layer, in.c, weight.c, a->groups);
    }
    if (weight.w != in.c / a->groups) {
        return fv_fail(
            FV_BAD_INPUT,
            "layer %s: the weight of conv2d has the shape %s, expected %dx%dx%dx%d (kernel, channels a group, "
            "filters) for the input %s in groups of %d",
            layer, fv_shape_text(weight, weight_text), weight.n, weight.h, in.c / a->groups, weight.c,
            fv_shape_text(in, in_text), in.c / a->groups);
    }
    int64_t widest = in.c > weight.c ? in.c : weight.c;
    if (widest * weight.n * weight.h > INT_MAX / 2) {
        return fv_fail(FV_BAD_INPUT, "layer %s: the weight of conv2d has the shape %s, which is too large", layer,
                       fv_shape_text(weight, weight_text));
    }
    FV_TRY(fv_op_check_bias(spec, layer, "conv2d", weight.c));
    FV_TRY(fv_op_slide(spec, layer, "conv2d"));
    spec->out.n = in.n;
    spec->out.c = weight.c;
    return FV_OK;
}

/* One matrix product of the whole tensor. */
static bool is_pointwise(const fv_op_spec *spec) {
    const fv_attributes *a = &spec->attributes;
    return a->kernel_h == 1 && a->kernel_w == 1 && a->stride == 1 && a->groups == 1 && a->padding.top == 0 &&
           a->padding.left == 0 && a->padding.bottom == 0 && a->padding.right == 0;
}

/* Channels of a group. */
static int group_in(const fv_op_spec *spec) {
    return spec->in[WEIGHT].w;
}

static int group_out(const fv_op_spec *spec) {
    return spec->in[WEIGHT].c / spec->attributes.groups;
}

/* Work memory: each step of backward starts over with all of it. -------------------------------------- */

static size_t packed_bytes(const fv_op_spec *spec) {
    const fv_attributes *a = &spec->attributes;
    size_t taps = (size_t)a->kernel_h * (size_t)a->kernel_w;
    return fv_align_up(taps * (size_t)group_in(spec) * (size_t)group_out(spec) * sizeof(fv_real));
}

static size_t backward_work(const fv_op_spec *spec) {
    int64_t pixels = (int64_t)spec->out.n * spec->out.h * spec->out.w;
    size_t bias = spec->inputs > BIAS ? fv_column_sums_work(pixels, spec->out.c) : 0;
    int c = spec->in[INPUT].c, f = spec->out.c;
    if (is_pointwise(spec)) {
        return fv_larger(bias, fv_larger(fv_gemm_rows_work(c, f, true), fv_gemm_weight_work(pixels, c, f)));
    }
    fv_window window = fv_op_window(spec);
    size_t threads = (size_t)fv_threads();
    c = group_in(spec);
    f = group_out(spec);
    size_t data = packed_bytes(spec) + threads * fv_conv_transposed_scratch(&window, f, c);
    size_t weight = fv_conv_weight_parts(&window, c, f) + threads * fv_conv_weight_scratch(&window, c, f);
    return fv_larger(bias, fv_larger(data, weight));
}

static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    if (backward) return backward_work(spec);
    if (is_pointwise(spec)) return 0;
    fv_window window = fv_op_window(spec);
    return (size_t)fv_threads() * fv_conv_direct_scratch(&window, group_in(spec), group_out(spec));
}

/* Forward --------------------------------------------------------------------------------------------- */

static void forward(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    const fv_real *bias = spec->inputs > BIAS ? call->in[BIAS] : NULL;
    fv_window window = fv_op_window(spec);
    if (is_pointwise(spec)) {
        fv_gemm_rows product = {.m = fv_window_out_pixels(&window),
                                .n = spec->out.c,
                                .k = spec->in[INPUT].c,
                                .x = call->in[INPUT],
                                .b = call->in[WEIGHT],
                                .bias = bias,
                                .y = call->out};
        fv_gemm_rows_run(&product);
        return;
    }
    int c = group_in(spec), f = group_out(spec);
    for (int g = 0; g < spec->attributes.groups; g++) {
        fv_conv_product product = {.window = window,
                                   .c_in = c,
                                   .c_out = f,
                                   .in = call->in[INPUT] + (size_t)g * c,
                                   .in_stride = spec->in[INPUT].c,
                                   .weight = call->in[WEIGHT] + (size_t)g * f,
                                   .weight_stride = spec->out.c,
                                   .bias = bias ? bias + (size_t)g * f : NULL,
                                   .out = call->out + (size_t)g * f,
                                   .out_stride = spec->out.c,
                                   .scratch = call->work};
        fv_conv_direct(&product);
    }
}

/* Backward -------------------------------------------------------------------------------------------- */

static void backward_input(const fv_op_call *call, const fv_window *window) {
    const fv_op_spec *spec = call->spec;
    int c = group_in(spec), f = group_out(spec);
    fv_real *packed = call->work;
    for (int g = 0; g < spec->attributes.groups; g++) {
        fv_conv_taps taps = {.weight = call->in[WEIGHT] + (size_t)g * f,
                             .rows = c,
                             .columns = f,
                             .stride = spec->out.c,
                             .transpose = true};
        fv_conv_transposed_pack(window, &taps, packed);
        fv_conv_product product = {.window = *window,
                                   .c_in = f,
                                   .c_out = c,
                                   .in = call->d_out + (size_t)g * f,
                                   .in_stride = spec->out.c,
                                   .weight = packed,
                                   .add = call->add[INPUT],
                                   .out = call->d_in[INPUT] + (size_t)g * c,
                                   .out_stride = spec->in[INPUT].c,
                                   .scratch = (char *)call->work + packed_bytes(spec)};
        fv_conv_transposed(&product);
    }
}

static void backward_weight(const fv_op_call *call, const fv_window *window) {
    const fv_op_spec *spec = call->spec;
    int c = group_in(spec), f = group_out(spec);
    for (int g = 0; g < spec->attributes.groups; g++) {
        fv_conv_weight product = {.window = *window,
                                  .wide = call->in[INPUT] + (size_t)g * c,
                                  .wide_stride = spec->in[INPUT].c,
                                  .wide_channels = c,
                                  .narrow = call->d_out + (size_t)g * f,
                                  .narrow_stride = spec->out.c,
                                  .narrow_channels = f,
                                  .add = call->add[WEIGHT],
                                  .dw = call->d_in[WEIGHT] + (size_t)g * f,
                                  .dw_stride = spec->out.c,
                                  .parts = call->work,
                                  .scratch = (char *)call->work + fv_conv_weight_parts(window, c, f)};
        fv_conv_weight_run(&product);
    }
}

static void backward_pointwise(const fv_op_call *call, int64_t pixels) {
    int c = call->spec->in[INPUT].c, f = call->spec->out.c;
    if (call->d_in[INPUT]) {
        fv_gemm_rows product = {.m = pixels,
                                .n = c,
                                .k = f,
                                .x = call->d_out,
                                .b = call->in[WEIGHT],
                                .transpose_b = true,
                                .add = call->add[INPUT],
                                .y = call->d_in[INPUT],
                                .work = call->work};
        fv_gemm_rows_run(&product);
    }
    if (call->d_in[WEIGHT]) {
        fv_gemm_weight product = {.m = pixels,
                                  .c = c,
                                  .f = f,
                                  .x = call->in[INPUT],
                                  .dy = call->d_out,
                                  .add = call->add[WEIGHT],
                                  .dw = call->d_in[WEIGHT],
                                  .work = call->work};
        fv_gemm_weight_run(&product);
    }
}

static void backward(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    fv_window window = fv_op_window(spec);
    if (is_pointwise(spec)) {
        backward_pointwise(call, fv_window_out_pixels(&window));
    } else {
        if (call->d_in[INPUT]) backward_input(call, &window);
        if (call->d_in[WEIGHT]) backward_weight(call, &window);
    }
    if (spec->inputs > BIAS && call->d_in[BIAS]) {
        fv_column_sums(fv_window_out_pixels(&window), spec->out.c, call->d_out, call->add[BIAS], call->d_in[BIAS],
                       call->work);
    }
}

static double macs(const fv_op_spec *spec) {
    const fv_attributes *a = &spec->attributes;
    return (double)fv_shape_count(spec->out) * a->kernel_h * a->kernel_w * group_in(spec);
}

const fv_op fv_op_conv2d = {.name = "conv2d",
                            .backward_reads = FV_READS_IN(INPUT) | FV_READS_IN(WEIGHT),
                            .infer = infer,
                            .work_bytes = work_bytes,
                            .forward = forward,
                            .backward = backward,
                            .macs = macs};
