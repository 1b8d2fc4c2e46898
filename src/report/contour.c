#include <stdlib.h>

#include "fovea/base/memory.h"
#include "fovea/image/mask.h"
#include "overlay.h"

/* Points of one outline: middles of the pixel edges that it follows. */
typedef struct outline {
    double (*points)[2];
    size_t count, capacity;
} outline;

static bool outline_add(outline *o, double x, double y) {
    if (o->count == o->capacity) {
        const size_t capacity = o->capacity ? 2 * o->capacity : 1024;
        void *grown = realloc(o->points, fv_size_multiply(capacity, sizeof *o->points));
        if (!grown) return false;
        o->points = grown;
        o->capacity = capacity;
    }
    o->points[o->count][0] = x;
    o->points[o->count++][1] = y;
    return true;
}

static bool inside(const fv_image *mask, int x, int y) {
    return x >= 0 && y >= 0 && x < mask->width && y < mask->height &&
           mask->data[(size_t)y * (size_t)mask->width + (size_t)x] != 0;
}

/* Follows the edges between mask and background with the mask on the right hand, from the top edge of pixel (x, y)
   until it comes back. Top edges passed are noted in `seen`. */
static bool follow(const fv_image *mask, int x, int y, uint8_t *seen, outline *o) {
    static const int step_x[4] = {1, 0, -1, 0}, step_y[4] = {0, 1, 0, -1}; /* east, south, west, north */
    static const int right_x[4] = {0, -1, -1, 0},
                     right_y[4] = {0, 0, -1, -1}; /* pixel ahead on the right of a corner */
    static const int left_x[4] = {0, 0, -1, -1}, left_y[4] = {-1, 0, 0, -1};
    int corner_x = x, corner_y = y, direction = 0;
    o->count = 0;
    do {
        if (direction == 0) seen[(size_t)corner_y * (size_t)mask->width + (size_t)corner_x] = 1;
        if (!outline_add(o, corner_x + step_x[direction] / 2.0, corner_y + step_y[direction] / 2.0)) return false;
        corner_x += step_x[direction];
        corner_y += step_y[direction];
        if (!inside(mask, corner_x + right_x[direction], corner_y + right_y[direction]))
            direction = (direction + 1) % 4;
        else if (inside(mask, corner_x + left_x[direction], corner_y + left_y[direction]))
            direction = (direction + 3) % 4;
    } while (corner_x != x || corner_y != y || direction != 0);
    return true;
}

static void append(cairo_t *cr, const outline *o) {
    for (size_t i = 0; i < o->count; i++) {
        const double *before = o->points[(i + o->count - 1) % o->count], *at = o->points[i],
                     *after = o->points[(i + 1) % o->count];
        const double x = (before[0] + 2 * at[0] + after[0]) / 4, y = (before[1] + 2 * at[1] + after[1]) / 4;
        if (i == 0)
            cairo_move_to(cr, x, y);
        else
            cairo_line_to(cr, x, y);
    }
    cairo_close_path(cr);
}

/* Whether an outline that is not known yet begins at the top edge of the pixel. */
static bool begins(const fv_image *mask, int x, int y, const uint8_t *seen) {
    return inside(mask, x, y) && !inside(mask, x, y - 1) && !seen[(size_t)y * (size_t)mask->width + (size_t)x];
}

fv_status fv_contour_path(cairo_t *cr, const fv_image *mask, int64_t *edges) {
    fv_box box;
    *edges = 0;
    if (!fv_mask_box(mask, &box)) return FV_OK;
    const size_t pixels = fv_size_multiply((size_t)mask->width, (size_t)mask->height);
    uint8_t *seen = fv_allocate(pixels, 1, "outlines of a mask");
    if (!seen) return FV_NO_RESOURCE;
    outline o = {0};
    bool enough = true;
    for (int y = box.y0; y <= box.y1 && enough; y++)
        for (int x = box.x0; x <= box.x1 && enough; x++) {
            if (!begins(mask, x, y, seen)) continue;
            enough = follow(mask, x, y, seen, &o);
            if (enough) append(cr, &o);
            *edges += (int64_t)o.count;
        }
    const size_t capacity = o.capacity;
    free(o.points);
    free(seen);
    return enough ? FV_OK : fv_fail_memory("outlines of a mask", 2ULL * capacity * sizeof *o.points);
}
