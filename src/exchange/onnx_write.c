#include "fovea/exchange/onnx_write.h"

#include <stdio.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "fovea/base/version.h"
#include "onnx_writer.h"

#define OPSET 17

const char *onnx_result(const onnx_writer *w, int index) {
    return w->results[index + 1];
}

void onnx_join(char out[ONNX_NAME], const char *a, const char *b) {
    snprintf(out, ONNX_NAME, "%.*s.%.*s", FV_NAME_MAX + 12, a, 18, b);
}

Onnx__NodeProto *onnx_unary(onnx_writer *w, const char *op, const char *in, const char *out) {
    return onnx_node(&w->builder, op, 1, &in, out);
}

Onnx__NodeProto *onnx_binary(onnx_writer *w, const char *op, const char *a, const char *b, const char *out) {
    return onnx_node(&w->builder, op, 2, (const char *[]){a, b}, out);
}

static bool is_int8(const onnx_writer *w) {
    return w->settings->precision == FV_PRECISION_INT8;
}

static bool is_last(const onnx_writer *w, int i) {
    return i == w->folded->count - 1;
}

/* Steps from 0 on do what a ReLU does: it needs no node of its own. (A ReLU6's never reach beyond 6.) */
static bool needs_activation(const onnx_writer *w, int i) {
    if (w->folded->layers[i].attributes.activation == FV_ACT_NONE) return false;
    return !is_int8(w) || fv_ranges_of(w->settings->ranges, i).low < 0;
}

static void quantise_kernel(onnx_writer *w, const fv_folded_layer *layer) {
    if (!is_int8(w) || !fv_folded_has_kernel(layer)) return;
    fv_steps in = fv_steps_of(fv_ranges_of(w->settings->ranges, layer->in[0]), 0, UINT8_MAX);
    w->kernel_input_scale = in.scale;
    fv_status status = fv_quantise_kernel(layer, in.scale, &w->kernel);
    if (status != FV_OK) w->status = status;
}

/* ---- the last layer ---- */

static void cast(onnx_writer *w, const char *from, onnx_type type, const char *to) {
    onnx_set_int(&w->builder, onnx_unary(w, "Cast", from, to), "to", type);
}

/* Probabilities are made in float32 whatever the precision: halves are coarse near 1, and it costs nothing. */
static void write_last(onnx_writer *w, int i) {
    const fv_folded_layer *layer = &w->folded->layers[i];
    bool halves = onnx_compute_type(w) == ONNX_HALF, sigmoid = layer->kind == FV_OP_sigmoid;
    char plain[ONNX_NAME];
    onnx_join(plain, layer->name, "plain");
    if (halves && sigmoid) {
        cast(w, onnx_result(w, layer->in[0]), ONNX_FLOAT, plain);
        onnx_unary(w, "Sigmoid", plain, "output");
    } else if (halves) {
        onnx_write_layer(w, layer, needs_activation(w, i), plain);
        cast(w, plain, ONNX_FLOAT, "output");
    } else if (is_int8(w) && !sigmoid) {
        onnx_write_layer(w, layer, needs_activation(w, i), plain);
        onnx_write_steps(w, plain, fv_ranges_of(w->settings->ranges, i), "output");
    } else {
        onnx_write_layer(w, layer, needs_activation(w, i), "output");
    }
}

/* ---- all layers ---- */

static void write_layer(onnx_writer *w, int i) {
    const fv_folded_layer *layer = &w->folded->layers[i];
    char *result = w->results[i + 1];
    quantise_kernel(w, layer);
    if (w->status == FV_OK && is_last(w, i)) {
        write_last(w, i);
    } else if (w->status == FV_OK) {
        onnx_write_layer(w, layer, needs_activation(w, i), layer->name);
        snprintf(result, ONNX_NAME, "%s", layer->name);
        if (is_int8(w)) {
            onnx_join(result, layer->name, "steps");
            onnx_write_steps(w, layer->name, fv_ranges_of(w->settings->ranges, i), result);
        }
    }
    fv_quantised_kernel_free(&w->kernel);
}

/* The input in the form that the layers read. */
static void write_input(onnx_writer *w) {
    char prepared[ONNX_NAME], *result = w->results[0];
    onnx_write_input(w, prepared);
    snprintf(result, ONNX_NAME, "%s", prepared);
    if (is_int8(w)) {
        onnx_join(result, prepared, "steps");
        onnx_write_steps(w, prepared, w->settings->ranges->input, result);
    } else if (onnx_compute_type(w) == ONNX_HALF) {
        onnx_join(result, prepared, "half");
        cast(w, prepared, ONNX_HALF, result);
    }
}

static void declare_output(onnx_writer *w) {
    const fv_folded *folded = w->folded;
    fv_shape out = folded->layers[folded->count - 1].out;
    bool free_size = w->settings->dynamic_size;
    const onnx_dimension dims[] = {
        {"batch", 0}, {NULL, out.c}, {free_size ? "height" : NULL, out.h}, {free_size ? "width" : NULL, out.w}};
    onnx_output(&w->builder, "output", ONNX_FLOAT, dims);
}

static void describe(onnx_writer *w) {
    const fv_metadata *metadata = w->settings->metadata;
    const char *input = metadata ? fv_metadata_find(metadata, "input") : NULL;
    const char *output = metadata ? fv_metadata_find(metadata, "output") : NULL;
    char doc[2048];
    snprintf(doc, sizeof doc, "%s, made with fovea. Input: %s. Output: %s.", w->settings->title,
             input ? input : "float32, NCHW", output ? output : "NCHW");
    onnx_describe(&w->builder, "fovea", fv_version(), doc);
    for (int i = 0; metadata && i < metadata->count; i++)
        onnx_metadata(&w->builder, metadata->pairs[i].key, metadata->pairs[i].text);
}

static fv_status write_all(onnx_writer *w, const char *path) {
    FV_TRY(onnx_begin(&w->builder, w->settings->title, OPSET));
    describe(w);
    write_input(w);
    for (int i = 0; i < w->folded->count && w->status == FV_OK; i++) write_layer(w, i);
    FV_TRY(w->status);
    declare_output(w);
    return onnx_write(&w->builder, path);
}

fv_status fv_onnx_write(const fv_folded *folded, const fv_onnx_settings *settings, const char *path) {
    onnx_writer w = {.folded = folded, .settings = settings};
    w.results = fv_allocate((size_t)folded->count + 1, sizeof *w.results, "an export");
    if (!w.results) return FV_NO_RESOURCE;
    fv_status status = write_all(&w, path);
    onnx_free(&w.builder);
    free(w.results);
    return status;
}
