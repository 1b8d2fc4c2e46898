#include <math.h>

#include "fovea/base/memory.h"
#include "fovea/kernel/loss.h"
#include "fovea/op/op.h"
#include "op_common.h"

enum { LOGITS, TARGET, VALID, INPUTS };

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, INPUTS, INPUTS));
    fv_shape z = spec->in[LOGITS];
    FV_TRY(fv_infer_shape(spec, layer, TARGET, "target", z));
    FV_TRY(fv_infer_shape(spec, layer, VALID, "valid", (fv_shape){z.n, 1, 1, z.c}));
    fv_attributes *a = &spec->attributes;
    if (a->smooth == 0) a->smooth = 1;
    if (!(a->weight_bce >= 0 && a->weight_dice >= 0 && isfinite(a->weight_bce) && isfinite(a->weight_dice)))
        return fv_fail(FV_BAD_INPUT, "weights of layer %s are %g (cross entropy) and %g (Dice), expected 0 or more",
                       layer, a->weight_bce, a->weight_dice);
    if (!(a->smooth > 0 && isfinite(a->smooth)))
        return fv_fail(FV_BAD_INPUT, "smooth of layer %s is %g, expected above 0", layer, a->smooth);
    spec->out = (fv_shape){1, 1, 1, 1};
    return FV_OK;
}

static fv_columns columns_of(const fv_op_spec *spec) {
    fv_shape z = spec->in[LOGITS];
    return (fv_columns){.segments = (size_t)z.n, .rows = (size_t)z.h * (size_t)z.w, .channels = (size_t)z.c};
}

static size_t column_count(const fv_op_spec *spec) {
    return (size_t)spec->in[LOGITS].n * (size_t)spec->in[LOGITS].c;
}

/* The sums of every class of every sample. */
static size_t saved_bytes(const fv_op_spec *spec) {
    return column_count(spec) * sizeof(fv_loss_sums);
}

/* Backward: three slopes a column, before what the kernels need. */
static size_t slope_bytes(const fv_op_spec *spec) {
    return fv_align_up(3 * column_count(spec) * sizeof(fv_real));
}

static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    return fv_loss_work_bytes(columns_of(spec)) + (backward ? slope_bytes(spec) : 0);
}

static bool is_valid(const fv_op_call *call, size_t column) {
    return call->in[VALID][column] != 0;
}

/* The columns that share one Dice are `index`, `index + step` ...: a single one, or a class through the batch. */
typedef struct dice_region {
    size_t step;
    int parts;            /* valid columns; a region without any does not count */
    double overlap, both; /* 2 sum p t + s, sum p + sum t + s */
} dice_region;

static size_t region_count(const fv_op_spec *spec) {
    return spec->attributes.dice_over_batch ? (size_t)spec->in[LOGITS].c : column_count(spec);
}

static dice_region region_of(const fv_op_call *call, size_t index) {
    const fv_op_spec *spec = call->spec;
    const fv_loss_sums *sums = call->saved;
    double smooth = spec->attributes.smooth;
    dice_region region = {.step = region_count(spec), .overlap = smooth, .both = smooth};
    for (size_t i = index; i < column_count(spec); i += region.step) {
        if (!is_valid(call, i)) continue;
        region.parts++;
        region.overlap += 2 * sums[i].overlap;
        region.both += sums[i].probability + sums[i].target;
    }
    return region;
}

static void count_valid(const fv_op_call *call, double *columns, double *regions) {
    *columns = *regions = 0;
    for (size_t i = 0; i < column_count(call->spec); i++) *columns += is_valid(call, i);
    for (size_t i = 0; i < region_count(call->spec); i++) *regions += region_of(call, i).parts > 0;
}

static void forward(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    fv_columns columns = columns_of(spec);
    fv_loss_sums *sums = call->saved;
    fv_loss_measure(columns, call->in[LOGITS], call->in[TARGET], sums, call->work);
    double valid_columns, valid_regions, cross_entropy = 0, dice = 0;
    count_valid(call, &valid_columns, &valid_regions);
    call->out[0] = 0;
    if (valid_columns == 0) return;
    for (size_t i = 0; i < column_count(spec); i++)
        if (is_valid(call, i)) cross_entropy += sums[i].cross_entropy;
    for (size_t i = 0; i < region_count(spec); i++) {
        dice_region region = region_of(call, i);
        if (region.parts > 0) dice += 1 - region.overlap / region.both;
    }
    call->out[0] = (fv_real)(spec->attributes.weight_bce * cross_entropy / (valid_columns * (double)columns.rows) +
                             spec->attributes.weight_dice * dice / valid_regions);
}

/* By p, 1 - overlap / both has the slope overlap / both^2 - 2 t / both; by z, p (1 - p) times that. */
static void backward(const fv_op_call *call) {
    if (!call->d_in[LOGITS]) return;
    const fv_op_spec *spec = call->spec;
    fv_columns columns = columns_of(spec);
    size_t count = column_count(spec);
    double valid_columns, valid_regions, d_out = (double)call->d_out[0];
    count_valid(call, &valid_columns, &valid_regions);
    fv_real *cross_entropy = call->work, *overlap = cross_entropy + count, *whole = overlap + count;
    for (size_t i = 0; i < 3 * count; i++) cross_entropy[i] = 0;
    for (size_t r = 0; r < region_count(spec); r++) {
        dice_region region = region_of(call, r);
        for (size_t i = r; i < count; i += region.step) {
            if (!is_valid(call, i)) continue;
            double weight = d_out * spec->attributes.weight_dice / valid_regions;
            cross_entropy[i] = (fv_real)(d_out * spec->attributes.weight_bce / (valid_columns * (double)columns.rows));
            overlap[i] = (fv_real)(2 * weight / region.both);
            whole[i] = (fv_real)(weight * region.overlap / (region.both * region.both));
        }
    }
    fv_loss_slopes slopes = {cross_entropy, overlap, whole};
    fv_loss_gradient(columns, &slopes, call->in[LOGITS], call->in[TARGET], call->d_in[LOGITS], call->add[LOGITS],
                     (char *)call->work + slope_bytes(spec));
}

const fv_op fv_op_segmentation_loss = {
    .name = "segmentation_loss",
    .backward_reads = FV_READS_IN(LOGITS) | FV_READS_IN(TARGET) | FV_READS_IN(VALID),
    .infer = infer,
    .saved_bytes = saved_bytes,
    .work_bytes = work_bytes,
    .forward = forward,
    .backward = backward,
};
