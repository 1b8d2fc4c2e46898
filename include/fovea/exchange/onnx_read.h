/* Reads an ONNX network (opset 9 to 24, float32 or float16) into a model that runs on fovea's own ops: a recipe
   (model/recipe.h) with its weights. docs/onnx.md says which operators and forms are read. Schema: onnx.proto of
   github.com/onnx/onnx. */
#ifndef FOVEA_EXCHANGE_ONNX_READ_H
#define FOVEA_EXCHANGE_ONNX_READ_H

#include "fovea/model/model.h"

/* The network has one input {N, 3, H, W}, H and W fixed or free, and gives {N, classes, H, W}: logits, or probabilities
   by a last Sigmoid, which is left out, as whoever runs a model appends its own. Of several outputs the first is taken.
   What sides are multiples of follows from the strides, whatever size the file was made for.
   The spec comes from the metadata "fovea.model" where fovea has written the file. Otherwise: the file's input size
   (512 where it is free), letterbox, ImageNet's normalisation, classes "class1", "class2" ... with threshold 0.5.
   FV_BAD_INPUT with a sentence that names the node for what fovea has no op for, and for files that are cut short,
   contradict themselves or keep their weights elsewhere. */
fv_status fv_onnx_read(const char *path, fv_model **model);
/* The same from memory; `name` stands in messages. */
fv_status fv_onnx_read_memory(const void *data, size_t bytes, const char *name, fv_model **model);

#endif
