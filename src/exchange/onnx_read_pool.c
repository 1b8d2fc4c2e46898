/* Pooling, resizing and padding: MaxPool, AveragePool, GlobalAveragePool, ReduceMean, Resize, Upsample, Pad. */
#include <math.h>
#include <string.h>

#include "onnx_reader.h"

#define LARGEST_MEAN 64 /* px, of a window that becomes weights */

/* ---- pools with a window ---- */

typedef struct pool_parts {
    const fv_onnx_value *x;
    fv_attributes attributes;
} pool_parts;

/* Rounding up is no other than rounding down where the windows end with the picture: other sizes, all of one multiple,
   do not change that. */
static fv_status check_ceil_mode(const fv_onnx_reader *r, const pool_parts *parts) {
    const fv_attributes *a = &parts->attributes;
    const fv_padding *p = &a->padding;
    fv_shape x = fv_onnx_shape(r, parts->x);
    int down = x.h + p->top + p->bottom - a->kernel_h, across = x.w + p->left + p->right - a->kernel_w;
    bool same = p->mode == FV_PAD_SAME || (down % a->stride == 0 && across % a->stride == 0);
    if (same || !fv_onnx_int(r, "ceil_mode", 0)) return FV_OK;
    return fv_onnx_complain(r, "its windows reach over the edge of %dx%d pixels (ceil_mode), fovea's do not", x.w, x.h);
}

static fv_status read_pool(const fv_onnx_reader *r, pool_parts *parts) {
    int kernel[2], strides[2], dilations[2], pads[4];
    char mode[32];
    *parts = (pool_parts){0};
    FV_TRY(fv_onnx_picture(r, 0, &parts->x));
    if (parts->x->flat) return fv_onnx_complain(r, "its input is not a picture {N, C, H, W}");
    if (!fv_onnx_attribute(r, "kernel_shape")) return fv_onnx_complain(r, "it has no kernel_shape");
    FV_TRY(fv_onnx_ints(r, "kernel_shape", 2, 1, kernel));
    FV_TRY(fv_onnx_ints(r, "strides", 2, 1, strides));
    FV_TRY(fv_onnx_ints(r, "dilations", 2, 1, dilations));
    FV_TRY(fv_onnx_ints(r, "pads", 4, 0, pads));
    fv_onnx_text(r, "auto_pad", "NOTSET", mode);
    if (kernel[0] < 1 || kernel[1] < 1 || strides[0] != strides[1] || strides[0] < 1)
        return fv_onnx_complain(r, "kernel %dx%d with strides %d and %d; fovea's strides are the same down and across",
                                kernel[0], kernel[1], strides[0], strides[1]);
    if (dilations[0] != 1 || dilations[1] != 1) return fv_onnx_complain(r, "fovea's pools have no dilation");
    if (r->node->n_output > 1 && *r->node->output[1])
        return fv_onnx_complain(r, "fovea does not give the places of the largest values");
    bool same = strcmp(mode, "SAME_UPPER") == 0;
    if (!same && strcmp(mode, "NOTSET") != 0 && strcmp(mode, "VALID") != 0)
        return fv_onnx_complain(r, "auto_pad is \"%s\", expected NOTSET, SAME_UPPER or VALID", mode);
    parts->attributes =
        (fv_attributes){.kernel_h = kernel[0],
                        .kernel_w = kernel[1],
                        .stride = strides[0],
                        .padding = {same ? FV_PAD_SAME : FV_PAD_EXPLICIT, pads[0], pads[1], pads[2], pads[3]}};
    return check_ceil_mode(r, parts);
}

fv_status fv_onnx_max_pool(fv_onnx_reader *r) {
    pool_parts parts;
    FV_TRY(read_pool(r, &parts));
    return fv_onnx_finish_layer(
        r,
        &(fv_onnx_layer){.kind = FV_OP_max_pool, .attributes = parts.attributes, .pictures = 1, .in = {parts.x->ref}});
}

/* Whether windows side by side cover the picture, so that "same" adds nothing. */
static bool is_covered(const fv_onnx_reader *r, const pool_parts *parts) {
    const fv_attributes *a = &parts->attributes;
    fv_shape x = fv_onnx_shape(r, parts->x);
    return a->kernel_h == a->stride && a->kernel_w == a->stride && x.h % a->stride == 0 && x.w % a->stride == 0;
}

/* A mean over windows is a depthwise convolution whose weights are all 1 / area, where zeros around the picture count.
 */
