#include "fovea/image/fov.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/image/mask.h"

enum {
    LEVELS = 256,
    DARK = 10, /* grey levels: in a photograph with a black rim, what is not above lies outside */
};

/* Shares of the frame and of levels, found on photographs of eight public sets. */
static const double least_area = 0.25;        /* of the frame: a field that is smaller has not been found */
static const double full_area = 0.985;        /* of the frame: a field that is larger has no rim */
static const double corner_share = 0.35;      /* a corner darker than this share of the middle is rim, not retina */
static const double dark_share = 0.15;        /* threshold in a dark photograph, of its bright level */
static const double convex_area = 0.985;      /* of the hull: what has less has lost a part of its rim */
static const double opening_share = 1 / 100.; /* of the longer side: what is narrower than twice that is no retina */

/* ---- grey levels ---- */

/* OpenCV's weights, in 14 bits. */
static fv_status grey_of(const fv_image *photo, fv_image *grey) {
    FV_TRY(fv_image_make_unset(photo->width, photo->height, 1, grey));
    size_t count = (size_t)photo->width * (size_t)photo->height;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *p = photo->data + i * (size_t)photo->channels;
        grey->data[i] = photo->channels == 1 ? p[0] : (uint8_t)((4899 * p[0] + 9617 * p[1] + 1868 * p[2] + 8192) >> 14);
    }
    return FV_OK;
}

/* Level below which `share` of the pixels of a part of the image lie. */
static int level_at(const fv_image *grey, fv_box part, double share) {
    int64_t counts[LEVELS] = {0}, total = 0, sum = 0;
    for (int y = part.y0; y <= part.y1; y++)
        for (int x = part.x0; x <= part.x1; x++, total++)
            counts[grey->data[(size_t)y * (size_t)grey->width + (size_t)x]]++;
    int level = 0;
    for (; level < LEVELS - 1 && (double)(sum += counts[level]) < share * (double)total; level++) continue;
    return level;
}

/* The brightest of the four corners' medians, each over a sixteenth of the sides. */
static int corner_level(const fv_image *grey) {
    int width = grey->width, height = grey->height, across = width / 16, down = height / 16, brightest = 0;
    for (int corner = 0; corner < 4; corner++) {
        int x0 = corner % 2 ? width - 1 - across : 0, y0 = corner / 2 ? height - 1 - down : 0;
        int level = level_at(grey, (fv_box){x0, y0, x0 + across, y0 + down}, 0.5);
        if (level > brightest) brightest = level;
    }
    return brightest;
}

/* ---- shape ---- */

/* running[i] = whether all of the 2 radius + 1 flags round i are `value`; what lies outside the row does not count. */
static void narrow_line(const uint8_t *flags, int count, size_t step, int radius, uint8_t *out) {
    int unset = 0;
    for (int i = 0; i < radius && i < count; i++) unset += flags[(size_t)i * step] == 0;
    for (int i = 0; i < count; i++) {
        if (i + radius < count) unset += flags[(size_t)(i + radius) * step] == 0;
        if (i > radius) unset -= flags[(size_t)(i - radius - 1) * step] == 0;
        out[i] = unset == 0 ? 255 : 0;
    }
}

/* Erosion by a square of 2 radius + 1. */
static fv_status erode(fv_image *mask, int radius) {
    int width = mask->width, height = mask->height;
    uint8_t *line = fv_allocate((size_t)(width > height ? width : height), 1, "a field of view");
    if (!line) return FV_NO_RESOURCE;
    for (int y = 0; y < height; y++) {
        narrow_line(mask->data + (size_t)y * (size_t)width, width, 1, radius, line);
        memcpy(mask->data + (size_t)y * (size_t)width, line, (size_t)width);
    }
    for (int x = 0; x < width; x++) {
        narrow_line(mask->data + x, height, (size_t)width, radius, line);
        for (int y = 0; y < height; y++) mask->data[(size_t)y * (size_t)width + (size_t)x] = line[y];
    }
    free(line);
    return FV_OK;
}

static void invert(fv_image *mask) {
    size_t count = (size_t)mask->width * (size_t)mask->height;
    for (size_t i = 0; i < count; i++) mask->data[i] = mask->data[i] ? 0 : 255;
}

/* Dilation is the erosion of what is not set. */
static fv_status dilate(fv_image *mask, int radius) {
    invert(mask);
    fv_status status = erode(mask, radius);
    invert(mask);
    return status;
}

/* Keeps what a square of 2 radius + 1 reaches, and its nearest surroundings: writing that touches the field goes. */
static fv_status cut_off_thin_parts(fv_image *mask, int radius) {
    fv_image before;
    FV_TRY(fv_image_copy(mask, &before));
    fv_status status = erode(mask, radius);
    if (status == FV_OK) status = fv_mask_keep_largest(mask);
    if (status == FV_OK) status = dilate(mask, radius + 1);
    if (status == FV_OK) fv_mask_and(mask, &before);
    fv_image_free(&before);
    return status;
}

