#include <limits.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/kernel/conv.h"
#include "fovea/kernel/conv_narrow.h"
#include "fovea/kernel/conv_single.h"
#include "fovea/kernel/gemm.h"
#include "fovea/kernel/moments.h"
#include "fovea/kernel/separable.h"
#include "fovea/kernel/winograd.h"
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

/* Which kernel a convolution runs on: a matrix product of the whole tensor, Winograd's way, that of few channels, or
   windows that are gathered. */
typedef enum conv_way { WAY_POINTWISE, WAY_WINOGRAD, WAY_NARROW, WAY_GATHERED } conv_way;

static conv_way way_of_window(const fv_op_spec *spec, const fv_window *window, int c_in, int c_out) {
    if (is_pointwise(spec)) return WAY_POINTWISE;
    if (spec->attributes.groups > 1) return WAY_GATHERED;
    if (fv_conv_narrow_accepts(window, c_in, c_out)) return WAY_NARROW;
    return fv_winograd_accepts(window, c_in, c_out) ? WAY_WINOGRAD : WAY_GATHERED;
}

/* Of the results, and of the weight's gradient. */
static conv_way way_of(const fv_op_spec *spec) {
    fv_window window = fv_op_window(spec);
    return way_of_window(spec, &window, spec->in[INPUT].c, spec->out.c);
}

/* Of the input's gradient, where the two sides change places. */
static conv_way way_back(const fv_op_spec *spec) {
    fv_window window = fv_op_window(spec);
    if (!fv_window_is_3x3(&window)) return way_of(spec);
    fv_window back = fv_conv3x3_backward_window(&window);
    return way_of_window(spec, &back, spec->out.c, spec->in[INPUT].c);
}

/* Work memory: each step of backward starts over with all of it. -------------------------------------- */

static size_t packed_bytes(const fv_op_spec *spec) {
    const fv_attributes *a = &spec->attributes;
    int64_t taps = (int64_t)a->kernel_h * a->kernel_w;
    return fv_align_up(fv_gemm_packed_count(group_in(spec), taps * group_out(spec)) * sizeof(fv_real));
}

static size_t backward_input_work(const fv_op_spec *spec) {
    fv_window window = fv_op_window(spec), back = fv_conv3x3_backward_window(&window);
    int c = spec->in[INPUT].c, f = spec->out.c;
    switch (way_back(spec)) {
    case WAY_POINTWISE:
        return fv_gemm_rows_work(fv_window_out_pixels(&window), c, f);
    case WAY_WINOGRAD:
        return fv_winograd_work(&back, f, c);
    case WAY_NARROW:
        return fv_conv_narrow_work(&back, f, c);
    case WAY_GATHERED:
        break;
    }
    return packed_bytes(spec) +
           (size_t)fv_threads() * fv_conv_transposed_scratch(&window, group_out(spec), group_in(spec));
}

static size_t backward_weight_work(const fv_op_spec *spec) {
    fv_window window = fv_op_window(spec);
    int c = spec->in[INPUT].c, f = spec->out.c;
    switch (way_of(spec)) {
    case WAY_POINTWISE:
        return fv_gemm_weight_work(fv_window_out_pixels(&window), c, f);
    case WAY_WINOGRAD:
        return fv_winograd_weight_work(&window, c, f);
    case WAY_NARROW:
        return fv_conv_narrow_weight_work(&window, c, f);
    case WAY_GATHERED:
        break;
    }
    return fv_conv_weight_parts(&window, group_in(spec), group_out(spec)) +
           (size_t)fv_threads() * fv_conv_weight_scratch(&window, group_in(spec), group_out(spec));
}

static size_t backward_work(const fv_op_spec *spec) {
    fv_window window = fv_op_window(spec);
    size_t work = fv_larger(backward_input_work(spec), backward_weight_work(spec));
    return spec->inputs > BIAS ? fv_larger(work, fv_column_sums_work(fv_window_out_pixels(&window), spec->out.c))
                               : work;
}

/* Forward alone, where nobody wants moments or a map. */
static bool is_single(const fv_op_spec *spec) {
    fv_window window = fv_op_window(spec);
    return spec->attributes.groups == 1 && fv_conv_single_pays(&window, spec->in[INPUT].c, spec->out.c);
}

