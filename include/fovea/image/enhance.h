/* Enhancement of fundus photographs: named steps that a configuration chains and a model file carries. */
#ifndef FOVEA_IMAGE_ENHANCE_H
#define FOVEA_IMAGE_ENHANCE_H

#include <stdbool.h>

#include "fovea/image/image.h"

/* Each step works on 8-bit RGB in place. "inside" means inside the field of view (FOV). */
typedef enum fv_enhance_step {
    FV_ENHANCE_GREEN,       /* green channel in all three: vessels have the most contrast there */
    FV_ENHANCE_CLAHE,       /* CLAHE on each of R, G, B (clahe.h) */
    FV_ENHANCE_LAB_CLAHE,   /* CLAHE on L of CIE LAB */
    FV_ENHANCE_UNSHARP,     /* (1 + amount) x image - amount x Gaussian blur of it, as cv2.addWeighted */
    FV_ENHANCE_STRETCH,     /* lowest..highest level inside, all channels together -> 0..255, as cv2.normalize MINMAX */
    FV_ENHANCE_FOV,         /* 0 outside */
    FV_ENHANCE_STANDARDISE, /* each channel: 128 + 48 (v - mean inside) / deviation inside, bounded; 128 outside */
    FV_ENHANCE_LOCAL,       /* the same with mean and deviation of a Gaussian neighbourhood inside the FOV */
} fv_enhance_step;

extern const char *const fv_enhance_step_names[]; /* "green", "clahe", "lab_clahe", "unsharp", "stretch", "fov",
                                                     "standardise", "local", NULL */

#define FV_ENHANCE_MAX_STEPS 8
#define FV_ENHANCE_TEXT 128 /* bytes that hold any chain as text */

typedef struct fv_enhance {
    fv_enhance_step steps[FV_ENHANCE_MAX_STEPS];
    int count;                            /* 0: none */
    double clahe_clip;                    /* OpenCV's clipLimit */
    int clahe_tiles;                      /* tiles a side */
    double unsharp_amount, unsharp_sigma; /* 0.5 and 2 px: 1.5 x image - 0.5 x blur */
    double local_sigma;                   /* px of the image: neighbourhood of FV_ENHANCE_LOCAL */
} fv_enhance;

/* The standard parameters: clip 2, 8 tiles, unsharp 0.5 and 2 px, local 10 px; no steps. */
fv_enhance fv_enhance_standard(void);
/* "green clahe unsharp stretch" (words separated by spaces or commas), or "none" -> steps; the parameters stay.
   FV_BAD_INPUT names the word that is no step, or says that there are too many. */
fv_status fv_enhance_parse(const char *text, fv_enhance *enhance);
/* The reverse: words with spaces between, "none" without steps. */
void fv_enhance_text(const fv_enhance *enhance, char text[FV_ENHANCE_TEXT]);
bool fv_enhance_has(const fv_enhance *enhance, fv_enhance_step step);
/* Whether a step looks at the field of view. */
bool fv_enhance_needs_fov(const fv_enhance *enhance);
/* All steps in their order. `fov`: mask of the same size, NULL for the whole frame. FV_BAD_INPUT for parameters out of
   range. */
fv_status fv_enhance_apply(const fv_enhance *enhance, fv_image *rgb, const fv_image *fov);

#endif
