/* Number by number: Add, Sub, Mul, Div of two pictures or of a picture and fixed numbers, and activations. */
#include <math.h>
#include <string.h>

#include "onnx_reader.h"

static fv_status add_unary(fv_onnx_reader *r, fv_op_kind kind) {
    const fv_onnx_value *x;
    FV_TRY(fv_onnx_picture(r, 0, &x));
    fv_onnx_value value = {.flat = x->flat};
    FV_TRY(fv_onnx_add_layer(r, &(fv_onnx_layer){.kind = kind, .pictures = 1, .in = {x->ref}}, &value.ref));
    return fv_onnx_result(r, &value);
}

fv_status fv_onnx_relu(fv_onnx_reader *r) {
    return add_unary(r, FV_OP_relu);
}

fv_status fv_onnx_sigmoid(fv_onnx_reader *r) {
    return add_unary(r, FV_OP_sigmoid);
}

/* An end of Clip: an attribute, since opset 11 an input. */
static fv_status clip_end(const fv_onnx_reader *r, size_t input, const char *name, double standard, double *end) {
    *end = (double)fv_onnx_float(r, name, (float)standard);
    if (!fv_onnx_has_input(r, input)) return FV_OK;
    const fv_onnx_tensor *number;
    FV_TRY(fv_onnx_constant(r, input, &number));
    if (number->count != 1) return fv_onnx_complain(r, "its %s has %zu numbers", name, number->count);
    *end = fv_onnx_tensor_real(number, 0);
    return FV_OK;
}

fv_status fv_onnx_clip(fv_onnx_reader *r) {
    double low, high;
    FV_TRY(clip_end(r, 1, "min", -INFINITY, &low));
    FV_TRY(clip_end(r, 2, "max", INFINITY, &high));
    if (low == 0 && high == 6) return add_unary(r, FV_OP_relu6);
    if (low == 0 && high > 3e38) return add_unary(r, FV_OP_relu);
    return fv_onnx_complain(r, "it clips to %g .. %g; fovea has 0 .. 6 (ReLU6) and 0 .. infinity (ReLU)", low, high);
}

/* ---- a picture and fixed numbers ---- */

/* `count` numbers, one a channel, or one for all, made to `channels` numbers: factor * number, or 1 / number. */
static fv_status to_channels(fv_onnx_reader *r, const fv_onnx_value *x, const fv_onnx_tensor *numbers, bool inverse,
                             double factor, fv_onnx_tensor *made) {
    int channels = fv_onnx_shape(r, x).c, rank = numbers->rank;
    int from_end = x->flat ? 1 : 3; /* where the channels stand: last but two of {N, C, H, W} */
    bool one = numbers->count == 1;
    bool by_channel =
        rank >= from_end && numbers->count == (size_t)channels && numbers->dims[rank - from_end] == channels;
    if (!one && !by_channel)
        return fv_onnx_complain(r, "fovea's fixed numbers are one for all or one for each of the %d channels",
                                channels);
    void *data;
    FV_TRY(fv_onnx_tensor_make(r, FV_ONNX_F32, 1, (int64_t[]){channels}, made, &data));
    for (int c = 0; c < channels; c++) {
        double number = fv_onnx_tensor_real(numbers, one ? 0 : (size_t)c);
        ((float *)data)[c] = (float)(inverse ? 1 / number : factor * number);
    }
    return FV_OK;
}

typedef enum arithmetic { ADD, SUB, MUL, DIV } arithmetic;

/* x + c, x - c, c - x, x * c, x / c are all x scale + offset; c / x is not. */
static fv_status add_fixed(fv_onnx_reader *r, arithmetic what, const fv_onnx_value *x, const fv_onnx_tensor *numbers,
                           bool x_first) {
    fv_onnx_tensor scale = {0}, offset = {0};
    bool has_scale = what == MUL || what == DIV || (what == SUB && !x_first);
    if (what == DIV && !x_first) return fv_onnx_complain(r, "fovea does not divide by a picture");
    if (what == MUL || what == DIV) {
        FV_TRY(to_channels(r, x, numbers, what == DIV, 1, &scale));
    } else {
        FV_TRY(to_channels(r, x, numbers, false, what == SUB && x_first ? -1 : 1, &offset));
        void *data;
        if (has_scale) {
            FV_TRY(fv_onnx_tensor_make(r, FV_ONNX_F32, 1, offset.dims, &scale, &data));
            for (size_t c = 0; c < scale.count; c++) ((float *)data)[c] = -1;
        }
    }
    fv_onnx_value value = {.flat = x->flat};
    FV_TRY(fv_onnx_add_affine(r, x->ref, has_scale ? &scale : NULL, offset.data ? &offset : NULL, &value.ref));
    return fv_onnx_result(r, &value);
}