static size_t forward_work_of_way(const fv_op_spec *spec) {
    fv_window window = fv_op_window(spec);
    int c = spec->in[INPUT].c, f = spec->out.c;
    int64_t pixels = fv_window_out_pixels(&window);
    switch (way_of(spec)) {
    case WAY_POINTWISE:
        return fv_gemm_rows_work(pixels, f, c);
    case WAY_WINOGRAD:
        return fv_winograd_work(&window, c, f);
    case WAY_NARROW:
        return fv_conv_narrow_work(&window, c, f);
    case WAY_GATHERED:
        break;
    }
    size_t gathered = (size_t)fv_threads() * fv_conv_direct_scratch(&window, group_in(spec), group_out(spec));
    return fv_larger(gathered, fv_moments_work(pixels, f));
}

static size_t forward_work(const fv_op_spec *spec) {
    fv_window window = fv_op_window(spec);
    size_t single = is_single(spec) ? fv_conv_single_work(&window, spec->in[INPUT].c) : 0;
    return fv_larger(single, forward_work_of_way(spec));
}

static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    return backward ? backward_work(spec) : fv_op_offset_bytes(spec) + forward_work(spec);
}

/* Forward --------------------------------------------------------------------------------------------- */

static void forward_gathered(const fv_op_call *call, const fv_window *window, const fv_gemm_result *result,
                             void *scratch) {
    const fv_op_spec *spec = call->spec;
    int c = group_in(spec), f = group_out(spec);
    for (int g = 0; g < spec->attributes.groups; g++) {
        fv_conv_product product = {.window = *window,
                                   .c_in = c,
                                   .c_out = f,
                                   .in = call->in[INPUT] + (size_t)g * c,
                                   .in_stride = fv_pixel_stride(call->in_stride[INPUT], spec->in[INPUT].c),
                                   .weight = call->in[WEIGHT] + (size_t)g * f,
                                   .weight_stride = spec->out.c,
                                   .result = fv_gemm_result_at(result, 0, g * f),
                                   .scratch = scratch};
        fv_conv_direct(&product);
    }
    if (call->moments)
        fv_moments_run(result->c, result->ld, fv_window_out_pixels(window), spec->out.c, call->moments, scratch);
}

/* A depthwise convolution before a pointwise one goes along with it. */
static size_t work_behind(const fv_op_spec *spec, const fv_op_spec *before) {
    if (before->kind != FV_OP_depthwise || !is_pointwise(spec)) return 0;
    fv_window window = fv_op_window(before);
    if (!fv_separable_pays(&window, spec->in[INPUT].c, spec->out.c)) return 0;
    return fv_op_offset_bytes(spec) + fv_separable_work(&window, spec->in[INPUT].c);
}

static void forward_separable(const fv_op_call *call, const fv_gemm_result *result, void *work) {
    const fv_op_call *before = call->before;
    const fv_epilogue *e = before->epilogue;
    fv_channel_epilogue finish;
    if (e) finish = (fv_channel_epilogue){.scale = e->scale, .offset = e->offset, .low = e->low, .high = e->high};
    fv_separable_run(&(fv_separable){.window = fv_op_window(before->spec),
                                     .channels = call->spec->in[INPUT].c,
                                     .filters = call->spec->out.c,
                                     .in = before->in[INPUT],
                                     .in_stride = fv_pixel_stride(before->in_stride[INPUT], before->spec->in[INPUT].c),
                                     .taps = before->in[WEIGHT],
                                     .finish = e ? &finish : NULL,
                                     .weight = call->in[WEIGHT],
                                     .result = *result,
                                     .work = work});
}

static void forward_single(const fv_op_call *call, const fv_gemm_result *result, void *work) {
    const fv_op_spec *spec = call->spec;
    fv_conv_single_run(&(fv_conv_single){.window = fv_op_window(spec),
                                         .channels = spec->in[INPUT].c,
                                         .in = call->in[INPUT],
                                         .in_stride = fv_pixel_stride(call->in_stride[INPUT], spec->in[INPUT].c),
                                         .weight = call->in[WEIGHT],
                                         .result = *result,
                                         .work = work});
}

static void run_3x3(conv_way way, const fv_conv3x3_product *product) {
    if (way == WAY_WINOGRAD)
        fv_winograd_run(product);
    else
        fv_conv_narrow_run(product);
}

