/* The canvas, and vessels drawn on it as strokes with soft edges. */
#include <math.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "phantom_noise.h"
#include "phantom_scene.h"

fv_status fv_phantom_canvas_make(const fv_scene *scene, int side, fv_phantom_canvas *canvas) {
    enum { PLANES = 10 };
    *canvas = (fv_phantom_canvas){.side = side};
    size_t pixels = (size_t)side * (size_t)side;
    canvas->memory = fv_allocate(pixels, PLANES * sizeof(float), "a phantom");
    if (!canvas->memory) return FV_NO_RESOURCE;
    float *plane = canvas->memory;
    canvas->artery = plane;
    canvas->vein = plane + pixels;
    canvas->reflex = plane + 2 * pixels;
    for (int i = 0; i < FV_BLOB_KINDS; i++) canvas->blob[i] = plane + (size_t)(3 + i) * pixels;
    for (int i = 0; i < 3; i++) canvas->rgb[i] = plane + (size_t)(6 + i) * pixels;
    canvas->scratch = plane + 9 * pixels;
    canvas->centre_x = scene->camera.centre_x * side;
    canvas->centre_y = scene->camera.centre_y * side;
    canvas->radius = scene->camera.radius * side;
    return FV_OK;
}

void fv_phantom_canvas_free(fv_phantom_canvas *canvas) {
    free(canvas->memory);
    *canvas = (fv_phantom_canvas){0};
}

/* A piece of a vessel in pixels. */
typedef struct stroke {
    float x, y, along_x, along_y, length; /* start, unit direction */
    float radius, radius_end, strength;
    float soft; /* half width of the soft edge */
    bool artery;
} stroke;

static int clamp_int(float value, int low, int high) {
    return value < (float)low ? low : value > (float)high ? high : (int)value;
}

static void raise_to(float *cover, float value) {
    if (value > *cover) *cover = value;
}

static void draw_pixel(const stroke *s, float distance, float radius, float *cover, float *reflex) {
    /* thinner than a pixel: the cover is the share of the pixel that the vessel fills */
    float wide = fmaxf(radius, 0.5f), filled = fminf(1.0f, radius / 0.5f);
    float edge = (wide - distance) / (2.0f * s->soft) + 0.5f;
    edge = edge < 0.0f ? 0.0f : edge > 1.0f ? 1.0f : edge * edge * (3.0f - 2.0f * edge);
    if (edge <= 0.0f) return;
    float across = fminf(1.0f, distance / wide);
    raise_to(cover, edge * filled * s->strength * (0.78f + 0.22f * sqrtf(1.0f - across * across)));
    if (radius > 1.0f) raise_to(reflex, fmaxf(0.0f, 1.0f - across / 0.38f) * fminf(1.0f, radius - 1.0f));
}

static void draw_stroke(const stroke *s, fv_phantom_canvas *canvas, fv_image *mask) {
    int side = canvas->side;
    float *plane = s->artery ? canvas->artery : canvas->vein;
    float reach = fmaxf(fmaxf(s->radius, s->radius_end), 0.5f) + s->soft + 1.0f;
    float end_x = s->x + s->along_x * s->length, end_y = s->y + s->along_y * s->length;
    int left = clamp_int(fminf(s->x, end_x) - reach, 0, side), right = clamp_int(fmaxf(s->x, end_x) + reach, 0, side);
    int top = clamp_int(fminf(s->y, end_y) - reach, 0, side), low = clamp_int(fmaxf(s->y, end_y) + reach, 0, side);
    for (int row = top; row < low; row++)
        for (int column = left; column < right; column++) {
            float dx = (float)column + 0.5f - s->x, dy = (float)row + 0.5f - s->y;
            float along = fminf(fmaxf(dx * s->along_x + dy * s->along_y, 0.0f), s->length);
            float off_x = dx - along * s->along_x, off_y = dy - along * s->along_y;
            float distance = sqrtf(off_x * off_x + off_y * off_y);
            float radius = s->radius + (s->radius_end - s->radius) * along / s->length;
            int i = row * side + column;
            draw_pixel(s, distance, radius, plane + i, canvas->reflex + i);
            if (distance <= fmaxf(radius, 0.5f)) mask->data[i] = 255;
        }
}

void fv_phantom_canvas_draw_vessels(const fv_scene *scene, const fv_vessel_tree *tree, fv_phantom_canvas *canvas,
                                    fv_image *mask) {
    float scale = (float)canvas->radius, turn = scene->mirrored ? -scale : scale;
    float least = 0.24f; /* px: below that a vessel leaves no trace, in the photograph as in the mask */
    for (int i = 1; i < tree->count; i++) {
        const fv_vessel_point *a = tree->points + i - 1, *b = tree->points + i;
        if (b->start || b->radius * scale < least) continue;
        stroke s = {.x = (float)canvas->centre_x + a->x * turn, .y = (float)canvas->centre_y + a->y * scale};
        float dx = (b->x - a->x) * turn, dy = (b->y - a->y) * scale;
        s.length = fmaxf(sqrtf(dx * dx + dy * dy), 1e-3f);
        s.along_x = dx / s.length;
        s.along_y = dy / s.length;
        s.radius = a->radius * scale;
        s.radius_end = b->radius * scale;
        s.soft = 0.45f + 0.12f * s.radius;
        s.artery = b->artery;
        /* thin vessels are paler: less blood for the light to cross */
        s.strength = 0.5f + 0.5f * fv_smoothstep(0.0f, 0.06f, b->radius / (float)scene->disc_radius);
        draw_stroke(&s, canvas, mask);
    }
}
