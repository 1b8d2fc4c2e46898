#include "fovea/image/clahe.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "lab.h"

enum { LEVELS = 256, MAX_TILES = 256 };

/* The levels of the four tiles round a pixel, side by side: one cache line holds all that a pixel needs. */
typedef struct corner_levels {
    float upper_left, upper_right, lower_left, lower_right;
} corner_levels;

typedef struct clahe {
    const fv_image *image;
    double clip_limit;
    int tiles, tile_width, tile_height; /* tiles a side; px */
    uint8_t *levels;                    /* tiles * tiles * LEVELS: what each grey level becomes in each tile */
    int *columns;                       /* where each column of the extended image is read */
    corner_levels *corners;             /* (tiles + 1) * LEVELS, of the current band */
    float *shares;                      /* of the right tile, for each column */
} clahe;

/* Reflection about the centre of the last pixel (BORDER_REFLECT_101), as often as needed. */
static int reflect(int i, int count) {
    if (count == 1) return 0;
    int period = 2 * (count - 1), phase = i % period;
    return phase < count ? phase : period - phase;
}

static void count_levels(const clahe *job, int tile_x, int tile_y, int histogram[LEVELS]) {
    int parts[4][LEVELS] = {{0}}; /* neighbours are often equal: four counters do not wait for each other */
    const int *columns = job->columns + (size_t)tile_x * job->tile_width;
    for (int y = 0; y < job->tile_height; y++) {
        int row_index = reflect(tile_y * job->tile_height + y, job->image->height);
        const uint8_t *row = job->image->data + (size_t)row_index * job->image->width;
        for (int x = 0; x < job->tile_width; x++) parts[x & 3][row[columns[x]]]++;
    }
    for (int i = 0; i < LEVELS; i++) histogram[i] = parts[0][i] + parts[1][i] + parts[2][i] + parts[3][i];
}

/* Cuts the histogram at `limit` and gives the excess to all levels alike, the rest of the division to evenly spread
 * ones. */
static void clip_histogram(int histogram[LEVELS], int limit) {
    int excess = 0;
    for (int i = 0; i < LEVELS; i++) {
        if (histogram[i] <= limit) continue;
        excess += histogram[i] - limit;
        histogram[i] = limit;
    }
    int each = excess / LEVELS, rest = excess % LEVELS;
    for (int i = 0; i < LEVELS; i++) histogram[i] += each;
    if (rest == 0) return;
    int step = LEVELS / rest > 1 ? LEVELS / rest : 1;
    for (int i = 0; i < LEVELS && rest > 0; i += step, rest--) histogram[i]++;
}

static void equalise_tile(const clahe *job, int tile_x, int tile_y) {
    int histogram[LEVELS], area = job->tile_width * job->tile_height, sum = 0;
    count_levels(job, tile_x, tile_y, histogram);
    double limit = job->clip_limit * area / LEVELS;
    clip_histogram(histogram, limit < 1 ? 1 : limit > area ? area : (int)limit);
    float scale = 255.0F / (float)area;
    uint8_t *levels = job->levels + ((size_t)tile_y * job->tiles + tile_x) * LEVELS;
    for (int i = 0; i < LEVELS; i++) {
        sum += histogram[i];
        long level = lrintf((float)sum * scale);
        levels[i] = (uint8_t)(level > 255 ? 255 : level);
    }
}

static int clamp_tile(int tile, int tiles) {
    return tile < 0 ? 0 : tile >= tiles ? tiles - 1 : tile;
}

/* The levels of tile rows `above` and above + 1 for each of the tiles + 1 cells between the centres of tiles. */
static void load_corners(const clahe *job, int above) {
    int tiles = job->tiles;
    const uint8_t *upper = job->levels + (size_t)clamp_tile(above, tiles) * tiles * LEVELS;
    const uint8_t *lower = job->levels + (size_t)clamp_tile(above + 1, tiles) * tiles * LEVELS;
    for (int cell = 0; cell <= tiles; cell++) {
        int left = clamp_tile(cell - 1, tiles) * LEVELS, right = clamp_tile(cell, tiles) * LEVELS;
        corner_levels *corners = job->corners + (size_t)cell * LEVELS;
        for (int i = 0; i < LEVELS; i++) {
            corners[i] = (corner_levels){upper[left + i], upper[right + i], lower[left + i], lower[right + i]};
        }
    }
}

/* Position among the centres of tiles, and its whole part. */
static float tile_position(int pixel, float per_tile, int *whole) {
    float position = (float)pixel * per_tile - 0.5F;
    *whole = (int)floorf(position);
    return position - (float)*whole;
}