fv_status fv_onnx_average_pool(fv_onnx_reader *r) {
    pool_parts parts;
    FV_TRY(read_pool(r, &parts));
    const fv_padding *p = &parts.attributes.padding;
    bool padded = p->mode == FV_PAD_SAME ? !is_covered(r, &parts) : p->top || p->left || p->bottom || p->right;
    if (padded && !fv_onnx_int(r, "count_include_pad", 0))
        return fv_onnx_complain(r, "fovea averages padded windows only with count_include_pad");
    int kernel_h = parts.attributes.kernel_h, kernel_w = parts.attributes.kernel_w;
    int channels = fv_onnx_shape(r, parts.x).c;
    if (kernel_h > LARGEST_MEAN || kernel_w > LARGEST_MEAN)
        return fv_onnx_complain(r,
                                "fovea averages windows of up to %dx%d, not of %dx%d; the mean of a whole picture is "
                                "GlobalAveragePool",
                                LARGEST_MEAN, LARGEST_MEAN, kernel_h, kernel_w);
    size_t count = (size_t)kernel_h * (size_t)kernel_w * (size_t)channels;
    return fv_onnx_finish_layer(
        r, &(fv_onnx_layer){.kind = FV_OP_depthwise,
                            .attributes = parts.attributes,
                            .pictures = 1,
                            .in = {parts.x->ref},
                            .weights = 1,
                            .weight_names = {"weight"},
                            .shapes = {{kernel_h, kernel_w, 1, channels}},
                            .sources = {fv_onnx_filled(count, 1 / ((float)kernel_h * (float)kernel_w))}});
}

/* ---- means of the whole picture ---- */

static fv_status add_mean(fv_onnx_reader *r, bool flat) {
    const fv_onnx_value *x;
    FV_TRY(fv_onnx_picture(r, 0, &x));
    if (x->flat) return fv_onnx_complain(r, "its input is not a picture {N, C, H, W}");
    fv_onnx_value value = {.flat = flat};
    FV_TRY(fv_onnx_add_layer(r, &(fv_onnx_layer){.kind = FV_OP_global_average_pool, .pictures = 1, .in = {x->ref}},
                             &value.ref));
    return fv_onnx_result(r, &value);
}

fv_status fv_onnx_global_average_pool(fv_onnx_reader *r) {
    return add_mean(r, false);
}

/* Axes are an attribute, since opset 18 an input. */
static fv_status mean_axes(const fv_onnx_reader *r, int axes[2]) {
    if (!fv_onnx_has_input(r, 1)) return fv_onnx_ints(r, "axes", 2, 0, axes);
    const fv_onnx_tensor *numbers;
    FV_TRY(fv_onnx_constant(r, 1, &numbers));
    fv_onnx_two_axes(numbers, axes);
    return FV_OK;
}

fv_status fv_onnx_reduce_mean(fv_onnx_reader *r) {
    int axes[2];
    FV_TRY(mean_axes(r, axes));
    int first = axes[0] < 0 ? axes[0] + 4 : axes[0], second = axes[1] < 0 ? axes[1] + 4 : axes[1];
    if (!((first == 2 && second == 3) || (first == 3 && second == 2)))
        return fv_onnx_complain(r, "fovea's mean is over height and width, axes 2 and 3");
    return add_mean(r, !fv_onnx_int(r, "keepdims", 1));
}

/* ---- Resize and Upsample ---- */

/* How much larger along height (2) or width (3), 0 where that is not a whole number. */
static int whole_ratio(double ratio) {
    double whole = round(ratio);
    return whole >= 1 && whole <= 64 && fabs(ratio - whole) < 1e-4 ? (int)whole : 0;
}

/* Upsample, and Resize as it was before opset 11, have no modes for coordinates and rounding. */
static bool is_old_resize(const fv_onnx_reader *r) {
    return strcmp(r->node->op_type, "Upsample") == 0 || r->opset < 11;
}

static fv_status read_scales(const fv_onnx_reader *r, const fv_onnx_value *x, int scales[2]) {
    bool old = is_old_resize(r), by_size = !old && fv_onnx_has_input(r, 3);
    const fv_onnx_tensor *numbers;
    int64_t dims[4];
    FV_TRY(fv_onnx_constant(r, old ? 1 : by_size ? 3 : 2, &numbers));
    if (numbers->count != 4 || fv_onnx_dims(r, x, dims) != 4)
        return fv_onnx_complain(r, "it resizes %zu dimensions, expected 4: batch, channels, height and width",
                                numbers->count);
    double ratio[4];
    for (size_t i = 0; i < 4; i++) ratio[i] = fv_onnx_tensor_real(numbers, i) / (by_size ? (double)dims[i] : 1);
    if (whole_ratio(ratio[0]) != 1 || whole_ratio(ratio[1]) != 1)
        return fv_onnx_complain(r,
                                "it makes %g times as many pictures and %g times as many channels; fovea resizes "
                                "height and width, of a batch of 1: export with that or a free one",
                                ratio[0], ratio[1]);
    scales[0] = whole_ratio(ratio[2]);
    scales[1] = whole_ratio(ratio[3]);
    if (scales[0] && scales[0] == scales[1]) return FV_OK;
    return fv_onnx_complain(r,
                            "it makes pictures %g times as high and %g times as wide; fovea's factor is one whole "
                            "number for both",
                            ratio[2], ratio[3]);
}

