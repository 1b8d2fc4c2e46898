/* How large a pixel is on the retina, and how that is known. */
#ifndef FOVEA_CLINICAL_SCALE_H
#define FOVEA_CLINICAL_SCALE_H

#include <math.h>

#include "fovea/image/image.h"

typedef enum fv_scale_source {
    FV_SCALE_NONE,      /* nothing in um can be said */
    FV_SCALE_USER,      /* given */
    FV_SCALE_FOV_AXIAL, /* from the camera's angle and the eye's axial length */
    FV_SCALE_FOV,       /* from the camera's angle for an eye of 24 mm: wrong by about 9 % for 22 or 26 mm */
} fv_scale_source;

extern const char *const fv_scale_source_names[]; /* "none", "user", "fov+AL", "fov", NULL */

typedef struct fv_scale {
    double um_per_px; /* NAN with source none */
    fv_scale_source source;
} fv_scale;

#define FV_SCALE_DEGREES_MAX 60
#define FV_SCALE_UNKNOWN ((fv_scale){NAN, FV_SCALE_NONE})

/* um_per_px = 1000 q degrees / diameter_px, q = 0.01306 (axial_length_mm - 1.82) mm a degree (Bennett, Rudnicka and
   Edgar, Graefe's Archive 232, 1994). diameter_px: of the lit circle, not the image's width. axial_length_mm: 15..40,
   or NAN for 24 mm. degrees: above 0, up to FV_SCALE_DEGREES_MAX: beyond, angles are no longer proportional to lengths.
   FV_BAD_INPUT otherwise. */
fv_status fv_scale_from_field(double degrees, double axial_length_mm, double diameter_px, fv_scale *scale);
/* The same from a mask of the lit circle: diameter_px is the larger extent of its bounding box, since cameras cut the
   circle above and below. */
fv_status fv_scale_from_field_mask(double degrees, double axial_length_mm, const fv_image *field, fv_scale *scale);

#endif
