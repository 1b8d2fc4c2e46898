#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "augment_changes.h"
#include "fovea/image/blur.h"

static const char section[] = "augment";

const fv_change_entry fv_change_list[FV_CHANGES] = {
    [FV_CHANGE_FLIP_HORIZONTAL] = {"flip_horizontal", "flip_horizontal", 0.5, offsetof(fv_augment, flip_horizontal)},
    [FV_CHANGE_FLIP_VERTICAL] = {"flip_vertical", "flip_vertical", 0.5, offsetof(fv_augment, flip_vertical)},
    [FV_CHANGE_ROTATE] = {"rotate", "rotate_probability", 0.7, offsetof(fv_augment, rotate_probability)},
    [FV_CHANGE_SHIFT] = {"shift", "shift_probability", 0.5, offsetof(fv_augment, shift_probability)},
    [FV_CHANGE_SCALE] = {"scale", "scale_probability", 0.5, offsetof(fv_augment, scale_probability)},
    [FV_CHANGE_BRIGHTNESS] = {"brightness", "brightness_probability", 0.5,
                              offsetof(fv_augment, brightness_probability)},
    [FV_CHANGE_CONTRAST] = {"contrast", "contrast_probability", 0.5, offsetof(fv_augment, contrast_probability)},
    [FV_CHANGE_GAMMA] = {"gamma", "gamma_probability", 0.3, offsetof(fv_augment, gamma_probability)},
    [FV_CHANGE_SATURATION] = {"saturation", "saturation_probability", 0.3,
                              offsetof(fv_augment, saturation_probability)},
    [FV_CHANGE_HUE] = {"hue", "hue_probability", 0.3, offsetof(fv_augment, hue_probability)},
    [FV_CHANGE_BLUR] = {"blur", "blur_probability", 0.1, offsetof(fv_augment, blur_probability)},
    [FV_CHANGE_NOISE] = {"noise", "noise_probability", 0.2, offsetof(fv_augment, noise_probability)},
    [FV_CHANGE_ROTATE90] = {"rotate90", "rotate90_probability", 0, offsetof(fv_augment, rotate90_probability)},
    [FV_CHANGE_ELASTIC] = {"elastic", "elastic_probability", 0, offsetof(fv_augment, elastic_probability)},
    [FV_CHANGE_GRID] = {"grid", "grid_probability", 0, offsetof(fv_augment, grid_probability)},
    [FV_CHANGE_OPTICAL] = {"optical", "optical_probability", 0, offsetof(fv_augment, optical_probability)},
};

/* ---- groups ---- */

enum { ONE_OF_GROUPS = 3 };
static const char *const group_keys[FV_AUGMENT_GROUPS] = {"one_of", "one_of_2", "one_of_3", "together", "together_2"};

static uint32_t find_change(const char *name) {
    for (uint32_t i = 0; i < FV_CHANGES; i++)
        if (strcmp(fv_change_list[i].name, name) == 0) return 1U << i;
    return 0;
}

static void complain_unknown(fv_config *config, const char *key, const char *word) {
    char names[256] = "";
    for (int i = 0; i < FV_CHANGES; i++) {
        strcat(names, i ? ", " : "");
        strcat(names, fv_change_list[i].name);
    }
    fv_config_complain(config, section, key, "\"%s\" is not a change; there are %s", word, names);
}

/* "elastic grid optical" -> bits. `taken`: the members of earlier groups. */
static uint32_t read_members(fv_config *config, const char *key, uint32_t taken) {
    char words[512];
    snprintf(words, sizeof words, "%s", fv_config_text(config, section, key, ""));
    uint32_t members = 0;
    char *rest = NULL;
    for (char *word = strtok_r(words, " ,", &rest); word; word = strtok_r(NULL, " ,", &rest)) {
        uint32_t change = find_change(word);
        if (!change) complain_unknown(config, key, word);
        if (change & (taken | members))
            fv_config_complain(config, section, key, "%s is in a group already; name it once", word);
        members |= change;
    }
    if ((members & (members - 1)) == 0)
        fv_config_complain(config, section, key, "a group has two changes or more, for example elastic grid optical");
    return members;
}

static void read_groups(fv_config *config, fv_augment *augment) {
    uint32_t taken = 0;
    for (int g = 0; g < FV_AUGMENT_GROUPS; g++) {
        fv_augment_group *group = &augment->groups[g];
        char key[32];
        snprintf(key, sizeof key, "%s_probability", group_keys[g]);
        if (!fv_config_has(config, section, group_keys[g])) {
            if (fv_config_has(config, section, key))
                fv_config_complain(config, section, key, "list the group's changes in %s", group_keys[g]);
            continue;
        }
        group->is_one_of = g < ONE_OF_GROUPS;
        group->members = read_members(config, group_keys[g], taken);
        group->probability = fv_config_number(config, section, key, 0.5, 0, 1);
        taken |= group->members;
    }
}

/* ---- probabilities and ranges ---- */

static void read_probability(fv_config *config, fv_augment *augment, fv_change change) {
    const fv_change_entry *entry = &fv_change_list[change];
    double standard = entry->standard;
    for (int g = 0; g < FV_AUGMENT_GROUPS; g++)
        if (augment->groups[g].members >> change & 1) standard = 1;
    *fv_change_probability(augment, change) = fv_config_number(config, section, entry->key, standard, 0, 1);
}

