/* Weights trained elsewhere become ours: ImageNet encoders and whole networks, from the files of foreign.h. */
#ifndef FOVEA_EXCHANGE_IMPORT_H
#define FOVEA_EXCHANGE_IMPORT_H

#include "fovea/exchange/foreign.h"
#include "fovea/model/model.h"

/* What an import has found. */
typedef struct fv_import_report {
    fv_foreign_kind kind;
    char layout[48];          /* how layers were told: "torchvision's names", "Keras, by order" */
    fv_convention convention; /* of the encoder's padding */
    double width, epsilon;    /* of the encoder (1 without one); of the file's batch norms, 0: as in our network */
    int layers, tensors;      /* matched; of the file, those of floating point numbers */
    int changed;              /* layers whose batch norm was made up, or multiplied into the kernel */
    int left_over;            /* layers of the file that are not needed: the classifier behind an encoder */
    size_t values;            /* parameters of ours that were written */
} fv_import_report;

/* MobileNetV2 encoder weights, with their width found out, written as the file that model.encoder_weights takes: F32,
   names stem.weight, b0.dw.gamma ..., kernels OIHW, metadata convention, padding, width, bn_eps, input, origin. Layers
   are matched by name where the names are known (torchvision's, fovea's own), else by order; shapes are checked. Keras
   kernels mean Keras's convention, PyTorch's torchvision's. FV_BAD_INPUT names layers that are missing or of another
   shape. */
fv_status fv_import_encoder(const char *path, const char *out, fv_import_report *report);

/* Encoder weights of any such file into a model that has the encoder, in place of its random ones. A file of another
   width is refused with both widths; one of another convention logs a warning. */
fv_status fv_model_load_encoder(fv_model *model, const char *path);

/* What an import finds out from the file; the rest is as the spec says. */
typedef struct fv_import_find {
    bool filters;    /* width or base */
    bool convention; /* of the encoder */
} fv_import_find;

/* A whole network. *spec says which, with classes and preprocessing; what `find` names is found out. epsilon: of the
   file's batch norms; below 0: what its framework takes if not told otherwise (Keras 1e-3, PyTorch 1e-5). FV_BAD_INPUT
   names layers that are missing, left over or of another shape. Free the model with fv_model_free(). */
fv_status fv_import_model(const char *path, const fv_model_spec *spec, fv_import_find find, double epsilon,
                          fv_model **model, fv_import_report *report);

#endif
