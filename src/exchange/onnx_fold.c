/* Constants: what exporters leave of computations with shapes and weights, done when the file is read. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_reader.h"

/* ---- moving elements ---- */

/* Element (i, j, ...) of the result is element base + i steps[0] + j steps[1] ... of the source, in the result's dims.
   The steps keep within the source. */
typedef struct walk {
    int rank;
    int64_t dims[FV_ONNX_MAX_RANK], steps[FV_ONNX_MAX_RANK], base;
} walk;

static void steps_of(const fv_onnx_tensor *t, int64_t steps[FV_ONNX_MAX_RANK]) {
    int64_t step = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        steps[i] = step;
        step *= t->dims[i];
    }
}

static fv_status take_walk(fv_onnx_reader *r, const fv_onnx_tensor *source, const walk *w) {
    fv_onnx_tensor made;
    void *data;
    FV_TRY(fv_onnx_tensor_make(r, source->element, w->rank, w->dims, &made, &data));
    size_t bytes = fv_onnx_element_bytes(source->element);
    int64_t index[FV_ONNX_MAX_RANK] = {0}, at = w->base;
    for (size_t n = 0; n < made.count; n++) {
        memcpy((char *)data + n * bytes, (const char *)source->data + (size_t)at * bytes, bytes);
        for (int i = w->rank - 1; i >= 0; i--) {
            at += w->steps[i];
            if (++index[i] < w->dims[i]) break;
            at -= w->steps[i] * w->dims[i];
            index[i] = 0;
        }
    }
    return fv_onnx_result_tensor(r, &made);
}

/* `axis` counted from the front; FV_BAD_INPUT outside the rank. */
static fv_status front_axis(const fv_onnx_reader *r, int64_t axis, int rank, int *front) {
    if (axis < -rank || axis >= rank)
        return fv_onnx_complain(r, "axis %lld of numbers with %d dimensions", (long long)axis, rank);
    *front = (int)(axis < 0 ? axis + rank : axis);
    return FV_OK;
}

static fv_status fold_transpose(fv_onnx_reader *r) {
    const fv_onnx_tensor *x;
    int order[FV_ONNX_MAX_RANK];
    int64_t steps[FV_ONNX_MAX_RANK];
    FV_TRY(fv_onnx_constant(r, 0, &x));
    for (int i = 0; i < x->rank; i++) order[i] = x->rank - 1 - i;
    if (fv_onnx_attribute(r, "perm")) FV_TRY(fv_onnx_ints(r, "perm", x->rank, 0, order));
    steps_of(x, steps);
    walk w = {.rank = x->rank};
    unsigned seen = 0;
    for (int i = 0; i < x->rank; i++) {
        FV_TRY(front_axis(r, order[i], x->rank, &order[i]));
        seen |= 1u << order[i];
        w.dims[i] = x->dims[order[i]];
        w.steps[i] = steps[order[i]];
    }
    if (seen != (1u << x->rank) - 1) return fv_onnx_complain(r, "its perm names an axis twice");
    return take_walk(r, x, &w);
}

/* The first element taken and how many, of `size`, by ONNX's rules for what lies outside. */
static void slice_range(int64_t size, int64_t start, int64_t end, int64_t step, int64_t *first, int64_t *count) {
    if (start < 0) start = start < -size ? 0 : start + size;
    if (end < 0) end = end < -size ? -1 : end + size;
    int64_t low = 0, high = step < 0 ? size - 1 : size;
    start = start < low ? low : start > high ? high : start;
    if (step < 0)
        end = end > size - 1 ? size - 1 : end;
    else
        end = end > size ? size : end < 0 ? 0 : end;
    *first = start;
    int64_t span = step < 0 ? start - end : end - start, stride = step < 0 ? -step : step;
    *count = span <= 0 || size == 0 ? 0 : (span - 1) / stride + 1;
}

