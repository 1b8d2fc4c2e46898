/* From a photograph to a network's input, the same way in training, evaluation and prediction.

   1. fit: the photograph is resized (area averaging when smaller, bilinear when larger) into a square of `work_size`,
   whole (letterbox: aspect kept, black bars) or stretched;
   2. enhance: CLAHE on L of CIE LAB at that size (or nothing);
   3. sampled down to `size` with bilinear interpolation at half-pixel centres: for work_size = 2 size and no
   augmentation that is the exact mean of 2x2 pixels. Augmentation bends this same sampling;
   4. normalised to float. */
#ifndef FOVEA_IMAGE_PREPROCESS_H
#define FOVEA_IMAGE_PREPROCESS_H

#include <stddef.h>

#include "fovea/image/image.h"

#define FV_PREPROCESS_MAX_SIZE 8192 /* px, of work_size and size */

typedef enum fv_fit { FV_FIT_LETTERBOX, FV_FIT_STRETCH } fv_fit;
typedef enum fv_enhance { FV_ENHANCE_NONE, FV_ENHANCE_LAB_CLAHE } fv_enhance;
typedef enum fv_normalise {
    FV_NORMALISE_UNIT,     /* x / 255 */
    FV_NORMALISE_SIGNED,   /* x / 127.5 - 1: Keras MobileNetV2 */
    FV_NORMALISE_IMAGENET, /* (x / 255 - mean) / sd, mean .485 .456 .406, sd .229 .224 .225: torchvision */
} fv_normalise;

extern const char *const fv_fit_names[];       /* "letterbox", "stretch", NULL */
extern const char *const fv_enhance_names[];   /* "none", "lab_clahe", NULL */
extern const char *const fv_normalise_names[]; /* "unit", "signed", "imagenet", NULL */

typedef struct fv_preprocess {
    int size, work_size; /* px, square */
    fv_fit fit;
    fv_enhance enhance;
    double clahe_clip; /* OpenCV's clipLimit */
    int clahe_tiles;   /* tiles a side */
    fv_normalise normalise;
} fv_preprocess;

/* Where the photograph lies in a square of side `side`: square = photo * scale + offset, in continuous coordinates
   where pixel i covers [i, i + 1). */
typedef struct fv_mapping {
    double scale_x, scale_y, offset_x, offset_y; /* px */
} fv_mapping;

fv_mapping fv_preprocess_mapping(const fv_preprocess *settings, int photo_width, int photo_height, int side);

/* Steps 1 and 2: RGB photograph -> RGB work_size x work_size; a grey photograph (1 channel) is copied to three.
   FV_BAD_INPUT for an empty photograph and for settings out of range. */
fv_status fv_preprocess_enhance(const fv_preprocess *settings, const fv_image *photo, fv_image *work);
/* Step 1 for a mask (1 channel, 0..255, area averaged: soft at edges). FV_BAD_INPUT for other channels. */
fv_status fv_preprocess_fit_mask(const fv_preprocess *settings, const fv_image *mask, fv_image *work);
/* Step 3 without augmentation, and step 4: out is size*size*3 floats, NHWC. */
void fv_preprocess_sample(const fv_preprocess *settings, const fv_image *work, float *out);
/* Step 4 alone, in place on `count` RGB pixels of range 0..255. */
void fv_preprocess_normalise(fv_normalise how, float *rgb, size_t count);
/* Step 4 undone, to look at an input: `count` pixels of normalised values -> levels 0..255, rounded, bounded. */
void fv_preprocess_denormalise(fv_normalise how, const float *values, size_t count, uint8_t *rgb);

#endif
