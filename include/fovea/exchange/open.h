/* One way to open whatever fovea can run. */
#ifndef FOVEA_EXCHANGE_OPEN_H
#define FOVEA_EXCHANGE_OPEN_H

#include "fovea/model/model.h"

/* A model file or checkpoint of fovea (model.h) or an ONNX network (onnx_read.h; fv_onnx_is_file() tells). Errors as
   fv_model_load() and fv_onnx_read() have them; of weights of another framework (foreign.h) FV_BAD_INPUT with the
   command that takes them over. */
fv_status fv_model_open(const char *path, fv_model **model);

#endif