/* Whether ONNX's way to find the nearest pixel comes to y[i] = x[i / scale]. */
static bool is_plain_nearest(const char *mode, const char *rounding, int scale) {
    bool floor_mode = strcmp(rounding, "floor") == 0, rounds = strncmp(rounding, "round_prefer_", 13) == 0;
    if (scale == 1) return true;
    if (strcmp(mode, "asymmetric") == 0)
        return floor_mode || (scale == 2 && strcmp(rounding, "round_prefer_floor") == 0);
    if (strcmp(mode, "tf_half_pixel_for_nn") == 0) return floor_mode;
    return (strcmp(mode, "half_pixel") == 0 || strcmp(mode, "pytorch_half_pixel") == 0) && rounds;
}

fv_status fv_onnx_resize(fv_onnx_reader *r) {
    const fv_onnx_value *x;
    int scales[2] = {1, 1};
    char mode[32], coordinates[32], rounding[32];
    bool old = is_old_resize(r);
    FV_TRY(fv_onnx_picture(r, 0, &x));
    FV_TRY(read_scales(r, x, scales));
    fv_onnx_text(r, "mode", "nearest", mode);
    fv_onnx_text(r, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel", coordinates);
    fv_onnx_text(r, "nearest_mode", old ? "floor" : "round_prefer_floor", rounding);
    bool nearest = strcmp(mode, "nearest") == 0, linear = strcmp(mode, "linear") == 0;
    bool half_pixel = strcmp(coordinates, "half_pixel") == 0 || strcmp(coordinates, "pytorch_half_pixel") == 0;
    if (!(nearest && is_plain_nearest(coordinates, rounding, scales[0])) && !(linear && half_pixel))
        return fv_onnx_complain(r,
                                "mode \"%s\" with coordinates \"%s\" and rounding \"%s\"; fovea has nearest "
                                "(asymmetric, floor) and linear (half_pixel: align_corners=False)",
                                mode, coordinates, rounding);
    return fv_onnx_finish_layer(r, &(fv_onnx_layer){.kind = nearest ? FV_OP_upsample_nearest : FV_OP_upsample_bilinear,
                                                    .attributes = {.scale = scales[0]},
                                                    .pictures = 1,
                                                    .in = {x->ref}});
}

/* ---- Pad ---- */

static fv_status check_pad_value(const fv_onnx_reader *r) {
    char mode[32];
    fv_onnx_text(r, "mode", "constant", mode);
    if (strcmp(mode, "constant") != 0) return fv_onnx_complain(r, "fovea pads with zeros, not by \"%s\"", mode);
    double value = (double)fv_onnx_float(r, "value", 0);
    if (fv_onnx_has_input(r, 2)) {
        const fv_onnx_tensor *number;
        FV_TRY(fv_onnx_constant(r, 2, &number));
        if (number->count != 1) return fv_onnx_complain(r, "its value has %zu numbers", number->count);
        value = fv_onnx_tensor_real(number, 0);
    }
    return value == 0 ? FV_OK : fv_onnx_complain(r, "fovea pads with zeros, not with %g", value);
}

/* Nothing is done here: the convolution that reads the result pads. */
fv_status fv_onnx_pad(fv_onnx_reader *r) {
    const fv_onnx_value *x;
    int pads[8];
    FV_TRY(fv_onnx_picture(r, 0, &x));
    FV_TRY(check_pad_value(r));
    if (fv_onnx_has_input(r, 3)) return fv_onnx_complain(r, "pads of chosen axes are not read");
    if (fv_onnx_has_input(r, 1)) {
        const fv_onnx_tensor *numbers;
        FV_TRY(fv_onnx_constant(r, 1, &numbers));
        if (numbers->count != 8) return fv_onnx_complain(r, "it has %zu pads, expected 8", numbers->count);
        for (size_t i = 0; i < 8; i++) {
            int64_t pad = fv_onnx_tensor_integer(numbers, i);
            pads[i] = pad < 0 || pad > 4096 ? -1 : (int)pad;
        }
    } else {
        FV_TRY(fv_onnx_ints(r, "pads", 8, 0, pads));
    }
    bool batch = pads[0] || pads[1] || pads[4] || pads[5];
    if (x->flat || batch || pads[2] < 0 || pads[3] < 0 || pads[6] < 0 || pads[7] < 0)
        return fv_onnx_complain(r, "fovea adds 0 to 4096 rows and columns, and pads nothing else");
    fv_onnx_value value = *x;
    value.zeros = (fv_padding){FV_PAD_EXPLICIT, pads[2], pads[3], pads[6], pads[7]};
    return fv_onnx_result(r, &value);
}
