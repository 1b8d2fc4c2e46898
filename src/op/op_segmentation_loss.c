#include "fovea/base/memory.h"
#include "fovea/kernel/loss.h"
#include "fovea/op/op.h"
#include "op_loss.h"

static fv_status infer(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_loss(spec, layer));
    const fv_attributes *a = &spec->attributes;
    FV_TRY(fv_loss_not_negative(layer, "weight of cross entropy", a->weight_bce));
    FV_TRY(fv_loss_not_negative(layer, "weight of Dice", a->weight_dice));
    FV_TRY(fv_loss_not_negative(layer, "weight of focal loss", a->weight_focal));
    FV_TRY(fv_loss_not_negative(layer, "weight of Tversky loss", a->weight_tversky));
    FV_TRY(fv_loss_not_negative(layer, "focal alpha", a->focal_alpha));
    FV_TRY(fv_loss_not_negative(layer, "focal gamma", a->focal_gamma));
    FV_TRY(fv_loss_not_negative(layer, "Tversky's alpha", a->tversky_alpha));
    FV_TRY(fv_loss_not_negative(layer, "Tversky's beta", a->tversky_beta));
    return FV_OK;
}

static fv_columns columns_of(const fv_op_spec *spec) {
    fv_shape z = spec->in[LOGITS];
    return (fv_columns){.segments = (size_t)z.n, .rows = (size_t)z.h * (size_t)z.w, .channels = (size_t)z.c};
}

/* The sums of every class of every sample. */
static size_t saved_bytes(const fv_op_spec *spec) {
    return fv_loss_columns(spec) * sizeof(fv_loss_sums);
}

/* Backward: four slopes a column, before what the kernels need. */
static size_t slope_bytes(const fv_op_spec *spec) {
    return fv_align_up(4 * fv_loss_columns(spec) * sizeof(fv_real));
}

static size_t work_bytes(const fv_op_spec *spec, bool backward) {
    return fv_loss_work_bytes(columns_of(spec)) + (backward ? slope_bytes(spec) : 0);
}

static bool has_focal(const fv_op_spec *spec) {
    return spec->attributes.weight_focal > 0;
}

static double gamma_of(const fv_op_spec *spec) {
    return has_focal(spec) ? spec->attributes.focal_gamma : FV_NO_FOCAL;
}

/* Dice and Tversky coefficient, both of one form: (a sum p t + s) / (b sum p t + c sum p + d sum t + s). With
   TP = sum p t, FP = sum p - TP and FN = sum t - TP, Tversky's (TP + s) / (TP + alpha FP + beta FN + s) is so, too. */
typedef struct coefficient {
    double weight, a, b, c, d;
} coefficient;

enum { DICE, TVERSKY, COEFFICIENTS };

static coefficient coefficient_of(const fv_op_spec *spec, int which) {
    const fv_attributes *a = &spec->attributes;
    if (which == DICE) return (coefficient){a->weight_dice, 2, 0, 1, 1};
    double alpha = a->tversky_alpha, beta = a->tversky_beta;
    return (coefficient){a->weight_tversky, 1, 1 - alpha - beta, alpha, beta};
}

/* Sums over the columns of a region. */
typedef struct loss_region {
    int parts; /* valid columns */
    double overlap, probability, target;
} loss_region;

static loss_region region_of(const fv_op_call *call, size_t index) {
    const fv_loss_sums *sums = call->saved;
    loss_region region = {0};
    for (size_t i = index; i < fv_loss_columns(call->spec); i += fv_loss_regions(call->spec)) {
        if (!fv_loss_is_valid(call, i)) continue;
        region.parts++;
        region.overlap += sums[i].overlap;
        region.probability += sums[i].probability;
        region.target += sums[i].target;
    }
    return region;
}

static double numerator(const coefficient *k, const loss_region *r, double smooth) {
    return k->a * r->overlap + smooth;
}

