#include "vessel_graph.h"

#include <math.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "fovea/clinical/skeleton.h"
#include "fovea/image/mask.h"
#include "vessel_width.h"

/* Directions clockwise from the one above; odd ones are diagonal. The opposite of d is d ^ 4. */
static const int step_x[8] = {0, 1, 1, 1, 0, -1, -1, -1}, step_y[8] = {-1, -1, 0, 1, 1, 1, 0, -1};

static int degree(const vessel_graph *g, int point) {
    return __builtin_popcount(g->links[point]);
}

static int neighbour(const vessel_graph *g, int point, int direction) {
    const int x = g->points[point].x + step_x[direction], y = g->points[point].y + step_y[direction];
    if (x < 0 || y < 0 || x >= g->width || y >= g->height) return NO_POINT;
    return g->index[(size_t)y * (size_t)g->width + (size_t)x];
}

static double step_px(int direction) {
    return direction & 1 ? sqrt(2) : 1;
}

/* Diagonal neighbours are linked only where no third pixel leads from one to the other: else a corner would be a
   triangle. */
static uint8_t links_of(const vessel_graph *g, int point) {
    int links = 0;
    for (int d = 0; d < 8; d += 2) links |= (neighbour(g, point, d) != NO_POINT) << d;
    for (int d = 1; d < 8; d += 2)
        if (!(links >> (d - 1) & 1) && !(links >> ((d + 1) & 7) & 1))
            links |= (neighbour(g, point, d) != NO_POINT) << d;
    return (uint8_t)links;
}

double vessel_point_weight(const vessel_graph *g, int point) {
    double sum = 0;
    for (int d = 0; d < 8; d++)
        if (g->links[point] >> d & 1) sum += step_px(d) / 2;
    return sum > 0 ? sum : 1;
}

double vessel_graph_length(const vessel_graph *g) {
    double sum = 0;
    for (int i = 0; i < g->count; i++)
        if (g->links[i]) sum += vessel_point_weight(g, i);
    return sum;
}

/* Up to this length a segment between two points may be an artefact of thinning: as long as the vessel is wide at the
   wider of them, 3 px at least, for thin vessels meet within a few pixels. */
static double artefact_px(const vessel_graph *g, int a, int b) {
    return fmax(3, fmaxf(g->points[a].width_px, g->points[b].width_px));
}

/* ---- branchings ---- */

static int root_of(const vessel_graph *g, int point) {
    while (g->parents[point] != point) {
        g->parents[point] = g->parents[g->parents[point]];
        point = g->parents[point];
    }
    return point;
}

static void join(const vessel_graph *g, int a, int b) {
    a = root_of(g, a);
    b = root_of(g, b);
    if (a < b) g->parents[b] = a;
    if (b < a) g->parents[a] = b;
}

static bool is_branching(const vessel_graph *g, int point) {
    return degree(g, point) >= 3;
}

static void join_branchings(const vessel_graph *g) {
    for (int i = 0; i < g->count; i++) g->parents[i] = i;
    for (int i = 0; i < g->count; i++)
        for (int d = 0; d < 8; d++)
            if (is_branching(g, i) && g->links[i] >> d & 1 && is_branching(g, neighbour(g, i, d)))
                join(g, i, neighbour(g, i, d));
}

/* ---- segments ---- */

/* Follows the line from `start` in `direction` up to the next point that is no middle of a line, or round to `start`.
   Returns the direction back from there. */
static int follow(vessel_graph *g, int start, int direction, vessel_segment *segment) {
    int point = start;
    *segment = (vessel_segment){.first = g->path_count};
    g->paths[g->path_count++] = start;
    do {
        point = neighbour(g, point, direction);
        segment->length_px += step_px(direction);
        g->paths[g->path_count++] = point;
        const int back = direction ^ 4;
        if (degree(g, point) != 2 || point == start) {
            segment->count = g->path_count - segment->first;
            return back;
        }
        direction = __builtin_ctz(g->links[point] & ~(1u << back));
    } while (true);
}

