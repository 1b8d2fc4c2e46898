/* The vessel tree: four arcades and the small vessels of the disc sprout in the cup, grow step by step, branch by
   Murray's law, keep out of each other's way and of the fovea. */
#include <math.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "phantom_scene.h"

static const double pi = 3.14159265358979323846;
static const double step = 0.08;           /* discs a growth step */
static const double least_radius = 0.0125; /* discs: the thinnest vessels that a photograph shows */

enum { GRID = 72, MAX_SPROUTS = 3000, MAX_STEPS = 400, MAX_POINTS = 60000 };

/* Whereto a vessel wants: round the macula, steadily in a direction, or only along. */
typedef enum guidance { GUIDE_ARCADE, GUIDE_DIRECTION, GUIDE_NONE } guidance;

typedef struct sprout {
    double x, y, heading, radius; /* radius in discs */
    double entry_x, entry_y,
        exit_angle; /* trunks: the cup's edge where they turn, and where on the disc's edge they leave */
    bool trunk, artery;
    guidance guide;
    double birth; /* heading at birth: no vessel turns back */
    double aim;   /* heading of GUIDE_DIRECTION; height of the arcade in discs for GUIDE_ARCADE, negative above */
} sprout;

typedef struct grower {
    const fv_scene *scene;
    fv_rng rng;
    fv_vessel_tree *tree;
    uint8_t grid[2][GRID][GRID]; /* steps in each cell, by kind (0 vein, 1 artery) */
    sprout *sprouts;
    int sprout_count;
    double tortuosity;
    fv_status status;
} grower;

static double wrap_angle(double angle) {
    return angle - 2 * pi * floor((angle + pi) / (2 * pi));
}

/* Growth is chaotic: a last bit that two C libraries compute differently would grow into another tree. So it is cut off
   at every step. */
static double rounded(double value) {
    return rint(value * 0x1p24) * 0x1p-24;
}

static uint8_t *grid_cell(grower *g, bool artery, double x, double y) {
    int column = (int)((x + 1.1) / 2.2 * GRID), row = (int)((y + 1.1) / 2.2 * GRID);
    if (x < -1.1 || y < -1.1 || column >= GRID || row >= GRID) return NULL;
    return &g->grid[artery][row][column];
}

/* How crowded the place is for a vessel of this kind: its own kind counts in full, the other a quarter. */
static double crowd(grower *g, bool artery, double x, double y) {
    uint8_t *own = grid_cell(g, artery, x, y), *other = grid_cell(g, !artery, x, y);
    return own ? *own + 0.25 * *other : 0;
}

static void add_point(grower *g, const sprout *at, bool start) {
    fv_vessel_tree *tree = g->tree;
    if (g->status != FV_OK || tree->count >= MAX_POINTS) return;
    if (tree->count == tree->capacity) {
        int capacity = tree->capacity ? 2 * tree->capacity : 4096;
        fv_vessel_point *points = realloc(tree->points, (size_t)capacity * sizeof *points);
        if (!points) {
            g->status = fv_fail_memory("the phantom's vessels", (unsigned long long)capacity * sizeof *points);
            return;
        }
        tree->points = points;
        tree->capacity = capacity;
    }
    float radius = (float)(at->radius * g->scene->disc_radius);
    tree->points[tree->count++] = (fv_vessel_point){(float)at->x, (float)at->y, radius, at->artery, start};
}

static void add_sprout(grower *g, sprout child) {
    if (g->sprout_count < MAX_SPROUTS) g->sprouts[g->sprout_count++] = child;
}

/* The trunk's way over the disc: a smooth curve from its root in the cup to the turn at the cup's edge and on to the
   disc's edge, where it leaves outward. */
static void cross_disc(grower *g, sprout *at) {
    const fv_scene *scene = g->scene;
    double exit_x, exit_y, root_x = at->x, root_y = at->y;
    fv_outline_point(&scene->disc, at->exit_angle, &exit_x, &exit_y);
    enum { HALF = 8 };
    double mid_x = 0.6 * at->entry_x + 0.4 * exit_x + fv_rng_normal(&g->rng) * 0.05 * scene->disc_radius;
    double mid_y = 0.6 * at->entry_y + 0.4 * exit_y;
    add_point(g, at, true);
    for (int i = 1; i <= 2 * HALF; i++) {
        double t = (double)(i <= HALF ? i : i - HALF) / HALF;
        double a = (1 - t) * (1 - t), b = 2 * t * (1 - t), c = t * t;
        /* two parabolas; the tangents differ where they meet: the kink at the cup's edge */
        double bend_x = 0.35 * root_x + 0.65 * at->entry_x, bend_y = 0.8 * root_y + 0.2 * at->entry_y;
        at->x = i <= HALF ? a * root_x + b * bend_x + c * at->entry_x : a * at->entry_x + b * mid_x + c * exit_x;
        at->y = i <= HALF ? a * root_y + b * bend_y + c * at->entry_y : a * at->entry_y + b * mid_y + c * exit_y;
        add_point(g, at, false);
    }
    at->heading = at->birth = atan2(exit_y - mid_y, exit_x - mid_x);
}

