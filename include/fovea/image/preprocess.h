/* From a photograph to a network's input, the same way in training, evaluation and prediction.

   1. fit: the photograph, or the part of it that its field of view (FOV) fills, is resized (area averaging when
   smaller, bilinear when larger) to the work image: into a square of `work_size`, whole (letterbox: aspect kept, black
   bars) or stretched; so that the FOV is `fov_diameter` pixels wide, whatever the camera's resolution (with
   `fov_degrees` also whatever its angle: so many pixels a degree); or not at all (native);
   2. enhance: a chain of steps at that size (enhance.h);
   3. sampled: the whole square down to `size` with bilinear interpolation at half-pixel centres (for work_size = 2 size
   and no augmentation that is the exact mean of 2x2 pixels), or, with `windows`, a part of `size` pixels at the work
   image's own scale. Augmentation bends this same sampling;
   4. normalised to float. */
#ifndef FOVEA_IMAGE_PREPROCESS_H
#define FOVEA_IMAGE_PREPROCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "fovea/image/enhance.h"
#include "fovea/image/resize.h"

#define FV_PREPROCESS_MAX_SIZE 8192 /* px, of work_size, fov_diameter and a field at its own scale */

typedef enum fv_fit { FV_FIT_LETTERBOX, FV_FIT_STRETCH, FV_FIT_FOV, FV_FIT_NATIVE } fv_fit;
typedef enum fv_normalise {
    FV_NORMALISE_UNIT,     /* x / 255 */
    FV_NORMALISE_SIGNED,   /* x / 127.5 - 1: Keras MobileNetV2 */
    FV_NORMALISE_IMAGENET, /* (x / 255 - mean) / sd, mean .485 .456 .406, sd .229 .224 .225: torchvision */
} fv_normalise;

extern const char *const fv_fit_names[];       /* "letterbox", "stretch", "fov", "native", NULL */
extern const char *const fv_normalise_names[]; /* "unit", "signed", "imagenet", NULL */

typedef struct fv_preprocess {
    int size;           /* px: side of the network's input in training */
    int work_size;      /* px: side of the square of letterbox and stretch */
    int fov_diameter;   /* px: of FV_FIT_FOV */
    double fov_degrees; /* of FV_FIT_FOV: the angle of a field that is fov_diameter wide; 0: every field is, whatever
                           its angle */
    fv_fit fit;
    bool windows; /* the network sees windows of the work image; always so with FV_FIT_FOV and FV_FIT_NATIVE */
    int tile;     /* px: side of the windows that a prediction is put together from; 0: one window holds the whole */
    fv_enhance enhance;
    fv_normalise normalise;
} fv_preprocess;

/* FV_BAD_INPUT with a sentence when a size is out of range or does not go with the fit. */
fv_status fv_preprocess_check(const fv_preprocess *settings);

/* Angles of cameras, degrees. */
#define FV_FOV_DEGREES_MIN 10
#define FV_FOV_DEGREES_MAX 200
/* The settings for a photograph whose camera sees `degrees`: with FV_FIT_FOV and fov_degrees above 0 its fov_diameter
   is fov_diameter degrees / fov_degrees, so that a degree of every eye has as many pixels; else, and where degrees is
   NAN (unknown), as they are. */
fv_preprocess fv_preprocess_for_camera(const fv_preprocess *settings, double degrees);

/* What of the photograph comes to lie where in the work image. */
typedef struct fv_frame {
    fv_place source, target; /* px of the photograph; px of the work image */
    int width, height;       /* px of the work image */
} fv_frame;

/* From the photograph to another image of it: image = photo * scale + offset, in continuous coordinates where pixel i
   covers [i, i + 1). */
typedef struct fv_mapping {
    double scale_x, scale_y, offset_x, offset_y; /* px */
} fv_mapping;

/* Step 1's geometry for a photograph of this size. `fov`: its field of view, read by FV_FIT_FOV and FV_FIT_NATIVE only:
   the FOV's diameter is the longer side of its bounding box. */
fv_status fv_preprocess_frame(const fv_preprocess *settings, int photo_width, int photo_height, const fv_image *fov,
                              fv_frame *frame);
/* To the work image magnified by `ratio` (1 for the work image itself). */
fv_mapping fv_frame_mapping(const fv_frame *frame, double ratio);

/* A photograph after steps 1 and 2. */
typedef struct fv_work {
    fv_image image; /* RGB */
    fv_image fov;   /* field of view, 0 or 255, of the image's size; data NULL where nothing asks for it */
    fv_frame frame;
} fv_work;

void fv_work_free(fv_work *work); /* safe on a zeroed struct, and twice */

/* Whether steps 1 or 2 look at the field of view. */
bool fv_preprocess_needs_fov(const fv_preprocess *settings);
/* Steps 1 and 2; a grey photograph (1 channel) is copied to three. `fov`: mask of the photograph's size where it is
   known; NULL lets it be found (fov.h) when it is needed. FV_BAD_INPUT for an empty photograph, for one without any
   light when the field is needed, and for settings out of range. */
fv_status fv_preprocess_enhance(const fv_preprocess *settings, const fv_image *photo, const fv_image *fov,
                                fv_work *work);
/* Step 1 for a mask of the photograph's size (1 channel, 0..255, area averaged: soft at edges). FV_BAD_INPUT for other
   channels. */
fv_status fv_preprocess_fit_mask(const fv_frame *frame, const fv_image *mask, fv_image *fitted);
/* Steps 3 and 4 of a window at (x, y) of the work image: out is {height, width, 3}; what lies outside is black. */
void fv_preprocess_window(const fv_preprocess *settings, const fv_image *work, fv_place window, float *out);
/* Steps 3 and 4 of the whole square, without augmentation: out is size*size*3 floats, NHWC. */
void fv_preprocess_sample(const fv_preprocess *settings, const fv_image *work, float *out);
/* Step 4 alone, in place on `count` RGB pixels of range 0..255. */
void fv_preprocess_normalise(fv_normalise how, float *rgb, size_t count);
/* Step 4 undone, to look at an input: `count` pixels of normalised values -> levels 0..255, rounded, bounded. */
void fv_preprocess_denormalise(fv_normalise how, const float *values, size_t count, uint8_t *rgb);

#endif