/* Keeps the segment unless it was found from its other end before. */
static void trace_from(vessel_graph *g, int start, int direction, bool *seen) {
    vessel_segment segment;
    const int next = neighbour(g, start, direction);
    if (is_branching(g, start) && is_branching(g, next) && root_of(g, start) == root_of(g, next)) return;
    const int back = follow(g, start, direction, &segment);
    const int end = g->paths[g->path_count - 1];
    if (end < start || (end == start && back < direction)) {
        g->path_count = segment.first;
        return;
    }
    segment.closed = end == start;
    for (int i = 0; i < segment.count; i++) seen[g->paths[segment.first + i]] = true;
    g->segments[g->segment_count++] = segment;
}

static fv_status trace(vessel_graph *g) {
    bool *seen = fv_allocate((size_t)g->count + 1, sizeof *seen, "the segments of a skeleton");
    if (seen == NULL) return FV_NO_RESOURCE;
    for (int i = 0; i < g->count; i++)
        for (int d = 0; d < 8; d++)
            if (degree(g, i) != 2 && g->links[i] >> d & 1) trace_from(g, i, d, seen);
    for (int i = 0; i < g->count;
         i++) { /* what is left are closed lines; from the second direction it goes round once */
        if (degree(g, i) == 2 && !seen[i]) trace_from(g, i, __builtin_ctz(g->links[i]), seen);
    }
    free(seen);
    return FV_OK;
}

/* ---- the whole ---- */

static void collect_points(const fv_image *skeleton, const float *distance_px, vessel_graph *g) {
    const size_t width = (size_t)skeleton->width;
    for (int y = 0; y < skeleton->height; y++)
        for (int x = 0; x < skeleton->width; x++) {
            const size_t place = (size_t)y * width + (size_t)x;
            g->index[place] = NO_POINT;
            if (skeleton->data[place] == 0) continue;
            g->index[place] = g->count;
            g->points[g->count++] = (fv_vessel_point){
                .x = x, .y = y, .width_px = vessel_width(distance_px, skeleton->width, skeleton->height, x, y)};
        }
}

static fv_status allocate(vessel_graph *g, size_t count) {
    static const char what[] = "the lines of a skeleton";
    g->index = fv_allocate_unset((size_t)g->width * (size_t)g->height, sizeof *g->index, what);
    g->points = fv_allocate(count + 1, sizeof *g->points, what);
    g->links = fv_allocate(count + 1, sizeof *g->links, what);
    g->parents = fv_allocate(count + 1, sizeof *g->parents, what);
    return g->index && g->points && g->links && g->parents ? FV_OK : FV_NO_RESOURCE;
}

/* A path holds each middle of a line once and its two ends: no more places than links and points, and one more path
   while it is tried. */
static fv_status allocate_segments(vessel_graph *g) {
    size_t links = 0;
    for (int i = 0; i < g->count; i++) links += (size_t)degree(g, i);
    g->segments = fv_allocate(links + 1, sizeof *g->segments, "the segments of a skeleton");
    g->paths = fv_allocate_unset(links + 2 * (size_t)g->count + 2, sizeof *g->paths, "the segments of a skeleton");
    return g->segments && g->paths ? FV_OK : FV_NO_RESOURCE;
}

fv_status vessel_graph_make(const fv_image *skeleton, const float *distance_px, vessel_graph *g) {
    *g = (vessel_graph){.width = skeleton->width, .height = skeleton->height};
    fv_status status = allocate(g, (size_t)fv_mask_count(skeleton));
    if (status == FV_OK) {
        collect_points(skeleton, distance_px, g);
        for (int i = 0; i < g->count; i++) g->links[i] = links_of(g, i);
        join_branchings(g);
        status = allocate_segments(g);
    }
    if (status == FV_OK) status = trace(g);
    if (status != FV_OK) vessel_graph_free(g);
    return status;
}

void vessel_graph_free(vessel_graph *g) {
    free(g->points);
    free(g->index);
    free(g->links);
    free(g->parents);
    free(g->segments);
    free(g->paths);
    *g = (vessel_graph){0};
}

/* ---- counting ---- */

static int first_point(const vessel_graph *g, const vessel_segment *s) {
    return g->paths[s->first];
}

static int last_point(const vessel_graph *g, const vessel_segment *s) {
    return g->paths[s->first + s->count - 1];
}

