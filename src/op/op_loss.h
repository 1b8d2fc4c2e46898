/* What the losses on logits share: inputs, and the regions over which coefficients are taken. */
#ifndef FOVEA_OP_OP_LOSS_H
#define FOVEA_OP_OP_LOSS_H

#include <math.h>

#include "op_common.h"

enum { LOGITS, TARGET, VALID, LOSS_INPUTS };

static inline fv_status fv_loss_not_negative(const char *layer, const char *what, double value) {
    if (value >= 0 && isfinite(value)) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s of layer %s is %g, expected 0 or more", what, layer, value);
}

/* Checks the inputs and smooth, fills its default, sets spec->out. */
static inline fv_status fv_infer_loss(fv_op_spec *spec, const char *layer) {
    FV_TRY(fv_infer_inputs(spec, layer, LOSS_INPUTS, LOSS_INPUTS));
    fv_shape z = spec->in[LOGITS];
    FV_TRY(fv_infer_shape(spec, layer, TARGET, "target", z));
    FV_TRY(fv_infer_shape(spec, layer, VALID, "valid", (fv_shape){z.n, 1, 1, z.c}));
    fv_attributes *a = &spec->attributes;
    if (a->smooth == 0) a->smooth = 1;
    if (!(a->smooth > 0 && isfinite(a->smooth)))
        return fv_fail(FV_BAD_INPUT, "smooth of layer %s is %g, expected above 0", layer, a->smooth);
    spec->out = (fv_shape){1, 1, 1, 1};
    return FV_OK;
}

/* A column is a class of a sample. */
static inline size_t fv_loss_columns(const fv_op_spec *spec) {
    return (size_t)spec->in[LOGITS].n * (size_t)spec->in[LOGITS].c;
}

static inline bool fv_loss_is_valid(const fv_op_call *call, size_t column) {
    return call->in[VALID][column] != 0;
}

/* Region r consists of the columns r, r + regions, r + 2 regions ...: a single one, or a class through the batch. */
static inline size_t fv_loss_regions(const fv_op_spec *spec) {
    return spec->attributes.dice_over_batch ? (size_t)spec->in[LOGITS].c : fv_loss_columns(spec);
}

/* How many columns, and how many regions with one of them, are valid. The others do not count. */
static inline void fv_loss_count_valid(const fv_op_call *call, double *columns, double *regions) {
    size_t count = fv_loss_columns(call->spec), step = fv_loss_regions(call->spec);
    *columns = *regions = 0;
    for (size_t r = 0; r < step; r++) {
        double parts = 0;
        for (size_t i = r; i < count; i += step) parts += fv_loss_is_valid(call, i);
        *columns += parts;
        *regions += parts > 0;
    }
}

#endif
