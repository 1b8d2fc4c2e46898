#include "match.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"

#define MOST_COMPLAINTS 4 /* in one sentence */

/* ---- shapes ---- */

/* The shape of our kernel {kh, kw, in, out} as Keras and PyTorch write it. Pointwise kernels may be dense layers'. */
static fv_foreign_tensor expected_kernel(const fv_own_layers *own, int layer, bool hwio) {
    const fv_own_layer *l = &own->list[layer];
    fv_shape s = own->params->list[l->weight].shape;
    fv_foreign_tensor t = {.dims = 4};
    bool transposed = l->kind == FV_OP_conv_transpose, depthwise = l->kind == FV_OP_depthwise;
    int64_t in = transposed || (hwio && depthwise) ? s.c : s.w, out = transposed || (hwio && depthwise) ? s.w : s.c;
    int64_t keras[4] = {s.n, s.h, in, out}, torch[4] = {out, in, s.n, s.h};
    memcpy(t.shape, hwio ? keras : torch, sizeof keras);
    return t;
}

bool fv_kernel_fits(const fv_own_layers *own, int layer, bool hwio, const fv_foreign_tensor *kernel) {
    fv_foreign_tensor expected = expected_kernel(own, layer, hwio);
    const int64_t *e = expected.shape, *k = kernel->shape;
    if (kernel->dims == 2) /* Keras's dense {in, out}, PyTorch's linear {out, in} */
        return hwio ? e[0] * e[1] == 1 && k[0] == e[2] && k[1] == e[3]
                    : e[2] * e[3] == 1 && k[0] == e[0] && k[1] == e[1];
    return kernel->dims == 4 && memcmp(e, k, sizeof expected.shape[0] * 4) == 0;
}

/* ---- complaints ---- */

typedef struct complaints {
    char text[800];
    int count;
} complaints;

static void complain(complaints *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(complaints *c, const char *format, ...) {
    if (c->count++ >= MOST_COMPLAINTS) return;
    size_t used = strlen(c->text);
    va_list arguments;
    if (c->count > 1) used += (size_t)snprintf(c->text + used, sizeof c->text - used, "; ");
    va_start(arguments, format);
    if (used < sizeof c->text) vsnprintf(c->text + used, sizeof c->text - used, format, arguments);
    va_end(arguments);
}

static void complain_unmatched(complaints *c, const fv_own_layers *own, int layer, bool hwio,
                               const fv_foreign_layer *next) {
    char expected_text[FV_FOREIGN_SHAPE_TEXT], found_text[FV_FOREIGN_SHAPE_TEXT];
    fv_foreign_tensor expected = expected_kernel(own, layer, hwio);
    fv_foreign_shape_text(&expected, expected_text);
    if (next && next->kernel)
        complain(c, "%s needs a kernel of shape %s, found %.100s of shape %s", own->list[layer].name, expected_text,
                 next->kernel->name, fv_foreign_shape_text(next->kernel, found_text));
    else
        complain(c, "%s, whose kernel has the shape %s, is missing", own->list[layer].name, expected_text);
}

static void complain_left_over(complaints *c, const fv_foreign_layers *foreign) {
    char text[FV_FOREIGN_SHAPE_TEXT];
    for (int i = 0; i < foreign->count; i++) {
        const fv_foreign_layer *l = &foreign->list[i];
        const fv_foreign_tensor *const all[] = {l->kernel, l->gamma, l->bias, l->other, l->mean, l->var, l->beta};
        const fv_foreign_tensor *any = NULL;
        for (size_t k = 0; k < sizeof all / sizeof *all && !any; k++) any = all[k];
        if (!l->used && any)
            complain(c, "%.100s of shape %s is left over", any->name, fv_foreign_shape_text(any, text));
    }
}

static fv_status verdict(const complaints *c, const char *path, const char *layout) {
    if (c->count == 0) return FV_OK;
    char more[48] = "";
    if (c->count > MOST_COMPLAINTS) snprintf(more, sizeof more, "; and %d more", c->count - MOST_COMPLAINTS);
    return fv_fail(FV_BAD_INPUT, "%s does not fit the network (%s): %s%s", path, layout, c->text, more);
}

/* ---- matching ---- */

static bool is_free(const fv_foreign_layer *layer, const char *scope) {
    return !layer->used && fv_layout_covers(scope, layer->name);
}

/* The first layer of the scope that nobody has; where the layout gives names, the first whose kernel fits: within a
   block the shortcut may stand before or behind the other convolutions. */
static fv_foreign_layer *next_layer(const fv_own_layers *own, int layer, fv_foreign_layers *foreign,
                                    const fv_file_layout *layout, fv_foreign_layer **first) {
    char scope[FV_SCOPE_MAX];
    fv_layout_scope(layout, own->list[layer].name, scope);
    *first = NULL;
    for (int i = 0; i < foreign->count; i++) {
        fv_foreign_layer *candidate = &foreign->list[i];
        if (!is_free(candidate, scope)) continue;
        if (!*first) *first = candidate;
        if (candidate->kernel && fv_kernel_fits(own, layer, foreign->hwio, candidate->kernel)) return candidate;
        if (!layout->layout->rules) return NULL;
    }
    return NULL;
}

/* An encoder by order begins with the first kernel that looks at three colours; a model begins at once. */
static void skip_beginning(fv_foreign_layers *foreign) {
    for (int i = 0; i < foreign->count; i++) {
        const fv_foreign_tensor *kernel = foreign->list[i].kernel;
        if (kernel && kernel->dims == 4 && kernel->shape[foreign->hwio ? 2 : 1] == 3) return;
        foreign->list[i].used = true;
    }
}

fv_status fv_match_make(const fv_own_layers *own, fv_foreign_layers *foreign, const fv_file_layout *layout, bool whole,
                        const char *path, fv_match *match) {
    complaints c = {.count = 0};
    *match = (fv_match){.of = fv_allocate((size_t)own->count, sizeof *match->of, "the matched layers")};
    if (!match->of) return FV_NO_RESOURCE;
    for (int i = 0; i < foreign->count; i++) foreign->list[i].used = false;
    if (!whole && !layout->layout->rules) skip_beginning(foreign);
    for (int i = 0; i < own->count; i++) {
        fv_foreign_layer *first, *found = next_layer(own, i, foreign, layout, &first);
        match->of[i] = found;
        match->found += found != NULL;
        if (!found) complain_unmatched(&c, own, i, foreign->hwio, first);
        fv_foreign_layer *taken = found ? found : first; /* one of another shape stands where ours should */
        if (taken) taken->used = true;
    }
    if (whole) complain_left_over(&c, foreign);
    fv_status status = verdict(&c, path, layout->layout->name);
    if (status != FV_OK) fv_match_free(match);
    return status;
}

void fv_match_free(fv_match *match) {
    free(match->of);
    *match = (fv_match){0};
}