static void join_crossings(const vessel_graph *g) {
    for (int i = 0; i < g->segment_count; i++) {
        const vessel_segment *s = &g->segments[i];
        const int a = first_point(g, s), b = last_point(g, s);
        if (!is_branching(g, a) || !is_branching(g, b)) continue;
        if (s->length_px <= artefact_px(g, a, b)) join(g, a, b);
    }
}

/* Segments that leave a branching are counted in `branches` at its first point. */
static void count_branches(const vessel_graph *g, int *branches) {
    for (int i = 0; i < g->segment_count; i++) {
        vessel_segment *s = &g->segments[i];
        const int a = root_of(g, first_point(g, s)), b = root_of(g, last_point(g, s));
        s->within_branching = !s->closed && a == b && is_branching(g, first_point(g, s));
        if (s->within_branching) continue;
        branches[a]++;
        branches[b]++;
    }
}

fv_status vessel_graph_count(vessel_graph *g, fv_vessels *v) {
    int *branches = fv_allocate((size_t)g->count + 1, sizeof *branches, "the branchings of a skeleton");
    if (branches == NULL) return FV_NO_RESOURCE;
    join_crossings(g);
    count_branches(g, branches);
    for (int i = 0; i < g->segment_count; i++) v->segments += !g->segments[i].within_branching;
    for (int i = 0; i < g->count; i++) {
        fv_vessel_kind kind = FV_VESSEL_LINE;
        if (degree(g, i) == 1) kind = FV_VESSEL_END;
        if (is_branching(g, i) && branches[i] == 3) kind = FV_VESSEL_BRANCH;
        if (is_branching(g, i) && branches[i] > 3) kind = FV_VESSEL_CROSSING;
        g->points[i].kind = kind;
        v->end_points += kind == FV_VESSEL_END;
        v->branch_points += kind == FV_VESSEL_BRANCH;
        v->crossings += kind == FV_VESSEL_CROSSING;
    }
    free(branches);
    return FV_OK;
}

/* ---- spurs ---- */

/* The branching at the other end of a spur, NO_POINT for another segment. */
static int spur_base(const vessel_graph *g, const vessel_segment *s) {
    int tip = first_point(g, s), base = last_point(g, s);
    if (degree(g, tip) != 1) tip = base, base = first_point(g, s);
    if (degree(g, tip) != 1 || !is_branching(g, base) || s->length_px > artefact_px(g, base, base)) return NO_POINT;
    return base;
}

static void erase(const vessel_graph *g, const vessel_segment *s, int base, fv_image *skeleton) {
    for (int i = 0; i < s->count; i++) {
        const int point = g->paths[s->first + i];
        if (point == base) continue;
        skeleton->data[(size_t)g->points[point].y * (size_t)g->width + (size_t)g->points[point].x] = 0;
    }
}

/* Erases the shortest spur of each branching. `shortest`: of each point, 1 + the index of a segment. */
static bool erase_shortest(const vessel_graph *g, int *shortest, fv_image *skeleton) {
    bool any = false;
    for (int i = 0; i < g->segment_count; i++) {
        const int base = spur_base(g, &g->segments[i]);
        if (base == NO_POINT) continue;
        int *best = &shortest[root_of(g, base)];
        if (*best == 0 || g->segments[i].length_px < g->segments[*best - 1].length_px) *best = i + 1;
    }
    for (int i = 0; i < g->count; i++) {
        if (shortest[i] == 0) continue;
        const vessel_segment *s = &g->segments[shortest[i] - 1];
        erase(g, s, spur_base(g, s), skeleton);
        any = true;
    }
    return any;
}

fv_status vessel_prune(fv_image *skeleton, const float *distance_px) {
    for (bool any = true; any;) {
        vessel_graph g;
        FV_TRY(vessel_graph_make(skeleton, distance_px, &g));
        int *shortest = fv_allocate((size_t)g.count + 1, sizeof *shortest, "the spurs of a skeleton");
        if (shortest != NULL) any = erase_shortest(&g, shortest, skeleton);
        vessel_graph_free(&g);
        if (shortest == NULL) return FV_NO_RESOURCE;
        free(shortest);
        if (any) FV_TRY(fv_skeleton_clean(skeleton));
    }
    return FV_OK;
}
