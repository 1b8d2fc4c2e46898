#include "foreign_layers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/memory.h"
#include "names.h"

typedef enum part { PART_KERNEL, PART_BIAS, PART_GAMMA, PART_BETA, PART_MEAN, PART_VAR, PART_OTHER } part;

/* What the last word of a tensor's name says, in Keras's, PyTorch's and fovea's words. */
static part part_of(const fv_foreign_tensor *tensor, const char *word) {
    static const struct {
        const char *word;
        part is;
    } words[] = {{"kernel", PART_KERNEL},
                 {"depthwise_kernel", PART_KERNEL},
                 {"pointwise_kernel", PART_KERNEL},
                 {"bias", PART_BIAS},
                 {"gamma", PART_GAMMA},
                 {"beta", PART_BETA},
                 {"moving_mean", PART_MEAN},
                 {"moving_variance", PART_VAR},
                 {"running_mean", PART_MEAN},
                 {"running_var", PART_VAR},
                 {"mean", PART_MEAN},
                 {"var", PART_VAR}};
    size_t length = strcspn(word, ":"); /* Keras: "kernel:0" */
    if (length == 6 && strncmp(word, "weight", 6) == 0) return tensor->dims >= 2 ? PART_KERNEL : PART_GAMMA;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].word) == length && strncmp(word, words[i].word, length) == 0) return words[i].is;
    return PART_OTHER;
}

static const fv_foreign_tensor **place_of(fv_foreign_layer *layer, part is) {
    const fv_foreign_tensor **places[] = {&layer->kernel, &layer->bias, &layer->gamma, &layer->beta,
                                          &layer->mean,   &layer->var,  &layer->other};
    return places[is];
}

/* Where the last word of a name begins; the layer's name is what stands before it and its separator. */
static const char *last_word(const char *name) {
    const char *slash = strrchr(name, '/'), *dot = strrchr(name, '.'), *at = slash > dot ? slash : dot;
    return at ? at + 1 : name;
}

/* The newest layer of that name; a separable convolution is two of the same. */
static fv_foreign_layer *find_layer(fv_foreign_layers *layers, const char *name) {
    for (int i = layers->count - 1; i >= 0; i--)
        if (strcmp(layers->list[i].name, name) == 0) return &layers->list[i];
    return NULL;
}

static fv_status new_layer(const fv_foreign *file, fv_foreign_layers *layers, const char *name,
                           fv_foreign_layer **layer) {
    if (layers->count == FV_FOREIGN_MAX_LAYERS)
        return fv_fail(FV_BAD_INPUT, "%s has more than %d layers; fovea's networks have a few hundred at most",
                       file->path, FV_FOREIGN_MAX_LAYERS);
    *layer = &layers->list[layers->count++];
    snprintf((*layer)->name, sizeof(*layer)->name, "%s", name);
    return FV_OK;
}

static fv_status add_named(const fv_foreign *file, const fv_foreign_tensor *tensor, fv_foreign_layers *layers) {
    char name[FV_FOREIGN_NAME_MAX];
    const char *word = last_word(tensor->name);
    part is = part_of(tensor, word);
    bool has_layer = word > tensor->name && is != PART_OTHER;
    snprintf(name, sizeof name, "%.*s", has_layer ? (int)(word - tensor->name - 1) : FV_FOREIGN_NAME_MAX - 1,
             tensor->name);
    fv_foreign_layer *layer = has_layer ? find_layer(layers, name) : NULL;
    bool second_kernel = layer && is == PART_KERNEL && fv_names_begins(word, "pointwise_kernel");
    if (!layer || second_kernel) FV_TRY(new_layer(file, layers, name, &layer));
    if (*place_of(layer, is))
        return fv_fail(FV_BAD_INPUT, "%s: %.100s and %.100s can't both belong to one layer", file->path,
                       (*place_of(layer, is))->name, tensor->name);
    *place_of(layer, is) = tensor;
    if (is == PART_KERNEL && (fv_names_begins(word, "kernel") || fv_names_begins(word, "depthwise_kernel")))
        layers->hwio = true;
    return FV_OK;
}

/* ---- arrays without names: numpy.savez(path, *model.get_weights()) ---- */

static bool is_nameless(const fv_foreign *file) {
    for (int i = 0; i < file->count; i++) {
        const char *name = file->list[i].name;
        if (!fv_names_begins(name, "arr_") || name[4 + strspn(name + 4, "0123456789")]) return false;
    }
    return true;
}

/* A kernel, and the vectors behind it: one is a bias, four are a norm, five are both. */
static fv_status add_nameless(const fv_foreign *file, fv_foreign_layers *layers) {
    for (int i = 0; i < file->count;) {
        const fv_foreign_tensor *tensor = &file->list[i];
        int vectors = 0;
        while (i + 1 + vectors < file->count && file->list[i + 1 + vectors].dims == 1) vectors++;
        if (tensor->dims < 2 || (vectors != 0 && vectors != 1 && vectors != 4 && vectors != 5))
            return fv_fail(FV_BAD_INPUT,
                           "%s: %d vectors follow %s; expected 1 (bias), 4 (batch norm) or 5 behind each kernel, as "
                           "model.get_weights() gives them, or arrays with names",
                           file->path, vectors, tensor->name);
        fv_foreign_layer *layer = NULL;
        FV_TRY(new_layer(file, layers, tensor->name, &layer));
        layer->kernel = tensor;
        const fv_foreign_tensor *vector = tensor + 1;
        if (vectors % 4 == 1) layer->bias = vector++;
        for (int k = 0; vectors >= 4 && k < 4; k++) *place_of(layer, (part)(PART_GAMMA + k)) = vector++;
        i += 1 + vectors;
    }
    const fv_foreign_tensor *first = &file->list[0]; /* of a network on colour photographs */
    layers->hwio = first->dims == 4 && first->shape[2] == 3 && first->shape[0] == first->shape[1];
    return FV_OK;
}

