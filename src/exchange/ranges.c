#include "fovea/exchange/ranges.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "fovea/base/memory.h"
#include "fovea/graph/plan.h"

enum { BINS = 2048, STEPS = 255, CANDIDATES = 71 };
#define FLAT_FROM 10.0F /* from here on a sigmoid is within 5e-5 of 0 or 1 */

/* All values that a group of layers with one range has taken. */
typedef struct histogram {
    float low, high;
    bool damaged;         /* some were no numbers */
    uint64_t count[BINS]; /* of equal width between low and high */
} histogram;

/* Slot 0 is the input, slot i + 1 layer i. */
typedef struct measurement {
    const fv_folded *folded;
    int slots;
    int *group; /* per slot: the slot that stands for its group */
    histogram *histograms;
    fv_params params;
    fv_graph graph;
    fv_value *values; /* per slot */
    fv_plan *plan;
} measurement;

/* ---- groups ---- */

static int group_of(const measurement *m, int slot) {
    while (m->group[slot] != slot) slot = m->group[slot];
    return slot;
}

static bool only_picks(fv_op_kind kind) {
    return kind == FV_OP_max_pool || kind == FV_OP_upsample_nearest || kind == FV_OP_upsample_bilinear;
}

static void join_groups(measurement *m) {
    for (int i = 0; i < m->slots; i++) m->group[i] = i;
    for (int i = 0; i < m->folded->count; i++) {
        const fv_folded_layer *layer = &m->folded->layers[i];
        if (only_picks(layer->kind)) m->group[group_of(m, layer->in[0] + 1)] = group_of(m, i + 1);
    }
}

/* ---- two passes over the inputs ---- */

static size_t slot_count(const measurement *m, int slot) {
    return fv_shape_count(fv_graph_shape(&m->graph, m->values[slot]));
}

static void widen(histogram *h, const fv_real *x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        h->low = fminf(h->low, (float)x[i]);
        h->high = fmaxf(h->high, (float)x[i]);
        h->damaged |= !isfinite((float)x[i]);
    }
}

static void count_values(histogram *h, const fv_real *x, size_t count) {
    float bins_per_unit = BINS / (h->high - h->low);
    for (size_t i = 0; i < count; i++) {
        int bin = (int)(((float)x[i] - h->low) * bins_per_unit);
        h->count[bin < 0 ? 0 : bin < BINS ? bin : BINS - 1]++;
    }
}

static void run_inputs(measurement *m, const fv_calibration *c, void (*look)(histogram *, const fv_real *, size_t)) {
    size_t floats = slot_count(m, 0);
    fv_real *input = fv_plan_data(m->plan, m->values[0]);
    for (int n = 0; n < c->count; n++) {
        for (size_t i = 0; i < floats; i++) input[i] = c->inputs[(size_t)n * floats + i];
        fv_plan_forward(m->plan, false, 0, 0);
        for (int slot = 0; slot < m->slots; slot++)
            look(&m->histograms[group_of(m, slot)], fv_plan_data(m->plan, m->values[slot]), slot_count(m, slot));
    }
}

/* ---- from values to ends ---- */

/* Sum of squared errors of rounding to STEPS steps between low and high, and of clipping what lies beyond. */
static double rounding_error(const histogram *h, double low, double high) {
    double width = (h->high - h->low) / BINS, step = (high - low) / STEPS, error = 0;
    for (int bin = 0; bin < BINS; bin++) {
        double value = h->low + (bin + 0.5) * width, beyond = value < low ? low - value : value - high;
        error += (double)h->count[bin] * (beyond > 0 ? beyond * beyond : step * step / 12);
    }
    return error;
}

static fv_range best_range(const histogram *h) {
    double best = INFINITY;
    fv_range range = {h->low, h->high};
    for (int i = 0; i < CANDIDATES; i++) { /* 1, 0.99 ... 0.3 of the whole */
        double share = 1 - 0.01 * i, error = rounding_error(h, share * h->low, share * h->high);
        if (error >= best) continue;
        best = error;
        range = (fv_range){(float)(share * h->low), (float)(share * h->high)};
    }
    return range;
}

