/* Probability maps brought to the photograph's size. */
#include <math.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/image/mask.h"
#include "fovea/infer/predict.h"

/* Linear interpolation at a photograph's pixel: map samples i and i+1 with weight t on the second. */
typedef struct tap {
    int first, second;
    float t;
} tap;

static tap tap_at(int pixel, double scale, double offset, int size) {
    double at = (pixel + 0.5) * scale + offset - 0.5;
    at = fmin(fmax(at, 0), size - 1);
    int first = (int)at;
    return (tap){first, first + 1 < size ? first + 1 : first, (float)(at - first)};
}

/* The pixels begin .. end-1 of a row or column of the photograph. */
typedef struct span {
    int begin, end;
} span;

/* The photograph's pixels whose centre lies within the map's `size`: all, unless the map is of a part of it. */
static span pixels_inside(int count, double scale, double offset, int size) {
    span inside = {0, count};
    while (inside.begin < count && (inside.begin + 0.5) * scale + offset < 0) inside.begin++;
    while (inside.end > inside.begin && (inside.end - 0.5) * scale + offset > size) inside.end--;
    return inside;
}

typedef struct map_job {
    const fv_probability_map *map;
    const float *data; /* probability of the class, map->classes floats from pixel to pixel */
    float threshold;
    int photo_width, photo_height;
    span rows, columns; /* of the photograph that the map reaches */
    tap *taps;          /* of each pixel of a row */
    span *pixels;       /* of the photograph that each column of the map has a part in */
    fv_image *mask;     /* one of both is written */
    float *probability;
} map_job;

#define BAND 64             /* rows a task */
#define ROUNDING_SLACK 1e-4 /* an interpolated probability may come out above all four it lies between, by less */

static const float *map_row(const map_job *job, int y) {
    return job->data + (size_t)y * (size_t)job->map->width * (size_t)job->map->classes;
}

/* The pixels that can reach the threshold between two rows of the map: most rows of most photographs have none. */
static span reaching_pixels(const map_job *job, const float *a, const float *b) {
    float least = job->threshold - (float)ROUNDING_SLACK;
    int first = -1, last = -1, stride = job->map->classes;
    for (int x = 0; x < job->map->width; x++, a += stride, b += stride) {
        if (*a < least && *b < least) continue;
        if (first < 0) first = x;
        last = x;
    }
    return first < 0 ? (span){0, 0} : (span){job->pixels[first].begin, job->pixels[last].end};
}

static inline float interpolate(const map_job *job, const float *a, const float *b, float t, int x) {
    tap c = job->taps[x];
    int i = c.first * job->map->classes, j = c.second * job->map->classes;
    float upper = a[i] + (a[j] - a[i]) * c.t, lower = b[i] + (b[j] - b[i]) * c.t;
    return upper + (lower - upper) * t;
}

/* Pixels out of reach stay 0, as the mask was made. */
static void mask_band(void *context, int64_t band, int worker) {
    (void)worker;
    const map_job *job = context;
    const fv_mapping *mapping = &job->map->mapping;
    int end = job->rows.begin + (int)(band + 1) * BAND, known = -1;
    span pixels = {0, 0};
    for (int y = job->rows.begin + (int)band * BAND; y < end && y < job->rows.end; y++) {
        tap row = tap_at(y, mapping->scale_y, mapping->offset_y, job->map->height);
        const float *a = map_row(job, row.first), *b = map_row(job, row.second);
        if (row.first != known) pixels = reaching_pixels(job, a, b);
        known = row.first;
        uint8_t *out = job->mask->data + (size_t)y * (size_t)job->photo_width;
        for (int x = pixels.begin; x < pixels.end; x++)
            out[x] = interpolate(job, a, b, row.t, x) >= job->threshold ? 255 : 0;
    }
}

static void probability_band(void *context, int64_t band, int worker) {
    (void)worker;
    const map_job *job = context;
    const fv_mapping *mapping = &job->map->mapping;
    int end = (int)(band + 1) * BAND;
    for (int y = (int)band * BAND; y < end && y < job->photo_height; y++) {
        float *out = job->probability + (size_t)y * (size_t)job->photo_width;
        for (int x = 0; x < job->photo_width; x++) out[x] = 0;
        if (y < job->rows.begin || y >= job->rows.end) continue;
        tap row = tap_at(y, mapping->scale_y, mapping->offset_y, job->map->height);
        const float *a = map_row(job, row.first), *b = map_row(job, row.second);
        for (int x = job->columns.begin; x < job->columns.end; x++) out[x] = interpolate(job, a, b, row.t, x);
    }
}

