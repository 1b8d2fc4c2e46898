/* The bytes of an ONNX file as protobuf-c's messages. */
#ifndef FOVEA_EXCHANGE_ONNX_FILE_H
#define FOVEA_EXCHANGE_ONNX_FILE_H

#include <stddef.h>

#include "fovea/base/status.h"
#include "onnx.pb-c.h"

/* Unpacks `data`; free with fv_onnx_file_free(). FV_BAD_INPUT with a sentence for what is no ONNX, nested deeper than
   32 messages or would take more memory than a file of its size can need. `name` stands in messages. */
fv_status fv_onnx_file_parse(const void *data, size_t bytes, const char *name, Onnx__ModelProto **model);
/* Accepts NULL. */
void fv_onnx_file_free(Onnx__ModelProto *model);

#endif