/* Heading along an ellipse round the fovea, corrected towards it; flat on the temporal side. */
static double arcade_heading(const fv_scene *scene, const sprout *at) {
    double u = scene->disc_radius, dx = (at->x - scene->fovea_x) / u, dy = (at->y - scene->fovea_y) / u;
    double width = dx < 0 ? (scene->fovea_x - scene->disc.x) / u * 1.02 : 14, height = fabs(at->aim);
    double level = hypot(dx / width, dy / height);
    double gradient_x = dx / (width * width), gradient_y = dy / (height * height);
    double norm = hypot(gradient_x, gradient_y) + 1e-9;
    double side = at->aim < 0 ? 1 : -1; /* clockwise above, the other way round below */
    double correction = fmax(-1, fmin(1, 1.8 * (1 - level)));
    double tangent_x = -gradient_y / norm * side, tangent_y = gradient_x / norm * side;
    return atan2(tangent_y + correction * gradient_y / norm, tangent_x + correction * gradient_x / norm);
}

/* Turns `at` by what it wants, by what is in its way, and by chance. */
static void steer(grower *g, sprout *at, double *wobble) {
    const fv_scene *scene = g->scene;
    double u = scene->disc_radius, thin = 1 - fmin(1, at->radius / 0.08);
    *wobble += -0.15 * *wobble + fv_rng_normal(&g->rng) * (0.022 + 0.024 * thin) * g->tortuosity;
    at->heading += *wobble;
    if (at->guide == GUIDE_ARCADE) at->heading += 0.22 * wrap_angle(arcade_heading(scene, at) - at->heading);
    if (at->guide == GUIDE_DIRECTION) at->heading += 0.05 * wrap_angle(at->aim - at->heading);
    if (at->guide == GUIDE_NONE) {
        double outward = atan2(at->y - scene->disc.y, at->x - scene->disc.x);
        at->heading += 0.025 * wrap_angle(outward - at->heading);
    }
    double bent = wrap_angle(at->heading - at->birth);
    if (at->guide != GUIDE_ARCADE && fabs(bent) > 0.8) at->heading -= 0.2 * (bent - copysign(0.8, bent));
    double ahead = 0.6 * u, left = at->heading - 0.7, right = at->heading + 0.7;
    double crowd_left = crowd(g, at->artery, at->x + ahead * cos(left), at->y + ahead * sin(left));
    double crowd_right = crowd(g, at->artery, at->x + ahead * cos(right), at->y + ahead * sin(right));
    double urge = (crowd_left - crowd_right) * 0.035;
    at->heading += fmax(-0.09, fmin(0.09, urge)) * (0.4 + 0.6 * thin);
    double to_x = scene->fovea_x - at->x, to_y = scene->fovea_y - at->y, fovea = hypot(to_x, to_y) / u;
    if (fovea < 2.2 && at->radius > 0.03) { /* large vessels turn away from the fovea */
        double turn = cos(at->heading) * to_y - sin(at->heading) * to_x;
        at->heading -= (turn > 0 ? 0.2 : -0.2) * (2.2 - fovea) / 2.2;
    }
}

/* Whether growth ends here: out of the field, in the avascular zone, or on another vessel of its kind. */
static bool blocked(grower *g, const sprout *at, int age) {
    const fv_scene *scene = g->scene;
    double u = scene->disc_radius;
    if (hypot(at->x, at->y) > 1.04) return true;
    if (hypot(at->x - scene->fovea_x, at->y - scene->fovea_y) < u * (0.55 + 4 * at->radius)) return true;
    if (at->guide != GUIDE_ARCADE && fabs(wrap_angle(at->heading - at->birth)) > 1.5) return true;
    if (age > 6 && fv_outline_distance(&scene->disc, at->x, at->y) < 0.15 * u) return true;
    if (age < 8 || at->radius > 0.035) return false;
    double ahead_x = at->x + 0.5 * u * cos(at->heading), ahead_y = at->y + 0.5 * u * sin(at->heading);
    return crowd(g, at->artery, ahead_x, ahead_y) > (at->radius > 0.02 ? 2 : 0.9);
}

