#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "evaluation.h"
#include "fovea/base/log.h"
#include "options.h"
#include "pictures.h"
#include "run_setup.h"
#include "thresholds.h"

static bool should_stop(void *context) {
    (void)context;
    return stop_requested();
}

static fv_status on_epoch(void *context, const fv_train_view *view) {
    const run_setup *setup = context;
    int epoch = view->state->epoch;
    bool due = setup->picture_every > 0 && (epoch == 1 || view->last || epoch % setup->picture_every == 0);
    if (due) FV_TRY(picture_epoch(view, setup->picture_samples));
    return due ? picture_curves(view) : FV_OK;
}

static bool has_split(const fv_manifest *manifest, fv_split split) {
    for (int r = 0; r < manifest->count; r++)
        if (manifest->records[r].split == split) return true;
    return false;
}

/* The least seen photographs that there are. */
static fv_split split_to_evaluate(const fv_manifest *manifest) {
    if (has_split(manifest, FV_SPLIT_TEST)) return FV_SPLIT_TEST;
    return has_split(manifest, FV_SPLIT_VAL) ? FV_SPLIT_VAL : FV_SPLIT_TRAIN;
}

static fv_evaluate_settings evaluate_settings(const run_setup *setup) {
    return (fv_evaluate_settings){
        .mask_threshold = setup->settings.loader.mask_threshold, .flips = setup->flips, .seed = setup->settings.seed};
}

/* Of the best weights, as eval.threshold says: the same whether the run was stopped in between or trained before. */
static fv_status set_thresholds(const run_setup *setup) {
    char best[FV_PATH_MAX];
    fv_evaluate_settings settings = evaluate_settings(setup);
    FV_TRY(fv_path_join(best, setup->settings.dir, "best.safetensors"));
    if (!setup->choose_threshold) return thresholds_fix(best, &setup->settings.model);
    if (has_split(&setup->manifest, FV_SPLIT_VAL)) return thresholds_choose(best, &setup->manifest, &settings);
    fv_log_info("no validation photographs to choose a threshold on: model.threshold stays");
    return thresholds_fix(best, &setup->settings.model);
}

static fv_status evaluate_best(const run_setup *setup) {
    char best[FV_PATH_MAX], out[FV_PATH_MAX], title[64];
    fv_model *model;
    fv_split split = split_to_evaluate(&setup->manifest);
    FV_TRY(fv_path_join(best, setup->settings.dir, "best.safetensors"));
    FV_TRY(fv_path_join(out, setup->settings.dir, fv_split_names[split]));
    FV_TRY(fv_model_load(best, &model));
    snprintf(title, sizeof title, "%s split, best weights", fv_split_names[split]);
    evaluation_request request = {.split = split, .settings = evaluate_settings(setup), .out = out, .title = title};
    fv_status status = evaluation_run(model, &setup->manifest, &request);
    fv_model_free(model);
    return status;
}

static fv_status train(run_setup *setup) {
    fv_train_hooks hooks = {.context = setup, .should_stop = should_stop, .on_epoch = on_epoch};
    fv_train_result result;
    const char *dir = setup->settings.dir;
    fv_status status = fv_train(&setup->settings, &setup->manifest, setup->config_text, &hooks, &result);
    if (status == FV_INTERRUPTED) {
        /* The folder's configuration holds everything in force, overrides too. */
        fprintf(stderr, "stopped in epoch %d of %d, all is saved; go on with: fovea train %s/config.ini\n",
                result.epochs + 1, setup->settings.epochs, dir);
        return FV_OK;
    }
    FV_TRY(status);
    if (result.already_done)
        fv_log_info("%s is trained already (%d epochs, best %d); --fresh starts over, a higher train.epochs goes on",
                    dir, result.epochs, result.best_epoch);
    else
        fv_log_info("%d epochs, best %d; %.1f images/s, %.0f MiB planned for a training step", result.epochs,
                    result.best_epoch, result.images_per_second, (double)result.plan_bytes / (1 << 20));
    FV_TRY(set_thresholds(setup));
    FV_TRY(evaluate_best(setup));
    fv_log_info("try it: fovea predict %s/best.safetensors PHOTO.jpg --out results", dir);
    return FV_OK;
}

fv_status command_train(int argc, char **argv) {
    bool fresh = false, done;
    char **words;
    int word_count;
    const option_spec options[] = {
        {"fresh", OPTION_FLAG, &fresh, NULL, "start over, even where a checkpoint could be gone on from", 0, 0}};
    const command_line line = {"train",
                               "CONFIG.ini [section.key=value ...] [options]",
                               "Trains a network on photographs with masks, or on drawn phantoms when the INI names "
                               "none. A run that was stopped goes on\n"
                               "from its last checkpoint when the same command is given again; Ctrl-C saves first.",
                               "  fovea train configs/od_oc.ini\n"
                               "  fovea train configs/od_oc_drishti.ini run.dir=runs/mine train.epochs=40\n"
                               "  fovea train configs/od_oc.ini --fresh --threads 1",
                               options,
                               1};
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    if (word_count < 1) return fv_fail(FV_BAD_INPUT, "give a configuration, for example fovea train configs/od_oc.ini");
    run_setup setup;
    stop_on_signals();
    FV_TRY(run_setup_make(words[0], words + 1, word_count - 1, &setup));
    setup.settings.fresh = fresh;
    fv_status status = train(&setup);
    run_setup_free(&setup);
    return status;
}