static void interpolate_row(const clahe *job, uint8_t *row, float lower_share) {
    float upper_share = 1 - lower_share, per_tile = 1.0F / (float)job->tile_width;
    int width = job->image->width;
    for (int x = 0; x < width;) {
        int cell;
        tile_position(x, per_tile, &cell);
        const corner_levels *corners = job->corners + (size_t)(cell + 1) * LEVELS;
        float before = -1;
        for (; x < width && job->shares[x] > before; x++) { /* the share grows until the next cell begins */
            float right_share = before = job->shares[x], left_share = 1 - right_share;
            corner_levels at = corners[row[x]];
            float level = (at.upper_left * left_share + at.upper_right * right_share) * upper_share +
                          (at.lower_left * left_share + at.lower_right * right_share) * lower_share;
            row[x] = (uint8_t)lrintf(level); /* between levels, so within 0..255 */
        }
    }
}

static void interpolate(const clahe *job, fv_image *grey) {
    float per_tile_x = 1.0F / (float)job->tile_width, per_tile_y = 1.0F / (float)job->tile_height;
    int whole, loaded = -2;
    for (int x = 0; x < grey->width; x++) job->shares[x] = tile_position(x, per_tile_x, &whole);
    for (int y = 0; y < grey->height; y++) {
        float lower_share = tile_position(y, per_tile_y, &whole);
        if (whole != loaded) load_corners(job, whole);
        loaded = whole;
        interpolate_row(job, grey->data + (size_t)y * grey->width, lower_share);
    }
}

static fv_status check(const fv_image *image, int channels, double clip_limit, int tiles) {
    if (!image->data || image->channels != channels) {
        return fv_fail(FV_BAD_INPUT, "CLAHE: the image has %d channels, expected %d", image->data ? image->channels : 0,
                       channels);
    }
    if (!(clip_limit > 0)) {
        return fv_fail(FV_BAD_INPUT, "CLAHE: clip limit %g, expected a number above 0 (2.0 is usual)", clip_limit);
    }
    if (tiles < 1 || tiles > MAX_TILES) {
        return fv_fail(FV_BAD_INPUT, "CLAHE: %d tiles a side, expected 1..%d (8 is usual)", tiles, MAX_TILES);
    }
    return FV_OK;
}

static void release(clahe *job) {
    free(job->levels);
    free(job->columns);
    free(job->corners);
    free(job->shares);
}

static fv_status allocate(clahe *job) {
    size_t tiles = (size_t)job->tiles, extended = tiles * (size_t)job->tile_width;
    job->levels = fv_allocate(tiles * tiles, LEVELS, "CLAHE's levels");
    job->columns = fv_allocate(extended, sizeof *job->columns, "CLAHE's columns");
    job->corners = fv_allocate((tiles + 1) * LEVELS, sizeof *job->corners, "CLAHE's corners");
    job->shares = fv_allocate((size_t)job->image->width, sizeof *job->shares, "CLAHE's shares");
    if (job->levels && job->columns && job->corners && job->shares) return FV_OK;
    release(job);
    return FV_NO_RESOURCE;
}

fv_status fv_clahe(fv_image *grey, double clip_limit, int tiles) {
    FV_TRY(check(grey, 1, clip_limit, tiles));
    clahe job = {.image = grey, .clip_limit = clip_limit, .tiles = tiles};
    /* As soon as one side is no multiple both are extended, the other one by a whole tile's worth: so does OpenCV. */
    bool extend = grey->width % tiles != 0 || grey->height % tiles != 0;
    job.tile_width = grey->width / tiles + extend;
    job.tile_height = grey->height / tiles + extend;
    FV_TRY(allocate(&job));
    for (int x = 0; x < tiles * job.tile_width; x++) job.columns[x] = reflect(x, grey->width);
    for (int y = 0; y < tiles; y++) {
        for (int x = 0; x < tiles; x++) equalise_tile(&job, x, y);
    }
    interpolate(&job, grey);
    release(&job);
    return FV_OK;
}

fv_status fv_clahe_lab(fv_image *rgb, double clip_limit, int tiles) {
    FV_TRY(check(rgb, 3, clip_limit, tiles));
    size_t count = (size_t)rgb->width * (size_t)rgb->height;
    fv_image lightness;
    FV_TRY(fv_image_make_unset(rgb->width, rgb->height, 1, &lightness));
    uint8_t *ab = fv_allocate(count, 2, "the image's colours");
    fv_status status = ab ? FV_OK : FV_NO_RESOURCE;
    if (status == FV_OK) {
        fv_lab_from_rgb(rgb->data, count, lightness.data, ab);
        status = fv_clahe(&lightness, clip_limit, tiles);
    }
    if (status == FV_OK) fv_lab_to_rgb(lightness.data, ab, count, rgb->data);
    free(ab);
    fv_image_free(&lightness);
    return status;
}