typedef struct point {
    int64_t x, y;
} point;

/* Above 0 where o, a, b turn to the left. */
static int64_t turn(point o, point a, point b) {
    return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
}

/* One side of the hull (Andrew 1979): of each row the outermost pixel, those kept that bend one way only. */
static int half_hull(const fv_image *mask, int sign, point *hull) {
    int count = 0;
    for (int y = 0; y < mask->height; y++) {
        const uint8_t *row = mask->data + (size_t)y * (size_t)mask->width;
        int x = sign > 0 ? mask->width - 1 : 0;
        while (x >= 0 && x < mask->width && !row[x]) x -= sign;
        if (x < 0 || x >= mask->width) continue;
        point next = {x, y};
        while (count >= 2 && sign * turn(hull[count - 2], hull[count - 1], next) <= 0) count--;
        hull[count++] = next;
    }
    return count;
}

static int64_t edge_at(const point *hull, int count, int y, int *segment) {
    while (*segment + 2 < count && hull[*segment + 1].y < y) ++*segment;
    point a = hull[*segment], b = hull[*segment + 1 < count ? *segment + 1 : *segment];
    return a.y == b.y ? a.x : a.x + (b.x - a.x) * (y - a.y) / (b.y - a.y);
}

static fv_status fill_hull(fv_image *mask) {
    point *right = fv_allocate(2 * (size_t)mask->height, sizeof *right, "a field of view");
    if (!right) return FV_NO_RESOURCE;
    point *left = right + mask->height;
    int right_count = half_hull(mask, 1, right), left_count = half_hull(mask, -1, left), i = 0, j = 0;
    for (int64_t y = left[0].y; left_count && y <= left[left_count - 1].y; y++) {
        int64_t from = edge_at(left, left_count, (int)y, &i), to = edge_at(right, right_count, (int)y, &j);
        memset(mask->data + y * mask->width + from, 255, (size_t)(to - from + 1));
    }
    free(right);
    return FV_OK;
}

/* Shadows at the rim leave bays in the field; a whole one is left as it is. */
static fv_status fill_bays(fv_image *mask) {
    fv_image hull;
    FV_TRY(fv_image_copy(mask, &hull));
    fv_status status = fill_hull(&hull);
    if (status == FV_OK && (double)fv_mask_count(mask) < convex_area * (double)fv_mask_count(&hull)) {
        fv_image_free(mask);
        *mask = hull;
        return FV_OK;
    }
    fv_image_free(&hull);
    return status;
}

/* ---- the field ---- */

static fv_status lit_part(const fv_image *grey, int threshold, fv_image *fov) {
    FV_TRY(fv_mask_from_image(grey, threshold, fov));
    fv_status status = fv_mask_keep_largest(fov);
    if (status == FV_OK) status = fv_mask_fill_holes(fov);
    if (status != FV_OK) fv_image_free(fov);
    return status;
}

static double share_of_frame(const fv_image *mask) {
    return (double)fv_mask_count(mask) / ((double)mask->width * mask->height);
}

/* Where 10 does not part field and rim: a dark photograph has a lower threshold, one with a bright rim a higher. */
static int better_threshold(const fv_image *grey, double share) {
    fv_box whole = {0, 0, grey->width - 1, grey->height - 1};
    fv_box middle = {grey->width / 4, grey->height / 4, 3 * grey->width / 4, 3 * grey->height / 4};
    int corner = corner_level(grey), bright = level_at(grey, whole, 0.98), centre = level_at(grey, middle, 0.5);
    if (share < least_area) {
        int threshold = (int)(dark_share * bright);
        return threshold < DARK ? (threshold > corner ? threshold : corner) : DARK;
    }
    bool rim = share > full_area && corner < corner_share * centre;
    return rim ? (corner + corner + centre) / 3 : DARK;
}

static fv_status find(const fv_image *grey, fv_image *fov) {
    FV_TRY(lit_part(grey, DARK, fov));
    int threshold = better_threshold(grey, share_of_frame(fov)),
        longer = fov->width > fov->height ? fov->width : fov->height;
    if (threshold != DARK) {
        fv_image_free(fov);
        FV_TRY(lit_part(grey, threshold, fov));
    }
    if (fv_mask_count(fov) == 0)
        return fv_fail(FV_BAD_INPUT,
                       "nothing in the photograph is lit, all of it is black: is it the right file, and the "
                       "lens cap off?");
    FV_TRY(cut_off_thin_parts(fov, (int)(opening_share * longer)));
    return share_of_frame(fov) > full_area ? FV_OK : fill_bays(fov);
}

fv_status fv_fov_find(const fv_image *photo, fv_image *fov) {
    fv_image grey;
    *fov = (fv_image){0};
    FV_TRY(grey_of(photo, &grey));
    fv_status status = find(&grey, fov);
    if (status != FV_OK) fv_image_free(fov);
    fv_image_free(&grey);
    return status;
}
