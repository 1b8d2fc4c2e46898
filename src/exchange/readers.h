/* One reader a format: each fills an empty list from a file in memory and leaves what it has read on failure, which the
   caller frees. `file->path` stands in messages. */
#ifndef SRC_EXCHANGE_READERS_H
#define SRC_EXCHANGE_READERS_H

#include "fovea/exchange/foreign.h"
#include "zip_archive.h"

/* HDF5 that Keras 2 wrote, or Keras 3 with the ending .h5: weights alone or whole models, nested ones too. Layers in
   the order of layer_names, tensors in that of weight_names. */
fv_status fv_keras_parse(const void *data, size_t bytes, fv_foreign *file);
/* torch.save(state_dict) since PyTorch 1.6, or a checkpoint that holds one. */
fv_status fv_torch_parse(const fv_zip *zip, fv_foreign *file);
/* numpy.savez or savez_compressed. */
fv_status fv_numpy_parse(const fv_zip *zip, fv_foreign *file);
fv_status fv_safetensors_to_foreign(const void *data, size_t bytes, fv_foreign *file);

#endif