/* ---- norms ---- */

/* Without gamma: affine=False in PyTorch, scale=False in Keras. */
static bool is_norm(const fv_foreign_layer *layer) {
    return !layer->kernel && !layer->other && (layer->gamma || layer->mean);
}

static int64_t norm_channels(const fv_foreign_layer *norm) {
    return (int64_t)(norm->gamma ? norm->gamma : norm->mean)->count;
}

/* A norm's shift is called bias in PyTorch. */
static void name_shifts(fv_foreign_layers *layers) {
    for (int i = 0; i < layers->count; i++) {
        fv_foreign_layer *layer = &layers->list[i];
        if (layer->kernel || layer->beta) continue;
        layer->beta = layer->bias;
        layer->bias = NULL;
    }
}

static const char *trailing_number(const char *name) {
    const char *at = name + strlen(name);
    while (at > name && isdigit((unsigned char)at[-1])) at--;
    return at > name && isalpha((unsigned char)at[-1]) ? at : "";
}

static bool same_parent(const char *a, const char *b) {
    size_t length = (size_t)(last_word(a) - a);
    return length == (size_t)(last_word(b) - b) && strncmp(a, b, length) == 0;
}

/* A kernel without norm, one of whose sizes is the number of the norm's channels. */
static bool takes_norm(const fv_foreign_layer *layer, const fv_foreign_layer *norm) {
    if (!layer->kernel || layer->gamma || layer->mean) return false;
    for (int i = 0; i < layer->kernel->dims; i++)
        if (layer->kernel->shape[i] == norm_channels(norm)) return true;
    return false;
}

static bool same_number(const fv_foreign_layer *layer, const fv_foreign_layer *norm) {
    const char *number = trailing_number(norm->name);
    return *number && strcmp(trailing_number(layer->name), number) == 0;
}

/* Whether norm i is one of a block that numbers its layers: a kernel of its own number, or none. */
static bool is_numbered(const fv_foreign_layers *layers, int i) {
    const fv_foreign_layer *norm = &layers->list[i];
    if (!*trailing_number(norm->name)) return false;
    for (int step = -1; step <= 1; step += 2)
        for (int k = i + step; k >= 0 && k < layers->count && same_parent(layers->list[k].name, norm->name); k += step)
            if (layers->list[k].kernel && *trailing_number(layers->list[k].name)) return true;
    return false;
}

/* The last of norm i's neighbours on one side (step -1 or 1) that lie in the same block and take it; of those with its
   number only where `numbered`. */
static fv_foreign_layer *neighbour_of(fv_foreign_layers *layers, int i, int step, bool numbered) {
    const fv_foreign_layer *norm = &layers->list[i];
    fv_foreign_layer *last = NULL;
    for (int k = i + step; k >= 0 && k < layers->count && same_parent(layers->list[k].name, norm->name); k += step)
        if (takes_norm(&layers->list[k], norm) && (!numbered || same_number(&layers->list[k], norm)))
            last = &layers->list[k];
    return last;
}

/* The layer that norm i belongs to: that with its number (conv1, conv2, bn1, bn2, in whatever order), else the one just
   before, else, in files sorted by name (bn, dw, pw), the last of its block. */
static fv_foreign_layer *owner_of(fv_foreign_layers *layers, int i) {
    fv_foreign_layer *owner = neighbour_of(layers, i, -1, true);
    if (!owner) owner = neighbour_of(layers, i, 1, true);
    if (owner || is_numbered(layers, i)) return owner;
    int before = i - 1;
    while (before >= 0 && is_norm(&layers->list[before])) before--;
    if (before >= 0 && takes_norm(&layers->list[before], &layers->list[i])) return &layers->list[before];
    return neighbour_of(layers, i, 1, false);
}

/* A norm whose layer is missing stays where it is, and will be left over. */
static void attach_norms(fv_foreign_layers *layers) {
    for (int i = 0; i < layers->count; i++) {
        fv_foreign_layer *norm = &layers->list[i];
        if (!is_norm(norm)) continue;
        fv_foreign_layer *owner = owner_of(layers, i);
        if (!owner) continue;
        owner->gamma = norm->gamma;
        owner->beta = norm->beta;
        owner->mean = norm->mean;
        owner->var = norm->var;
        norm->used = true; /* nothing is left of it */
    }
    int kept = 0;
    for (int i = 0; i < layers->count; i++)
        if (!layers->list[i].used) layers->list[kept++] = layers->list[i];
    layers->count = kept;
}

static fv_status make(const fv_foreign *file, fv_foreign_layers *layers) {
    layers->list = fv_allocate((size_t)file->count, sizeof *layers->list, "the list of layers");
    if (!layers->list) return FV_NO_RESOURCE;
    if (is_nameless(file)) return add_nameless(file, layers);
    for (int i = 0; i < file->count; i++) FV_TRY(add_named(file, &file->list[i], layers));
    name_shifts(layers);
    attach_norms(layers);
    return FV_OK;
}

fv_status fv_foreign_layers_make(const fv_foreign *file, fv_foreign_layers *layers) {
    *layers = (fv_foreign_layers){0};
    fv_status status = make(file, layers);
    if (status != FV_OK) fv_foreign_layers_free(layers);
    return status;
}

void fv_foreign_layers_free(fv_foreign_layers *layers) {
    free(layers->list);
    *layers = (fv_foreign_layers){0};
}
