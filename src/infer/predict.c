#include "fovea/infer/predict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/image/mask.h"
#include "fovea/nn/layers.h"

struct fv_predictor {
    const fv_model_spec *spec;
    fv_graph graph;
    fv_plan *plan;
    fv_value input, output;
    bool flips;
    float *probabilities; /* {size, size, classes} */
    float *plain;         /* {size, size, 3}: the input before flipping */
};

static size_t map_count(const fv_model_spec *spec) {
    return (size_t)spec->preprocess.size * (size_t)spec->preprocess.size;
}

static fv_status predictor_build(fv_predictor *p, fv_model *model) {
    int size = p->spec->preprocess.size;
    p->input = fv_graph_input(&p->graph, "input", (fv_shape){1, size, size, 3}, false);
    p->output = fv_sigmoid(&p->graph, "probabilities", fv_model_build(model, &p->graph, p->input, NULL));
    FV_TRY(fv_plan_make(&p->graph, FV_PLAN_INFER, &p->output, 1, FV_NO_VALUE, &p->plan));
    p->probabilities = fv_allocate(map_count(p->spec) * (size_t)p->spec->classes, sizeof(float), "probability maps");
    p->plain = fv_allocate(map_count(p->spec) * 3, sizeof(float), "the network's input");
    return p->probabilities && p->plain ? FV_OK : FV_NO_RESOURCE;
}

fv_status fv_predictor_make(fv_model *model, fv_predictor **out) {
    *out = NULL;
    fv_predictor *p = fv_allocate(1, sizeof *p, "a predictor");
    if (!p) return FV_NO_RESOURCE;
    p->spec = &model->spec;
    fv_graph_init(&p->graph, &model->params);
    fv_status status = predictor_build(p, model);
    if (status != FV_OK) {
        fv_predictor_free(p);
        return status;
    }
    *out = p;
    return FV_OK;
}

void fv_predictor_free(fv_predictor *p) {
    if (!p) return;
    fv_plan_free(p->plan);
    fv_graph_free(&p->graph);
    free(p->probabilities);
    free(p->plain);
    free(p);
}

void fv_predictor_weights_changed(fv_predictor *p) {
    fv_plan_prepare(p->plan);
}

void fv_predictor_set_flips(fv_predictor *p, bool flips) {
    p->flips = flips;
}

size_t fv_predictor_bytes(const fv_predictor *p) {
    return fv_plan_bytes(p->plan);
}

/* Adds (or with weight 1 of 1, copies) `from` mirrored by the two flips into `to`; a flip is its own inverse. */
static void add_flipped(const float *from, float *to, int size, int channels, bool flip_x, bool flip_y, float weight,
                        bool set) {
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            int source_x = flip_x ? size - 1 - x : x, source_y = flip_y ? size - 1 - y : y;
            const float *a = from + ((size_t)source_y * (size_t)size + (size_t)source_x) * (size_t)channels;
            float *b = to + ((size_t)y * (size_t)size + (size_t)x) * (size_t)channels;
            for (int c = 0; c < channels; c++) b[c] = (set ? 0 : b[c]) + weight * a[c];
        }
}

void fv_predict_work(fv_predictor *p, const fv_image *work, const float **probabilities) {
    const fv_preprocess *pre = &p->spec->preprocess;
    fv_real *input = fv_plan_data(p->plan, p->input), *output = fv_plan_data(p->plan, p->output);
    int views = p->flips ? 4 : 1;
    fv_preprocess_sample(pre, work, p->plain);
    for (int view = 0; view < views; view++) {
        add_flipped(p->plain, input, pre->size, 3, view & 1, view & 2, 1, true);
        fv_plan_forward(p->plan, false, 0, 0);
        add_flipped(output, p->probabilities, pre->size, p->spec->classes, view & 1, view & 2, 1.0f / (float)views,
                    view == 0);
    }
    *probabilities = p->probabilities;
}

fv_status fv_predict_photo(fv_predictor *p, const fv_image *photo, const float **probabilities) {
    fv_image work = {0};
    FV_TRY(fv_preprocess_enhance(&p->spec->preprocess, photo, &work));
    fv_predict_work(p, &work, probabilities);
    fv_image_free(&work);
    return FV_OK;
}

/* ---- masks of the photograph's size ---- */

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

/* The pixels begin .. end-1 of a row of the photograph. */
typedef struct span {
    int begin, end;
} span;

typedef struct mask_job {
    const float *map; /* probability of the class, `stride` floats from pixel to pixel */
    int size, stride;
    float threshold;
    fv_mapping mapping;
    const tap *columns; /* of each pixel of a row */
    const span *pixels; /* that each column of the map has a part in */
    fv_image *mask;
} mask_job;