/* r0^3 = r1^3 + r2^3 (Murray, 1926): sends off a child, thins and turns the parent. */
static void branch(grower *g, sprout *at, double *side) {
    double ratio = fv_rng_range(&g->rng, 0.38, 1.0); /* child to what remains of the parent */
    if (at->guide == GUIDE_ARCADE) ratio = fv_rng_range(&g->rng, 0.3, 0.7);
    double rest = at->radius / cbrt(1 + ratio * ratio * ratio);
    sprout child = *at;
    child.radius = rest * ratio;
    child.trunk = false;
    if (child.radius < least_radius) return;
    *side = fv_rng_uniform(&g->rng) < 0.75 ? -*side : *side;
    double angle = fv_rng_range(&g->rng, 0.55, 1.15) * (1.1 - 0.35 * ratio);
    child.heading = wrap_angle(child.heading + *side * angle);
    child.birth = child.heading;
    child.guide = fv_rng_uniform(&g->rng) < 0.6 ? GUIDE_DIRECTION : GUIDE_NONE;
    child.aim = child.heading + fv_rng_normal(&g->rng) * 0.3 - *side * 0.25;
    at->heading -= *side * 0.35 * ratio * ratio;
    if (at->guide == GUIDE_DIRECTION) at->aim -= *side * 0.15 * ratio;
    at->radius = rest;
    add_sprout(g, child);
}

/* Branches lie closer in a wide field, where more of the tree is seen: photographs look about equally filled. */
static double next_branch(grower *g, const sprout *at) {
    double field = pow(g->scene->disc_radius / 0.15, 0.9);
    return field * fv_rng_range(&g->rng, 0.4, 1.6) * (0.94 + 4.0 * at->radius);
}

/* A pointed end where the way is blocked. */
static void fade_out(grower *g, sprout at) {
    for (int i = 0; i < 5 && at.radius > 0.5 * least_radius; i++) {
        at.x += 0.6 * step * g->scene->disc_radius * cos(at.heading);
        at.y += 0.6 * step * g->scene->disc_radius * sin(at.heading);
        at.radius *= 0.72;
        add_point(g, &at, false);
    }
}

static void grow(grower *g, sprout at) {
    double wobble = 0, u = g->scene->disc_radius, side = fv_rng_uniform(&g->rng) < 0.5 ? -1 : 1;
    if (at.trunk)
        cross_disc(g, &at);
    else
        add_point(g, &at, true);
    double until_branch = next_branch(g, &at);
    for (int age = 0; age < MAX_STEPS && at.radius >= least_radius; age++) {
        steer(g, &at, &wobble);
        if (blocked(g, &at, age)) {
            fade_out(g, at);
            return;
        }
        at.heading = rounded(at.heading);
        at.x = rounded(at.x + step * u * cos(at.heading));
        at.y = rounded(at.y + step * u * sin(at.heading));
        at.radius *= 0.9975 - 0.006 * fmax(0, 1 - at.radius / 0.03);
        add_point(g, &at, false);
        uint8_t *cell = grid_cell(g, at.artery, at.x, at.y);
        if (cell && *cell < 200) *cell = (uint8_t)(*cell + 1);
        until_branch -= step;
        if (until_branch > 0) continue;
        branch(g, &at, &side);
        until_branch = next_branch(g, &at);
    }
}

/* A vessel of the disc: out of the cup's nasal half over the point of the cup's edge that lies in the direction `angle`
   (0 temporal, +90 degrees down), leaving the disc there, somewhat turned. */
