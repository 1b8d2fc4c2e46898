/* Colours of the retina, pixel by pixel: fundus, nerve fibres, macula, optic disc, vessels, spots, light. */
#include <math.h>

#include "phantom_noise.h"
#include "phantom_scene.h"

/* A place of the retina. */
typedef struct spot {
    float x, y;                     /* retinal coordinates */
    float disc_x, disc_y, disc_far; /* from the disc's centre, in discs */
    float fovea_far;                /* from the fovea, in discs */
    float disc_edge, cup_edge;      /* signed distances to the outlines in discs; large far from the disc */
    float pixel;                    /* a pixel's size in discs */
} spot;

static fv_rgb blend(fv_rgb a, fv_rgb b, float share) {
    return (fv_rgb){a.r + share * (b.r - a.r), a.g + share * (b.g - a.g), a.b + share * (b.b - a.b)};
}

static fv_rgb times(fv_rgb a, float r, float g, float b) {
    return (fv_rgb){a.r * r, a.g * g, a.b * b};
}

static float bell(float x) {
    return expf(-x * x);
}

static spot find_spot(const fv_scene *scene, const fv_phantom_canvas *canvas, float x, float y) {
    float unit = (float)scene->disc_radius;
    spot s = {.x = x, .y = y, .disc_edge = 9.0f, .cup_edge = 9.0f};
    s.disc_x = (x - (float)scene->disc.x) / unit;
    s.disc_y = (y - (float)scene->disc.y) / unit;
    s.disc_far = sqrtf(s.disc_x * s.disc_x + s.disc_y * s.disc_y);
    float fovea_x = (x - (float)scene->fovea_x) / unit, fovea_y = (y - (float)scene->fovea_y) / unit;
    s.fovea_far = sqrtf(fovea_x * fovea_x + fovea_y * fovea_y);
    s.pixel = 1.0f / ((float)canvas->radius * unit);
    if (s.disc_far < 2.5f) {
        s.disc_edge = (float)fv_outline_distance(&scene->disc, x, y) / unit;
        s.cup_edge = (float)fv_outline_distance(&scene->cup, x, y) / unit;
    }
    return s;
}

/* Share of a shape at a pixel: 1 inside, 0 outside, 0.5 on the outline. */
static float inside(float distance, float half_width) {
    return 1.0f - fv_smoothstep(-half_width, half_width, distance);
}

/* Choroidal vessels: paler winding bands between dark islands, in patches, hidden by the macula's pigment. -0.6 .. 1.
 */
static float choroid_bands(const fv_scene *scene, const spot *s, float x, float y) {
    float calm = fv_smoothstep(1.0f, 4.5f, s->fovea_far);
    if (calm <= 0.0f) return 0.0f;
    uint32_t seed = scene->noise_seed;
    float patch = 0.3f + 0.7f * fv_smoothstep(-0.3f, 0.3f, fv_noise(1.7f * s->x, 1.7f * s->y, seed + 7));
    float broad = 1.0f - 3.4f * fabsf(fv_noise(10.0f * x + 3.0f * y, 7.0f * y - 4.0f * x, seed + 5));
    float slender = 1.0f - 3.4f * fabsf(fv_noise(16.0f * y + 6.0f * x, 12.0f * x - 7.0f * y, seed + 6));
    return fmaxf(-0.6f, fmaxf(broad, 0.8f * slender)) * patch * calm;
}

/* Pigment epithelium over choroid: cloudy darkness, grain, and the choroid's vessels. */
static fv_rgb fundus_colour(const fv_scene *scene, const spot *s) {
    uint32_t seed = scene->noise_seed;
    float warp = 0.14f * fv_noise(2.5f * s->x, 2.5f * s->y, seed + 1), x = s->x + warp, y = s->y - 0.7f * warp;
    float clouds = fv_noise_octaves(3.0f * x, 3.0f * y, 3, seed + 3);
    float grain = fv_noise_octaves(24.0f * s->x, 24.0f * s->y, 2, seed + 4);
    float bands = scene->tigroid * choroid_bands(scene, s, x + 0.01f * grain, y);
    float dark = 1.0f + scene->texture * (0.22f * clouds + 0.11f * grain);
    fv_rgb colour = times(scene->base, dark, dark * (1.0f + 0.06f * scene->texture * grain), dark);
    return times(colour, 1.0f + 0.2f * bands, 1.0f + 0.26f * bands, 1.0f + 0.08f * bands);
}

/* Striped sheen of the nerve fibres, strongest where their bundles leave the disc above and below towards the macula.
 */
