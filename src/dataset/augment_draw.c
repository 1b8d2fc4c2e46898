#include "augment_changes.h"

double *fv_change_probability(fv_augment *augment, fv_change change) {
    return (double *)(void *)((char *)augment + fv_change_list[change].offset);
}

double fv_group_weight(fv_augment *augment, const fv_augment_group *group) {
    double sum = 0;
    for (int i = 0; i < FV_CHANGES; i++)
        if (group->members >> i & 1) sum += *fv_change_probability(augment, (fv_change)i);
    return sum;
}

/* The member in whose share `place` of the total weight lies. */
static int choose_member(fv_augment *augment, const fv_augment_group *group, double place) {
    int chosen = -1;
    for (int i = 0; i < FV_CHANGES; i++) {
        double weight = group->members >> i & 1 ? *fv_change_probability(augment, (fv_change)i) : 0;
        if (weight <= 0) continue;
        chosen = i; /* the last one, should rounding leave place above all shares */
        if (place < weight) break;
        place -= weight;
    }
    return chosen;
}

/* Sets the probabilities of the members to 0 and 1. From a stream aside: `rng` goes on as without groups. */
static void decide_groups(fv_augment *augment, const fv_rng *rng) {
    fv_rng copy = *rng, aside = fv_rng_make(fv_rng_next(&copy), 0, 0, FV_PURPOSE_AUGMENT);
    for (int g = 0; g < FV_AUGMENT_GROUPS; g++) {
        const fv_augment_group *group = &augment->groups[g];
        bool happens = fv_rng_uniform(&aside) < group->probability;
        double place = fv_rng_uniform(&aside) * fv_group_weight(augment, group);
        if (happens && !group->is_one_of) continue;
        int chosen = happens ? choose_member(augment, group, place) : -1;
        for (int i = 0; i < FV_CHANGES; i++)
            if (group->members >> i & 1) *fv_change_probability(augment, (fv_change)i) = i == chosen;
    }
}

/* Both numbers are drawn whether or not the change happens. */
static double draw_one(fv_rng *rng, double probability, double low, double high, double neutral) {
    double chance = fv_rng_uniform(rng), value = fv_rng_range(rng, low, high);
    return chance < probability ? value : neutral;
}

static double draw_around(fv_rng *rng, double probability, double most) {
    return draw_one(rng, probability, -most, most, 0);
}

static void draw_bends(const fv_augment *a, fv_rng *rng, fv_augment_draw *draw) {
    draw->quarter_turns = (int)draw_one(rng, a->rotate90_probability, 1, 4, 0);
    draw->elastic_amplitude = draw_one(rng, a->elastic_probability, a->elastic_low, a->elastic_high, 0);
    draw->elastic_sigma = a->elastic_sigma;
    draw->grid_limit = draw_one(rng, a->grid_probability, a->grid_limit, a->grid_limit, 0);
    draw->grid_steps = a->grid_steps;
    draw->optical_strength = draw_around(rng, a->optical_probability, a->optical_limit);
    draw->optical_x = draw_around(rng, 1, a->optical_shift);
    draw->optical_y = draw_around(rng, 1, a->optical_shift);
    draw->bend_seed = fv_rng_next(rng);
}

fv_augment_draw fv_augment_make_draw(const fv_augment *augment, fv_rng *rng) {
    fv_augment decided = *augment;
    decide_groups(&decided, rng);
    const fv_augment *a = &decided;
    fv_augment_draw draw;
    draw.flip_horizontal = fv_rng_uniform(rng) < a->flip_horizontal;
    draw.flip_vertical = fv_rng_uniform(rng) < a->flip_vertical;
    draw.rotate_degrees = draw_around(rng, a->rotate_probability, a->rotate_degrees);
    draw.shift_x = draw_around(rng, a->shift_probability, a->shift_fraction);
    draw.shift_y = draw_around(rng, a->shift_probability, a->shift_fraction);
    draw.scale = draw_one(rng, a->scale_probability, a->scale_low, a->scale_high, 1);
    draw.brightness = 255 * draw_around(rng, a->brightness_probability, a->brightness);
    draw.contrast = draw_one(rng, a->contrast_probability, a->contrast_low, a->contrast_high, 1);
    draw.gamma = draw_one(rng, a->gamma_probability, a->gamma_low, a->gamma_high, 1);
    draw.saturation = draw_one(rng, a->saturation_probability, a->saturation_low, a->saturation_high, 1);
    draw.hue_degrees = draw_around(rng, a->hue_probability, a->hue_degrees);
    draw.blur_sigma = draw_one(rng, a->blur_probability, a->blur_low, a->blur_high, 0);
    draw.noise_deviation = draw_one(rng, a->noise_probability, a->noise_low, a->noise_high, 0);
    draw.noise_seed = fv_rng_next(rng);
    draw_bends(a, rng, &draw); /* behind all that runs of earlier versions drew */
    return draw;
}
