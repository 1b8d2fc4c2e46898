/* Reading an ONNX graph: node by node, each becomes steps of a recipe, an alias of what is there, or, where all its
   inputs are known, a constant. Every step is also added to a graph of one size, which says the shapes that exporters
   compute with (Shape, Resize to the size of another tensor) and checks every layer as it comes. */
#ifndef FOVEA_EXCHANGE_ONNX_READER_H
#define FOVEA_EXCHANGE_ONNX_READER_H

#include "fovea/graph/graph.h"
#include "fovea/model/model.h"
#include "onnx_tensor.h"

#define FV_ONNX_MAX_VALUES 20000 /* initializers, the input and results of a file */

/* What a name in the file stands for. */
typedef struct fv_onnx_value {
    const char *name;
    bool constant;
    fv_onnx_tensor tensor; /* of a constant */
    bool sized;            /* a constant that may follow from the size of reading, so that it is none elsewhere */
    fv_recipe_ref ref;     /* of the others: the network's input, or a step */
    bool flat;             /* {N, C} in the file, a picture of one pixel here */
    fv_padding zeros;      /* that a Pad has put around it, for the convolution that reads it */
} fv_onnx_value;

/* Where the values of a parameter come from: source[i][j][k] of `rows` x `columns` x `taps` numbers goes to
   i * row_step + j * column_step + k * tap_step. Without a source all become `fill`. */
typedef struct fv_onnx_weights {
    fv_onnx_tensor source;
    size_t rows, columns, taps;
    size_t row_step, column_step, tap_step;
    float fill;
    char name[FV_NAME_MAX]; /* of the recipe's parameter */
} fv_onnx_weights;

typedef struct fv_onnx_reader {
    const char *path; /* for messages */
    const Onnx__GraphProto *file;
    int64_t opset;
    const char *spec;            /* the metadata that fovea's own files carry, NULL in others */
    const Onnx__NodeProto *node; /* being read */
    bool sized;                  /* whether one of its inputs is */
    fv_onnx_value *values;
    int value_count;
    void *by_name;      /* the values, as a tree of search.h */
    bool *needed;       /* node by node: whether the first output depends on it */
    void *needed_names; /* what such nodes read, as a tree of search.h */
    void **owned;       /* memory of constants that were computed */
    int owned_count, owned_capacity;
    size_t made_elements; /* of constants and weights that are not in the file */
    fv_recipe *recipe;
    fv_onnx_weights *weights; /* of the recipe's parameters, in their order */
    int weights_capacity;
    fv_graph graph;
    fv_params params;
    fv_value input;
    fv_value made[FV_RECIPE_MAX_STEPS]; /* in the graph, by step */
} fv_onnx_reader;