static fv_status fold_slice(fv_onnx_reader *r) {
    const fv_onnx_tensor *x, *starts, *ends, *axes = NULL, *strides = NULL;
    FV_TRY(fv_onnx_constant(r, 0, &x));
    FV_TRY(fv_onnx_constant(r, 1, &starts));
    FV_TRY(fv_onnx_constant(r, 2, &ends));
    if (fv_onnx_has_input(r, 3)) FV_TRY(fv_onnx_constant(r, 3, &axes));
    if (fv_onnx_has_input(r, 4)) FV_TRY(fv_onnx_constant(r, 4, &strides));
    size_t count = starts->count;
    if (ends->count != count || (axes && axes->count != count) || (strides && strides->count != count) ||
        count > (size_t)x->rank)
        return fv_onnx_complain(r, "its starts, ends, axes and steps are not of one length");
    walk w = {.rank = x->rank};
    unsigned seen = 0;
    steps_of(x, w.steps);
    memcpy(w.dims, x->dims, sizeof w.dims);
    for (size_t i = 0; i < count; i++) {
        int axis = 0;
        int64_t first, step = strides ? fv_onnx_tensor_integer(strides, i) : 1;
        FV_TRY(front_axis(r, axes ? fv_onnx_tensor_integer(axes, i) : (int64_t)i, x->rank, &axis));
        if (seen >> axis & 1) return fv_onnx_complain(r, "it names axis %d twice", axis);
        if (step == 0 || step < -INT32_MAX || step > INT32_MAX)
            return fv_onnx_complain(r, "it takes steps of %lld", (long long)step);
        seen |= 1u << axis;
        slice_range(x->dims[axis], fv_onnx_tensor_integer(starts, i), fv_onnx_tensor_integer(ends, i), step, &first,
                    &w.dims[axis]);
        w.base += first * w.steps[axis];
        w.steps[axis] *= step;
    }
    return take_walk(r, x, &w);
}

/* Along `axis`, the elements of `indices`, whose dims take the axis's place. */
static fv_status fold_gather(fv_onnx_reader *r) {
    const fv_onnx_tensor *x, *indices;
    int axis = 0;
    FV_TRY(fv_onnx_constant(r, 0, &x));
    FV_TRY(fv_onnx_constant(r, 1, &indices));
    FV_TRY(front_axis(r, fv_onnx_int(r, "axis", 0), x->rank, &axis));
    if (x->rank + indices->rank - 1 > FV_ONNX_MAX_RANK) return fv_onnx_complain(r, "too many dimensions");
    int64_t dims[FV_ONNX_MAX_RANK], inner = 1, outer = 1;
    int rank = 0;
    for (int i = 0; i < axis; i++) outer *= dims[rank++] = x->dims[i];
    for (int i = 0; i < indices->rank; i++) dims[rank++] = indices->dims[i];
    for (int i = axis + 1; i < x->rank; i++) inner *= dims[rank++] = x->dims[i];
    fv_onnx_tensor made;
    void *data;
    FV_TRY(fv_onnx_tensor_make(r, x->element, rank, dims, &made, &data));
    size_t run = (size_t)inner * fv_onnx_element_bytes(x->element), place = 0;
    for (int64_t o = 0; o < outer && made.count; o++)
        for (size_t k = 0; k < indices->count; k++) {
            int64_t index = fv_onnx_tensor_integer(indices, k), size = x->dims[axis];
            if (index < -size || index >= size)
                return fv_onnx_complain(r, "it takes element %lld of %lld", (long long)index, (long long)size);
            size_t from = (size_t)(o * size + (index < 0 ? index + size : index));
            memcpy((char *)data + place++ * run, (const char *)x->data + from * run, run);
        }
    return fv_onnx_result_tensor(r, &made);
}

