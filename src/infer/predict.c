#include "fovea/infer/predict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "fovea/base/threads.h"
#include "fovea/infer/int8_net.h"
#include "fovea/nn/layers.h"

#define LEAST_WINDOW 64 /* px: smaller windows would see too little round each pixel */

struct fv_predictor {
    fv_model *model;
    const fv_model_spec *spec;
    fv_graph graph;
    fv_plan *plan; /* of the network in float32, NULL where it runs in 8 bits */
    fv_value input, output;
    fv_int8_net *net; /* of the network in 8 bits, or NULL */
    float *net_input, *net_output;
    int height, width; /* px, of the plan's window; 0 without a plan */
    int threads;       /* that the plan has scratch for */
    bool flips;
    double degrees; /* that the camera sees, NAN: unknown */
    size_t memory;  /* of a plan at most, 0: no limit */
    float *plain;   /* {height, width, 3}: the window before flipping */
    float *found;   /* {height, width, classes}: its probabilities, mean over the flips */
    float *map;     /* {work height, work width, classes} */
    float *weights; /* of the windows at each column, then at each row, of the work image */
    size_t map_count, weight_count;
};

/* ---- the network's plan ---- */

static void plan_drop(fv_predictor *p) {
    fv_plan_free(p->plan);
    fv_graph_free(&p->graph);
    fv_int8_net_free(p->net);
    free(p->net_input);
    free(p->net_output);
    free(p->plain);
    free(p->found);
    p->plan = NULL;
    p->net = NULL;
    p->net_input = p->net_output = p->plain = p->found = NULL;
    p->height = p->width = 0;
}

static fv_status graph_build(fv_predictor *p, int height, int width) {
    fv_graph_init(&p->graph, &p->model->params);
    p->input = fv_graph_input(&p->graph, "input", (fv_shape){1, height, width, 3}, false);
    p->output = fv_sigmoid(&p->graph, "probabilities", fv_model_build(p->model, &p->graph, p->input, NULL));
    FV_TRY(fv_graph_status(&p->graph));
    return fv_model_output_check(p->spec, fv_graph_shape(&p->graph, p->output), height, width);
}

/* The network in 8 bits, or, with `net` NULL, only its bytes. */
static fv_status net_from_model(const fv_model *model, int height, int width, fv_int8_net **net, size_t *bytes) {
    fv_folded folded;
    fv_ranges ranges = {0};
    FV_TRY(fv_folded_make(model, height, width, false, &folded));
    fv_status status = fv_model_output_check(&model->spec, folded.layers[folded.count - 1].out, height, width);
    if (status == FV_OK)
        status = fv_ranges_from_json(model->ranges, "fovea.ranges in the model file's metadata", &folded, &ranges);
    if (status == FV_OK)
        status = net ? fv_int8_net_make(&folded, &ranges, net) : fv_int8_net_measure(&folded, &ranges, bytes);
    fv_ranges_free(&ranges);
    fv_folded_free(&folded);
    return status;
}

/* Of the network's input and probabilities, which a plan in float32 has among its tensors. */
static size_t ends_bytes(const fv_predictor *p, int height, int width) {
    return (size_t)height * (size_t)width * (size_t)(3 + p->spec->classes) * sizeof(float);
}

static fv_status net_build(fv_predictor *p, int height, int width) {
    size_t pixels = (size_t)height * (size_t)width;
    FV_TRY(net_from_model(p->model, height, width, &p->net, NULL));
    p->net_input = fv_allocate(pixels * 3, sizeof(float), "the network's input");
    p->net_output = fv_allocate(pixels * (size_t)p->spec->classes, sizeof(float), "probability maps");
    return p->net_input && p->net_output ? FV_OK : FV_NO_RESOURCE;
}

static fv_status float_build(fv_predictor *p, int height, int width) {
    FV_TRY(graph_build(p, height, width));
    return fv_plan_make(&p->graph, FV_PLAN_INFER, &p->output, 1, FV_NO_VALUE, &p->plan);
}