/* Weights that are all 0 choose nothing. */
static void check_weights(fv_config *config, fv_augment *augment) {
    for (int g = 0; g < ONE_OF_GROUPS; g++) {
        const fv_augment_group *group = &augment->groups[g];
        if (group->members && fv_group_weight(augment, group) <= 0)
            fv_config_complain(config, section, group_keys[g],
                               "the probabilities of its members are all 0; they are weights here, give one above 0");
    }
}

static double read_number(fv_config *config, const char *key, double standard, double high) {
    return fv_config_number(config, section, key, standard, 0, high);
}

typedef struct bounds {
    double low, high;
} bounds;

/* A span "low..high" within the bounds. */
static void read_span(fv_config *config, const char *key, bounds standard, bounds allowed, double *low, double *high) {
    fv_config_span(config, section, key, standard.low, standard.high, low, high);
    if (*low <= *high && *low >= allowed.low && *high <= allowed.high) return;
    fv_config_complain(config, section, key, "expected low..high, low first, within %g..%g, for example %g..%g",
                       allowed.low, allowed.high, standard.low, standard.high);
    *low = standard.low;
    *high = standard.high;
}

static void read_geometry(fv_config *config, fv_augment *augment) {
    read_probability(config, augment, FV_CHANGE_FLIP_HORIZONTAL);
    read_probability(config, augment, FV_CHANGE_FLIP_VERTICAL);
    read_probability(config, augment, FV_CHANGE_ROTATE);
    augment->rotate_degrees = read_number(config, "rotate_degrees", 25, 180);
    read_probability(config, augment, FV_CHANGE_SHIFT);
    augment->shift_fraction = read_number(config, "shift_fraction", 0.05, 0.5);
    read_probability(config, augment, FV_CHANGE_SCALE);
    read_span(config, "scale", (bounds){0.85, 1.15}, (bounds){0.1, 10}, &augment->scale_low, &augment->scale_high);
}

static void read_light(fv_config *config, fv_augment *augment) {
    read_probability(config, augment, FV_CHANGE_BRIGHTNESS);
    augment->brightness = read_number(config, "brightness", 0.1, 1);
    read_probability(config, augment, FV_CHANGE_CONTRAST);
    read_span(config, "contrast", (bounds){0.8, 1.2}, (bounds){0, 10}, &augment->contrast_low, &augment->contrast_high);
    read_probability(config, augment, FV_CHANGE_GAMMA);
    read_span(config, "gamma", (bounds){0.8, 1.25}, (bounds){0.1, 10}, &augment->gamma_low, &augment->gamma_high);
    read_probability(config, augment, FV_CHANGE_SATURATION);
    read_span(config, "saturation", (bounds){0.8, 1.2}, (bounds){0, 10}, &augment->saturation_low,
              &augment->saturation_high);
    read_probability(config, augment, FV_CHANGE_HUE);
    augment->hue_degrees = read_number(config, "hue_degrees", 8, 180);
    read_probability(config, augment, FV_CHANGE_BLUR);
    read_span(config, "blur", (bounds){0.3, 1}, (bounds){0, FV_BLUR_MAX_SIGMA}, &augment->blur_low,
              &augment->blur_high);
    read_probability(config, augment, FV_CHANGE_NOISE);
    read_span(config, "noise", (bounds){1, 5}, (bounds){0, 255}, &augment->noise_low, &augment->noise_high);
}

/* r (1 + k r^2 + k r^4) must grow with r up to the farthest corner for every k, or the corners are folded over. */
static void check_optical(fv_config *config, fv_augment *augment) {
    double side = 0.5 + augment->optical_shift, square = 2 * side * side;
    double most = 1 / (square * (3 + 5 * square));
    if (augment->optical_limit <= most) return;
    fv_config_complain(config, section, "optical_limit", "folds the corners; with optical_shift = %g give at most %.2f",
                       augment->optical_shift, floor(100 * most) / 100);
}

static void read_bends(fv_config *config, fv_augment *augment) {
    read_probability(config, augment, FV_CHANGE_ROTATE90);
    read_probability(config, augment, FV_CHANGE_ELASTIC);
    read_span(config, "elastic", (bounds){1, 3}, (bounds){0, 1000}, &augment->elastic_low, &augment->elastic_high);
    augment->elastic_sigma = fv_config_number(config, section, "elastic_sigma", 10, FV_ELASTIC_LEAST_SIGMA, 1000);
    read_probability(config, augment, FV_CHANGE_GRID);
    augment->grid_limit = read_number(config, "grid_limit", 0.3, 0.9);
    augment->grid_steps = (int)fv_config_integer(config, section, "grid_steps", 5, 1, FV_GRID_MOST_STEPS);
    read_probability(config, augment, FV_CHANGE_OPTICAL);
    augment->optical_limit = read_number(config, "optical_limit", 0.2, 1);
    augment->optical_shift = read_number(config, "optical_shift", 0, 0.5);
    check_optical(config, augment);
}

void fv_augment_from_config(fv_config *config, fv_augment *augment) {
    *augment = (fv_augment){0};
    bool enabled = fv_config_flag(config, section, "enabled", true);
    read_groups(config, augment); /* asked for in any case, so that they are checked */
    read_geometry(config, augment);
    read_light(config, augment);
    read_bends(config, augment);
    check_weights(config, augment);
    if (!enabled) *augment = (fv_augment){0};
}