static double denominator(const coefficient *k, const loss_region *r, double smooth) {
    return k->b * r->overlap + k->c * r->probability + k->d * r->target + smooth;
}

/* Sum over regions of what is missing from the coefficients to 1. */
static double region_losses(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    double smooth = spec->attributes.smooth, sum = 0;
    for (int which = 0; which < COEFFICIENTS; which++) {
        coefficient k = coefficient_of(spec, which);
        for (size_t i = 0; i < fv_loss_regions(spec) && k.weight > 0; i++) {
            loss_region region = region_of(call, i);
            if (region.parts == 0) continue;
            sum += k.weight * (1 - numerator(&k, &region, smooth) / denominator(&k, &region, smooth));
        }
    }
    return sum;
}

static void forward(const fv_op_call *call) {
    const fv_op_spec *spec = call->spec;
    const fv_attributes *a = &spec->attributes;
    fv_columns columns = columns_of(spec);
    fv_loss_sums *sums = call->saved;
    fv_loss_measure(columns, gamma_of(spec), call->in[LOGITS], call->in[TARGET], sums, call->work);
    double valid_columns, valid_regions, pixel_losses = 0;
    fv_loss_count_valid(call, &valid_columns, &valid_regions);
    call->out[0] = 0;
    if (valid_columns == 0) return;
    for (size_t i = 0; i < fv_loss_columns(spec); i++)
        if (fv_loss_is_valid(call, i))
            pixel_losses += a->weight_bce * sums[i].cross_entropy + a->weight_focal * a->focal_alpha * sums[i].focal;
    call->out[0] =
        (fv_real)(pixel_losses / (valid_columns * (double)columns.rows) + region_losses(call) / valid_regions);
}

/* By p, 1 - N / D of a coefficient has the slope N c / D^2 - t (a / D - N b / D^2); by z, p (1 - p) times that. */
static void region_slopes(const fv_op_call *call, const loss_region *region, double weight, double *overlap,
                          double *whole) {
    double smooth = call->spec->attributes.smooth;
    *overlap = *whole = 0;
    for (int which = 0; which < COEFFICIENTS; which++) {
        coefficient k = coefficient_of(call->spec, which);
        if (k.weight == 0) continue;
        double n = numerator(&k, region, smooth), d = denominator(&k, region, smooth);
        *overlap += weight * k.weight * (k.a / d - n * k.b / (d * d));
        *whole += weight * k.weight * (n * k.c / (d * d));
    }
}

static void backward(const fv_op_call *call) {
    if (!call->d_in[LOGITS]) return;
    const fv_op_spec *spec = call->spec;
    const fv_attributes *a = &spec->attributes;
    fv_columns columns = columns_of(spec);
    size_t count = fv_loss_columns(spec);
    double valid_columns, valid_regions, d_out = (double)call->d_out[0];
    fv_loss_count_valid(call, &valid_columns, &valid_regions);
    fv_real *cross_entropy = call->work, *overlap = cross_entropy + count, *whole = overlap + count;
    fv_real *focal = whole + count;
    for (size_t i = 0; i < 4 * count; i++) cross_entropy[i] = 0;
    double share = d_out / (valid_columns * (double)columns.rows);
    for (size_t r = 0; r < fv_loss_regions(spec); r++) {
        loss_region region = region_of(call, r);
        double by_overlap, by_whole;
        region_slopes(call, &region, d_out / valid_regions, &by_overlap, &by_whole);
        for (size_t i = r; i < count; i += fv_loss_regions(spec)) {
            if (!fv_loss_is_valid(call, i)) continue;
            cross_entropy[i] = (fv_real)(a->weight_bce * share);
            focal[i] = (fv_real)(a->weight_focal * a->focal_alpha * share);
            overlap[i] = (fv_real)by_overlap;
            whole[i] = (fv_real)by_whole;
        }
    }
    fv_loss_slopes slopes = {cross_entropy, overlap, whole, has_focal(spec) ? focal : NULL, gamma_of(spec)};
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
