/* The field of view is a disc, perhaps cut by the frame: convex, and brighter than what lies round it. */
#include "fovea/image/fov.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/image/mask.h"

enum { LEVELS = 256, DARK = 10 /* grey level up to which a usual photograph's rim goes */, BRIGHTEST_RIM = 25 };

#define THIN_SHARE 0.01     /* of the shorter side: what is thinner (letters, a line of noise) is no retina */
#define CONCAVE_SHARE 0.015 /* of the area: a rim more ragged than this has been bitten by a shadow */
#define LEAST_SOLID 0.6     /* of its hull: less is no disc with bites, so it stays as it is */
#define WHOLE_SHARE 0.99    /* of the frame */
#define SMALL_SHARE 0.35    /* of the frame: less than a disc leaves, so the photograph is dark */
#define RISE 0.15           /* threshold of unusual photographs, from the rim's level to the retina's */

/* As cv2.COLOR_RGB2GRAY. */
static uint8_t grey_level(const uint8_t *pixel, int channels) {
    if (channels == 1) return pixel[0];
    return (uint8_t)((pixel[0] * 9798 + pixel[1] * 19235 + pixel[2] * 3735 + (1 << 14)) >> 15);
}

static fv_status make_grey(const fv_image *photo, fv_image *grey) {
    FV_TRY(fv_image_make_unset(photo->width, photo->height, 1, grey));
    size_t count = (size_t)photo->width * (size_t)photo->height;
    for (size_t i = 0; i < count; i++)
        grey->data[i] = grey_level(photo->data + i * (size_t)photo->channels, photo->channels);
    return FV_OK;
}

/* The level below which `share` of the pixels lie. */
static int level_of_share(const int64_t histogram[LEVELS], double share) {
    int64_t count = 0, sum = 0;
    for (int i = 0; i < LEVELS; i++) count += histogram[i];
    for (int i = 0; i < LEVELS; i++) {
        sum += histogram[i];
        if ((double)sum > share * (double)count) return i;
    }
    return LEVELS - 1;
}

static void count_box(const fv_image *grey, int x0, int y0, int side, int64_t histogram[LEVELS]) {
    for (int y = y0; y < y0 + side; y++)
        for (int x = x0; x < x0 + side; x++) histogram[grey->data[(size_t)y * (size_t)grey->width + (size_t)x]]++;
}

/* Median level of the darkest corner: letters and a lit corner do not move it. */
static int rim_level(const fv_image *grey) {
    int shorter = grey->width < grey->height ? grey->width : grey->height, side = shorter / 32 + 1, darkest = 255;
    for (int corner = 0; corner < 4; corner++) {
        int64_t histogram[LEVELS] = {0};
        count_box(grey, corner & 1 ? grey->width - side : 0, corner & 2 ? grey->height - side : 0, side, histogram);
        int level = level_of_share(histogram, 0.5);
        if (level < darkest) darkest = level;
    }
    return darkest;
}

static void threshold_grey(const fv_image *grey, int threshold, fv_image *mask) {
    size_t count = (size_t)grey->width * (size_t)grey->height;
    for (size_t i = 0; i < count; i++) mask->data[i] = grey->data[i] > threshold ? 255 : 0;
}

typedef struct box_counts {
    const fv_image *mask;
    int radius, rows; /* rows: of the window that lie in the frame */
    int *columns;     /* set pixels of each column in these rows */
} box_counts;

static void add_row(box_counts *counts, int y, int sign) {
    if (y < 0 || y >= counts->mask->height) return;
    const uint8_t *row = counts->mask->data + (size_t)y * (size_t)counts->mask->width;
    for (int x = 0; x < counts->mask->width; x++) counts->columns[x] += row[x] ? sign : 0;
    counts->rows += sign;
}