static sprout trunk(grower *g, double degrees, double radius, bool artery, guidance guide, double aim) {
    const fv_scene *scene = g->scene;
    double angle = (degrees + fv_rng_normal(&g->rng) * 5) * pi / 180;
    sprout at = {.trunk = true, .artery = artery, .guide = guide, .aim = aim, .radius = radius};
    at.exit_angle = angle;
    double nasal = 0.7 + 2.2 * fmax(0, 0.55 - scene->vcdr); /* a small cup must not drown in its vessels */
    at.x = scene->cup.x - nasal * scene->cup.semi_x + (artery ? 0.03 : -0.05) * scene->disc_radius;
    at.y = scene->cup.y + (artery ? 0.06 : -0.04) * scene->disc_radius + 0.18 * scene->cup.semi_y * sin(angle);
    /* large vessels pass the cup's edge further nasal than they leave the disc */
    double shift = cos(angle) < 0.5 ? 0.45 * sin(angle) : 0;
    fv_outline_point(&scene->cup, angle + shift, &at.entry_x, &at.entry_y);
    if (cos(angle) > 0.6) { /* small temporal vessels come up beside the cup's edge */
        at.x = 0.3 * scene->cup.x + 0.7 * at.entry_x;
        at.y = 0.3 * scene->cup.y + 0.7 * at.entry_y;
    }
    return at;
}

/* One arcade and its nasal companion, for veins or arteries; `above` is -1 for the upper half, 1 for the lower. */
static void plant_half(grower *g, bool artery, double above) {
    fv_rng *rng = &g->rng;
    double fit =
        fmin(1, sqrt(0.165 / g->scene->disc_radius)); /* in a narrow field large vessels would cover too much */
    double width = fit * (artery ? 0.064 : 0.086), apart = artery ? -7 : 7;
    double height = fv_rng_range(rng, 3.6, 5.2) + (artery ? 0.0 : 0.25);
    double nasal = fv_rng_range(rng, 118, 140) + apart;
    double nasal_aim = nasal + fv_rng_range(rng, -12, 18), rise = fv_rng_range(rng, 76, 96) + apart;
    double arcade_radius = width * fv_rng_range(rng, 0.85, 1.1), nasal_radius = width * fv_rng_range(rng, 0.6, 0.85);
    sprout arcade = trunk(g, above * rise, arcade_radius, artery, GUIDE_ARCADE, above * height);
    sprout companion = trunk(g, above * nasal, nasal_radius, artery, GUIDE_DIRECTION, above * nasal_aim * pi / 180);
    /* both rise together in the cup and part on its wall */
    companion.x = 0.5 * (arcade.x + arcade.entry_x);
    companion.y = 0.5 * (arcade.y + arcade.entry_y);
    companion.entry_x = 0.65 * companion.entry_x + 0.35 * arcade.entry_x;
    companion.entry_y = 0.65 * companion.entry_y + 0.35 * arcade.entry_y;
    add_sprout(g, arcade);
    add_sprout(g, companion);
}

/* Small vessels straight to the nose and to the macula. */
static void plant_small(grower *g) {
    fv_rng *rng = &g->rng;
    int nasal = 2 + (int)fv_rng_below(rng, 3), temporal = 1 + (int)fv_rng_below(rng, 4);
    for (int i = 0; i < nasal + temporal; i++) {
        double degrees = i < nasal ? 158 + 44.0 * (i + 0.5) / nasal : -48 + 96.0 * (i - nasal + 0.5) / temporal;
        double radius = i < nasal ? fv_rng_range(rng, 0.028, 0.05) : fv_rng_range(rng, 0.018, 0.03);
        bool artery = fv_rng_uniform(rng) < 0.5;
        add_sprout(g, trunk(g, degrees, radius, artery, GUIDE_DIRECTION, degrees * pi / 180));
    }
}

fv_status fv_vessels_grow(const fv_scene *scene, fv_rng rng, fv_vessel_tree *tree) {
    *tree = (fv_vessel_tree){0};
    grower *g = fv_allocate(1, sizeof *g, "a phantom's vessels");
    if (!g) return FV_NO_RESOURCE;
    *g = (grower){.scene = scene, .rng = rng, .tree = tree};
    g->sprouts = fv_allocate(MAX_SPROUTS, sizeof *g->sprouts, "a phantom's vessels");
    g->status = g->sprouts ? FV_OK : FV_NO_RESOURCE;
    g->tortuosity = fv_rng_range(&g->rng, 0.7, 1.5);
    if (g->status == FV_OK) {
        for (int artery = 0; artery < 2; artery++) {
            plant_half(g, artery, -1);
            plant_half(g, artery, 1);
        }
        plant_small(g);
        /* in order of birth: large vessels first, the later ones find their way between them */
        for (int i = 0; i < g->sprout_count && g->status == FV_OK; i++) grow(g, g->sprouts[i]);
    }
    fv_status status = g->status;
    free(g->sprouts);
    free(g);
    if (status != FV_OK) {
        free(tree->points);
        *tree = (fv_vessel_tree){0};
    }
    return status;
}