static void forward(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    fv_window window = fv_op_window(spec);
    int stride = fv_pixel_stride(call->in_stride[INPUT], spec->in[INPUT].c);
    fv_gemm_result result = fv_op_result(call, spec->inputs > BIAS ? call->in[BIAS] : NULL);
    void *work = (char *)call->work + fv_op_offset_bytes(spec);
    if (call->before) {
        forward_separable(call, &result, work);
        return;
    }
    if (is_single(spec) && !call->moments && !call->in_map) {
        forward_single(call, &result, work);
        return;
    }
    switch (way_of(spec)) {
    case WAY_POINTWISE:
        fv_gemm_rows_run(&(fv_gemm_rows){.m = fv_window_out_pixels(&window),
                                         .n = spec->out.c,
                                         .k = spec->in[INPUT].c,
                                         .x = call->in[INPUT],
                                         .x_stride = stride,
                                         .b = call->in[WEIGHT],
                                         .packed = call->prepared,
                                         .result = result,
                                         .moments = call->moments,
                                         .work = work});
        break;
    case WAY_WINOGRAD:
    case WAY_NARROW:
        run_3x3(way_of(spec), &(fv_conv3x3_product){.window = window,
                                                    .c_in = spec->in[INPUT].c,
                                                    .c_out = spec->out.c,
                                                    .in = call->in[INPUT],
                                                    .in_stride = stride,
                                                    .in_map = call->in_map,
                                                    .weight = call->in[WEIGHT],
                                                    .result = result,
                                                    .moments = call->moments,
                                                    .work = work});
        break;
    case WAY_GATHERED:
        forward_gathered(call, &window, &result, work);
        break;
    }
}

/* Backward -------------------------------------------------------------------------------------------- */

/* What all ways of backward look at. */
typedef struct sides {
    fv_window window;
    int64_t pixels;
    int in_stride, d_out_stride;
    fv_gemm_result d_in;
} sides;

static sides sides_of(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    sides s = {.window = fv_op_window(spec),
               .in_stride = fv_pixel_stride(call->in_stride[INPUT], spec->in[INPUT].c),
               .d_out_stride = fv_pixel_stride(call->d_out_stride, spec->out.c)};
    s.pixels = fv_window_out_pixels(&s.window);
    s.d_in = (fv_gemm_result){.c = call->d_in[INPUT],
                              .ld = fv_pixel_stride(call->d_in_stride[INPUT], spec->in[INPUT].c),
                              .add = call->add[INPUT]};
    return s;
}

static void gathered_input(const fv_op_call *call, const sides *s) {
    const fv_op_spec *spec = call->spec;
    int c = group_in(spec), f = group_out(spec);
    fv_real *packed = call->work;
    for (int g = 0; g < spec->attributes.groups; g++) {
        fv_conv_taps taps = {.weight = call->in[WEIGHT] + (size_t)g * f,
                             .rows = c,
                             .columns = f,
                             .stride = spec->out.c,
                             .transpose = true};
        fv_conv_transposed_pack(&s->window, &taps, packed);
        fv_conv_product product = {.window = s->window,
                                   .c_in = f,
                                   .c_out = c,
                                   .in = call->d_out + (size_t)g * f,
                                   .in_stride = s->d_out_stride,
                                   .weight = packed,
                                   .result = fv_gemm_result_at(&s->d_in, 0, g * c),
                                   .scratch = (char *)call->work + packed_bytes(spec)};
        fv_conv_transposed(&product);
    }
}

static void gathered_weight(const fv_op_call *call, const sides *s) {
    const fv_op_spec *spec = call->spec;
    int c = group_in(spec), f = group_out(spec);
    for (int g = 0; g < spec->attributes.groups; g++) {
        fv_conv_weight product = {.window = s->window,
                                  .wide = call->in[INPUT] + (size_t)g * c,
                                  .wide_stride = s->in_stride,
                                  .wide_channels = c,
                                  .narrow = call->d_out + (size_t)g * f,
                                  .narrow_stride = s->d_out_stride,
                                  .narrow_channels = f,
                                  .add = call->add[WEIGHT],
                                  .dw = call->d_in[WEIGHT] + (size_t)g * f,
                                  .dw_stride = spec->out.c,
                                  .parts = call->work,
                                  .scratch = (char *)call->work + fv_conv_weight_parts(&s->window, c, f)};
        fv_conv_weight_run(&product);
    }
}

