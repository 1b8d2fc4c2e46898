#include "tortuosity.h"

#include <math.h>
#include <stdlib.h>

#include "fovea/base/memory.h"

enum { least_points = 5 };
static const double least_chord_px = 10, least_sigma_px = 4;

typedef struct place {
    double x, y; /* px */
} place;

typedef struct curve {
    place *raw, *smooth, *even; /* places for the longest segment each */
    int count;                  /* of raw and smooth */
    int steps;                  /* of even: one place more */
    double length_px;
} curve;

static double gap(place a, place b) {
    return hypot(b.x - a.x, b.y - a.y);
}

/* Beyond its ends the curve goes on as its mirror image through them, so that they stay where they are. i: from -last
   to 2 last, where last = count - 1. */
static place raw_at(const curve *c, int i) {
    const int last = c->count - 1;
    if (i >= 0 && i <= last) return c->raw[i];
    const place end = c->raw[i < 0 ? 0 : last], mirrored = c->raw[i < 0 ? -i : 2 * last - i];
    return (place){2 * end.x - mirrored.x, 2 * end.y - mirrored.y};
}

/* The Gaussian is cut at 3 sigma, and at the curve's length: beyond, the mirror image would end. */
static void smooth(curve *c, double sigma) {
    const int reach = (int)fmin(ceil(3 * sigma), c->count - 1);
    for (int i = 0; i < c->count; i++) {
        place sum = {0, 0};
        double weights = 0;
        for (int k = -reach; k <= reach; k++) {
            const double weight = exp(-0.5 * k * k / (sigma * sigma));
            const place p = raw_at(c, i + k);
            sum.x += weight * p.x;
            sum.y += weight * p.y;
            weights += weight;
        }
        c->smooth[i] = (place){sum.x / weights, sum.y / weights};
    }
}

/* Cuts the smooth curve into steps of equal length, about `step` px each. */
static void resample(curve *c, double step) {
    double length = 0, passed = 0;
    for (int i = 1; i < c->count; i++) length += gap(c->smooth[i - 1], c->smooth[i]);
    c->steps = (int)fmin(fmax(4, round(length / step)), c->count - 1);
    for (int k = 0, i = 1; k <= c->steps; k++) {
        const double wanted = length * k / c->steps;
        double part = gap(c->smooth[i - 1], c->smooth[i]);
        while (i < c->count - 1 && passed + part < wanted) {
            passed += part;
            i++;
            part = gap(c->smooth[i - 1], c->smooth[i]);
        }
        const double t = part > 0 ? fmin(1, (wanted - passed) / part) : 0;
        c->even[k] = (place){c->smooth[i - 1].x + t * (c->smooth[i].x - c->smooth[i - 1].x),
                             c->smooth[i - 1].y + t * (c->smooth[i].y - c->smooth[i - 1].y)};
    }
    c->length_px = length;
}

/* 1 / radius of the circle through three places. */
static double curvature(place a, place b, place c) {
    const double cross = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
    const double sides = gap(a, b) * gap(b, c) * gap(a, c);
    return sides > 0 ? 2 * fabs(cross) / sides : 0;
}

/* Length times the integral of squared curvature: the inner places stand for the whole length. */
static double bending(const curve *c) {
    double sum = 0;
    for (int k = 1; k < c->steps; k++) {
        const double kappa = curvature(c->even[k - 1], c->even[k], c->even[k + 1]);
        sum += kappa * kappa;
    }
    return c->length_px * c->length_px * sum / (c->steps - 1);
}

static double mean_width(const vessel_graph *g, const vessel_segment *s) {
    double sum = 0;
    for (int i = 0; i < s->count; i++) {
        const float width = g->points[g->paths[s->first + i]].width_px;
        if (!isnan(width)) sum += width;
    }
    return sum / s->count;
}

/* Leaves out `trim` points at either end, where a skeleton bends into a corner or towards a branching. */
static void load(const vessel_graph *g, const vessel_segment *s, int trim, curve *c) {
    c->count = 0;
    for (int i = trim; i < s->count - trim; i++) {
        const fv_vessel_point *point = &g->points[g->paths[s->first + i]];
        c->raw[c->count++] = (place){point->x, point->y};
    }
}

static void measure(const vessel_graph *g, curve *c, fv_vessels *v) {
    double total = 0, arc_chord = 0, bent = 0;
    for (int i = 0; i < g->segment_count; i++) {
        const vessel_segment *s = &g->segments[i];
        if (s->closed || s->within_branching) continue;
        const double width_px = mean_width(g, s), sigma = fmax(least_sigma_px, width_px);
        load(g, s, (int)ceil(width_px), c);
        if (c->count < least_points) continue;
        const double chord = gap(c->raw[0], c->raw[c->count - 1]);
        if (chord < least_chord_px) continue;
        smooth(c, sigma);
        resample(c, sigma);
        total += c->length_px;
        arc_chord += c->length_px * c->length_px / chord;
        bent += c->length_px * bending(c);
    }
    if (total > 0) {
        v->tortuosity_arc_chord = arc_chord / total;
        v->tortuosity_curvature = bent / total;
    }
}

fv_status vessel_tortuosity(const vessel_graph *g, fv_vessels *v) {
    int longest = 0;
    for (int i = 0; i < g->segment_count; i++)
        if (g->segments[i].count > longest) longest = g->segments[i].count;
    place *places = fv_allocate_unset(3 * (size_t)longest + 1, sizeof *places, "the curves of vessels");
    if (places == NULL) return FV_NO_RESOURCE;
    curve c = {.raw = places, .smooth = places + longest, .even = places + 2 * (size_t)longest};
    measure(g, &c, v);
    free(places);
    return FV_OK;
}