/* The logits behind which a last sigmoid makes probabilities. */
static bool is_before_last_sigmoid(const measurement *m, int slot) {
    const fv_folded_layer *last = &m->folded->layers[m->folded->count - 1];
    return last->kind == FV_OP_sigmoid && last->in[0] == slot - 1;
}

static void choose(const measurement *m, fv_ranges *ranges) {
    for (int slot = 0; slot < m->slots; slot++) {
        fv_range range = best_range(&m->histograms[group_of(m, slot)]);
        if (slot > 0 && m->folded->layers[slot - 1].kind == FV_OP_sigmoid) range = (fv_range){0, 1};
        if (is_before_last_sigmoid(m, slot))
            range = (fv_range){fmaxf(range.low, -FLAT_FROM), fminf(range.high, FLAT_FROM)};
        *(slot ? &ranges->layers[slot - 1] : &ranges->input) = range;
    }
}

/* ---- all of it ---- */

static fv_status prepare(measurement *m, const fv_calibration *c) {
    fv_shape shape = {1, c->height, c->width, m->folded->input.c};
    m->values[0] = fv_graph_input(&m->graph, "input", shape, false);
    fv_folded_build(m->folded, &m->graph, m->values[0], NULL, NULL, m->values + 1);
    FV_TRY(fv_graph_status(&m->graph));
    FV_TRY(fv_params_allocate(&m->params, 0));
    fv_folded_fill(m->folded, &m->params);
    return fv_plan_make(&m->graph, FV_PLAN_INFER, m->values + 1, m->folded->count, FV_NO_VALUE, &m->plan);
}

static fv_status check_numbers(const measurement *m) {
    for (int slot = 0; slot < m->slots; slot++) {
        histogram *h = &m->histograms[slot];
        if (h->damaged)
            return fv_fail(FV_BAD_INPUT, "layer %s gives values that are not numbers: the model's weights are damaged",
                           slot ? m->folded->layers[slot - 1].name : "input");
        if (h->low == h->high) h->high = 1; /* all 0 */
    }
    return FV_OK;
}

static fv_status measure(measurement *m, const fv_calibration *calibration, fv_ranges *ranges) {
    FV_TRY(prepare(m, calibration));
    join_groups(m);
    run_inputs(m, calibration, widen);
    FV_TRY(check_numbers(m));
    run_inputs(m, calibration, count_values);
    choose(m, ranges);
    return FV_OK;
}

fv_status fv_ranges_measure(const fv_folded *folded, const fv_calibration *calibration, fv_ranges *ranges) {
    *ranges = (fv_ranges){.count = folded->count};
    if (calibration->count < 1)
        return fv_fail(FV_BAD_INPUT, "there is no photograph to find the ranges of 8-bit values on: name some");
    size_t slots = (size_t)folded->count + 1;
    measurement m = {.folded = folded, .slots = (int)slots};
    fv_params_init(&m.params);
    fv_graph_init(&m.graph, &m.params);
    m.group = fv_allocate(slots, sizeof *m.group, "ranges");
    m.values = fv_allocate(slots, sizeof *m.values, "ranges");
    m.histograms = fv_allocate(slots, sizeof *m.histograms, "histograms of a network's values");
    ranges->layers = fv_allocate(slots, sizeof *ranges->layers, "ranges");
    bool complete = m.group && m.values && m.histograms && ranges->layers;
    fv_status status = complete ? measure(&m, calibration, ranges) : FV_NO_RESOURCE;
    fv_plan_free(m.plan);
    fv_graph_free(&m.graph);
    fv_params_free(&m.params);
    free(m.group);
    free(m.values);
    free(m.histograms);
    if (status != FV_OK) fv_ranges_free(ranges);
    return status;
}

void fv_ranges_free(fv_ranges *ranges) {
    free(ranges->layers);
    *ranges = (fv_ranges){0};
}

fv_range fv_ranges_of(const fv_ranges *ranges, int index) {
    return index == FV_FOLDED_INPUT ? ranges->input : ranges->layers[index];
}
