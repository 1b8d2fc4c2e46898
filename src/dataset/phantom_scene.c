#include "phantom_scene.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* Least distance of the cup from the disc's edge, discs. */
static const double least_rim = 0.06;

static double square(double x) {
    return x * x;
}

double fv_outline_distance(const fv_outline *outline, double x, double y) {
    double dx = x - outline->x, dy = y - outline->y;
    double u = dx * outline->tilt_cos + dy * outline->tilt_sin, v = dy * outline->tilt_cos - dx * outline->tilt_sin;
    double distance = sqrt(u * u + v * v);
    if (distance < 1e-9) return -fmin(outline->semi_x, outline->semi_y);
    u /= distance;
    v /= distance;
    double ellipse =
        outline->semi_x * outline->semi_y / sqrt(square(outline->semi_y * u) + square(outline->semi_x * v));
    double cos_three = u * (u * u - 3 * v * v), sin_three = v * (3 * u * u - v * v);
    double wave = outline->triple * (cos_three * outline->phase_cos + sin_three * outline->phase_sin);
    return distance - ellipse * (1 + wave);
}

void fv_outline_point(const fv_outline *outline, double angle, double *x, double *y) {
    double u = cos(angle), v = sin(angle);
    double ellipse =
        outline->semi_x * outline->semi_y / sqrt(square(outline->semi_y * u) + square(outline->semi_x * v));
    double wave = cos(3 * angle) * outline->phase_cos + sin(3 * angle) * outline->phase_sin;
    double radius = ellipse * (1 + outline->triple * wave);
    *x = outline->x + radius * (u * outline->tilt_cos - v * outline->tilt_sin);
    *y = outline->y + radius * (u * outline->tilt_sin + v * outline->tilt_cos);
}

double fv_field_distance(const fv_camera *camera, double x, double y) {
    double field = fmax(sqrt(x * x + y * y) - 1, fabs(y) - camera->cut);
    double dx = x - camera->notch_x, dy = y - camera->notch_y, notch = 1;
    if (camera->notch == FV_NOTCH_ROUND) notch = sqrt(dx * dx + dy * dy) - camera->notch_size;
    if (camera->notch == FV_NOTCH_SQUARE) notch = fmax(fabs(dx + dy), fabs(dx - dy)) * sqrt(0.5) - camera->notch_size;
    return fmin(field, notch);
}

/* Height of the curve, from lowest to highest point. */
static double outline_height(const fv_outline *outline) {
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (int i = 0; i < 1440; i++) {
        double x, y;
        fv_outline_point(outline, i * pi / 720, &x, &y);
        low = fmin(low, y);
        high = fmax(high, y);
    }
    return high - low;
}

static void outline_scale(fv_outline *outline, double factor) {
    outline->semi_x *= factor;
    outline->semi_y *= factor;
}

static void outline_turn(fv_outline *outline, fv_rng *rng, double tilt, double triple) {
    double angle = fv_rng_range(rng, -tilt, tilt), phase = fv_rng_range(rng, -pi, pi);
    outline->tilt_cos = cos(angle);
    outline->tilt_sin = sin(angle);
    outline->triple = fv_rng_range(rng, 0, triple);
    outline->phase_cos = cos(phase);
    outline->phase_sin = sin(phase);
}

/* Where the camera looks: at the macula, at the disc, or between; narrow fields only show the disc's surroundings. */
static void draw_view(fv_scene *scene, fv_rng *rng) {
    double view = fv_rng_uniform(rng), radius, distance, x;
    if (view < 0.1) {
        radius = fv_rng_range(rng, 0.15, 0.175);
        distance = radius * fv_rng_range(rng, 4.7, 5.3);
        x = fv_rng_range(rng, -0.08, 0.08) - distance;
    } else if (view < 0.85) {
        radius = fv_rng_range(rng, 0.2, 0.27);
        distance = radius * fv_rng_range(rng, 4.7, 5.3);
        x = fv_rng_range(rng, -0.15, 0.15);
    } else {
        radius = fv_rng_range(rng, 0.165, 0.2);
        distance = radius * fv_rng_range(rng, 4.7, 5.3);
        x = fv_rng_range(rng, -0.08, 0.08) - distance / 2;
    }
    scene->mirrored = fv_rng_uniform(rng) < 0.5;
    scene->disc_radius = radius;
    scene->disc.x = fmax(x, radius - 0.92);
    scene->disc.y = fv_rng_range(rng, -0.12, 0.1);
    scene->fovea_x = scene->disc.x + distance;
    scene->fovea_y = scene->disc.y + radius * fv_rng_range(rng, 0.0, 0.9);
}