static fv_status plan_build(fv_predictor *p, int height, int width) {
    size_t pixels = (size_t)height * (size_t)width;
    FV_TRY((p->model->ranges ? net_build : float_build)(p, height, width));
    p->plain = fv_allocate(pixels * 3, sizeof(float), "the network's input");
    p->found = fv_allocate(pixels * (size_t)p->spec->classes, sizeof(float), "probability maps");
    if (!p->plain || !p->found) return FV_NO_RESOURCE;
    p->height = height;
    p->width = width;
    p->threads = fv_threads();
    return FV_OK;
}

static fv_status plan_for(fv_predictor *p, int height, int width) {
    if (p->height == height && p->width == width && p->threads >= fv_threads()) return FV_OK;
    plan_drop(p);
    fv_status status = plan_build(p, height, width);
    if (status != FV_OK) plan_drop(p);
    return status;
}

static fv_status net_bytes(fv_predictor *p, int height, int width, size_t *bytes) {
    FV_TRY(net_from_model(p->model, height, width, NULL, bytes));
    *bytes += ends_bytes(p, height, width);
    return FV_OK;
}

static fv_status float_bytes(fv_predictor *p, int height, int width, size_t *bytes) {
    fv_predictor other = {.model = p->model, .spec = p->spec};
    fv_status status = graph_build(&other, height, width);
    if (status == FV_OK) status = fv_plan_measure(&other.graph, FV_PLAN_INFER, &other.output, 1, FV_NO_VALUE, bytes);
    fv_graph_free(&other.graph);
    return status;
}

fv_status fv_predictor_make(fv_model *model, fv_predictor **out) {
    *out = NULL;
    fv_predictor *p = fv_allocate(1, sizeof *p, "a predictor");
    if (!p) return FV_NO_RESOURCE;
    p->model = model;
    p->spec = &model->spec;
    p->degrees = NAN;
    const fv_preprocess *pre = &p->spec->preprocess;
    fv_status status = pre->windows ? FV_OK : plan_for(p, pre->size, pre->size);
    if (status != FV_OK) {
        fv_predictor_free(p);
        return status;
    }
    *out = p;
    return FV_OK;
}

void fv_predictor_free(fv_predictor *p) {
    if (!p) return;
    plan_drop(p);
    free(p->map);
    free(p->weights);
    free(p);
}

void fv_predictor_weights_changed(fv_predictor *p) {
    if (p->plan) fv_plan_prepare(p->plan);
}

void fv_predictor_set_flips(fv_predictor *p, bool flips) {
    p->flips = flips;
}

void fv_predictor_set_camera(fv_predictor *p, double degrees) {
    p->degrees = degrees;
}

void fv_predictor_set_memory(fv_predictor *p, size_t bytes) {
    p->memory = bytes;
}

size_t fv_predictor_bytes(const fv_predictor *p) {
    if (p->net) return fv_int8_net_bytes(p->net) + ends_bytes(p, p->height, p->width);
    return p->plan ? fv_plan_bytes(p->plan) : 0;
}

/* ---- one window ---- */

/* Adds `weight` times `from`, mirrored by the two flips, to `to`, or sets it; a flip is its own inverse. */
static void add_flipped(const fv_predictor *p, const float *from, float *to, int channels, bool flip_x, bool flip_y,
                        float weight, bool set) {
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            int source_x = flip_x ? p->width - 1 - x : x, source_y = flip_y ? p->height - 1 - y : y;
            const float *a = from + ((size_t)source_y * (size_t)p->width + (size_t)source_x) * (size_t)channels;
            float *b = to + ((size_t)y * (size_t)p->width + (size_t)x) * (size_t)channels;
            for (int c = 0; c < channels; c++) b[c] = (set ? 0 : b[c]) + weight * a[c];
        }
}

static fv_status check_finite(const fv_predictor *p) {
    size_t count = (size_t)p->height * (size_t)p->width * (size_t)p->spec->classes;
    float zero = 0; /* 0 times a number is 0, times anything else it is not */
    for (size_t i = 0; i < count; i++) zero += 0 * p->found[i];
    if (zero == 0) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "the network's probabilities are not numbers: the model's weights are damaged, or its "
                                 "training went astray; take another model");
}