static fv_status fold_concat(fv_onnx_reader *r) {
    const fv_onnx_tensor *first, *part;
    fv_onnx_tensor made;
    int axis = 0;
    void *data;
    FV_TRY(fv_onnx_constant(r, 0, &first));
    FV_TRY(front_axis(r, fv_onnx_int(r, "axis", 0), first->rank, &axis));
    if (first->rank != 1) return fv_onnx_complain(r, "fixed numbers are put together in one dimension only");
    bool real = false;
    int64_t length = 0;
    for (size_t i = 0; i < r->node->n_input; i++) {
        FV_TRY(fv_onnx_constant(r, i, &part));
        if (part->rank != 1) return fv_onnx_complain(r, "its inputs have different ranks");
        real = real || fv_onnx_is_real(part);
        length += (int64_t)part->count;
    }
    FV_TRY(fv_onnx_tensor_make(r, real ? FV_ONNX_F32 : FV_ONNX_I64, 1, &length, &made, &data));
    size_t place = 0;
    for (size_t i = 0; i < r->node->n_input; i++) {
        FV_TRY(fv_onnx_constant(r, i, &part));
        for (size_t k = 0; k < part->count; k++, place++)
            if (real)
                ((float *)data)[place] = (float)fv_onnx_tensor_real(part, k);
            else
                ((int64_t *)data)[place] = fv_onnx_tensor_integer(part, k);
    }
    return fv_onnx_result_tensor(r, &made);
}

/* ---- other dims, the same elements ---- */

static fv_status fold_reshape(fv_onnx_reader *r) {
    const fv_onnx_tensor *x, *wanted;
    FV_TRY(fv_onnx_constant(r, 0, &x));
    FV_TRY(fv_onnx_constant(r, 1, &wanted));
    if (wanted->count > FV_ONNX_MAX_RANK) return fv_onnx_complain(r, "too many dimensions");
    fv_onnx_tensor made = *x;
    made.rank = (int)wanted->count;
    int open = -1;
    size_t known = 1;
    for (int i = 0; i < made.rank; i++) {
        int64_t size = fv_onnx_tensor_integer(wanted, (size_t)i);
        if (size == 0 && i < x->rank) size = x->dims[i];
        if (size == -1 && open < 0)
            open = i;
        else if (size < 0 || (uint64_t)size > x->count)
            return fv_onnx_complain(r, "the new size %lld does not fit", (long long)size);
        made.dims[i] = size;
        if (size != -1) known *= (size_t)size;
        if (known > x->count) return fv_onnx_complain(r, "the new sizes do not fit %zu numbers", x->count);
    }
    if (open >= 0) made.dims[open] = known ? (int64_t)(x->count / known) : 0;
    if (open >= 0) known *= (size_t)made.dims[open];
    if (known != x->count) return fv_onnx_complain(r, "the new sizes do not fit %zu numbers", x->count);
    return fv_onnx_result_tensor(r, &made);
}

/* Axes are an attribute, since opset 13 an input; returns them as bits of a tensor of `rank`. */
static fv_status axes_of(const fv_onnx_reader *r, int rank, unsigned *bits) {
    const Onnx__AttributeProto *attribute = fv_onnx_attribute(r, "axes");
    const fv_onnx_tensor *axes = NULL;
    if (fv_onnx_has_input(r, 1)) FV_TRY(fv_onnx_constant(r, 1, &axes));
    size_t count = axes ? axes->count : attribute ? attribute->n_ints : 0;
    *bits = 0;
    for (size_t i = 0; i < count; i++) {
        int axis = 0;
        FV_TRY(front_axis(r, axes ? fv_onnx_tensor_integer(axes, i) : attribute->ints[i], rank, &axis));
        *bits |= 1u << axis;
    }
    return FV_OK;
}

static fv_status fold_squeeze(fv_onnx_reader *r) {
    const fv_onnx_tensor *x;
    unsigned bits;
    FV_TRY(fv_onnx_constant(r, 0, &x));
    FV_TRY(axes_of(r, x->rank, &bits));
    fv_onnx_tensor made = *x;
    made.rank = 0;
    for (int i = 0; i < x->rank; i++) {
        bool taken = bits ? bits >> i & 1 : x->dims[i] == 1;
        if (taken && x->dims[i] != 1) return fv_onnx_complain(r, "dimension %d is not of size 1", i);
        if (!taken) made.dims[made.rank++] = x->dims[i];
    }
    return fv_onnx_result_tensor(r, &made);
}

