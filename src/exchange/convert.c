#include "convert.h"

#include <math.h>
#include <string.h>

/* ---- checks ---- */

static fv_status check_vector(const fv_foreign_tensor *vector, int filters, const char *layer, const char *path) {
    char text[FV_FOREIGN_SHAPE_TEXT];
    if (!vector || (vector->count == (size_t)filters && vector->dims <= 4)) return FV_OK;
    return fv_fail(FV_BAD_INPUT, "%s: %.100s has the shape %s, but layer %s needs (%d,)", path, vector->name,
                   fv_foreign_shape_text(vector, text), layer, filters);
}

/* A training that has gone astray leaves values that are no numbers; a variance is never negative. */
static fv_status check_numbers(const fv_foreign_tensor *tensor, bool variance, const char *path) {
    for (size_t i = 0; tensor && i < tensor->count; i++)
        if (!isfinite(tensor->values[i]) || (variance && tensor->values[i] < 0))
            return fv_fail(FV_BAD_INPUT, "%s: %.100s has the value %g at place %zu; the weights are spoilt", path,
                           tensor->name, (double)tensor->values[i], i);
    return FV_OK;
}

static fv_status check_layer(const fv_own_layer *l, const fv_foreign_layer *f, int filters, const char *path) {
    const fv_foreign_tensor *const vectors[] = {f->bias, f->gamma, f->beta, f->mean, f->var};
    bool f_norm = f->gamma || f->mean, group = l->gamma >= 0 && l->mean < 0;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        FV_TRY(check_vector(vectors[i], filters, l->name, path));
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        FV_TRY(check_numbers(vectors[i], vectors[i] == f->var, path));
    FV_TRY(check_numbers(f->kernel, false, path));
    if (!f->mean != !f->var)
        return fv_fail(FV_BAD_INPUT, "%s: the batch norm of %.100s has only one of mean and variance", path, f->name);
    if (group && (!f_norm || f->mean || f->bias))
        return fv_fail(
            FV_BAD_INPUT,
            "%s: %.100s has no group norm, which layer %s has in front of nothing else: is it a network with "
            "batch norm?",
            path, f->name, l->name);
    if (!group && f_norm && !f->mean)
        return fv_fail(FV_BAD_INPUT,
                       "%s: the norm of %.100s has no running mean and variance; layer %s has a batch norm (for group "
                       "norm: --set model.norm=group)",
                       path, f->name, l->name);
    if (l->gamma < 0 && l->bias < 0 && (f->bias || f_norm))
        return fv_fail(FV_BAD_INPUT, "%s: %.100s has a bias or a norm, for which layer %s has no place", path, f->name,
                       l->name);
    return FV_OK;
}

fv_status fv_convert_check(const fv_own_layers *own, const fv_match *match, const char *path) {
    for (int i = 0; i < own->count; i++) {
        const fv_own_layer *l = &own->list[i];
        FV_TRY(check_layer(l, match->of[i], own->params->list[l->weight].shape.c, path));
    }
    return FV_OK;
}

/* ---- values ---- */

static float or_else(const fv_foreign_tensor *vector, int c, float standard) {
    return vector ? vector->values[c] : standard;
}

/* What a batch norm multiplies channel c by, and 1 without one. */
static double scale_of(const fv_foreign_layer *f, int c, double epsilon) {
    if (!f->mean) return 1;
    return (double)or_else(f->gamma, c, 1) / sqrt((double)f->var->values[c] + epsilon);
}

/* Where the file has the number that belongs at (u, v, c, f) of our {kh, kw, in, out} kernel. */
static size_t place_in_file(fv_shape s, const fv_own_layer *l, bool hwio, int u, int v, int c, int f) {
    size_t kh = (size_t)s.n, kw = (size_t)s.h, tap = (size_t)u * kw + (size_t)v;
    bool swapped = l->kind == FV_OP_conv_transpose; /* {.., out, in} in Keras, {in, out, ..} in PyTorch */
    size_t in = (size_t)c, out = (size_t)f, ins = (size_t)s.w, outs = (size_t)s.c;
    if (hwio) return swapped ? (tap * outs + out) * ins + in : (tap * ins + in) * outs + out;
    return (swapped ? in * outs + out : out * ins + in) * kh * kw + tap;
}