/* From p->plain to p->found. */
static fv_status run_window(fv_predictor *p) {
    float *input = p->net ? p->net_input : fv_plan_data(p->plan, p->input);
    float *output = p->net ? p->net_output : fv_plan_data(p->plan, p->output);
    int views = p->flips ? 4 : 1;
    for (int view = 0; view < views; view++) {
        add_flipped(p, p->plain, input, 3, view & 1, view & 2, 1, true);
        if (p->net)
            fv_int8_net_run(p->net, input, output);
        else
            fv_plan_forward(p->plan, false, 0, 0);
        add_flipped(p, output, p->found, p->spec->classes, view & 1, view & 2, 1.0f / (float)views, view == 0);
    }
    return check_finite(p);
}

/* ---- windows side by side ---- */

/* Windows of `side` along an axis of `length` px, spread evenly: window i begins at (length - side) i / (count - 1). */
typedef struct row_of_windows {
    int length, side, count;
} row_of_windows;

static int round_up(int value, int step) {
    return (value + step - 1) / step * step;
}

static row_of_windows row_make(int length, int side) {
    row_of_windows row = {length, side, 1};
    int most_apart = side - side / 4;
    if (length > side) row.count = 1 + (length - side + most_apart - 1) / most_apart;
    return row;
}

/* The least side, a multiple of `step`, of as many windows along `length` as of `side`: the overlap is a quarter then,
   and no pixel is computed oftener than that takes. */
static int least_side(int length, int side, int step) {
    int count = row_make(length, side).count, least = side;
    while (least > step && least - step >= LEAST_WINDOW && row_make(length, least - step).count == count) least -= step;
    return least;
}

static int window_begin(const row_of_windows *row, int i) {
    return row->count == 1 ? 0 : (int)((int64_t)(row->length - row->side) * i / (row->count - 1));
}

/* Weight of a window's pixel: a squared sine that rises over a quarter of the side; never 0. */
static float window_weight(const row_of_windows *row, int pixel) {
    int from_rim = pixel < row->side - 1 - pixel ? pixel : row->side - 1 - pixel;
    double rise = (from_rim + 0.5) / (row->side / 4.0);
    if (row->count == 1 || rise >= 1) return 1;
    return (float)pow(sin(M_PI / 2 * rise), 2);
}

static void sum_weights(const row_of_windows *row, float *sums) {
    for (int i = 0; i < row->length; i++) sums[i] = 0;
    for (int w = 0; w < row->count; w++) {
        int begin = window_begin(row, w);
        for (int i = 0; i < row->side && begin + i < row->length; i++) sums[begin + i] += window_weight(row, i);
    }
}

/* Sides of the windows: at most the tile's, or what holds the whole image, halved until the plan fits into the memory;
   then as small as their number allows. */
static fv_status choose_windows(fv_predictor *p, const fv_image *image, row_of_windows *down, row_of_windows *across) {
    int step = fv_model_step(p->spec), tile = p->spec->preprocess.tile;
    int height = round_up(image->height, step), width = round_up(image->width, step);
    if (tile && height > tile) height = tile;
    if (tile && width > tile) width = tile;
    for (size_t bytes = 0; p->memory > 0;) {
        FV_TRY((p->model->ranges ? net_bytes : float_bytes)(p, height, width, &bytes));
        if (bytes <= p->memory) break;
        int *longer = height > width ? &height : &width;
        if (*longer <= LEAST_WINDOW)
            return fv_fail(FV_NO_RESOURCE,
                           "a window of %d x %d px takes %.1f MiB of memory, more than the limit of %.1f MiB: raise it",
                           width, height, (double)bytes / (1 << 20), (double)p->memory / (1 << 20));
        *longer = round_up(*longer / 2, step);
    }
    height = least_side(image->height, height, step);
    width = least_side(image->width, width, step);
    *down = row_make(image->height, height);
    *across = row_make(image->width, width);
    return plan_for(p, height, width);
}