static void find_columns(map_job *job) {
    const fv_mapping *mapping = &job->map->mapping;
    int begin = job->columns.begin, end = begin, last = job->columns.end;
    for (int x = begin; x < last; x++) job->taps[x] = tap_at(x, mapping->scale_x, mapping->offset_x, job->map->width);
    for (int c = 0; c < job->map->width; c++) {
        while (begin < last && job->taps[begin].second < c) begin++;
        while (end < last && job->taps[end].first <= c) end++;
        job->pixels[c] = (span){begin, end};
    }
}

static void job_free(map_job *job) {
    free(job->taps);
    free(job->pixels);
}

static fv_status job_make(const fv_probability_map *map, int class_index, int photo_width, int photo_height,
                          map_job *job) {
    const fv_mapping *mapping = &map->mapping;
    *job = (map_job){.map = map,
                     .data = map->data + class_index,
                     .photo_width = photo_width,
                     .photo_height = photo_height,
                     .rows = pixels_inside(photo_height, mapping->scale_y, mapping->offset_y, map->height),
                     .columns = pixels_inside(photo_width, mapping->scale_x, mapping->offset_x, map->width)};
    job->taps = fv_allocate((size_t)photo_width, sizeof *job->taps, "a mask");
    job->pixels = fv_allocate((size_t)map->width, sizeof *job->pixels, "a mask");
    if (job->taps && job->pixels) {
        find_columns(job);
        return FV_OK;
    }
    job_free(job);
    return FV_NO_RESOURCE;
}

static int band_count(int rows) {
    return (rows + BAND - 1) / BAND;
}

fv_status fv_predict_mask(const fv_model_spec *spec, const fv_probability_map *map, int class_index, int photo_width,
                          int photo_height, fv_image *mask) {
    map_job job;
    FV_TRY(fv_image_make(photo_width, photo_height, 1, mask));
    fv_status status = job_make(map, class_index, photo_width, photo_height, &job);
    if (status != FV_OK) {
        fv_image_free(mask);
        return status;
    }
    job.threshold = (float)spec->thresholds[class_index];
    job.mask = mask;
    fv_parallel_for(band_count(job.rows.end - job.rows.begin), mask_band, &job);
    job_free(&job);
    return FV_OK;
}

fv_status fv_predict_probabilities(const fv_probability_map *map, int class_index, int photo_width, int photo_height,
                                   float *out) {
    map_job job;
    FV_TRY(job_make(map, class_index, photo_width, photo_height, &job));
    job.probability = out;
    fv_parallel_for(band_count(photo_height), probability_band, &job);
    job_free(&job);
    return FV_OK;
}

static fv_status keep_one_filled(fv_image *mask) {
    FV_TRY(fv_mask_keep_largest(mask));
    return fv_mask_fill_holes(mask);
}

static fv_status clean_disc_and_cup(const fv_model_spec *spec, fv_image *masks) {
    int disc = fv_model_class(spec, "disc"), cup = fv_model_class(spec, "cup");
    if (disc >= 0) FV_TRY(keep_one_filled(&masks[disc]));
    if (cup < 0) return FV_OK;
    if (disc >= 0) fv_mask_and(&masks[cup], &masks[disc]);
    return keep_one_filled(&masks[cup]);
}

void fv_masks_free(fv_image *masks, int count) {
    for (int c = 0; c < count; c++) fv_image_free(&masks[c]);
}

fv_status fv_predict_masks(const fv_model_spec *spec, const fv_probability_map *map, int photo_width, int photo_height,
                           fv_image *masks) {
    fv_status status = FV_OK;
    for (int c = 0; c < spec->classes; c++) masks[c] = (fv_image){0};
    for (int c = 0; c < spec->classes && status == FV_OK; c++)
        status = fv_predict_mask(spec, map, c, photo_width, photo_height, &masks[c]);
    if (status == FV_OK) status = clean_disc_and_cup(spec, masks);
    if (status != FV_OK) fv_masks_free(masks, spec->classes);
    return status;
}