static void convert_kernel(const fv_own_layer *l, fv_shape s, const fv_foreign_layer *f, bool hwio, double epsilon,
                           fv_real *values) {
    bool scaled = f->mean && l->gamma < 0;
    for (int u = 0; u < s.n; u++)
        for (int v = 0; v < s.h; v++)
            for (int c = 0; c < s.w; c++)
                for (int k = 0; k < s.c; k++) {
                    float value = f->kernel->values[place_in_file(s, l, hwio, u, v, c, k)];
                    *values++ = scaled ? (fv_real)((double)value * scale_of(f, k, epsilon)) : value;
                }
}

static void convert_bias(const fv_own_layer *l, const fv_foreign_layer *f, int filters, double epsilon, fv_real *bias) {
    for (int c = 0; c < filters; c++) {
        double shift = or_else(f->bias, c, 0);
        if (f->mean && l->mean < 0)
            shift = or_else(f->beta, c, 0) + (shift - (double)f->mean->values[c]) * scale_of(f, c, epsilon);
        bias[c] = (fv_real)shift;
    }
}

static void convert_batch_norm(const fv_own_layer *l, const fv_params *params, const fv_foreign_layer *f,
                               double epsilon, fv_real *values) {
    fv_real *gamma = values + params->list[l->gamma].offset, *beta = values + params->list[l->beta].offset;
    fv_real *mean = values + params->list[l->mean].offset, *var = values + params->list[l->var].offset;
    const fv_foreign_tensor *bias = l->bias >= 0 ? NULL : f->bias; /* or it has a place of its own */
    int filters = params->list[l->gamma].shape.c;
    for (int c = 0; c < filters; c++) {
        float variance = or_else(f->var, c, 1);
        double theirs = f->mean ? epsilon : 0; /* without a norm: a factor of one */
        bool same = theirs == l->epsilon;
        double factor = same ? 1 : sqrt(((double)variance + l->epsilon) / ((double)variance + theirs));
        gamma[c] = (fv_real)(or_else(f->gamma, c, 1) * factor);
        beta[c] = f->mean ? or_else(f->beta, c, 0) : or_else(bias, c, 0);
        mean[c] = f->mean ? f->mean->values[c] - or_else(bias, c, 0) : 0;
        var[c] = variance;
    }
}

static void convert_group_norm(const fv_own_layer *l, const fv_params *params, const fv_foreign_layer *f,
                               fv_real *values) {
    for (int c = 0; c < params->list[l->gamma].shape.c; c++) {
        values[params->list[l->gamma].offset + (size_t)c] = or_else(f->gamma, c, 1);
        values[params->list[l->beta].offset + (size_t)c] = or_else(f->beta, c, 0);
    }
}

int fv_convert_values(const fv_own_layers *own, const fv_match *match, bool hwio, double epsilon, fv_real *values) {
    const fv_params *params = own->params;
    int changed = 0;
    for (int i = 0; i < own->count; i++) {
        const fv_own_layer *l = &own->list[i];
        const fv_foreign_layer *f = match->of[i];
        const fv_param *weight = &params->list[l->weight];
        double theirs = epsilon > 0 ? epsilon : l->epsilon;
        convert_kernel(l, weight->shape, f, hwio, theirs, values + weight->offset);
        if (l->bias >= 0) convert_bias(l, f, weight->shape.c, theirs, values + params->list[l->bias].offset);
        if (l->mean >= 0)
            convert_batch_norm(l, params, f, theirs, values);
        else if (l->gamma >= 0)
            convert_group_norm(l, params, f, values);
        changed += (l->mean >= 0) != (f->mean != NULL);
    }
    return changed;
}