/* Sets what has all (or any) of the window's pixels set. */
static void decide_row(const box_counts *counts, bool all, uint8_t *out) {
    int width = counts->mask->width, radius = counts->radius, sum = 0, columns = 0;
    for (int x = -radius; x < width; x++) {
        if (x + radius < width) sum += counts->columns[x + radius], columns++;
        if (x - radius > 0) sum -= counts->columns[x - radius - 1], columns--;
        if (x >= 0) out[x] = (all ? sum == columns * counts->rows : sum > 0) ? 255 : 0;
    }
}

/* Erosion (all) or dilation (any) by a square of 2 radius + 1 pixels; what lies beyond the frame is not asked. */
static fv_status filter_box(const fv_image *mask, int radius, bool all, fv_image *out) {
    box_counts counts = {.mask = mask, .radius = radius};
    counts.columns = fv_allocate((size_t)mask->width, sizeof *counts.columns, "columns of a mask");
    if (!counts.columns) return FV_NO_RESOURCE;
    for (int y = 0; y < radius; y++) add_row(&counts, y, 1);
    for (int y = 0; y < mask->height; y++) {
        add_row(&counts, y + radius, 1);
        add_row(&counts, y - radius - 1, -1);
        decide_row(&counts, all, out->data + (size_t)y * (size_t)mask->width);
    }
    free(counts.columns);
    return FV_OK;
}

/* Keeps the largest piece that remains when thin ones are taken away, with its own rim, and fills its holes. */
static fv_status keep_disc(fv_image *mask, fv_image *scratch, fv_image *core) {
    int shorter = mask->width < mask->height ? mask->width : mask->height, radius = (int)(THIN_SHARE * shorter);
    FV_TRY(filter_box(mask, radius, true, scratch));
    if (fv_mask_count(scratch) == 0) memcpy(scratch->data, mask->data, (size_t)mask->width * (size_t)mask->height);
    FV_TRY(fv_mask_keep_largest(scratch));
    FV_TRY(filter_box(scratch, 2 * radius + 1, false, core));
    fv_mask_and(mask, core);
    FV_TRY(fv_mask_keep_largest(mask));
    return fv_mask_fill_holes(mask);
}

typedef struct point {
    int x, y;
} point;

/* Above 0 where c lies to the right of the way from a to b, y pointing down. */
static int64_t turn(point a, point b, point c) {
    return (int64_t)(b.x - a.x) * (c.y - a.y) - (int64_t)(b.y - a.y) * (c.x - a.x);
}

/* One side of the convex hull: corners from the top to the bottom (Andrew 1979). `side` is 1 for the left, -1 for the
   right one; row y of the mask begins (or ends) at ends[y], or is empty at -1. */
static int find_corners(const int *ends, int height, int side, point *corners) {
    int count = 0;
    for (int y = 0; y < height; y++) {
        if (ends[y] < 0) continue;
        point next = {ends[y], y};
        while (count > 1 && side * turn(corners[count - 2], corners[count - 1], next) >= 0) count--;
        corners[count++] = next;
    }
    return count;
}

/* Moves the ends of rows onto the lines between the corners, to the last pixel inside. */
static void move_to_corners(const point *corners, int count, int side, int *ends) {
    for (int i = 0; i + 1 < count; i++) {
        point a = corners[i], b = corners[i + 1];
        int64_t down = b.y - a.y;
        for (int y = a.y; y <= b.y; y++) {
            int64_t inwards = (int64_t)side * (b.x - a.x) * (y - a.y); /* times down; rounded up */
            ends[y] = a.x + side * (int)(inwards > 0 ? (inwards + down - 1) / down : -(-inwards / down));
        }
    }
}

static void find_ends(const fv_image *mask, int *left, int *right) {
    for (int y = 0; y < mask->height; y++) {
        const uint8_t *row = mask->data + (size_t)y * (size_t)mask->width;
        left[y] = right[y] = -1;
        const uint8_t *first = memchr(row, 255, (size_t)mask->width);
        if (!first) continue;
        const uint8_t *last = memrchr(row, 255, (size_t)mask->width);
        left[y] = (int)(first - row);
        right[y] = (int)(last - row);
    }
}