static fv_rgb add_sheen(const fv_scene *scene, const spot *s, fv_rgb colour) {
    if (s->disc_far > 7.0f || s->disc_far < 0.5f) return colour;
    float slope = s->disc_y / s->disc_far, across = s->disc_x / s->disc_far;
    float bundle = bell((fabsf(slope) - 0.85f) / 0.3f) * (0.65f + 0.35f * across);
    float reach = bell((s->disc_far - 1.2f) / 2.6f);
    /* fibres bend towards the temple as they run out */
    float bent = across - 0.09f * (s->disc_far - 1.0f);
    float stripes = fv_noise(42.0f * bent + (slope > 0.0f ? 100.0f : 0.0f), 1.3f * s->disc_far, scene->noise_seed + 11);
    float sheen = scene->sheen * bundle * reach * (0.055f + 0.075f * stripes);
    return (fv_rgb){colour.r + 0.6f * sheen, colour.g + sheen, colour.b + 0.7f * sheen};
}

static fv_rgb add_macula(const fv_scene *scene, const spot *s, fv_rgb colour) {
    if (s->fovea_far > 5.0f) return colour;
    float wide = 0.26f * bell(s->fovea_far / 1.7f), pit = 0.2f * bell(s->fovea_far / 0.55f);
    float dark = scene->macula * (wide + pit);
    colour = times(colour, 1.0f - 0.85f * dark, 1.0f - 1.1f * dark, 1.0f - 1.2f * dark);
    float reflex = 0.16f * scene->fovea_reflex * bell(s->fovea_far / (0.12f + s->pixel));
    return (fv_rgb){colour.r + reflex, colour.g + reflex, colour.b + 0.8f * reflex};
}

/* Around the disc: chorioretinal atrophy (pale, mottled crescent), pigment at its border, a scleral ring. */
static fv_rgb add_surroundings(const fv_scene *scene, const spot *s, fv_rgb colour) {
    if (s->disc_edge > 1.2f || s->disc_far < 0.3f) return colour;
    float towards = (s->disc_x * scene->crescent_x + s->disc_y * scene->crescent_y) / s->disc_far;
    float mottle = fv_noise_octaves(3.5f * s->disc_x, 3.5f * s->disc_y, 3, scene->noise_seed + 21);
    float lobe = fmaxf(0.0f, towards), width = scene->crescent * lobe * sqrtf(lobe) * (1.0f + 0.5f * mottle);
    float near = bell(fmaxf(0.0f, s->disc_edge) / 0.28f);
    colour =
        blend(colour, blend(colour, scene->rim, 0.6f), 0.22f * scene->halo * near); /* light scattered by the disc */
    float border = bell((s->disc_edge - width - 0.05f) / 0.06f) * (0.35f + 0.65f * lobe);
    float dark = 0.3f * scene->pigment * border * fv_smoothstep(-0.15f, 0.4f, mottle + 0.25f * lobe);
    colour = times(colour, 1.0f - dark, 1.0f - dark, 1.0f - dark);
    if (width > 0.02f) {
        fv_rgb atrophy = blend(scene->base, scene->rim, 0.42f + 0.3f * mottle);
        atrophy.g *= 1.06f;
        atrophy.b *= 1.12f;
        colour = blend(colour, atrophy, 0.85f * inside(s->disc_edge - width, 0.05f + 0.25f * width));
    }
    return colour;
}

/* Pores of the lamina cribrosa: small grey dots in the floor of the cup. */
static float lamina_pores(const fv_scene *scene, const spot *s) {
    float dots = fv_noise(9.0f * s->disc_x, 9.0f * s->disc_y, scene->noise_seed + 31);
    return scene->lamina * fv_smoothstep(0.12f, 0.35f, dots) * inside(s->cup_edge + 0.12f, 0.1f);
}

static fv_rgb add_disc(const fv_scene *scene, const spot *s, fv_rgb colour) {
    float nasal = fv_smoothstep(-0.9f, 0.9f, -s->disc_x); /* the nasal edge is the softer one */
    float soft = fmaxf(scene->disc_edge * (0.75f + 0.75f * nasal), 0.75f * s->pixel);
    float share = inside(s->disc_edge, soft), angle = s->disc_x / (s->disc_far + 0.05f);
    if (share <= 0.0f) return colour;
    float half = s->disc_y > 0.0f ? 50.0f : 0.0f; /* other noise above than below */
    float fibres = fv_noise(7.0f * angle + half, 2.0f * s->disc_far, scene->noise_seed + 32);
    float cloud = fv_noise_octaves(1.6f * s->disc_x, 1.6f * s->disc_y, 2, scene->noise_seed + 33);
    float shade = 1.0f + 0.06f * fibres + 0.1f * cloud, glow = 0.1f * bell(fmaxf(0.0f, s->cup_edge) / 0.3f);
    fv_rgb rim = times(scene->rim, shade, shade * (1.06f - 0.16f * nasal), shade * (1.05f - 0.15f * nasal));
    rim = blend(rim, scene->pallor, glow);
    float depth = fv_smoothstep(0.0f, 0.5f, -s->cup_edge), pores = lamina_pores(scene, s);
    float floor_shade = 0.96f + 0.07f * depth - 0.08f * nasal + 0.06f * cloud - 0.09f * pores;
    fv_rgb cup = times(scene->pallor, floor_shade, floor_shade, floor_shade * (1.0f - 0.04f * pores));
    float cup_soft = fmaxf(scene->cup_edge, 0.75f * s->pixel);
    return blend(colour, blend(rim, cup, inside(s->cup_edge, cup_soft)), share);
}

