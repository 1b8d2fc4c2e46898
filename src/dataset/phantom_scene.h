/* What a phantom shows, drawn at random before any pixel is painted.

   Retinal coordinates: origin in the field's centre, unit the field's radius, y down, x towards the temple (towards the
   macula). An image shows them mirrored for right eyes. Sizes of anatomy are in disc radii ("discs"): a narrower field
   magnifies everything together. */
#ifndef FOVEA_DATASET_PHANTOM_SCENE_H
#define FOVEA_DATASET_PHANTOM_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "fovea/base/rng.h"
#include "fovea/dataset/phantom.h"

/* Independent random streams of one phantom: a change in one part leaves the others as they were. */
enum { FV_STREAM_ANATOMY, FV_STREAM_CAMERA, FV_STREAM_VESSELS, FV_STREAM_BLOBS };

typedef struct fv_rgb {
    float r, g, b; /* 1 is white */
} fv_rgb;

/* A nearly elliptic closed curve: in direction u, turned by the tilt, its radius is
   ellipse(u) (1 + triple cos 3(angle - triple_phase)). */
typedef struct fv_outline {
    double x, y, semi_x, semi_y;
    double tilt_cos, tilt_sin;
    double triple, phase_cos, phase_sin; /* cos and sin of 3 phase */
} fv_outline;

typedef enum fv_notch { FV_NOTCH_NONE, FV_NOTCH_ROUND, FV_NOTCH_SQUARE } fv_notch;

/* The camera: field, light, colour, sharpness. Light is in image coordinates (not mirrored). */
typedef struct fv_camera {
    double radius, centre_x, centre_y; /* of the field, shares of the side */
    double cut;                        /* |y| at which top and bottom are cut off; above 1: not at all */
    fv_notch notch;
    double notch_x, notch_y, notch_size;
    double edge; /* softness of the field's edge, radii */
    float exposure, vignette, slope_x, slope_y;
    float spot_x, spot_y, spot_width, spot_gain; /* brighter or darker region */
    float haze_x, haze_y, haze_start;            /* unit vector and distance from which stray light glows */
    fv_rgb haze, surround;
    float blur, noise; /* Gaussian sigmas: px at side 512, share of white */
    uint32_t noise_seed;
} fv_camera;

typedef struct fv_scene {
    bool mirrored;
    double disc_radius; /* half the disc's height */
    fv_outline disc, cup;
    double vcdr;
    double fovea_x, fovea_y;
    fv_rgb base, rim, pallor;               /* reflectance of the fundus, of the neural rim, of the cup */
    float disc_edge, cup_edge;              /* half widths of the soft edges, discs */
    float texture, tigroid, sheen;          /* strengths, 0 .. 1 */
    float macula, fovea_reflex;             /* darkness; brightness of the reflex, 0 for none */
    float crescent, crescent_x, crescent_y; /* width in discs (0: none) and unit vector to its middle */
    float pigment, halo;                    /* dark border outside the disc, bright ring around it: strengths */
    float lamina;                           /* contrast of the pores in the cup */
    float vessel_contrast, reflex;          /* of all vessels; of the arteries' central light reflex */
    uint32_t noise_seed;
    fv_camera camera;
} fv_scene;

void fv_scene_draw(uint64_t seed, uint64_t index, fv_scene *scene);

/* Signed distance to the curve along the ray from its centre, negative inside. */
double fv_outline_distance(const fv_outline *outline, double x, double y);
/* The curve's point in the direction `angle` (radians, from x to y) of its own turned frame. */
void fv_outline_point(const fv_outline *outline, double angle, double *x, double *y);
/* Signed distance to the edge of the field of view, negative inside; image coordinates in field radii. */
double fv_field_distance(const fv_camera *camera, double x, double y);

/* One station of a vessel's centre line. */
typedef struct fv_vessel_point {
    float x, y, radius; /* field radii */
    bool artery, start; /* start: not joined to the point before */
} fv_vessel_point;

typedef struct fv_vessel_tree {
    fv_vessel_point *points;
    int count, capacity;
} fv_vessel_tree;

/* Grows all arteries and veins. Free points with free(). */
fv_status fv_vessels_grow(const fv_scene *scene, fv_rng rng, fv_vessel_tree *tree);

typedef enum fv_blob_kind { FV_BLOB_BRIGHT, FV_BLOB_DARK, FV_BLOB_DUST, FV_BLOB_KINDS } fv_blob_kind;

/* A drusen, an exudate, a bleeding, or dust in the camera (dust is in image coordinates, all others retinal). */
typedef struct fv_blob {
    float x, y, radius, strength, softness; /* softness: share of the radius over which it fades */
    fv_blob_kind kind;
} fv_blob;

#define FV_MAX_BLOBS 256

/* Returns the number of blobs written. */
int fv_blobs_draw(const fv_scene *scene, fv_rng rng, fv_blob blobs[FV_MAX_BLOBS]);

/* Float planes of side x side px in which a phantom comes to be. */
typedef struct fv_phantom_canvas {
    int side;
    double centre_x, centre_y, radius; /* of the field, px */
    float *artery, *vein, *reflex;     /* cover 0 .. 1 */
    float *blob[FV_BLOB_KINDS];        /* cover 0 .. 1 */
    float *rgb[3], *scratch;
    void *memory;
} fv_phantom_canvas;

fv_status fv_phantom_canvas_make(const fv_scene *scene, int side, fv_phantom_canvas *canvas);
void fv_phantom_canvas_free(fv_phantom_canvas *canvas);
/* Draws vessels as soft strokes, and marks in `mask` the pixels whose centre lies within half a pixel or the vessel's
   radius of a centre line. */
void fv_phantom_canvas_draw_vessels(const fv_scene *scene, const fv_vessel_tree *tree, fv_phantom_canvas *canvas,
                                    fv_image *mask);
void fv_phantom_canvas_draw_blobs(const fv_scene *scene, const fv_blob *blobs, int count, fv_phantom_canvas *canvas);
/* Colours of the retina under the camera's light, from the covers; black surround. */
void fv_phantom_canvas_paint(const fv_scene *scene, fv_phantom_canvas *canvas);
/* Optics and sensor: blur, noise, 8 bits. */
void fv_phantom_canvas_develop(const fv_scene *scene, fv_phantom_canvas *canvas, fv_image *photo);

#endif