static fv_status fold_unsqueeze(fv_onnx_reader *r) {
    const fv_onnx_tensor *x, *axes = NULL;
    FV_TRY(fv_onnx_constant(r, 0, &x));
    const Onnx__AttributeProto *attribute = fv_onnx_attribute(r, "axes");
    if (fv_onnx_has_input(r, 1)) FV_TRY(fv_onnx_constant(r, 1, &axes));
    size_t more = axes ? axes->count : attribute ? attribute->n_ints : 0;
    if ((size_t)x->rank + more > FV_ONNX_MAX_RANK) return fv_onnx_complain(r, "too many dimensions");
    unsigned bits;
    fv_onnx_tensor made = *x;
    made.rank = x->rank + (int)more;
    FV_TRY(axes_of(r, made.rank, &bits));
    int taken = 0;
    for (int i = 0; i < made.rank; i++) {
        if (!(bits >> i & 1) && taken == x->rank) return fv_onnx_complain(r, "it names an axis twice");
        made.dims[i] = bits >> i & 1 ? 1 : x->dims[taken++];
    }
    return fv_onnx_result_tensor(r, &made);
}

/* ---- numbers ---- */

static double combined(const char *type, double a, double b, bool real) {
    if (strcmp(type, "Add") == 0) return a + b;
    if (strcmp(type, "Sub") == 0) return a - b;
    if (strcmp(type, "Mul") == 0) return a * b;
    return real ? a / b : b != 0 ? trunc(a / b) : 0;
}

/* Of two tensors of one shape, or one of them a single number. Sizes are far below 2^53, so doubles hold them. */
static fv_status fold_arithmetic(fv_onnx_reader *r) {
    const fv_onnx_tensor *a, *b;
    FV_TRY(fv_onnx_constant(r, 0, &a));
    FV_TRY(fv_onnx_constant(r, 1, &b));
    const fv_onnx_tensor *form = a->count == 1 && (b->count != 1 || b->rank > a->rank) ? b : a;
    bool same = a->count == b->count && (a->rank == b->rank || a->count == 1);
    for (int i = 0; i < a->rank && same && a->count != 1; i++) same = a->dims[i] == b->dims[i];
    if (!same && a->count != 1 && b->count != 1) return fv_onnx_complain(r, "the shapes of its fixed numbers differ");
    bool real = fv_onnx_is_real(a) || fv_onnx_is_real(b);
    fv_onnx_tensor made;
    void *data;
    FV_TRY(fv_onnx_tensor_make(r, real ? FV_ONNX_F32 : FV_ONNX_I64, form->rank, form->dims, &made, &data));
    for (size_t i = 0; i < made.count; i++) {
        double value = combined(r->node->op_type, fv_onnx_tensor_real(a, a->count == 1 ? 0 : i),
                                fv_onnx_tensor_real(b, b->count == 1 ? 0 : i), real);
        if (real)
            ((float *)data)[i] = (float)value;
        else
            ((int64_t *)data)[i] = fabs(value) < 9e15 ? (int64_t)value : 0;
    }
    return fv_onnx_result_tensor(r, &made);
}

/* Cast, Floor, Ceil. */
static fv_status fold_unary(fv_onnx_reader *r) {
    const fv_onnx_tensor *x;
    FV_TRY(fv_onnx_constant(r, 0, &x));
    const char *type = r->node->op_type;
    bool cast = strcmp(type, "Cast") == 0, to_real = fv_onnx_is_real_type(fv_onnx_int(r, "to", 0));
    if (cast && to_real == fv_onnx_is_real(x)) return fv_onnx_result_tensor(r, x); /* weights of another width stay */
    fv_onnx_tensor made;
    void *data;
    bool real = cast ? to_real : fv_onnx_is_real(x);
    FV_TRY(fv_onnx_tensor_make(r, real ? FV_ONNX_F32 : FV_ONNX_I64, x->rank, x->dims, &made, &data));
    for (size_t i = 0; i < made.count; i++) {
        double value = fv_onnx_tensor_real(x, i);
        if (strcmp(type, "Floor") == 0) value = floor(value);
        if (strcmp(type, "Ceil") == 0) value = ceil(value);
        if (real)
            ((float *)data)[i] = (float)value;
        else
            ((int64_t *)data)[i] = fv_onnx_is_real(x) && !(fabs(value) < 9e18) ? 0
                                   : fv_onnx_is_real(x)                        ? (int64_t)value
                                                                               : fv_onnx_tensor_integer(x, i);
    }
    return fv_onnx_result_tensor(r, &made);
}

