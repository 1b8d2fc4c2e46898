#include "fovea/clinical/vessels.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "fovea/clinical/distance.h"
#include "fovea/clinical/fractal.h"
#include "fovea/clinical/skeleton.h"
#include "fovea/image/mask.h"
#include "tortuosity.h"
#include "vessel_graph.h"
#include "vessel_width.h"

/* The disc as a circle, and as the pixels that are no part of the region. */
typedef struct disc_place {
    bool known;
    const fv_image *mask;
    double x, y, radius; /* px */
} disc_place;

static fv_status check_size(const fv_image *mask, const fv_image *other, const char *what) {
    if (other == NULL || (other->width == mask->width && other->height == mask->height && other->channels == 1))
        return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "the mask of the %s is %d x %d px with %d channels, that of the vessels %d x %d px; both must have "
                   "the same size and 1 channel",
                   what, other->width, other->height, other->channels, mask->width, mask->height);
}

/* Centroid, and the radius of the circle of the same area. */
static fv_status place_from_mask(const fv_image *mask, disc_place *disc) {
    double sum_x = 0, sum_y = 0, area = 0;
    for (int y = 0; y < mask->height; y++)
        for (int x = 0; x < mask->width; x++)
            if (mask->data[(size_t)y * (size_t)mask->width + (size_t)x]) sum_x += x, sum_y += y, area++;
    if (area == 0) return fv_fail(FV_BAD_INPUT, "the mask of the disc is empty; leave it out where no disc is known");
    *disc = (disc_place){true, mask, sum_x / area, sum_y / area, sqrt(area / M_PI)};
    return FV_OK;
}

static fv_status find_disc(const fv_image *mask, const fv_vessel_disc *disc, disc_place *found) {
    *found = (disc_place){0};
    if (disc == NULL) return FV_OK;
    FV_TRY(check_size(mask, disc->mask, "disc"));
    if (disc->mask) return place_from_mask(disc->mask, found);
    const double x = disc->center_x_px, y = disc->center_y_px, diameter = disc->diameter_px;
    const int side = mask->width > mask->height ? mask->width : mask->height;
    if (!isfinite(x) || !isfinite(y) || !(diameter > 0 && diameter <= side))
        return fv_fail(FV_BAD_INPUT,
                       "a disc %g px wide at (%g, %g): a place and a diameter above 0 and up to the image's side, %d "
                       "px, are needed",
                       diameter, x, y, side);
    *found = (disc_place){true, NULL, x, y, diameter / 2};
    return FV_OK;
}

static bool in_disc(const disc_place *disc, int x, int y, size_t place) {
    if (!disc->known) return false;
    return disc->mask ? disc->mask->data[place] != 0 : hypot(x - disc->x, y - disc->y) <= disc->radius;
}

/* ---- areas ---- */

static fv_vessel_zone measure_zone(const fv_image *mask, const fv_image *field, const disc_place *disc, double outer) {
    if (!disc->known) return (fv_vessel_zone){NAN, NAN};
    const double r0 = 2 * disc->radius, r1 = outer * disc->radius;
    int64_t inside = 0, vessels = 0;
    const int top = (int)fmax(0, floor(disc->y - r1)), bottom = (int)fmin(mask->height - 1, ceil(disc->y + r1));
    const int left = (int)fmax(0, floor(disc->x - r1)), right = (int)fmin(mask->width - 1, ceil(disc->x + r1));
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            const double r = hypot(x - disc->x, y - disc->y);
            const size_t place = (size_t)y * (size_t)mask->width + (size_t)x;
            if (r < r0 || r > r1 || (field && field->data[place] == 0)) continue;
            inside++;
            vessels += mask->data[place] != 0;
        }
    fv_vessel_zone zone = {NAN, fmin(1, (double)inside / (M_PI * (r1 * r1 - r0 * r0)))};
    if (inside > 0 && zone.in_field_ratio >= FV_VESSEL_ZONE_LEAST)
        zone.density_ratio = (double)vessels / (double)inside;
    return zone;
}

/* Takes from the mask what lies outside the region, and counts both. `whole` keeps what lies within the disc. */
static fv_status cut_to_region(const fv_image *field, const disc_place *disc, fv_image *whole, fv_image *cut,
                               fv_vessels *v) {
    for (int y = 0; y < whole->height; y++)
        for (int x = 0; x < whole->width; x++) {
            const size_t place = (size_t)y * (size_t)whole->width + (size_t)x;
            const bool in_field = field == NULL || field->data[place] != 0;
            const bool in_region = in_field && !in_disc(disc, x, y, place);
            if (!in_field) whole->data[place] = 0;
            cut->data[place] = in_region ? whole->data[place] : 0;
            v->region_area_px += in_region;
            v->vessel_area_px += cut->data[place] != 0;
        }
    if (v->region_area_px == 0)
        return fv_fail(FV_BAD_INPUT, "nothing of the photograph lies in the field of view and outside the disc; check "
                                     "the masks of both");
    v->density_ratio = (double)v->vessel_area_px / (double)v->region_area_px;
    return FV_OK;
}

