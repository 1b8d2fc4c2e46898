/* What moves or renames numbers: Identity and its like, Shape, Reshape, Flatten, Squeeze, Unsqueeze, Concat. */
#include <string.h>

#include "onnx_reader.h"

/* Identity, Dropout and Cast: the same numbers; fovea computes in float32 whatever the file says. */
fv_status fv_onnx_alias(fv_onnx_reader *r) {
    const fv_onnx_value *x;
    FV_TRY(fv_onnx_input(r, 0, &x));
    if (strcmp(r->node->op_type, "Cast") == 0) {
        int64_t to = fv_onnx_int(r, "to", 0);
        if (!fv_onnx_is_real_type(to))
            return fv_onnx_complain(r, "it casts a picture to the data type %lld; fovea's are float", (long long)to);
    }
    fv_onnx_value value = *x;
    return fv_onnx_result(r, &value);
}

/* Of one sample at the size of reading. What is computed from it ends in a Resize, which is kept as a factor, or in a
   Reshape, which is checked, so that no size gets into the recipe. */
fv_status fv_onnx_shape_of(fv_onnx_reader *r) {
    const fv_onnx_value *x;
    int64_t dims[4];
    FV_TRY(fv_onnx_input(r, 0, &x));
    int rank = fv_onnx_dims(r, x, dims);
    int64_t start = fv_onnx_int(r, "start", 0), end = fv_onnx_int(r, "end", rank);
    if (start < 0) start += rank;
    if (end < 0) end += rank;
    if (end > rank) end = rank;
    if (start < 0 || start > end)
        return fv_onnx_complain(r, "it takes dimensions %lld to %lld of %d", (long long)start, (long long)end, rank);
    fv_onnx_tensor tensor;
    void *data;
    FV_TRY(fv_onnx_tensor_make(r, FV_ONNX_I64, 1, (int64_t[]){end - start}, &tensor, &data));
    for (int64_t i = start; i < end; i++) ((int64_t *)data)[i - start] = dims[i];
    return fv_onnx_result_tensor(r, &tensor);
}

/* ---- {N, C, 1, 1} and {N, C} ---- */

static fv_status set_flat(fv_onnx_reader *r, bool flat) {
    const fv_onnx_value *x;
    FV_TRY(fv_onnx_picture(r, 0, &x));
    fv_onnx_value value = *x;
    value.flat = flat;
    return fv_onnx_result(r, &value);
}

static fv_status complain_of_form(const fv_onnx_reader *r, fv_shape s) {
    return fv_onnx_complain(r,
                            "fovea takes {N, C, 1, 1} for {N, C} and the other way round, not more; this has "
                            "N %d, C %d, H %d, W %d",
                            s.n, s.c, s.h, s.w);
}

/* The numbers that Reshape asks for, with 0 (as it was) and -1 (what is left) filled in; 0 dims where they do not fit.
 */
static int resolve(const fv_onnx_tensor *wanted, const int64_t *dims, int rank, int64_t out[4]) {
    int64_t total = 1, known = 1;
    int open = -1;
    for (int i = 0; i < rank; i++) total *= dims[i];
    if (wanted->count < 1 || wanted->count > 4) return 0;
    for (int i = 0; i < (int)wanted->count; i++) {
        out[i] = fv_onnx_tensor_integer(wanted, (size_t)i);
        if (out[i] == 0 && i < rank) out[i] = dims[i];
        if (out[i] == -1 && open < 0)
            open = i;
        else if (out[i] < 1 || out[i] > total)
            return 0;
        else if (known > total / out[i])
            return 0;
        else
            known *= out[i];
    }
    if (open >= 0) out[open] = total / known;
    return (int)wanted->count;
}

static fv_status reshape_to(fv_onnx_reader *r, const fv_onnx_value *x, int rank, const int64_t out[4]) {
    int64_t dims[4];
    int old_rank = fv_onnx_dims(r, x, dims);
    bool same = rank == old_rank;
    for (int i = 0; i < rank && same; i++) same = out[i] == dims[i];
    bool pixel = dims[2] == 1 && dims[3] == 1;
    bool channels = (rank == 2 || rank == 4) && out[0] == dims[0] && out[1] == dims[1];
    bool four = rank == 4 && out[2] == 1 && out[3] == 1;
    if (same || (pixel && channels && (rank == 2 || four))) return set_flat(r, rank == 2);
    return complain_of_form(r, fv_onnx_shape(r, x));
}

/* Reshape, Flatten, Squeeze, Unsqueeze of a picture: nothing moves where only pixels of height and width 1 are in play.
 */
fv_status fv_onnx_reshape(fv_onnx_reader *r) {
    const fv_onnx_value *x;
    const fv_onnx_tensor *wanted;
    int64_t dims[4], out[4];
    FV_TRY(fv_onnx_picture(r, 0, &x));
    int rank = fv_onnx_dims(r, x, dims);
    const char *type = r->node->op_type;
    fv_shape s = fv_onnx_shape(r, x);
    if (strcmp(type, "Reshape") == 0) {
        FV_TRY(fv_onnx_constant(r, 1, &wanted));
        int new_rank = resolve(wanted, dims, rank, out);
        return new_rank ? reshape_to(r, x, new_rank, out) : complain_of_form(r, s);
    }
    bool to_flat = strcmp(type, "Unsqueeze") != 0;
    bool fits = s.h == 1 && s.w == 1 && (strcmp(type, "Flatten") != 0 || fv_onnx_int(r, "axis", 1) == 1);
    if (!fits || (to_flat ? rank != 4 : rank != 2)) return complain_of_form(r, s);
    int axes[2] = {2, 3};
    if (fv_onnx_has_input(r, 1)) {
        FV_TRY(fv_onnx_constant(r, 1, &wanted));
        fv_onnx_two_axes(wanted, axes);
    } else if (strcmp(type, "Flatten") != 0) {
        FV_TRY(fv_onnx_ints(r, "axes", 2, 0, axes));
    }
    int sum = (axes[0] < 0 ? axes[0] + 4 : axes[0]) + (axes[1] < 0 ? axes[1] + 4 : axes[1]);
    bool last_two = sum == 5 && axes[0] != axes[1];
    return last_two ? set_flat(r, to_flat) : complain_of_form(r, s);
}

/* ---- Concat ---- */

fv_status fv_onnx_concat(fv_onnx_reader *r) {
    int64_t axis = fv_onnx_int(r, "axis", 0);
    if (axis != 1 && axis != -3)
        return fv_onnx_complain(r, "fovea puts channels side by side (axis 1), not axis %lld", (long long)axis);
    fv_onnx_value value = {0};
    fv_onnx_layer layer = {.kind = FV_OP_concat};
    for (size_t i = 0; i < r->node->n_input; i++) {
        const fv_onnx_value *x;
        FV_TRY(fv_onnx_picture(r, i, &x));
        if (x->flat) return fv_onnx_complain(r, "its input %zu is not a picture {N, C, H, W}", i);
        if (layer.pictures == FV_MAX_INPUTS) { /* of more than an op takes, the first are joined already */
            FV_TRY(fv_onnx_add_layer(r, &layer, &layer.in[0]));
            layer.pictures = 1;
        }
        layer.in[layer.pictures++] = x->ref;
    }
    if (layer.pictures == 1) return fv_onnx_alias(r);
    if (layer.pictures == 0) return fv_onnx_complain(r, "it has no inputs");
    FV_TRY(fv_onnx_add_layer(r, &layer, &value.ref));
    return fv_onnx_result(r, &value);
}