/* "<path>: node <name> (<op type>): " and the sentence. FV_BAD_INPUT. */
fv_status fv_onnx_complain(const fv_onnx_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The sentence of a failed call that does not know the node, named. */
fv_status fv_onnx_about_node(const fv_onnx_reader *r, fv_status status);

/* ---- the node's attributes: `standard` where it has none of that name ---- */

int64_t fv_onnx_int(const fv_onnx_reader *r, const char *name, int64_t standard);
float fv_onnx_float(const fv_onnx_reader *r, const char *name, float standard);
/* "" where there is none, and where it does not fit. */
void fv_onnx_text(const fv_onnx_reader *r, const char *name, const char *standard, char out[32]);
const Onnx__AttributeProto *fv_onnx_attribute(const fv_onnx_reader *r, const char *name);
/* `count` numbers in -4096 .. 4096; where the node has none, each is `standard`. */
fv_status fv_onnx_ints(const fv_onnx_reader *r, const char *name, int count, int standard, int *numbers);

/* Two axes of a picture, -4 .. 3; 0 and 0 for other numbers. */
void fv_onnx_two_axes(const fv_onnx_tensor *numbers, int axes[2]);

/* ---- inputs and results ---- */

/* NULL where there is none of that name. */
const fv_onnx_value *fv_onnx_find(const fv_onnx_reader *r, const char *name);
/* Appends a copy. FV_BAD_INPUT, with a sentence that names neither file nor node, for a name that is there already and
   for more than FV_ONNX_MAX_VALUES. */
fv_status fv_onnx_add_value(fv_onnx_reader *r, const fv_onnx_value *value);
bool fv_onnx_has_input(const fv_onnx_reader *r, size_t index);
/* FV_BAD_INPUT when the node has no such input, or no earlier node makes it. */
fv_status fv_onnx_input(const fv_onnx_reader *r, size_t index, const fv_onnx_value **value);
/* One that is computed from the picture, without zeros around it. */
fv_status fv_onnx_picture(const fv_onnx_reader *r, size_t index, const fv_onnx_value **value);
bool fv_onnx_has_zeros(const fv_onnx_value *value);
/* One whose values are known. */
fv_status fv_onnx_constant(const fv_onnx_reader *r, size_t index, const fv_onnx_tensor **tensor);
/* Its shape at the size of reading. */
fv_shape fv_onnx_shape(const fv_onnx_reader *r, const fv_onnx_value *value);
/* Shape as the file has it: {N, C, H, W}, or {N, C} of a flat one; returns the rank. */
int fv_onnx_dims(const fv_onnx_reader *r, const fv_onnx_value *value, int64_t dims[4]);
/* Gives the node's first result a meaning. */
fv_status fv_onnx_result(fv_onnx_reader *r, const fv_onnx_value *value);
fv_status fv_onnx_result_tensor(fv_onnx_reader *r, const fv_onnx_tensor *tensor);
/* Memory for a constant of these dims (element F32 or I64), at most 2^24 elements, and 2^25 of all together. */
fv_status fv_onnx_tensor_make(fv_onnx_reader *r, fv_onnx_element element, int rank, const int64_t *dims,
                              fv_onnx_tensor *tensor, void **data);

/* ---- steps ---- */

/* What a step reads: weights of these shapes and sources behind its pictures. */
typedef struct fv_onnx_layer {
    fv_op_kind kind;
    fv_attributes attributes;
    int pictures;
    fv_recipe_ref in[FV_MAX_INPUTS];
    int weights;
    const char *weight_names[4]; /* "weight", "bias" ... */
    fv_shape shapes[4];
    fv_onnx_weights sources[4];
} fv_onnx_layer;

/* Adds the layer as a step named after the node. FV_BAD_INPUT also for a result with a side above 65535 or more than
   2^24 channels, so that no product of its dims overflows 64 bits. */
fv_status fv_onnx_add_layer(fv_onnx_reader *r, const fv_onnx_layer *layer, fv_recipe_ref *made);
/* The same, and its result is the node's. */
fv_status fv_onnx_finish_layer(fv_onnx_reader *r, const fv_onnx_layer *layer);
/* `count` numbers of a tensor as they stand. */
fv_onnx_weights fv_onnx_vector(const fv_onnx_tensor *tensor);
fv_onnx_weights fv_onnx_filled(size_t count, float fill);
/* y = x scale + offset, channel by channel; NULL for 1 and 0. */
fv_status fv_onnx_add_affine(fv_onnx_reader *r, fv_recipe_ref x, const fv_onnx_tensor *scale,
                             const fv_onnx_tensor *offset, fv_recipe_ref *made);

/* ---- operators, by file ---- */

typedef fv_status fv_onnx_operator(fv_onnx_reader *r);

/* onnx_read_layers.c */
fv_onnx_operator fv_onnx_conv, fv_onnx_conv_transpose, fv_onnx_batch_norm, fv_onnx_gemm, fv_onnx_matmul;
/* onnx_read_pool.c */
fv_onnx_operator fv_onnx_max_pool, fv_onnx_average_pool, fv_onnx_global_average_pool, fv_onnx_reduce_mean,
    fv_onnx_resize, fv_onnx_pad;
/* onnx_read_arithmetic.c */
fv_onnx_operator fv_onnx_add, fv_onnx_sub, fv_onnx_mul, fv_onnx_div, fv_onnx_relu, fv_onnx_clip, fv_onnx_sigmoid;
/* onnx_read_shape.c */
fv_onnx_operator fv_onnx_alias, fv_onnx_shape_of, fv_onnx_reshape, fv_onnx_concat;

/* onnx_fold.c: the node computed from constants. FV_BAD_INPUT for an operator that is not among those that exporters
   leave in shape computations. */
fv_status fv_onnx_fold(fv_onnx_reader *r);

/* onnx_read_model.c: the model of all that was read, `size` px its input's. */
fv_status fv_onnx_make_model(fv_onnx_reader *r, int size, fv_model **model);

#endif
