/* A network with its weights and everything that inference needs: what a model file holds. */
#ifndef FOVEA_MODEL_MODEL_H
#define FOVEA_MODEL_MODEL_H

#include "fovea/graph/graph.h"
#include "fovea/image/preprocess.h"
#include "fovea/model/recipe.h"
#include "fovea/tensor/safetensors.h"

#define FV_MAX_CLASSES 8

/* Padding and batch norm epsilon of the MobileNetV2 encoder. */
typedef enum fv_convention {
    FV_CONVENTION_KERAS,      /* TensorFlow "same", epsilon 1e-3 */
    FV_CONVENTION_TORCHVISION /* padding 1 on every side, epsilon 1e-5 */
} fv_convention;

/* What follows each convolution of unet: batch norm, or group norm (Wu and He 2018) in 8 groups, which takes its
   statistics from each sample alone and so does the same in training and prediction. */
typedef enum fv_norm_kind { FV_NORM_BATCH, FV_NORM_GROUP } fv_norm_kind;

extern const char *const fv_convention_names[]; /* "keras", "torchvision", NULL */
extern const char *const fv_norm_names[];       /* "batch", "group", NULL */
extern const char *const fv_network_names[];    /* "mobilenetv2_unet", "mobilenetv2_se_unet",
                                                   "mobilenetv2_se_unet_keras", "unet", "resunet", "wnet", NULL */

#define FV_BASE_MIN 8
#define FV_BASE_MAX 128
#define FV_DEPTH_MIN 2
#define FV_DEPTH_MAX 5

typedef struct fv_model_spec {
    char network[32]; /* one of fv_network_names, or FV_RECIPE_NETWORK */
    int multiple; /* px: what sides are multiples of where the network is a recipe; 0 for the networks with a name */
    double width; /* width multiplier of a MobileNetV2 encoder; 1 for other networks */
    int base;     /* filters at full size of unet, resunet and wnet; 0: the network's default, always 0 for others */
    int depth;    /* how many times unet halves the sides; 0: the network's default, always 0 for other networks */
    fv_norm_kind norm; /* of unet; batch norm for other networks */
    fv_convention convention;
    int classes;
    char class_names[FV_MAX_CLASSES][32]; /* "disc", "cup", "vessel" */
    double thresholds[FV_MAX_CLASSES];    /* probability at and above which a pixel belongs to the class */
    fv_preprocess preprocess;
} fv_model_spec;

typedef struct fv_model {
    fv_model_spec spec;
    fv_recipe *recipe; /* the network where it is not one of fv_network_names, else NULL */
    char *ranges; /* of 8-bit results (exchange/ranges.h), JSON: predicted with in 8 bits. NULL: in float32. Owned */
    fv_params params;
} fv_model;

/* FV_BAD_INPUT with a sentence unless there are 1 to FV_MAX_CLASSES classes with different names of letters, digits,
   '_' and '-', none of them "overlay", "panel" or "measures": a class's masks are the files <photo>_<class>.png. */
fv_status fv_model_classes_check(const fv_model_spec *spec);
/* FV_BAD_INPUT with a sentence unless width and base are such as the (known) network has: width 0.1 .. 4 for those with
   an encoder, base a multiple of 8 (so that channels fill vectors) in FV_BASE_MIN .. FV_BASE_MAX, or 0, for the others.
 */
fv_status fv_model_filters_check(const fv_model_spec *spec);
/* FV_BAD_INPUT with a sentence unless depth and norm are such as the (known) network has: depth FV_DEPTH_MIN ..
   FV_DEPTH_MAX, or 0, and any norm for unet; 0 and batch norm for the others. */
fv_status fv_model_levels_check(const fv_model_spec *spec);
/* FV_BAD_INPUT with a sentence when network, classes, width, base, depth, norm, clip limit or input size do not fit. */
fv_status fv_model_spec_check(const fv_model_spec *spec);
/* Whether the network called `name` begins with the MobileNetV2 encoder, for which there are ImageNet weights. */
bool fv_network_has_encoder(const char *name);
/* Sides of the network's input must be multiples of this: 32 for the networks with an encoder, 2^depth for unet, 16 for
   resunet, 4 for wnet, spec->multiple for a recipe. */