static void backward_input(const fv_op_call *call, const sides *s) {
    const fv_op_spec *spec = call->spec;
    switch (way_back(spec)) {
    case WAY_POINTWISE:
        fv_gemm_rows_run(&(fv_gemm_rows){.m = s->pixels,
                                         .n = spec->in[INPUT].c,
                                         .k = spec->out.c,
                                         .x = call->d_out,
                                         .x_stride = s->d_out_stride,
                                         .b = call->in[WEIGHT],
                                         .transpose_b = true,
                                         .result = s->d_in,
                                         .work = call->work});
        break;
    case WAY_WINOGRAD:
    case WAY_NARROW:
        run_3x3(way_back(spec), &(fv_conv3x3_product){.window = fv_conv3x3_backward_window(&s->window),
                                                      .c_in = spec->out.c,
                                                      .c_out = spec->in[INPUT].c,
                                                      .in = call->d_out,
                                                      .in_stride = s->d_out_stride,
                                                      .weight = call->in[WEIGHT],
                                                      .backward = true,
                                                      .result = s->d_in,
                                                      .work = call->work});
        break;
    case WAY_GATHERED:
        gathered_input(call, s);
        break;
    }
}

static void weight_3x3(const fv_op_call *call, const sides *s) {
    const fv_op_spec *spec = call->spec;
    fv_conv3x3_weight product = {.window = s->window,
                                 .c_in = spec->in[INPUT].c,
                                 .c_out = spec->out.c,
                                 .in = call->in[INPUT],
                                 .in_stride = s->in_stride,
                                 .d_out = call->d_out,
                                 .d_out_stride = s->d_out_stride,
                                 .in_map = call->in_map,
                                 .add = call->add[WEIGHT],
                                 .dw = call->d_in[WEIGHT],
                                 .work = call->work};
    if (way_of(spec) == WAY_WINOGRAD)
        fv_winograd_weight_run(&product);
    else
        fv_conv_narrow_weight_run(&product);
}

static void backward_weight(const fv_op_call *call, const sides *s) {
    const fv_op_spec *spec = call->spec;
    switch (way_of(spec)) {
    case WAY_POINTWISE:
        fv_gemm_weight_run(&(fv_gemm_weight){.m = s->pixels,
                                             .c = spec->in[INPUT].c,
                                             .f = spec->out.c,
                                             .x = call->in[INPUT],
                                             .x_stride = s->in_stride,
                                             .dy = call->d_out,
                                             .dy_stride = s->d_out_stride,
                                             .add = call->add[WEIGHT],
                                             .dw = call->d_in[WEIGHT],
                                             .work = call->work});
        break;
    case WAY_WINOGRAD:
    case WAY_NARROW:
        weight_3x3(call, s);
        break;
    case WAY_GATHERED:
        gathered_weight(call, s);
        break;
    }
}

static void backward(const fv_op_call *call) {
    sides s = sides_of(call);
    if (call->d_in[WEIGHT]) backward_weight(call, &s); /* first: d_in may lie over in */
    if (call->d_in[INPUT]) backward_input(call, &s);
    if (call->spec->inputs > BIAS && call->d_in[BIAS])
        fv_column_sums(s.pixels, call->spec->out.c, call->d_out, s.d_out_stride, call->add[BIAS], call->d_in[BIAS],
                       call->work);
}

/* Of Winograd's weights, four times as large, only few would be worth their memory; they are made anew. */
static size_t prepared_bytes(const fv_op_spec *spec) {
    return is_pointwise(spec) ? fv_gemm_rows_packed(spec->out.c, spec->in[INPUT].c) : 0;
}

static void prepare(const fv_op_call *call) {
    fv_gemm_rows_pack(call->in[WEIGHT], call->spec->out.c, call->spec->in[INPUT].c, call->prepared);
}

/* The other ways would need a copy of the whole tensor. */
static bool maps_input(const fv_op_spec *spec) {
    return way_of(spec) == WAY_WINOGRAD || way_of(spec) == WAY_NARROW;
}

static double macs(const fv_op_spec *spec) {
    const fv_attributes *a = &spec->attributes;
    return (double)fv_shape_count(spec->out) * a->kernel_h * a->kernel_w * group_in(spec);
}

const fv_op fv_op_conv2d = {.name = "conv2d",
                            .backward_reads = FV_READS_IN(INPUT) | FV_READS_IN(WEIGHT),
                            .strided = FV_READS_IN(INPUT) | FV_READS_OUT,
                            .epilogue = true,
                            .moments = true,
                            .overwrites_input = true,
                            .maps_input = maps_input,
                            .work_behind = work_behind,
                            .prepared_bytes = prepared_bytes,
                            .prepare = prepare,
                            .infer = infer,
                            .work_bytes = work_bytes,
                            .forward = forward,
                            .backward = backward,
                            .macs = macs};
