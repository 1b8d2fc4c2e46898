/* What the parts of the ONNX writer share: onnx_write.c (the whole), onnx_write_layers.c (one function an op),
   onnx_write_weights.c (constants in each precision), onnx_write_input.c (preprocessing). */
#ifndef FOVEA_SRC_EXCHANGE_ONNX_WRITER_H
#define FOVEA_SRC_EXCHANGE_ONNX_WRITER_H

#include "fovea/exchange/onnx_write.h"
#include "onnx_build.h"

#define ONNX_NAME (FV_NAME_MAX + 32)

typedef struct onnx_writer {
    onnx_builder builder;
    const fv_folded *folded;
    const fv_onnx_settings *settings;
    char (*results)[ONNX_NAME]; /* per layer, behind the first, which is the input's: what its readers read */
    bool layer_is_float;        /* the layer at hand computes in float32 in spite of the precision */
    fv_quantised_kernel kernel; /* of the layer at hand, in 8 bits; zeroed for other layers */
    float kernel_input_scale;   /* of the 8-bit steps that the layer reads */
    fv_status status;           /* the last failure other than the builder's */
} onnx_writer;

/* The tensor that readers of layer `index` (or FV_FOLDED_INPUT) read. */
const char *onnx_result(const onnx_writer *w, int index);
/* The type that the layer at hand computes in. */
onnx_type onnx_compute_type(const onnx_writer *w);
/* "<a>.<b>", cut to fit. */
void onnx_join(char out[ONNX_NAME], const char *a, const char *b);
/* A node of one input, of two. */
Onnx__NodeProto *onnx_unary(onnx_writer *w, const char *op, const char *in, const char *out);
Onnx__NodeProto *onnx_binary(onnx_writer *w, const char *op, const char *a, const char *b, const char *out);
/* A constant of one number, in the type the layer at hand computes in, called "<layer>.<part>". */
void onnx_number(onnx_writer *w, const char *layer, const char *part, float value, char name[ONNX_NAME]);
/* A constant list of whole numbers. */
void onnx_indices(onnx_writer *w, const char *name, int count, const int64_t *values);

/* A kernel as a tensor that its node can read, dimension i of it being order[i] of fovea's {height, width, in, out};
   `dims` of them, the others being 1. */
void onnx_weight(onnx_writer *w, const fv_folded_layer *layer, int dims, const int order[4], char name[ONNX_NAME]);
/* The weight of a layer without kernel, {1, C, 1, 1}. */
void onnx_scale(onnx_writer *w, const fv_folded_layer *layer, char name[ONNX_NAME]);
/* The layer's bias, of `dims` dimensions of which all but `axis` are 1. */
void onnx_bias(onnx_writer *w, const fv_folded_layer *layer, int dims, int axis, char name[ONNX_NAME]);

/* Adds the layer's node or nodes, with its activation only where `activate`; `out` names their result. */
void onnx_write_layer(onnx_writer *w, const fv_folded_layer *layer, bool activate, const char *out);
/* Declares the input and adds the preprocessing behind it; `first` receives the name of what comes of it, float32. */
void onnx_write_input(onnx_writer *w, char first[ONNX_NAME]);
/* A pair of QuantizeLinear and DequantizeLinear behind `from`: `to` has its values in steps of 8 bits. */
void onnx_write_steps(onnx_writer *w, const char *from, fv_range range, const char *to);

#endif