int fv_model_step(const fv_model_spec *spec);
/* Declares the parameters of spec->network and draws them from `seed`. In the model's own spec, a base or depth of 0 is
   replaced by the network's default. */
fv_status fv_model_make(const fv_model_spec *spec, uint64_t seed, fv_model **model);
/* A model of a network that is data: declares the recipe's parameters and sets them to 0. Takes the recipe, also on
   failure. In the model's spec, network, multiple and what belongs to named networks are set; `spec` gives the rest.
   The recipe must give `classes` channels at the size of its input {1, size, size, 3}; FV_BAD_INPUT otherwise. */
fv_status fv_model_make_recipe(const fv_model_spec *spec, fv_recipe *recipe, fv_model **model);
void fv_model_free(fv_model *model);
/* FV_BAD_INPUT unless what the network gives for one input of height x width is {1, height, width, classes}: of a
   network out of a file nobody knows it at a size before it has been built at it. */
fv_status fv_model_output_check(const fv_model_spec *spec, fv_shape found, int height, int width);
/* Builds the network on `input` {N, height, width, 3}; the result are logits {N, height, width,
   classes}. Input sides must be
   multiples of fv_model_step().
   *auxiliary (may be NULL) receives further logits of the same shape that training is to supervise too: wnet's first
   U-Net's; FV_NO_VALUE for the other networks. */
fv_value fv_model_build(const fv_model *model, fv_graph *graph, fv_value input, fv_value *auxiliary);

/* Index of the class called `name`, -1 when the model has none. */
int fv_model_class(const fv_model_spec *spec, const char *name);

/* Names of values: parameters "encoder.*" belong to the encoder, the others to the decoder. */
bool fv_param_is_encoder(const fv_param *param);

/* The spec as the JSON text that model files and exports carry as "fovea.model". To be freed; NULL when out of memory.
 */
char *fv_model_spec_json(const fv_model_spec *spec);
/* Adds spec (metadata "fovea.model", JSON) and all parameters ("model." + name, F32) to a writer, from `values` (a
   block laid out as params->values; NULL for the model's own), e.g. the moving average. */
fv_status fv_model_add_to(const fv_model *model, const fv_real *values, fv_safetensors_writer *writer);
fv_status fv_model_save(const fv_model *model, const char *path);
/* The text of "fovea.model", from whatever file (`path` stands in messages), checked field by field. */
fv_status fv_model_spec_parse(const char *text, const char *path, fv_model_spec *spec);
/* Rewrites a model file (atomically, all other values and metadata kept) with other thresholds. `origin` (JSON; NULL
   takes it away) says where they come from and becomes the metadata "fovea.thresholds". Halves stay halves. The same
   call gives the same bytes. */
fv_status fv_model_file_set_thresholds(const char *path, const double *thresholds, const char *origin);
/* Writes the model of one file (or checkpoint) as another whose weights are halves (F16, rounded to nearest; a tensor
   with a finite value beyond their range stays F32) and that is about half as large. `ranges` becomes the new model's;
   NULL: none. Everything else is kept, but for what only a training that goes on needs. */
fv_status fv_model_file_halve(const char *path, const char *ranges, const char *half_path);
/* Reads a model file (also a checkpoint: same names). Checks the spec, each tensor's presence, shape and type (F32, or
   F16, which is widened: fovea computes in float32). */
fv_status fv_model_load(const char *path, fv_model **model);
fv_status fv_model_from_safetensors(const fv_safetensors *file, fv_model **model);
/* Replaces the values by those of an opened file; every parameter must be there with its shape ("from another network"
 * otherwise). */
fv_status fv_model_read_values(fv_model *model, const fv_safetensors *file);

#endif
