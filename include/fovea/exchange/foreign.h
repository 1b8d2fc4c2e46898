/* Weights that another framework has saved: one list of named float32 tensors, whatever file they come from.

   Readers never run what a file says. Every size is checked against the file before memory is asked for, and what a
   file of weights has no use for (another Python object, a link to another file, an unknown filter) is refused by name.
 */
#ifndef FOVEA_EXCHANGE_FOREIGN_H
#define FOVEA_EXCHANGE_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea/base/status.h"
#include "fovea/tensor/safetensors.h"

#define FV_FOREIGN_MAX_DIMS 8
#define FV_FOREIGN_NAME_MAX 400 /* bytes of a tensor's name and the 0 behind it */
#define FV_FOREIGN_MAX_TENSORS 20000
#define FV_FOREIGN_MAX_VALUES ((size_t)1 << 30) /* of all tensors together: 4 GiB */

typedef enum fv_foreign_kind {
    FV_FOREIGN_KERAS,      /* HDF5 of Keras */
    FV_FOREIGN_TORCH,      /* zip file of torch.save */
    FV_FOREIGN_NUMPY,      /* .npz */
    FV_FOREIGN_SAFETENSORS /* .safetensors */
} fv_foreign_kind;

extern const char *const fv_foreign_kind_names[]; /* "Keras HDF5", "PyTorch", "NumPy", "safetensors", NULL */

typedef struct fv_foreign_tensor {
    char *name; /* as the file has it: "features.0.0.weight", "Conv1/Conv1/kernel:0" */
    int dims;
    int64_t shape[FV_FOREIGN_MAX_DIMS];
    float *values; /* row-major (C order) */
    size_t count;
} fv_foreign_tensor;

typedef struct fv_foreign {
    fv_foreign_kind kind;
    fv_foreign_tensor *list; /* in the file's own order; safetensors, which has none: by name, numbers by value */
    int count, capacity;
    size_t values;  /* of all tensors together */
    int passed;     /* tensors of whole numbers, which are left out: counters such as num_batches_tracked */
    char path[256]; /* for messages, cut */
    char padding[24], width[16]; /* what safetensors files of encoders say in their metadata; "" otherwise */
} fv_foreign;

/* Reads a file of any kind; it is told by its first bytes, not by its name. FV_BAD_INPUT with one sentence for a file
   that is cut off or damaged, or of another kind, or that holds no floating point numbers. */
fv_status fv_foreign_read(const char *path, fv_foreign *file);
/* The same from memory; `name` stands in messages. */
fv_status fv_foreign_parse(const void *data, size_t bytes, const char *name, fv_foreign *file);
/* Whether a file begins as those of Keras, PyTorch and NumPy do, which are nothing but such weights. (A safetensors
   file may be a model of fovea's own.) */
bool fv_foreign_is_file(const char *path);
/* Accepts a zeroed struct. */
void fv_foreign_free(fv_foreign *file);
/* "(32, 3, 3, 3)" */
#define FV_FOREIGN_SHAPE_TEXT 128
const char *fv_foreign_shape_text(const fv_foreign_tensor *tensor, char text[FV_FOREIGN_SHAPE_TEXT]);

/* For readers: appends a tensor with room for its values, which the reader fills. FV_BAD_INPUT when a limit is passed
   (of the name's length too) or a size is negative. The pointer is good until the next call. */
fv_status fv_foreign_add(fv_foreign *file, const char *name, int dims, const int64_t *shape,
                         fv_foreign_tensor **tensor);

/* Numbers of a file (little-endian, any alignment). */
typedef enum fv_foreign_type {
    FV_FOREIGN_F16,
    FV_FOREIGN_BF16,
    FV_FOREIGN_F32,
    FV_FOREIGN_F64,
    FV_FOREIGN_WHOLE /* integers and truth values: no weights */
} fv_foreign_type;
/* Bytes of one number; 0 for FV_FOREIGN_WHOLE, whose size the reader knows. */
size_t fv_foreign_type_bytes(fv_foreign_type type);
void fv_foreign_convert(fv_foreign_type type, const void *from, size_t count, float *to);

#endif
