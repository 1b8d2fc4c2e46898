#include "fovea/exchange/metadata.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea/base/version.h"

#define TEXT_MAX 1024

fv_status fv_metadata_add(fv_metadata *metadata, const char *key, const char *text) {
    if (!text) return FV_OK;
    fv_metadata_pair *larger = realloc(metadata->pairs, ((size_t)metadata->count + 1) * sizeof *larger);
    if (!larger) return fv_fail_memory("metadata", sizeof *larger);
    metadata->pairs = larger;
    fv_metadata_pair *pair = &larger[metadata->count];
    *pair = (fv_metadata_pair){strdup(key), strdup(text)};
    metadata->count++;
    return pair->key && pair->text ? FV_OK : fv_fail_memory("metadata", strlen(text));
}

const char *fv_metadata_find(const fv_metadata *metadata, const char *key) {
    for (int i = 0; i < metadata->count; i++)
        if (strcmp(metadata->pairs[i].key, key) == 0) return metadata->pairs[i].text;
    return NULL;
}

void fv_metadata_free(fv_metadata *metadata) {
    for (int i = 0; i < metadata->count; i++) {
        free(metadata->pairs[i].key);
        free(metadata->pairs[i].text);
    }
    free(metadata->pairs);
    *metadata = (fv_metadata){0};
}

/* ---- sentences ---- */

typedef struct sentence {
    char text[TEXT_MAX];
    size_t length;
} sentence;

__attribute__((format(printf, 2, 3))) static void say(sentence *s, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(s->text + s->length, TEXT_MAX - s->length, format, arguments);
    va_end(arguments);
    s->length += added < 0 ? 0 : (size_t)added;
    if (s->length >= TEXT_MAX) s->length = TEXT_MAX - 1; /* cut */
}

static void say_fit(sentence *s, const fv_preprocess *p) {
    switch (p->fit) {
    case FV_FIT_LETTERBOX:
        say(s, "resize the whole photograph into a square of %d px, aspect kept, black bars", p->work_size);
        break;
    case FV_FIT_STRETCH:
        say(s, "resize the whole photograph to %d x %d px", p->work_size, p->work_size);
        break;
    case FV_FIT_FOV:
        say(s,
            "cut the photograph to the bounding box of its field of view and resize that so that its longer side is "
            "%d px",
            p->fov_diameter);
        if (p->fov_degrees > 0) say(s, " for a camera of %g degrees, in proportion for others", p->fov_degrees);
        break;
    case FV_FIT_NATIVE:
        say(s, "cut the photograph to the bounding box of its field of view, at its own scale");
        break;
    }
    say(s, " (area averaging when smaller, bilinear when larger)");
}

static void say_step(sentence *s, const fv_enhance *e, fv_enhance_step step) {
    switch (step) {
    case FV_ENHANCE_GREEN:
        say(s, "green channel in all three");
        break;
    case FV_ENHANCE_CLAHE:
        say(s, "CLAHE on each of R, G, B, clip limit %g, %d x %d tiles", e->clahe_clip, e->clahe_tiles, e->clahe_tiles);
        break;
    case FV_ENHANCE_LAB_CLAHE:
        say(s, "CLAHE on L of CIE LAB, clip limit %g, %d x %d tiles", e->clahe_clip, e->clahe_tiles, e->clahe_tiles);
        break;
    case FV_ENHANCE_UNSHARP:
        say(s, "unsharp mask %g x image - %g x Gaussian blur of sigma %g px", 1 + e->unsharp_amount, e->unsharp_amount,
            e->unsharp_sigma);
        break;
    case FV_ENHANCE_STRETCH:
        say(s, "lowest to highest level inside the field of view stretched to 0..255");
        break;
    case FV_ENHANCE_FOV:
        say(s, "0 outside the field of view");
        break;
    case FV_ENHANCE_STANDARDISE:
        say(s, "each channel 128 + 48 (level - mean) / deviation inside the field of view, 128 outside");
        break;
    case FV_ENHANCE_LOCAL:
        say(s, "each channel 128 + 48 (level - mean) / deviation of a Gaussian neighbourhood of sigma %g px",
            e->local_sigma);
        break;
    }
}

static void say_enhancement(sentence *s, const fv_enhance *e) {
    if (e->count == 0) say(s, "none");
    for (int i = 0; i < e->count; i++) {
        if (i > 0) say(s, "; then ");
        say_step(s, e, e->steps[i]);
    }
}

static const char *normalisation_text(fv_normalise how) {
    switch (how) {
    case FV_NORMALISE_UNIT:
        return "level / 255";
    case FV_NORMALISE_SIGNED:
        return "level / 127.5 - 1";
    case FV_NORMALISE_IMAGENET:
        return "(level / 255 - mean) / deviation, mean 0.485 0.456 0.406, deviation 0.229 0.224 0.225 for R G B";
    }
    return "";
}

