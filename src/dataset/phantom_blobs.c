/* Spots: drusen and exudates, bleedings, dust in the camera. */
#include <math.h>

#include "phantom_noise.h"
#include "phantom_scene.h"

static const double pi = 3.14159265358979323846;

typedef struct blob_list {
    fv_blob *blobs;
    int count;
} blob_list;

static void add_blob(blob_list *list, fv_blob blob) {
    if (list->count < FV_MAX_BLOBS) list->blobs[list->count++] = blob;
}

/* `count` spots around a place, radii drawn from low .. high discs. */
static void add_cluster(blob_list *list, const fv_scene *scene, fv_rng *rng, fv_blob centre, double spread, int count,
                        double low, double high) {
    double unit = centre.kind == FV_BLOB_DUST ? 1 : scene->disc_radius;
    for (int i = 0; i < count; i++) {
        fv_blob blob = centre;
        blob.x += (float)(fv_rng_normal(rng) * spread * unit);
        blob.y += (float)(fv_rng_normal(rng) * spread * unit);
        double t = fv_rng_uniform(rng);
        blob.radius = (float)((low + (high - low) * t * t) * unit);
        blob.strength *= (float)fv_rng_range(rng, 0.5, 1.0);
        double clearance = fv_outline_distance(&scene->disc, blob.x, blob.y);
        if (blob.kind == FV_BLOB_DUST || clearance > 0.5 * scene->disc_radius + blob.radius) add_blob(list, blob);
    }
}

/* Somewhere between the arcades or beyond. */
static fv_blob place(const fv_scene *scene, fv_rng *rng, double reach, fv_blob_kind kind) {
    double angle = fv_rng_range(rng, -pi, pi), distance = reach * sqrt(fv_rng_uniform(rng)) * scene->disc_radius;
    return (fv_blob){.kind = kind,
                     .x = (float)(scene->fovea_x + distance * cos(angle)),
                     .y = (float)(scene->fovea_y + distance * sin(angle))};
}

static void add_drusen(blob_list *list, const fv_scene *scene, fv_rng *rng) {
    fv_blob centre = place(scene, rng, 1.0, FV_BLOB_BRIGHT);
    centre.strength = 0.45f;
    centre.softness = 0.9f;
    add_cluster(list, scene, rng, centre, 1.1, 10 + (int)fv_rng_below(rng, 50), 0.025, 0.09);
}

static void add_exudates(blob_list *list, const fv_scene *scene, fv_rng *rng) {
    for (int i = 0, clusters = 1 + (int)fv_rng_below(rng, 4); i < clusters; i++) {
        fv_blob centre = place(scene, rng, 4.0, FV_BLOB_BRIGHT);
        centre.strength = 0.95f;
        centre.softness = 0.5f;
        add_cluster(list, scene, rng, centre, 0.35, 4 + (int)fv_rng_below(rng, 14), 0.02, 0.09);
    }
}

static void add_bleedings(blob_list *list, const fv_scene *scene, fv_rng *rng) {
    for (int i = 0, clusters = 3 + (int)fv_rng_below(rng, 9); i < clusters; i++) {
        fv_blob centre = place(scene, rng, 6.0, FV_BLOB_DARK);
        centre.strength = 0.8f;
        centre.softness = 0.6f;
        add_cluster(list, scene, rng, centre, 0.25, 1 + (int)fv_rng_below(rng, 4), 0.02, 0.16);
    }
}

static void add_dust(blob_list *list, const fv_scene *scene, fv_rng *rng) {
    for (int i = 0, specks = 1 + (int)fv_rng_below(rng, 4); i < specks; i++) {
        fv_blob speck = {.kind = FV_BLOB_DUST, .strength = 0.22f, .softness = 1.0f};
        speck.x = (float)fv_rng_range(rng, -0.8, 0.8);
        speck.y = (float)fv_rng_range(rng, -0.8, 0.8);
        add_cluster(list, scene, rng, speck, 0.0, 1, 0.006, 0.03);
    }
}

int fv_blobs_draw(const fv_scene *scene, fv_rng rng, fv_blob blobs[FV_MAX_BLOBS]) {
    blob_list list = {.blobs = blobs};
    if (fv_rng_uniform(&rng) < 0.15) add_drusen(&list, scene, &rng);
    if (fv_rng_uniform(&rng) < 0.12) add_exudates(&list, scene, &rng);
    if (fv_rng_uniform(&rng) < 0.15) add_bleedings(&list, scene, &rng);
    if (fv_rng_uniform(&rng) < 0.35) add_dust(&list, scene, &rng);
    return list.count;
}

/* One spot with an irregular outline. */
static void draw_blob(const fv_blob *blob, uint32_t seed, float x, float y, float radius, fv_phantom_canvas *canvas) {
    int side = canvas->side;
    float *plane = canvas->blob[blob->kind], reach = 1.6f * radius + 1.0f;
    float pixel = 0.7f / radius, soft = fmaxf(blob->softness, pixel); /* at least as soft as the raster */
    for (int row = (int)fmaxf(0.0f, y - reach); row < side && (float)row < y + reach; row++)
        for (int column = (int)fmaxf(0.0f, x - reach); column < side && (float)column < x + reach; column++) {
            float dx = ((float)column + 0.5f - x) / radius, dy = ((float)row + 0.5f - y) / radius;
            float ragged = blob->kind == FV_BLOB_DUST ? 0.0f : 0.7f * fv_noise(1.3f * dx, 1.3f * dy, seed);
            float distance = sqrtf(dx * dx + dy * dy) + ragged;
            float cover = blob->strength * (1.0f - fv_smoothstep(1.0f - soft, 1.0f + 0.5f * soft, distance));
            float *pixel_cover = plane + row * side + column;
            if (cover > *pixel_cover) *pixel_cover = cover;
        }
}

void fv_phantom_canvas_draw_blobs(const fv_scene *scene, const fv_blob *blobs, int count, fv_phantom_canvas *canvas) {
    for (int i = 0; i < count; i++) {
        bool turn = scene->mirrored && blobs[i].kind != FV_BLOB_DUST;
        float x = (float)canvas->centre_x + (turn ? -blobs[i].x : blobs[i].x) * (float)canvas->radius;
        float y = (float)canvas->centre_y + blobs[i].y * (float)canvas->radius;
        float radius = fmaxf(blobs[i].radius * (float)canvas->radius, 0.3f);
        draw_blob(blobs + i, scene->noise_seed + 77u * (uint32_t)i, x, y, radius, canvas);
    }
}