static fv_status grow(float **block, size_t *count, size_t needed, const char *what) {
    if (needed <= *count) return FV_OK;
    free(*block);
    *count = 0;
    *block = fv_allocate(needed, sizeof **block, what);
    if (!*block) return FV_NO_RESOURCE;
    *count = needed;
    return FV_OK;
}

/* Adds p->found, by its weights' share of all windows', to the map. */
static void add_window(fv_predictor *p, const row_of_windows *down, const row_of_windows *across, int y0, int x0) {
    const float *column_sums = p->weights, *row_sums = p->weights + across->length;
    size_t classes = (size_t)p->spec->classes;
    for (int y = 0; y < down->side && y0 + y < down->length; y++) {
        float share_y = window_weight(down, y) / row_sums[y0 + y];
        const float *from = p->found + (size_t)y * (size_t)across->side * classes;
        float *to = p->map + ((size_t)(y0 + y) * (size_t)across->length + (size_t)x0) * classes;
        for (int x = 0; x < across->side && x0 + x < across->length; x++) {
            float share = share_y * window_weight(across, x) / column_sums[x0 + x];
            for (size_t c = 0; c < classes; c++) to[(size_t)x * classes + c] += share * from[(size_t)x * classes + c];
        }
    }
}

static void clear_outside(fv_predictor *p, const fv_image *fov) {
    size_t pixels = (size_t)fov->width * (size_t)fov->height, classes = (size_t)p->spec->classes;
    for (size_t i = 0; i < pixels; i++)
        if (fov->data[i] == 0) memset(p->map + i * classes, 0, classes * sizeof(float));
}

static fv_status predict_windows(fv_predictor *p, const fv_work *work) {
    const fv_image *image = &work->image;
    row_of_windows down, across;
    size_t count = (size_t)image->width * (size_t)image->height * (size_t)p->spec->classes;
    FV_TRY(choose_windows(p, image, &down, &across));
    FV_TRY(grow(&p->map, &p->map_count, count, "probability maps"));
    FV_TRY(grow(&p->weights, &p->weight_count, (size_t)image->width + (size_t)image->height, "the windows' weights"));
    memset(p->map, 0, count * sizeof *p->map);
    sum_weights(&across, p->weights);
    sum_weights(&down, p->weights + image->width);
    for (int j = 0; j < down.count; j++)
        for (int i = 0; i < across.count; i++) {
            int y = window_begin(&down, j), x = window_begin(&across, i);
            fv_preprocess_window(&p->spec->preprocess, image, (fv_place){x, y, across.side, down.side}, p->plain);
            FV_TRY(run_window(p));
            add_window(p, &down, &across, y, x);
        }
    if (work->fov.data) clear_outside(p, &work->fov);
    return FV_OK;
}

fv_status fv_predict_work(fv_predictor *p, const fv_work *work, fv_probability_map *map) {
    const fv_preprocess *pre = &p->spec->preprocess;
    *map = (fv_probability_map){.classes = p->spec->classes};
    if (pre->windows) {
        FV_TRY(predict_windows(p, work));
        map->data = p->map;
        map->width = work->image.width;
        map->height = work->image.height;
    } else {
        FV_TRY(plan_for(p, pre->size, pre->size));
        fv_preprocess_sample(pre, &work->image, p->plain);
        FV_TRY(run_window(p));
        map->data = p->found;
        map->width = map->height = pre->size;
    }
    map->mapping = fv_frame_mapping(&work->frame, (double)map->width / work->image.width);
    return FV_OK;
}

fv_status fv_predict_photo(fv_predictor *p, const fv_image *photo, const fv_image *fov, fv_probability_map *map) {
    fv_work work;
    const fv_preprocess of_camera = fv_preprocess_for_camera(&p->spec->preprocess, p->degrees);
    FV_TRY(fv_preprocess_enhance(&of_camera, photo, fov, &work));
    fv_status status = fv_predict_work(p, &work, map);
    fv_work_free(&work);
    return status;
}