static void draw_disc(fv_scene *scene, fv_rng *rng) {
    fv_outline *disc = &scene->disc;
    disc->semi_y = 1;
    disc->semi_x = fv_rng_range(rng, 0.83, 1.0);
    outline_turn(disc, rng, 0.35, 0.018);
    outline_scale(disc, 2 * scene->disc_radius / outline_height(disc));
    scene->disc_edge = (float)fv_rng_range(rng, 0.03, 0.075);
}

/* Whether the cup keeps its distance from the disc's edge all around. */
static bool cup_fits(const fv_scene *scene) {
    for (int i = 0; i < 90; i++) {
        double x, y;
        fv_outline_point(&scene->cup, i * pi / 45, &x, &y);
        if (fv_outline_distance(&scene->disc, x, y) > -least_rim * scene->disc_radius) return false;
    }
    return true;
}

/* The cup: same tilt as the disc, mostly shifted to the temple, moved back until it fits. */
static void draw_cup(fv_scene *scene, fv_rng *rng) {
    double t = fv_rng_uniform(rng), u = fv_rng_uniform(rng);
    scene->vcdr = 0.3 + 0.55 * (fv_rng_uniform(rng) < 0.5 ? t : (t + u) / 2);
    double elongation = fv_rng_range(rng, 0.9, 1.2);
    double shift_x = fv_rng_range(rng, -0.05, 0.4) * (1 - scene->vcdr) * scene->disc_radius;
    double shift_y = fv_rng_range(rng, -0.15, 0.15) * (1 - scene->vcdr) * scene->disc_radius;
    fv_outline *cup = &scene->cup;
    *cup = scene->disc;
    outline_turn(cup, rng, 0.35, 0.025);
    for (int attempt = 0; attempt < 12; attempt++) {
        cup->semi_y = scene->disc.semi_y;
        cup->semi_x = scene->disc.semi_x / elongation;
        outline_scale(cup, scene->vcdr * 2 * scene->disc_radius / outline_height(cup));
        cup->x = scene->disc.x + shift_x;
        cup->y = scene->disc.y + shift_y;
        if (cup_fits(scene)) break;
        shift_x *= 0.7;
        shift_y *= 0.7;
        if (attempt >= 4) elongation = fmax(elongation, 1.0) + 0.03;
        if (attempt >= 4) cup->tilt_cos = scene->disc.tilt_cos, cup->tilt_sin = scene->disc.tilt_sin;
    }
    scene->cup_edge = (float)(scene->disc_edge + fv_rng_range(rng, 0.02, 0.05));
}

static float mix(float a, float b, double t) {
    return a + (b - a) * (float)t;
}

/* Pigment of the fundus from dark brown over orange to pale pink; rim and cup lie between it and white, so that they
   stand out on any. */
static void draw_colours(fv_scene *scene, fv_rng *rng) {
    double red = fv_rng_range(rng, 0.40, 0.76), green = fv_rng_range(rng, 0.36, 0.57),
           blue = fv_rng_range(rng, 0.16, 0.56);
    fv_rgb base = {(float)red, (float)(red * green), (float)(red * green * blue)};
    double rim = fv_rng_range(rng, 0.26, 0.36), pallor = fv_rng_range(rng, 0.84, 0.97),
           yellow = fv_rng_range(rng, 0.36, 0.68);
    scene->base = base;
    scene->rim = (fv_rgb){mix(base.r, 1.0f, 0.7), mix(base.g, 0.8f, rim), mix(base.b, 0.6f, 0.6 * rim)};
    scene->pallor = (fv_rgb){mix(base.r, 1.06f, 0.95), mix(base.g, 0.86f, pallor), mix(base.b, (float)yellow, pallor)};
}

static void draw_features(fv_scene *scene, fv_rng *rng) {
    scene->texture = (float)fv_rng_range(rng, 0.35, 1.0);
    double tigroid = fv_rng_range(rng, 0.0, 1.0);
    scene->tigroid = (float)(0.1 + 1.1 * tigroid * tigroid);
    scene->sheen = (float)fv_rng_range(rng, 0.1, 1.0);
    scene->macula = (float)fv_rng_range(rng, 0.35, 1.0);
    scene->fovea_reflex = fv_rng_uniform(rng) < 0.4 ? (float)fv_rng_range(rng, 0.3, 1.0) : 0.0f;
    double middle = fv_rng_range(rng, -0.6, 0.6); /* temporal, somewhat up or down */
    scene->crescent = fv_rng_uniform(rng) < 0.4 ? (float)fv_rng_range(rng, 0.15, 0.55) : 0.0f;
    scene->crescent_x = (float)cos(middle);
    scene->crescent_y = (float)sin(middle);
    scene->pigment = (float)fv_rng_range(rng, 0.0, 1.0);
    scene->halo = (float)fv_rng_range(rng, 0.0, 1.0);
    scene->lamina = fv_rng_uniform(rng) < 0.6 ? (float)fv_rng_range(rng, 0.3, 1.0) : 0.0f;
    scene->vessel_contrast = (float)fv_rng_range(rng, 0.75, 1.05);
    scene->reflex = (float)fv_rng_range(rng, 0.2, 1.0);
    scene->noise_seed = (uint32_t)fv_rng_next(rng);
}

