/* The network's input, and preprocessing inside the graph: levels 0..255 -> resized, letterboxed, normalised. The same
   geometry as image/preprocess.c, but interpolating where that takes means of areas, which opset 17 can't. */
#include <stdio.h>
#include <string.h>

#include "onnx_writer.h"

/* ---- shorthands: every tensor here is called "prepare.<name>" ---- */

static const char *full(char name[ONNX_NAME], const char *part) {
    onnx_join(name, "prepare", part);
    return name;
}

static void unary(onnx_writer *w, const char *op, const char *in, const char *out) {
    char a[ONNX_NAME], y[ONNX_NAME];
    onnx_unary(w, op, full(a, in), full(y, out));
}

static void binary(onnx_writer *w, const char *op, const char *in1, const char *in2, const char *out) {
    char a[ONNX_NAME], b[ONNX_NAME], y[ONNX_NAME];
    onnx_binary(w, op, full(a, in1), full(b, in2), full(y, out));
}

static void cast(onnx_writer *w, const char *in, onnx_type type, const char *out) {
    char a[ONNX_NAME], y[ONNX_NAME];
    onnx_set_int(&w->builder, onnx_unary(w, "Cast", full(a, in), full(y, out)), "to", type);
}

static void indices(onnx_writer *w, const char *out, int count, const int64_t *values) {
    char y[ONNX_NAME];
    onnx_indices(w, full(y, out), count, values);
}

static void concat(onnx_writer *w, int count, const char *const *parts, const char *out) {
    char names[4][ONNX_NAME], y[ONNX_NAME];
    const char *in[4];
    for (int i = 0; i < count; i++) in[i] = full(names[i], parts[i]);
    onnx_set_int(&w->builder, onnx_node(&w->builder, "Concat", count, in, full(y, out)), "axis", 0);
}

/* Elements begin .. end-1 of the shape of `in`. */
static void sizes_of(onnx_writer *w, const char *in, int begin, int end, const char *out) {
    char a[ONNX_NAME], y[ONNX_NAME];
    Onnx__NodeProto *node = onnx_unary(w, "Shape", full(a, in), full(y, out));
    onnx_set_int(&w->builder, node, "start", begin);
    onnx_set_int(&w->builder, node, "end", end);
}

/* `in` at the height and width of the tensor `sizes` (two whole numbers); needs "batch_channels". */
static void resize(onnx_writer *w, const char *in, const char *sizes, const char *out) {
    char a[ONNX_NAME], b[ONNX_NAME], y[ONNX_NAME], all[ONNX_NAME];
    snprintf(all, sizeof all, "%s.sizes", out);
    concat(w, 2, (const char *[]){"batch_channels", sizes}, all);
    const char *inputs[] = {full(a, in), "", "", full(b, all)};
    Onnx__NodeProto *node = onnx_node(&w->builder, "Resize", 4, inputs, full(y, out));
    onnx_set_text(&w->builder, node, "mode", "linear");
    onnx_set_text(&w->builder, node, "coordinate_transformation_mode", "half_pixel");
}

/* ---- steps ---- */

/* The sides that fit into the square: round(square side / longer side), 1 px at least. */
static void fit_sides(onnx_writer *w, int square) {
    char name[ONNX_NAME];
    sizes_of(w, "levels", 2, 4, "sides");
    cast(w, "sides", ONNX_FLOAT, "sides_float");
    onnx_set_int(&w->builder, onnx_unary(w, "ReduceMax", full(name, "sides_float"), "prepare.longer"), "keepdims", 1);
    onnx_number(w, "prepare", "square", (float)square, name);
    onnx_number(w, "prepare", "least", 1, name);
    binary(w, "Mul", "sides_float", "square", "sides_scaled");
    binary(w, "Div", "sides_scaled", "longer", "sides_exact");
    unary(w, "Round", "sides_exact", "sides_rounded");
    binary(w, "Max", "sides_rounded", "least", "sides_fitted");
    cast(w, "sides_fitted", ONNX_INT64, "fitted");
}

/* Black bars that make the fitted picture a square. */
static void pad_to_square(onnx_writer *w, int square) {
    indices(w, "square_sides", 2, (int64_t[]){square, square});
    indices(w, "two", 1, (int64_t[]){2});
    indices(w, "none", 2, (int64_t[]){0, 0});
    binary(w, "Sub", "square_sides", "fitted", "bars");
    binary(w, "Div", "bars", "two", "bars_before");
    binary(w, "Sub", "bars", "bars_before", "bars_behind");
    concat(w, 4, (const char *[]){"none", "bars_before", "none", "bars_behind"}, "pads");
    binary(w, "Pad", "picture", "pads", "work");
}

static void fit(onnx_writer *w, const fv_preprocess *p) {
    if (p->fit == FV_FIT_LETTERBOX) {
        fit_sides(w, p->work_size);
        resize(w, "levels", "fitted", "picture");
        pad_to_square(w, p->work_size);
    } else {
        indices(w, "work_sides", 2, (int64_t[]){p->work_size, p->work_size});
        resize(w, "levels", "work_sides", "work");
    }
}

/* x / 255, x / 127.5 - 1, or ImageNet's, as level * scale + offset of each channel: read off the function that
   fovea itself normalises with. */
static void normalise(onnx_writer *w, fv_normalise how, const char *in, const char *out) {
    const int64_t sizes[] = {1, 3, 1, 1};
    float black[3] = {0, 0, 0}, white[3] = {255, 255, 255};
    char name[ONNX_NAME], a[ONNX_NAME];
    fv_preprocess_normalise(how, black, 1);
    fv_preprocess_normalise(how, white, 1);
    float *scale = onnx_tensor(&w->builder, full(name, "scale"), ONNX_FLOAT, 4, sizes);
    float *offset = onnx_tensor(&w->builder, full(name, "offset"), ONNX_FLOAT, 4, sizes);
    for (int c = 0; scale && offset && c < 3; c++) {
        scale[c] = (white[c] - black[c]) / 255;
        offset[c] = black[c];
    }
    binary(w, "Mul", in, "scale", "scaled");
    onnx_binary(w, "Add", full(name, "scaled"), full(a, "offset"), out);
}

static void prepare(onnx_writer *w, const fv_preprocess *p) {
    char name[ONNX_NAME];
    onnx_set_int(&w->builder, onnx_unary(w, "Cast", "input", full(name, "levels")), "to", ONNX_FLOAT);
    if (p->windows) {
        normalise(w, p->normalise, "levels", "prepared");
        return;
    }
    sizes_of(w, "levels", 0, 2, "batch_channels");
    fit(w, p);
    indices(w, "input_sides", 2, (int64_t[]){p->size, p->size});
    if (p->size != p->work_size) resize(w, "work", "input_sides", "sampled");
    normalise(w, p->normalise, p->size != p->work_size ? "sampled" : "work", "prepared");
}

void onnx_write_input(onnx_writer *w, char first[ONNX_NAME]) {
    const fv_preprocess *p = w->settings->preprocess;
    bool free_size = w->settings->dynamic_size || (p && !p->windows);
    const onnx_dimension dims[] = {{"batch", 0},
                                   {NULL, w->folded->input.c},
                                   {free_size ? "height" : NULL, w->folded->input.h},
                                   {free_size ? "width" : NULL, w->folded->input.w}};
    onnx_input(&w->builder, "input", p ? ONNX_UINT8 : ONNX_FLOAT, dims);
    snprintf(first, ONNX_NAME, "%s", p ? "prepared" : "input");
    w->layer_is_float = true;
    if (p) prepare(w, p);
    w->layer_is_float = false;
}