/* The convex hull, where the region is a disc with bites. */
static fv_status mend_bites(fv_image *mask) {
    size_t height = (size_t)mask->height;
    int *left = fv_allocate(height, 2 * sizeof *left, "rows of a mask"), *right = left + height;
    point *corners = fv_allocate(height, sizeof *corners, "corners of a mask");
    if (left && corners) {
        find_ends(mask, left, right);
        move_to_corners(corners, find_corners(left, mask->height, 1, corners), 1, left);
        move_to_corners(corners, find_corners(right, mask->height, -1, corners), -1, right);
        int64_t area = fv_mask_count(mask), hull = 0;
        for (size_t y = 0; y < height; y++) hull += left[y] < 0 ? 0 : right[y] - left[y] + 1;
        double solid = (double)area / (double)hull;
        for (size_t y = 0; y < height && solid >= LEAST_SOLID && solid < 1 - CONCAVE_SHARE; y++)
            if (left[y] >= 0)
                memset(mask->data + y * (size_t)mask->width + left[y], 255, (size_t)(right[y] - left[y] + 1));
    }
    bool good = left && corners;
    free(left);
    free(corners);
    return good ? FV_OK : FV_NO_RESOURCE;
}

/* Threshold of a photograph whose rim is noisy or whose retina is dark; -1 when no rim is darker than the retina. */
static int unusual_threshold(int rim, int retina) {
    if (rim > BRIGHTEST_RIM || 4 * rim > retina) return -1;
    return rim + (int)(RISE * (retina - rim));
}

static fv_status find_disc(const fv_image *grey, fv_image *fov, fv_image *scratch, fv_image *core) {
    int64_t histogram[LEVELS] = {0}, count = (int64_t)grey->width * grey->height;
    for (int64_t i = 0; i < count; i++) histogram[grey->data[i]]++;
    int rim = rim_level(grey), retina = level_of_share(histogram, 0.95), threshold = DARK;
    if (rim >= DARK) threshold = unusual_threshold(rim, retina);
    threshold_grey(grey, threshold, fov);
    if (rim < DARK && (double)fv_mask_count(fov) < SMALL_SHARE * (double)count) {
        int lower = unusual_threshold(rim, retina);
        if (lower < DARK) threshold_grey(grey, lower, fov);
    }
    FV_TRY(keep_disc(fov, scratch, core));
    FV_TRY(mend_bites(fov));
    if ((double)fv_mask_count(fov) >= WHOLE_SHARE * (double)count) memset(fov->data, 255, (size_t)count);
    return FV_OK;
}

static fv_status require_light(const fv_image *grey) {
    size_t count = (size_t)grey->width * (size_t)grey->height;
    int brightest = 0;
    for (size_t i = 0; i < count; i++)
        if (grey->data[i] > brightest) brightest = grey->data[i];
    if (brightest > 2) return FV_OK;
    return fv_fail(FV_BAD_INPUT,
                   "the photograph is black (no grey level above %d of 255), so it has no field of view; "
                   "take one that shows the retina",
                   brightest);
}

fv_status fv_fov_find(const fv_image *photo, fv_image *fov) {
    fv_image grey = {0}, scratch = {0}, core = {0};
    *fov = (fv_image){0};
    FV_TRY(make_grey(photo, &grey));
    fv_status status = require_light(&grey);
    if (status == FV_OK) status = fv_image_make_unset(grey.width, grey.height, 1, fov);
    if (status == FV_OK) status = fv_image_make_unset(grey.width, grey.height, 1, &scratch);
    if (status == FV_OK) status = fv_image_make_unset(grey.width, grey.height, 1, &core);
    if (status == FV_OK) status = find_disc(&grey, fov, &scratch, &core);
    if (status != FV_OK) fv_image_free(fov);
    fv_image_free(&grey);
    fv_image_free(&scratch);
    fv_image_free(&core);
    return status;
}
