#include "fovea/dataset/phantom.h"

#include <math.h>
#include <stdlib.h>

#include "phantom_scene.h"

static fv_status make_images(int side, fv_phantom *phantom) {
    FV_TRY(fv_image_make(side, side, 3, &phantom->photo));
    FV_TRY(fv_image_make(side, side, 1, &phantom->disc));
    FV_TRY(fv_image_make(side, side, 1, &phantom->cup));
    FV_TRY(fv_image_make(side, side, 1, &phantom->vessel));
    return fv_image_make(side, side, 1, &phantom->fov);
}

/* Masks from the exact outlines; vessels are cut off at the field's edge. */
static void draw_masks(const fv_scene *scene, const fv_phantom_canvas *canvas, fv_phantom *phantom) {
    double reach = 1.2 * scene->disc_radius; /* no disc beyond */
    for (int row = 0, i = 0; row < canvas->side; row++)
        for (int column = 0; column < canvas->side; column++, i++) {
            double x = (column + 0.5 - canvas->centre_x) / canvas->radius;
            double y = (row + 0.5 - canvas->centre_y) / canvas->radius, retinal_x = scene->mirrored ? -x : x;
            bool field = fv_field_distance(&scene->camera, x, y) <= 0;
            bool near = fabs(retinal_x - scene->disc.x) < reach && fabs(y - scene->disc.y) < reach;
            bool disc = near && field && fv_outline_distance(&scene->disc, retinal_x, y) <= 0;
            bool cup = disc && fv_outline_distance(&scene->cup, retinal_x, y) <= 0;
            phantom->fov.data[i] = field ? 255 : 0;
            phantom->disc.data[i] = disc ? 255 : 0;
            phantom->cup.data[i] = cup ? 255 : 0;
            if (!field) phantom->vessel.data[i] = 0;
        }
}

static fv_status draw(uint64_t seed, uint64_t index, fv_phantom_canvas *canvas, const fv_scene *scene,
                      fv_phantom *phantom) {
    fv_vessel_tree tree;
    FV_TRY(fv_vessels_grow(scene, fv_rng_make(seed, FV_STREAM_VESSELS, index, FV_PURPOSE_PHANTOM), &tree));
    fv_phantom_canvas_draw_vessels(scene, &tree, canvas, &phantom->vessel);
    free(tree.points);
    fv_blob blobs[FV_MAX_BLOBS];
    int count = fv_blobs_draw(scene, fv_rng_make(seed, FV_STREAM_BLOBS, index, FV_PURPOSE_PHANTOM), blobs);
    fv_phantom_canvas_draw_blobs(scene, blobs, count, canvas);
    draw_masks(scene, canvas, phantom);
    fv_phantom_canvas_paint(scene, canvas);
    fv_phantom_canvas_develop(scene, canvas, &phantom->photo);
    return FV_OK;
}

fv_status fv_phantom_make(uint64_t seed, uint64_t index, int side, fv_phantom *phantom) {
    *phantom = (fv_phantom){0};
    if (side < FV_PHANTOM_MIN_SIDE || side > FV_PHANTOM_MAX_SIDE)
        return fv_fail(FV_BAD_INPUT, "phantom: a side of %d px was asked for; %d to %d px can be drawn", side,
                       FV_PHANTOM_MIN_SIDE, FV_PHANTOM_MAX_SIDE);
    fv_scene scene;
    fv_scene_draw(seed, index, &scene);
    fv_phantom_canvas canvas;
    FV_TRY(fv_phantom_canvas_make(&scene, side, &canvas));
    fv_status status = make_images(side, phantom);
    if (status == FV_OK) status = draw(seed, index, &canvas, &scene, phantom);
    fv_phantom_canvas_free(&canvas);
    phantom->vcdr = scene.vcdr;
    if (status != FV_OK) fv_phantom_free(phantom);
    return status;
}

void fv_phantom_free(fv_phantom *phantom) {
    fv_image *images[] = {&phantom->photo, &phantom->disc, &phantom->cup, &phantom->vessel, &phantom->fov};
    for (int i = 0; i < 5; i++) fv_image_free(images[i]);
    *phantom = (fv_phantom){0};
}