#define MASK_BAND 64        /* rows a task */
#define ROUNDING_SLACK 1e-4 /* an interpolated probability may come out above all four it lies between, by less */

static const float *map_row(const mask_job *job, int y) {
    return job->map + (size_t)y * (size_t)job->size * (size_t)job->stride;
}

/* The pixels that can reach the threshold between two rows of the map: most rows of most photographs have none. */
static span reaching_pixels(const mask_job *job, const float *a, const float *b) {
    float least = job->threshold - (float)ROUNDING_SLACK;
    int first = -1, last = -1;
    for (int x = 0; x < job->size; x++, a += job->stride, b += job->stride) {
        if (*a < least && *b < least) continue;
        if (first < 0) first = x;
        last = x;
    }
    return first < 0 ? (span){0, 0} : (span){job->pixels[first].begin, job->pixels[last].end};
}

static void mask_row(const mask_job *job, const float *a, const float *b, float t, span pixels, uint8_t *out) {
    for (int x = pixels.begin; x < pixels.end; x++) {
        tap c = job->columns[x];
        int i = c.first * job->stride, j = c.second * job->stride;
        float upper = a[i] + (a[j] - a[i]) * c.t, lower = b[i] + (b[j] - b[i]) * c.t;
        out[x] = upper + (lower - upper) * t >= job->threshold ? 255 : 0;
    }
}

/* Pixels out of reach stay 0, as the mask was made. */
static void mask_band(void *context, int64_t band, int worker) {
    (void)worker;
    const mask_job *job = context;
    int width = job->mask->width, end = (int)(band + 1) * MASK_BAND, known = -1;
    span pixels = {0, 0};
    for (int y = (int)band * MASK_BAND; y < end && y < job->mask->height; y++) {
        tap row = tap_at(y, job->mapping.scale_y, job->mapping.offset_y, job->size);
        const float *a = map_row(job, row.first), *b = map_row(job, row.second);
        if (row.first != known) pixels = reaching_pixels(job, a, b);
        known = row.first;
        mask_row(job, a, b, row.t, pixels, job->mask->data + (size_t)y * (size_t)width);
    }
}

static void find_columns(const mask_job *job, tap *columns, span *pixels) {
    int width = job->mask->width, begin = 0, end = 0;
    for (int x = 0; x < width; x++) columns[x] = tap_at(x, job->mapping.scale_x, job->mapping.offset_x, job->size);
    for (int c = 0; c < job->size; c++) {
        while (begin < width && columns[begin].second < c) begin++;
        while (end < width && columns[end].first <= c) end++;
        pixels[c] = (span){begin, end};
    }
}

fv_status fv_predict_mask(const fv_model_spec *spec, const float *probabilities, int class_index, int photo_width,
                          int photo_height, fv_image *mask) {
    int size = spec->preprocess.size;
    FV_TRY(fv_image_make(photo_width, photo_height, 1, mask));
    tap *columns = fv_allocate((size_t)photo_width, sizeof *columns, "a mask");
    span *pixels = fv_allocate((size_t)size, sizeof *pixels, "a mask");
    fv_status status = columns && pixels ? FV_OK : FV_NO_RESOURCE;
    if (status == FV_OK) {
        mask_job job = {.map = probabilities + class_index,
                        .size = size,
                        .stride = spec->classes,
                        .threshold = (float)spec->thresholds[class_index],
                        .mapping = fv_preprocess_mapping(&spec->preprocess, photo_width, photo_height, size),
                        .columns = columns,
                        .pixels = pixels,
                        .mask = mask};
        find_columns(&job, columns, pixels);
        fv_parallel_for((photo_height + MASK_BAND - 1) / MASK_BAND, mask_band, &job);
    } else {
        fv_image_free(mask);
    }
    free(columns);
    free(pixels);
    return status;
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

fv_status fv_predict_masks(const fv_model_spec *spec, const float *probabilities, int photo_width, int photo_height,
                           fv_image *masks) {
    fv_status status = FV_OK;
    for (int c = 0; c < spec->classes; c++) masks[c] = (fv_image){0};
    for (int c = 0; c < spec->classes && status == FV_OK; c++)
        status = fv_predict_mask(spec, probabilities, c, photo_width, photo_height, &masks[c]);
    if (status == FV_OK) status = clean_disc_and_cup(spec, masks);
    if (status != FV_OK) fv_masks_free(masks, spec->classes);
    return status;
}