/* ---- from attributes ---- */

static fv_status fold_constant(fv_onnx_reader *r) {
    const Onnx__AttributeProto *a = fv_onnx_attribute(r, "value");
    fv_onnx_tensor made;
    void *data;
    if (a && a->t) {
        FV_TRY(fv_onnx_about_node(r, fv_onnx_tensor_take(a->t, "its value", &made)));
        return fv_onnx_result_tensor(r, &made);
    }
    if ((a = fv_onnx_attribute(r, "value_int"))) {
        made = (fv_onnx_tensor){.count = 1, .element = FV_ONNX_I64, .data = &a->i};
        return fv_onnx_result_tensor(r, &made);
    }
    if ((a = fv_onnx_attribute(r, "value_float"))) {
        made = (fv_onnx_tensor){.count = 1, .element = FV_ONNX_F32, .data = &a->f};
        return fv_onnx_result_tensor(r, &made);
    }
    bool real = !(a = fv_onnx_attribute(r, "value_ints"));
    if (real && !(a = fv_onnx_attribute(r, "value_floats")))
        return fv_onnx_complain(r, "it has no value that fovea reads");
    int64_t length = (int64_t)(real ? a->n_floats : a->n_ints);
    FV_TRY(fv_onnx_tensor_make(r, real ? FV_ONNX_F32 : FV_ONNX_I64, 1, &length, &made, &data));
    size_t bytes = made.count * fv_onnx_element_bytes(made.element);
    if (bytes) memcpy(data, real ? (const void *)a->floats : (const void *)a->ints, bytes);
    return fv_onnx_result_tensor(r, &made);
}

static fv_status fold_constant_of_shape(fv_onnx_reader *r) {
    const fv_onnx_tensor *shape;
    fv_onnx_tensor made, fill = {0};
    void *data;
    int64_t dims[FV_ONNX_MAX_RANK];
    FV_TRY(fv_onnx_constant(r, 0, &shape));
    if (shape->count > FV_ONNX_MAX_RANK) return fv_onnx_complain(r, "too many dimensions");
    for (size_t i = 0; i < shape->count; i++) dims[i] = fv_onnx_tensor_integer(shape, i);
    const Onnx__AttributeProto *a = fv_onnx_attribute(r, "value");
    if (a && a->t) FV_TRY(fv_onnx_about_node(r, fv_onnx_tensor_take(a->t, "its value", &fill)));
    bool real = !fill.count || fv_onnx_is_real(&fill);
    FV_TRY(fv_onnx_tensor_make(r, real ? FV_ONNX_F32 : FV_ONNX_I64, (int)shape->count, dims, &made, &data));
    for (size_t i = 0; i < made.count && fill.count; i++)
        if (real)
            ((float *)data)[i] = (float)fv_onnx_tensor_real(&fill, 0);
        else
            ((int64_t *)data)[i] = fv_onnx_tensor_integer(&fill, 0);
    return fv_onnx_result_tensor(r, &made);
}

fv_status fv_onnx_fold(fv_onnx_reader *r) {
    static const struct {
        const char *type;
        fv_onnx_operator *fold;
    } folds[] = {{"Constant", fold_constant}, {"ConstantOfShape", fold_constant_of_shape},
                 {"Identity", fv_onnx_alias}, {"Dropout", fv_onnx_alias},
                 {"Cast", fold_unary},        {"Floor", fold_unary},
                 {"Ceil", fold_unary},        {"Gather", fold_gather},
                 {"Slice", fold_slice},       {"Transpose", fold_transpose},
                 {"Concat", fold_concat},     {"Reshape", fold_reshape},
                 {"Squeeze", fold_squeeze},   {"Unsqueeze", fold_unsqueeze},
                 {"Add", fold_arithmetic},    {"Sub", fold_arithmetic},
                 {"Mul", fold_arithmetic},    {"Div", fold_arithmetic}};
    for (size_t i = 0; i < sizeof folds / sizeof *folds; i++)
        if (strcmp(folds[i].type, r->node->op_type) == 0) return folds[i].fold(r);
    return fv_onnx_complain(r, "fovea does not compute this from fixed numbers");
}
