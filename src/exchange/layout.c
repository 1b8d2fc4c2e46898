#include "layout.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

/* ---- the tables ---- */

/* torchvision's MobileNetV2: one Sequential; the classifier behind it has another name. */
static const fv_name_rule in_features[] = {{"*", "features", 0, 0}, {0}};
/* fovea's files of encoder weights. */
static const fv_name_rule own_encoder[] = {{"encoder.*", "*", 0, 0}, {0}};
/* fovea's networks written in PyTorch with its own names: tools/peers/networks.py. */
static const fv_name_rule same_names[] = {{"*", "*", 0, 0}, {0}};
/* The PyTorch vessel system ResUNet Deeper. */
static const fv_name_rule deeper[] = {
    {"stem", "input_layer", 0, 0},  {"down#.a", "encoder#_1", 1, 1}, {"down#.b", "encoder#_2", 1, 1},
    {"bridge", "bridge", 0, 0},     {"up#.up", "upconv#", 4, -1},    {"up#.a", "decoder#_1", 4, -1},
    {"up#.b", "decoder#_2", 4, -1}, {"out", "output", 0, 0},         {0}};
/* PyTorch networks that keep levels in lists: down, ups, levels. */
static const fv_name_rule lists[] = {{"stem", "stem", 0, 0},
                                     {"down#", "down.#", 0, 1},
                                     {"bridge", "bridge", 0, 0},
                                     {"up#.up", "ups.#", 0, 1},
                                     {"up#", "levels.#", 0, 1},
                                     {"out", "out", 0, 0},
                                     {0}};
/* The same where the bridge is the fifth level of the way down. */
static const fv_name_rule lists_of_five[] = {{"bridge", "down.4", 0, 0}, {"down#", "down.#", 0, 1},
                                             {"up#.up", "ups.#", 0, 1},  {"up#", "levels.#", 0, 1},
                                             {"out", "out", 0, 0},       {0}};
static const fv_name_rule encoder_and_lists[] = {{"encoder.b#", "encoder.blocks.#", 0, 1},
                                                 {"encoder.*", "encoder.*", 0, 0},
                                                 {"decoder.level#.up", "ups.#", 0, 1},
                                                 {"decoder.level#", "levels.#", 0, 1},
                                                 {"decoder.up", "up", 0, 0},
                                                 {"decoder.last", "last", 0, 0},
                                                 {"out", "out", 0, 0},
                                                 {0}};

static const fv_layout encoder_layouts[] = {
    {"fovea's names, Keras padding", "stem", own_encoder, FV_CONVENTION_KERAS, 1e-3},
    {"fovea's names, torchvision padding", "stem", own_encoder, FV_CONVENTION_TORCHVISION, 1e-5},
    {"torchvision's names", "features.0.0", in_features, FV_CONVENTION_TORCHVISION, 1e-5},
};
static const fv_layout model_layouts[] = {
    {"fovea's names", "encoder.b0.dw", same_names, FV_CONVENTION_KERAS, 0},
    {"fovea's names", "first.down0.a.a", same_names, FV_CONVENTION_KERAS, 0},
    {"fovea's names", "down0.a", same_names, FV_CONVENTION_KERAS, 0},
    {"names of ResUNet Deeper", "input_layer", deeper, FV_CONVENTION_TORCHVISION, 1e-5},
    {"names of lists", "encoder.blocks.0", encoder_and_lists, FV_CONVENTION_KERAS, 0},
    {"names of lists", "stem.0", lists, FV_CONVENTION_KERAS, 0},
    {"names of lists", "down.4.0", lists_of_five, FV_CONVENTION_KERAS, 0},
};
/* Where nothing is known by name. */
static const fv_layout keras_order = {"Keras, by order", "", NULL, FV_CONVENTION_KERAS, 1e-3};
static const fv_layout torch_order = {"PyTorch, by order", "", NULL, FV_CONVENTION_TORCHVISION, 1e-5};

/* ---- names ---- */

bool fv_layout_covers(const char *scope, const char *name) {
    if (!fv_names_begins(name, scope)) return false;
    return !*scope || !isalpha((unsigned char)name[strlen(scope)]);
}

/* Reads `pattern` against the beginning of `name`; the number at '#' goes to *number. Returns what is left of the name,
   NULL where it does not fit. */
static const char *follow(const char *pattern, const char *name, int *number) {
    for (; *pattern && *pattern != '*'; pattern++) {
        if (*pattern == '#' && isdigit((unsigned char)*name)) {
            char *end;
            *number = (int)strtol(name, &end, 10);
            name = end;
        } else if (*pattern != *name++) {
            return NULL;
        }
    }
    bool at_end = *pattern == '*' || *name == '\0' || *name == '.';
    return at_end ? name : NULL;
}

static void write_scope(const fv_name_rule *rule, int number, const char *rest, const char *prefix,
                        char scope[FV_SCOPE_MAX]) {
    char foreign[64];
    snprintf(foreign, sizeof foreign, "%s", rule->foreign);
    char *mark = strpbrk(foreign, "#*");
    bool counted = mark && *mark == '#', copied = mark && *mark == '*';
    if (mark) *mark = '\0';
    if (counted)
        snprintf(scope, FV_SCOPE_MAX, "%s%s%d%s", prefix, foreign, rule->first + rule->step * number, mark + 1);
    else
        snprintf(scope, FV_SCOPE_MAX, "%s%s%s", prefix, foreign, copied ? rest : "");
}

void fv_layout_scope(const fv_file_layout *found, const char *own, char scope[FV_SCOPE_MAX]) {
    snprintf(scope, FV_SCOPE_MAX, "%s", found->prefix);
    const fv_name_rule *rules = found->layout->rules;
    for (int i = 0; rules && rules[i].own; i++) {
        int number = 0;
        const char *rest = follow(rules[i].own, own, &number);
        if (!rest) continue;
        write_scope(&rules[i], number, rest, found->prefix, scope);
        return;
    }
}

/* ---- finding ---- */

/* Whether a layer's name is the sign, or has it behind a prefix that ends with a dot. */
static bool has_sign(const fv_foreign_layers *layers, const fv_layout *layout, fv_file_layout *found) {
    for (int i = 0; i < layers->count; i++) {
        const char *name = layers->list[i].name, *at = name;
        for (; (at = strstr(at, layout->sign)); at++) {
            if ((at > name && at[-1] != '.') || !fv_layout_covers(layout->sign, at)) continue;
            found->layout = layout;
            snprintf(found->prefix, sizeof found->prefix, "%.*s", (int)(at - name), name);
            return true;
        }
    }
    return false;
}

void fv_layout_find(const fv_foreign_layers *layers, const char *network, const char *padding, fv_file_layout *found) {
    const fv_layout *known = network ? model_layouts : encoder_layouts;
    size_t count =
        network ? sizeof model_layouts / sizeof *model_layouts : sizeof encoder_layouts / sizeof *encoder_layouts;
    fv_convention told = strcmp(padding, "tf_same") == 0 ? FV_CONVENTION_KERAS : FV_CONVENTION_TORCHVISION;
    *found = (fv_file_layout){.layout = layers->hwio ? &keras_order : &torch_order};
    for (size_t i = 0; i < count && !layers->hwio; i++) {
        bool other_padding = known[i].rules == own_encoder && known[i].convention != told;
        if (!other_padding && has_sign(layers, &known[i], found)) return;
    }
}
