/* A model applied to photographs. */
#ifndef FOVEA_INFER_PREDICT_H
#define FOVEA_INFER_PREDICT_H

#include "fovea/graph/plan.h"
#include "fovea/model/model.h"

typedef struct fv_predictor fv_predictor;

/* Builds an inference plan of batch 1. The model must outlive the predictor; its weights may change between calls
 * (training). */
fv_status fv_predictor_make(fv_model *model, fv_predictor **predictor);
void fv_predictor_free(fv_predictor *predictor);
/* Planned memory of the predictor's network in bytes. */
size_t fv_predictor_bytes(const fv_predictor *predictor);
/* To be called when the model's weights have changed. */
void fv_predictor_weights_changed(fv_predictor *predictor);
/* Test-time flips: mean of the probabilities over the four flips. Off at first. */
void fv_predictor_set_flips(fv_predictor *predictor, bool flips);

/* Probabilities {size, size, classes} of a photograph; valid until the next call. */
fv_status fv_predict_photo(fv_predictor *predictor, const fv_image *photo, const float **probabilities);
/* The same from an image at work size (fv_preprocess_enhance()). */
void fv_predict_work(fv_predictor *predictor, const fv_image *work, const float **probabilities);

/* Probability map of one class -> mask 0/255 of the photograph's size (bilinear at half-pixel centres, row by row: no
   float image of the photograph's size is made), threshold from the model. */
fv_status fv_predict_mask(const fv_model_spec *spec, const float *probabilities, int class_index, int photo_width,
                          int photo_height, fv_image *mask);
/* All classes with fv_predict_mask(), then, where the model has classes "disc" and "cup": largest component of the disc
   with holes filled, cup := largest component of (cup and disc) with holes filled. `masks` has spec->classes images. */
fv_status fv_predict_masks(const fv_model_spec *spec, const float *probabilities, int photo_width, int photo_height,
                           fv_image *masks);

/* Frees each of `count` masks. */
void fv_masks_free(fv_image *masks, int count);

#endif
