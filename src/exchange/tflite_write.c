#include <stdio.h>
#include <stdlib.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"
#include "fovea/exchange/tflite_write.h"
#include "tflite_layers.h"

/* A tensor that is no layer's. */
static int end_add(tflite_builder *b, const char *name, const char *suffix, tflite_type type, fv_shape s) {
    return tflite_tensor_add(b, name, suffix, type, 4, (const int[]){s.n, s.h, s.w, s.c});
}

/* Levels 0..255 -> the values of preprocess.h, step 4: a factor and an offset a channel. */
static int normalised_add(tflite_builder *b, const fv_preprocess *preprocess, int levels, fv_shape shape) {
    float black_and_white[6] = {0, 0, 0, 255, 255, 255}, factor[3];
    fv_preprocess_normalise(preprocess->normalise, black_and_white, 2);
    for (int c = 0; c < 3; c++) factor[c] = (black_and_white[3 + c] - black_and_white[c]) / 255;
    int factors = tflite_floats_add(b, "input", ".factor", 1, &(int){3}, factor);
    int offsets = tflite_floats_add(b, "input", ".offset", 1, &(int){3}, black_and_white);
    int values = end_add(b, "input", ".float32", TFLITE_FLOAT32, shape);
    int scaled = end_add(b, "input", ".scaled", TFLITE_FLOAT32, shape);
    int normalised = end_add(b, "input", ".normalised", TFLITE_FLOAT32, shape);
    tflite_operator_add(b, TFLITE_CAST, 1, &levels, values);
    tflite_operator_add(b, TFLITE_MUL, 2, (const int[]){values, factors}, scaled);
    tflite_operator_add(b, TFLITE_ADD, 2, (const int[]){scaled, offsets}, normalised);
    return normalised;
}

/* Adds the file's input; returns what the first layers read. */
static int begin(tflite_builder *b, const fv_folded *folded, const fv_tflite_settings *settings, int *input) {
    bool int8 = settings->precision == FV_PRECISION_INT8, levels = settings->preprocess != NULL;
    bool integer_end = int8 && settings->integer_ends && !levels;
    *input = end_add(b, "input", "", levels ? TFLITE_UINT8 : integer_end ? TFLITE_INT8 : TFLITE_FLOAT32, folded->input);
    int values = levels ? normalised_add(b, settings->preprocess, *input, folded->input) : *input;
    if (!int8) return values;
    int stepped = integer_end ? values : end_add(b, "input", ".int8", TFLITE_INT8, folded->input);
    tflite_tensor_quantise_range(b, stepped, settings->ranges->input);
    if (!integer_end) tflite_operator_add(b, TFLITE_QUANTIZE, 1, &values, stepped);
    return stepped;
}

/* Adds the file's output, or calls the last layer's result so. */
static int end(tflite_builder *b, const fv_folded *folded, const fv_tflite_settings *settings, int last) {
    if (settings->precision != FV_PRECISION_INT8 || settings->integer_ends) {
        if (b->status == FV_OK) snprintf(b->tensors[last].name, TFLITE_NAME_MAX, "output");
        return last;
    }
    int output = end_add(b, "output", "", TFLITE_FLOAT32, folded->layers[folded->count - 1].out);
    tflite_operator_add(b, TFLITE_DEQUANTIZE, 1, &last, output);
    return output;
}

static fv_status file_write(const tflite_model *model, const char *path) {
    size_t bound = tflite_file_bound(model);
    tflite_file file;
    if (bound > TFLITE_MAX_BYTES)
        return fv_fail(FV_BAD_INPUT, "%s would have about %zu MiB; a TensorFlow Lite file ends at 2048: use --fp16",
                       path, bound >> 20);
    if (!tflite_file_make(model, &file)) return fv_fail_memory("a TensorFlow Lite file", bound);
    fv_status status = tflite_file_verify(file.data, file.bytes)
                           ? fv_file_write(path, file.data, file.bytes)
                           : fv_fail(FV_BAD_INPUT, "%s can't be written: it would not follow the schema", path);
    free(file.block);
    return status;
}

/* The collected tensors and operators, and the texts, as a file. */
static fv_status model_write(tflite_builder *b, tflite_model *model, const fv_metadata *metadata, const char *path) {
    int texts = metadata ? metadata->count : 0;
    tflite_metadata *list = fv_allocate((size_t)texts, sizeof *list, "metadata");
    if (!list) return FV_NO_RESOURCE;
    for (int i = 0; i < texts; i++) list[i] = (tflite_metadata){metadata->pairs[i].key, metadata->pairs[i].text};
    tflite_builder_set_versions(b);
    model->tensors = b->tensors;
    model->operators = b->operators;
    model->metadata = list;
    model->tensor_count = b->tensor_count;
    model->operator_count = b->operator_count;
    model->metadata_count = texts;
    fv_status status = file_write(model, path);
    free(list);
    return status;
}

fv_status fv_tflite_write(const fv_folded *folded, const fv_tflite_settings *settings, const char *path) {
    tflite_builder b = {0};
    tflite_model model = {.description = settings->title};
    int first = begin(&b, folded, settings, &model.input);
    model.output = end(&b, folded, settings, tflite_layers_add(&b, folded, settings, first));
    fv_status status = b.status == FV_OK ? model_write(&b, &model, settings->metadata, path) : b.status;
    tflite_builder_free(&b);
    return status;
}