/* A round field, whole or cut off above and below, with a mark at its edge that tells left from right. */
static void draw_field(fv_camera *camera, fv_rng *rng) {
    camera->radius = fv_rng_range(rng, 0.455, 0.496);
    double room = 0.498 - camera->radius;
    camera->centre_x = 0.5 + fv_rng_range(rng, -room, room);
    camera->centre_y = 0.5 + fv_rng_range(rng, -room, room);
    double cut = fv_rng_range(rng, 0.8, 0.93), kind = fv_rng_uniform(rng);
    camera->cut = fv_rng_uniform(rng) < 0.5 ? cut : 2;
    camera->notch = kind < 0.2 ? FV_NOTCH_ROUND : kind < 0.4 ? FV_NOTCH_SQUARE : FV_NOTCH_NONE;
    double angle = fv_rng_range(rng, 0.5, 0.8);
    camera->notch_size = fv_rng_range(rng, 0.025, 0.04);
    camera->notch_x = cos(angle);
    camera->notch_y = -sin(angle);
    camera->edge = fv_rng_range(rng, 0.003, 0.008);
}

static void draw_light(fv_camera *camera, const fv_scene *scene, fv_rng *rng) {
    camera->exposure = (float)fv_rng_range(rng, 0.8, 1.08);
    camera->vignette = (float)fv_rng_range(rng, 0.1, 0.38);
    camera->slope_x = (float)fv_rng_range(rng, -0.1, 0.1);
    camera->slope_y = (float)fv_rng_range(rng, -0.1, 0.1);
    double side = scene->mirrored ? -1 : 1;
    bool shadow = scene->fovea_x > 0.45 && fv_rng_uniform(rng) < 0.5; /* the macula beside the lit disc */
    camera->spot_x = (float)(shadow ? side * fmin(scene->fovea_x, 0.95) : fv_rng_range(rng, -0.6, 0.6));
    camera->spot_y = (float)fv_rng_range(rng, -0.4, 0.4);
    camera->spot_width = (float)(shadow ? fv_rng_range(rng, 0.3, 0.5) : fv_rng_range(rng, 0.5, 0.9));
    camera->spot_gain = (float)(shadow ? fv_rng_range(rng, -0.55, -0.25) : fv_rng_range(rng, -0.1, 0.16));
}

/* Stray light at one edge (greenish, bluish, or a strong orange flare), the surround's black, and the sensor. */
static void draw_faults(fv_camera *camera, fv_rng *rng) {
    double angle = fv_rng_range(rng, -pi, pi), strength = fv_rng_range(rng, 0.05, 0.3), kind = fv_rng_uniform(rng);
    camera->haze_x = (float)cos(angle);
    camera->haze_y = (float)sin(angle);
    camera->haze_start = (float)fv_rng_range(rng, 0.35, 0.65);
    fv_rgb green = {0.3f, 0.75f, 0.3f}, blue = {0.3f, 0.7f, 0.75f}, orange = {2.6f, 1.4f, 0.3f};
    camera->haze = kind < 0.35 ? green : kind < 0.7 ? blue : orange;
    if (fv_rng_uniform(rng) < 0.4) strength = 0;
    camera->haze.r *= (float)strength;
    camera->haze.g *= (float)strength;
    camera->haze.b *= (float)strength;
    double black = fv_rng_range(rng, 0.0, 0.03);
    camera->surround = (fv_rgb){(float)black, (float)(black * 0.7), (float)(black * fv_rng_range(rng, 0.7, 1.6))};
    camera->blur = (float)fv_rng_range(rng, 0.45, 1.1);
    camera->noise = (float)fv_rng_range(rng, 0.004, 0.014);
    camera->noise_seed = (uint32_t)fv_rng_next(rng);
}

void fv_scene_draw(uint64_t seed, uint64_t index, fv_scene *scene) {
    *scene = (fv_scene){0};
    fv_rng rng = fv_rng_make(seed, FV_STREAM_ANATOMY, index, FV_PURPOSE_PHANTOM);
    draw_view(scene, &rng);
    draw_disc(scene, &rng);
    draw_cup(scene, &rng);
    draw_colours(scene, &rng);
    draw_features(scene, &rng);
    rng = fv_rng_make(seed, FV_STREAM_CAMERA, index, FV_PURPOSE_PHANTOM);
    draw_field(&scene->camera, &rng);
    draw_light(&scene->camera, scene, &rng);
    draw_faults(&scene->camera, &rng);
}