/* ---- two pictures ---- */

static bool is_same(fv_recipe_ref a, fv_recipe_ref b) {
    return a.source == b.source && a.index == b.index;
}

/* Whether `s` is the sigmoid of `x`: then their product is a silu, and the sigmoid may turn out to be of no use. */
static bool is_sigmoid_of(const fv_onnx_reader *r, const fv_onnx_value *s, const fv_onnx_value *x) {
    if (s->ref.source != FV_FROM_STEP) return false;
    const fv_recipe_step *step = &r->recipe->steps[s->ref.index];
    return step->kind == FV_OP_sigmoid && is_same(step->in[0], x->ref);
}

static fv_status multiply_pictures(fv_onnx_reader *r, const fv_onnx_value *a, const fv_onnx_value *b) {
    fv_onnx_value value = {.flat = a->flat && b->flat};
    fv_shape first = fv_onnx_shape(r, a), second = fv_onnx_shape(r, b);
    fv_onnx_layer layer = {.kind = FV_OP_multiply, .pictures = 2, .in = {a->ref, b->ref}};
    if (is_sigmoid_of(r, b, a))
        layer = (fv_onnx_layer){.kind = FV_OP_silu, .pictures = 1, .in = {a->ref}};
    else if (is_sigmoid_of(r, a, b))
        layer = (fv_onnx_layer){.kind = FV_OP_silu, .pictures = 1, .in = {b->ref}};
    else if ((int64_t)first.h * first.w < (int64_t)second.h * second.w) /* fovea's second one is the small one */
        layer = (fv_onnx_layer){.kind = FV_OP_multiply, .pictures = 2, .in = {b->ref, a->ref}};
    FV_TRY(fv_onnx_add_layer(r, &layer, &value.ref));
    return fv_onnx_result(r, &value);
}

static fv_status combine(fv_onnx_reader *r, arithmetic what) {
    const fv_onnx_value *a, *b;
    FV_TRY(fv_onnx_input(r, 0, &a));
    FV_TRY(fv_onnx_input(r, 1, &b));
    if (a->constant || b->constant) {
        FV_TRY(fv_onnx_picture(r, a->constant ? 1 : 0, a->constant ? &b : &a));
        if (a->sized || b->sized)
            return fv_onnx_complain(r, "its numbers follow from the picture's size; fovea's networks are of any size");
        return a->constant ? add_fixed(r, what, b, &a->tensor, false) : add_fixed(r, what, a, &b->tensor, true);
    }
    FV_TRY(fv_onnx_picture(r, 0, &a));
    FV_TRY(fv_onnx_picture(r, 1, &b));
    if (a->flat != b->flat) return fv_onnx_complain(r, "it combines {N, C} with {N, C, H, W}");
    if (what == MUL) return multiply_pictures(r, a, b);
    if (what != ADD) return fv_onnx_complain(r, "fovea does this only with fixed numbers, not with two pictures");
    fv_onnx_value value = {.flat = a->flat};
    FV_TRY(
        fv_onnx_add_layer(r, &(fv_onnx_layer){.kind = FV_OP_add, .pictures = 2, .in = {a->ref, b->ref}}, &value.ref));
    return fv_onnx_result(r, &value);
}

fv_status fv_onnx_add(fv_onnx_reader *r) {
    return combine(r, ADD);
}

fv_status fv_onnx_sub(fv_onnx_reader *r) {
    return combine(r, SUB);
}

fv_status fv_onnx_mul(fv_onnx_reader *r) {
    return combine(r, MUL);
}

fv_status fv_onnx_div(fv_onnx_reader *r) {
    return combine(r, DIV);
}
