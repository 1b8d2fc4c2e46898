/* Thresholds chosen on photographs with known masks. */
#include <math.h>
#include <stdlib.h>

#include "case.h"
#include "fovea/base/memory.h"

enum { LOWEST = 5, HIGHEST = 95, HUNDREDTHS = 100 };

static const double as_good = 0.002; /* of Dice: less than choosing on a few photographs moves it */

typedef struct chooser {
    fv_case_source source;
    fv_levels *levels;                       /* of one class of one photograph */
    double dice[FV_MAX_CLASSES][HUNDREDTHS]; /* summed over the photographs, by threshold */
    int count[FV_MAX_CLASSES];
} chooser;

static fv_status add_class(chooser *all, const fv_eval_case *images, const fv_probability_map *map, int c,
                           float *probability) {
    FV_TRY(fv_case_levels(&all->source, images, map, c, probability, all->levels));
    for (int t = LOWEST; t <= HIGHEST; t++) {
        fv_confusion counts = fv_levels_confusion(all->levels, t);
        all->dice[c][t] += fv_dice(&counts);
    }
    all->count[c]++;
    return FV_OK;
}

static fv_status add_record(void *context, int r) {
    chooser *all = context;
    fv_eval_case images;
    fv_probability_map map;
    FV_TRY(fv_case_read(&all->source, r, &images, &map));
    size_t pixels = (size_t)images.photo.width * (size_t)images.photo.height;
    float *probability = fv_allocate_unset(pixels, sizeof *probability, "the probabilities of a photograph");
    fv_status status = probability ? FV_OK : FV_NO_RESOURCE;
    for (int c = 0; c < all->source.spec->classes && status == FV_OK; c++)
        if (images.truth[c].data) status = add_class(all, &images, &map, c, probability);
    free(probability);
    fv_eval_case_free(&images);
    return status;
}

/* Dice is flat round its best: of those that are as good the one nearest 0.5, then the lower. What a few photographs
   say beyond that does not hold for others. */
static int best_of(const double *dice, int count) {
    double most = 0;
    for (int t = LOWEST; t <= HIGHEST; t++) most = fmax(most, dice[t]);
    for (int away = 0; away <= HUNDREDTHS / 2 - LOWEST; away++) {
        int lower = HUNDREDTHS / 2 - away, upper = HUNDREDTHS / 2 + away;
        if (dice[lower] >= most - as_good * count) return lower;
        if (dice[upper] >= most - as_good * count) return upper;
    }
    return HUNDREDTHS / 2;
}

static void choose(const chooser *all, fv_threshold_choice *choice) {
    *choice = (fv_threshold_choice){0};
    for (int c = 0; c < all->source.spec->classes; c++) {
        int best = best_of(all->dice[c], all->count[c]);
        choice->count[c] = all->count[c];
        choice->dice[c] = all->count[c] ? all->dice[c][best] / all->count[c] : NAN;
        choice->threshold[c] = all->count[c] ? (double)best / HUNDREDTHS : all->source.spec->thresholds[c];
    }
}

fv_status fv_thresholds_choose(fv_model *model, const fv_manifest *manifest, fv_split split,
                               const fv_evaluate_settings *settings, fv_threshold_choice *choice) {
    chooser all = {0};
    FV_TRY(fv_case_source_make(model, manifest, settings, &all.source));
    all.levels = fv_allocate(1, sizeof *all.levels, "the choice of a threshold");
    fv_status status = all.levels ? fv_case_each(&all.source, split, "threshold", add_record, &all) : FV_NO_RESOURCE;
    if (status == FV_OK) choose(&all, choice);
    free(all.levels);
    fv_case_source_free(&all.source);
    return status;
}
