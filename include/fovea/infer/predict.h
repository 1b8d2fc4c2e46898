/* A model applied to photographs. */
#ifndef FOVEA_INFER_PREDICT_H
#define FOVEA_INFER_PREDICT_H

#include "fovea/graph/plan.h"
#include "fovea/model/model.h"

typedef struct fv_predictor fv_predictor;

/* The model must outlive the predictor; its weights may change between calls (training). Models of whole photographs
   have their plan made here, those of windows with the first photograph and whenever the windows' size changes. */
fv_status fv_predictor_make(fv_model *model, fv_predictor **predictor);
void fv_predictor_free(fv_predictor *predictor);
/* Planned memory of the predictor's network in bytes; 0 before there is a plan. */
size_t fv_predictor_bytes(const fv_predictor *predictor);
/* To be called when the model's weights have changed. */
void fv_predictor_weights_changed(fv_predictor *predictor);
/* Test-time flips: mean of the probabilities over the four flips. Off at first. */
void fv_predictor_set_flips(fv_predictor *predictor, bool flips);
/* The angle that the camera of the following photographs sees, degrees; NAN for unknown, as at first
   (fv_preprocess_for_camera()). */
void fv_predictor_set_camera(fv_predictor *predictor, double degrees);
/* Models of windows: the network's plan takes at most this many bytes; windows are made smaller until it does. 0: no
   limit, as at first. */
void fv_predictor_set_memory(fv_predictor *predictor, size_t bytes);

/* Probabilities of a photograph at the network's scale. */
typedef struct fv_probability_map {
    const float *data; /* {height, width, classes}; valid until the predictor's next call */
    int width, height, classes;
    fv_mapping mapping; /* from the photograph to the map */
} fv_probability_map;

/* Probabilities of a photograph; `fov` is its field of view where it is known, NULL lets it be found when the model
   needs it.

   A model of windows is run on windows of at most its tile's side (or, with tile 0, one that holds all), in rows and
   columns spread evenly so that neighbours overlap by a quarter at least; they are made as small as their number
   allows, in steps of fv_model_step(). Where they overlap, the mean is taken with weights that
   fall smoothly to each window's rim (a squared sine over the overlap). Pixels outside the field
   get 0 where the fit or a step of enhancement looks at it. */
fv_status fv_predict_photo(fv_predictor *predictor, const fv_image *photo, const fv_image *fov,
                           fv_probability_map *map);
/* The same from a photograph at work size (fv_preprocess_enhance()). */
fv_status fv_predict_work(fv_predictor *predictor, const fv_work *work, fv_probability_map *map);

/* Probability of one class at each pixel of the photograph, bilinear at half-pixel centres: out {photo_height,
   photo_width}. 0 where the map does not reach. */
fv_status fv_predict_probabilities(const fv_probability_map *map, int class_index, int photo_width, int photo_height,
                                   float *out);
/* Probability map of one class -> mask 0/255 of the photograph's size, of the same values (row by row: no float image
   of the photograph's size is made), threshold from the model. */
fv_status fv_predict_mask(const fv_model_spec *spec, const fv_probability_map *map, int class_index, int photo_width,
                          int photo_height, fv_image *mask);
/* All classes with fv_predict_mask(), then, where the model has classes "disc" and "cup": largest component of the disc
   with holes filled, cup := largest component of (cup and disc) with holes filled. `masks` has spec->classes images. */
fv_status fv_predict_masks(const fv_model_spec *spec, const fv_probability_map *map, int photo_width, int photo_height,
                           fv_image *masks);

/* Frees each of `count` masks. */
void fv_masks_free(fv_image *masks, int count);

#endif