/* ---- lines ---- */

/* Box sizes from two vessel widths to a quarter of the field. */
static fv_status measure_fractal(const fv_image *skeleton, const fv_image *field, fv_vessels *v) {
    fv_box box = {0, 0, skeleton->width - 1, skeleton->height - 1};
    if (field) fv_mask_box(field, &box);
    const int across = box.x1 - box.x0 + 1, down = box.y1 - box.y0 + 1, longer = across > down ? across : down;
    const double smallest = isnan(v->mean_width_px) ? 1 : fmax(1, 2 * v->mean_width_px);
    if (smallest > longer) return FV_OK;
    return fv_fractal_dimension(skeleton, (int)ceil(smallest), longer / 4, &v->fractal_dimension, &v->fractal_r2);
}

static fv_status measure_graph(const fv_image *skeleton, const float *distance_px, fv_vessels *v, fv_vessel_map *map) {
    vessel_graph graph;
    FV_TRY(vessel_graph_make(skeleton, distance_px, &graph));
    v->length_px = vessel_graph_length(&graph);
    v->length_density_per_px = v->length_px / (double)v->region_area_px;
    fv_status status = vessel_graph_count(&graph, v);
    if (status == FV_OK) status = vessel_widths(&graph, v);
    if (status == FV_OK) status = vessel_tortuosity(&graph, v);
    if (status == FV_OK && map) {
        *map = (fv_vessel_map){graph.points, (size_t)graph.count};
        graph.points = NULL;
    }
    vessel_graph_free(&graph);
    return status;
}

/* Widths come from the vessels as they run on into the disc: its edge is none of theirs. */
static fv_status measure_lines(const fv_image *whole, const fv_image *cut, const fv_image *field, fv_vessels *v,
                               fv_vessel_map *map) {
    fv_image skeleton;
    FV_TRY(fv_skeleton_make(whole, &skeleton));
    fv_mask_and(&skeleton, cut);
    float *distance_px =
        fv_allocate_unset((size_t)whole->width * (size_t)whole->height, sizeof(float), "distances in a vessel mask");
    fv_status status = distance_px ? fv_distance_within(whole, distance_px) : FV_NO_RESOURCE;
    if (status == FV_OK) status = vessel_prune(&skeleton, distance_px);
    if (status == FV_OK) status = measure_graph(&skeleton, distance_px, v, map);
    if (status == FV_OK) status = measure_fractal(&skeleton, field, v);
    free(distance_px);
    fv_image_free(&skeleton);
    return status;
}

static fv_status measure(const fv_image *mask, const fv_image *field, const disc_place *disc, fv_vessels *v,
                         fv_vessel_map *map) {
    fv_image whole, cut;
    FV_TRY(fv_image_copy(mask, &whole));
    fv_status status = fv_image_make_unset(mask->width, mask->height, 1, &cut);
    if (status == FV_OK) status = cut_to_region(field, disc, &whole, &cut, v);
    if (status == FV_OK) {
        v->zone_b = measure_zone(&whole, field, disc, 3);
        v->zone_c = measure_zone(&whole, field, disc, 5);
        status = measure_lines(&whole, &cut, field, v, map);
    }
    fv_image_free(&cut);
    fv_image_free(&whole);
    return status;
}

fv_status fv_vessels_measure(const fv_image *mask, const fv_image *field, const fv_vessel_disc *disc, fv_scale scale,
                             fv_vessels *vessels, fv_vessel_map *map) {
    const fv_vessel_zone unknown = {NAN, NAN};
    const fv_vessels nothing = {.density_ratio = NAN,
                                .zone_b = unknown,
                                .zone_c = unknown,
                                .disc_diameter_px = NAN,
                                .length_density_per_px = NAN,
                                .mean_width_px = NAN,
                                .width_p10_px = NAN,
                                .width_median_px = NAN,
                                .width_p90_px = NAN,
                                .tortuosity_arc_chord = NAN,
                                .tortuosity_curvature = NAN,
                                .fractal_dimension = NAN,
                                .fractal_r2 = NAN,
                                .scale = FV_SCALE_UNKNOWN};
    disc_place place;
    fv_vessels found = nothing;
    *vessels = nothing;
    if (map) *map = (fv_vessel_map){0};
    if (mask->data == NULL || mask->channels != 1)
        return fv_fail(FV_BAD_INPUT, "a vessel mask with 1 channel is needed, not an image with %d channels",
                       mask->channels);
    FV_TRY(check_size(mask, field, "field of view"));
    FV_TRY(find_disc(mask, disc, &place));
    fv_status status = measure(mask, field, &place, &found, map);
    if (status != FV_OK) {
        if (map) fv_vessel_map_free(map);
        return status;
    }
    if (place.known) found.disc_diameter_px = 2 * place.radius;
    found.scale = scale;
    *vessels = found;
    return FV_OK;
}

void fv_vessel_map_free(fv_vessel_map *map) {
    free(map->points);
    *map = (fv_vessel_map){0};
}
