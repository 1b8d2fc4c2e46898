#include "evaluation.h"

#include <math.h>
#include <stdio.h>

#include "fovea/base/log.h"
#include "json_file.h"
#include "pictures.h"

static const char *const score_titles[FV_SCORES] = {"Dice",        "IoU",      "precision", "recall",
                                                    "specificity", "accuracy", "clDice",    "AUC"};

static void print_estimate(FILE *stream, const char *class_name, const char *measure, const fv_estimate *e) {
    if (e->n > 0) fprintf(stream, "  %-8s %-11s %.4f   [%.4f, %.4f]\n", class_name, measure, e->mean, e->lo, e->hi);
}

static void print_agreement(FILE *stream, const char *name, const fv_agreement *a) {
    if (a->n == 0) return;
    fprintf(stream, "  %-24s MAE %.4f   bias %+.4f   ", name, a->mae, a->bias);
    if (isfinite(a->r)) fprintf(stream, "r %.3f   ", a->r); /* two points have none */
    if (isfinite(a->ccc)) fprintf(stream, "ccc %.3f   ", a->ccc);
    fprintf(stream, "n %d\n", a->n);
}

/* The second reader beside the model, where there is one. */
static void print_second(FILE *stream, const fv_evaluation *e, const char *class_name, int c) {
    const fv_estimate *second = e->second[c];
    if (second[FV_SCORE_DICE].n == 0) return;
    fprintf(stream, "  %-8s second reader (%d photographs)\n", class_name, second[FV_SCORE_DICE].n);
    for (int i = 0; i < FV_SCORES; i++) print_estimate(stream, "", score_titles[i], &second[i]);
}

static void print_table(FILE *stream, const fv_evaluation *e, const fv_model_spec *spec, const char *title) {
    fprintf(stream, "%s: %d photographs in %.1f s\n  class    measure     mean     95 %% interval\n", title, e->count,
            e->seconds);
    for (int c = 0; c < spec->classes; c++) {
        for (int i = 0; i < FV_SCORES; i++)
            print_estimate(stream, spec->class_names[c], score_titles[i], &e->score[c][i]);
        if (isfinite(e->pooled_auc[c]))
            fprintf(stream, "  %-8s %-11s %.4f\n", spec->class_names[c], "pooled AUC", e->pooled_auc[c]);
        print_second(stream, e, spec->class_names[c], c);
    }
    if (spec->classes > 1) {
        print_estimate(stream, "mean", "Dice", &e->mean_dice);
        print_estimate(stream, "mean", "IoU", &e->mean_iou);
    }
    print_agreement(stream, "vessel density", &e->density);
    print_agreement(stream, "second reader's density", &e->density_second);
    print_agreement(stream, "vCDR", &e->vcdr);
    print_agreement(stream, "hCDR", &e->hcdr);
    print_agreement(stream, "area CDR", &e->area_cdr);
    print_agreement(stream, "vCDR against experts", &e->vcdr_expert);
    if (e->missed_discs > 0)
        fprintf(stream, "  no disc was found in %d photographs that have one: the ratios above leave them out\n",
                e->missed_discs);
}

fv_status evaluation_write(const fv_evaluation *e, fv_model *model, const fv_manifest *manifest,
                           const fv_evaluate_settings *settings, const char *folder) {
    char path[FV_PATH_MAX];
    FV_TRY(fv_folder_make(folder));
    FV_TRY(fv_path_join(path, folder, "evaluation.json"));
    FV_TRY(json_write(fv_evaluation_json(e, &model->spec), path));
    FV_TRY(fv_path_join(path, folder, "images.csv"));
    FV_TRY(fv_evaluation_write_csv(e, &model->spec, manifest, path));
    FV_TRY(fv_path_join(path, folder, "worst.png"));
    FV_TRY(picture_worst(path, e, manifest, model, settings, 6));
    fv_log_info("evaluation.json, images.csv and worst.png are in %s", folder);
    return FV_OK;
}

fv_status evaluation_run(fv_model *model, const fv_manifest *manifest, const evaluation_request *request) {
    fv_evaluation evaluation;
    bool beside_json = json_to_stdout(request->json);
    if (request->out) FV_TRY(fv_folder_make(request->out)); /* found out before the work, not after */
    FV_TRY(fv_evaluate(model, manifest, request->split, &request->settings, &evaluation));
    if (!beside_json || !fv_log_is_quiet())
        print_table(beside_json ? stderr : stdout, &evaluation, &model->spec, request->title);
    fv_status status = request->json ? json_write(fv_evaluation_json(&evaluation, &model->spec), request->json) : FV_OK;
    if (status == FV_OK && request->out)
        status = evaluation_write(&evaluation, model, manifest, &request->settings, request->out);
    fv_evaluation_free(&evaluation);
    return status;
}