static void say_input(sentence *s, const fv_model_spec *spec, const fv_export_shape *shape) {
    const fv_preprocess *p = &spec->preprocess;
    say(s, "%s, RGB, ", shape->layout);
    if (shape->preprocessing && !p->windows)
        say(s, "any size");
    else if (shape->height)
        say(s, "%d x %d px (height x width)", shape->height, shape->width);
    else
        say(s, "any height and width that are multiples of %d", fv_model_step(spec));
    if (shape->preprocessing)
        say(s, ", levels 0..255; %s inside the network", p->windows ? "normalised" : "resized and normalised");
    else
        say(s, ", %s, normalised", shape->integer_ends ? "int8" : "float32");
}

/* The way from the photograph to the input, in order. */
static void say_preparation(sentence *s, const fv_model_spec *spec, const fv_export_shape *shape) {
    const fv_preprocess *p = &spec->preprocess;
    bool resizes = shape->preprocessing && !p->windows;
    if (!resizes || p->enhance.count > 0) {
        say(s, "1. ");
        say_fit(s, p);
        say(s, ". 2. enhancement: ");
        say_enhancement(s, &p->enhance);
        if (p->windows && p->tile)
            say(s, ". 3. windows of %d px, side by side with overlap", p->tile);
        else if (p->windows)
            say(s, ". 3. one window that holds all, black beyond the image");
        else if (!resizes)
            say(s, ". 3. sampled to %d x %d px, bilinear at half-pixel centres", p->size, p->size);
        if (!shape->preprocessing) say(s, ". 4. %s", normalisation_text(p->normalise));
        return;
    }
    say(s, "none: give the photograph as it is (reduce a much larger one by area averaging first)");
}

static void say_output(sentence *s, const fv_model_spec *spec, const fv_export_shape *shape) {
    say(s, "%s, one channel a class (", shape->layout);
    for (int c = 0; c < spec->classes; c++) say(s, "%s%s", c ? ", " : "", spec->class_names[c]);
    say(s, "), %s", shape->logits ? "logits: probability = 1 / (1 + exp(-x))" : "probabilities 0..1");
    if (shape->integer_ends) say(s, "; int8: value = scale (number - zero point), which stand in the file");
}

static fv_status add_sentences(const fv_model_spec *spec, const fv_export_shape *shape, fv_metadata *metadata) {
    sentence input = {.length = 0}, preparation = {.length = 0}, enhancement = {.length = 0}, fit = {.length = 0},
             output = {.length = 0}, classes = {.length = 0}, thresholds = {.length = 0};
    say_input(&input, spec, shape);
    say_preparation(&preparation, spec, shape);
    say_enhancement(&enhancement, &spec->preprocess.enhance);
    say_fit(&fit, &spec->preprocess);
    say_output(&output, spec, shape);
    for (int c = 0; c < spec->classes; c++) {
        say(&classes, "%s%s", c ? "," : "", spec->class_names[c]);
        say(&thresholds, "%s%g", c ? "," : "", spec->thresholds[c]);
    }
    FV_TRY(fv_metadata_add(metadata, "input", input.text));
    FV_TRY(fv_metadata_add(metadata, "output", output.text));
    FV_TRY(fv_metadata_add(metadata, "preparation", preparation.text));
    FV_TRY(fv_metadata_add(metadata, "fit", fit.text));
    FV_TRY(fv_metadata_add(metadata, "enhancement", enhancement.text));
    FV_TRY(fv_metadata_add(metadata, "classes", classes.text));
    return fv_metadata_add(metadata, "thresholds", thresholds.text);
}

static fv_status add_all(const fv_model_spec *spec, const fv_export_shape *shape, fv_metadata *metadata) {
    char *json = fv_model_spec_json(spec);
    fv_status status = json ? fv_metadata_add(metadata, "fovea.model", json) : fv_fail_memory("metadata", 4096);
    free(json);
    FV_TRY(status);
    FV_TRY(fv_metadata_add(metadata, "fovea.version", fv_version()));
    FV_TRY(fv_metadata_add(metadata, "network", spec->network));
    FV_TRY(fv_metadata_add(metadata, "precision", fv_precision_names[shape->precision]));
    FV_TRY(fv_metadata_add(metadata, "color_order", "RGB"));
    FV_TRY(fv_metadata_add(metadata, "normalisation", normalisation_text(spec->preprocess.normalise)));
    FV_TRY(add_sentences(spec, shape, metadata));
    return fv_metadata_add(
        metadata, "license_note",
        "The weights are their trainer's; ask for their licence, and mind those of the photographs "
        "and ImageNet weights that they were trained from. Research software, not a medical device.");
}

fv_status fv_metadata_of_model(const fv_model_spec *spec, const fv_export_shape *shape, fv_metadata *metadata) {
    *metadata = (fv_metadata){0};
    fv_status status = add_all(spec, shape, metadata);
    if (status != FV_OK) fv_metadata_free(metadata);
    return status;
}