/* Blood absorbs green and blue. Over the bright disc vessels are as dark as over the fundus, only redder. */
static fv_rgb add_vessels(const fv_scene *scene, const fv_phantom_canvas *canvas, int i, fv_rgb behind, fv_rgb colour) {
    float vein = canvas->vein[i] * scene->vessel_contrast, artery = canvas->artery[i] * scene->vessel_contrast;
    if (vein <= 0.0f && artery <= 0.0f) return colour;
    fv_rgb under = blend(behind, colour, 0.15f);
    under.r = behind.r + 0.6f * (colour.r - behind.r);
    float reflex = canvas->reflex[i] * scene->reflex;
    fv_rgb dark = times(under, 0.71f, 0.42f, 0.48f), bright = times(under, 0.95f, 0.58f, 0.52f);
    dark = blend(dark, under, 0.12f * reflex);
    bright = blend(bright, times(under, 1.08f, 0.98f, 0.9f), 0.5f * reflex);
    return blend(blend(colour, dark, fminf(vein, 1.0f)), bright, fminf(artery, 1.0f));
}

static fv_rgb add_blobs(const fv_scene *scene, const fv_phantom_canvas *canvas, int i, fv_rgb colour) {
    float bright = canvas->blob[FV_BLOB_BRIGHT][i], dark = canvas->blob[FV_BLOB_DARK][i];
    fv_rgb yellow = {scene->base.r * 1.25f, scene->base.g * 1.9f, scene->base.b * 2.2f};
    if (bright > 0.0f) colour = blend(colour, yellow, bright);
    return dark > 0.0f ? blend(colour, times(scene->base, 0.62f, 0.38f, 0.5f), dark) : colour;
}

/* Uneven light, and stray light at one edge; (x, y) in image coordinates. */
static fv_rgb add_light(const fv_camera *camera, float x, float y, float dust, fv_rgb colour) {
    float square = x * x + y * y, off_x = x - camera->spot_x, off_y = y - camera->spot_y;
    float light = 1.0f - camera->vignette * square * (0.4f + 0.6f * square);
    light *= 1.0f + camera->slope_x * x + camera->slope_y * y;
    float width = camera->spot_width;
    light *= 1.0f + camera->spot_gain * expf(-(off_x * off_x + off_y * off_y) / (width * width));
    light *= camera->exposure * (1.0f - dust);
    float beyond = fmaxf(0.0f, x * camera->haze_x + y * camera->haze_y - camera->haze_start) * 1.8f;
    float haze = beyond * beyond;
    return (fv_rgb){colour.r * light + camera->haze.r * haze, colour.g * light + camera->haze.g * haze,
                    colour.b * light + camera->haze.b * haze};
}

/* Film-like shoulder: linear up to 0.75, then bending to 1. */
static float expose(float value) {
    if (value <= 0.75f) return value;
    float over = (value - 0.75f) / 0.25f;
    return 0.75f + 0.25f * over / (1.0f + 0.4f * over);
}

static fv_rgb paint_pixel(const fv_scene *scene, const fv_phantom_canvas *canvas, int i, float x, float y) {
    spot s = find_spot(scene, canvas, scene->mirrored ? -x : x, y);
    fv_rgb fundus = add_macula(scene, &s, add_sheen(scene, &s, fundus_colour(scene, &s)));
    fv_rgb disc = add_disc(scene, &s, add_surroundings(scene, &s, fundus));
    fv_rgb colour = add_blobs(scene, canvas, i, add_vessels(scene, canvas, i, fundus, disc));
    return add_light(&scene->camera, x, y, canvas->blob[FV_BLOB_DUST][i], colour);
}

void fv_phantom_canvas_paint(const fv_scene *scene, fv_phantom_canvas *canvas) {
    const fv_camera *camera = &scene->camera;
    float soft = (float)fmax(camera->edge, 0.7 / canvas->radius);
    for (int row = 0, i = 0; row < canvas->side; row++)
        for (int column = 0; column < canvas->side; column++, i++) {
            double x = (column + 0.5 - canvas->centre_x) / canvas->radius;
            double y = (row + 0.5 - canvas->centre_y) / canvas->radius;
            float field = inside((float)fv_field_distance(camera, x, y), soft);
            fv_rgb colour = camera->surround;
            if (field > 0.0f) colour = blend(colour, paint_pixel(scene, canvas, i, (float)x, (float)y), field);
            canvas->rgb[0][i] = expose(colour.r);
            canvas->rgb[1][i] = expose(colour.g);
            canvas->rgb[2][i] = expose(colour.b);
        }
}
