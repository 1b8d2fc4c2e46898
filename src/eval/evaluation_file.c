/* An evaluation as JSON and CSV. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>

#include "fovea/base/csv.h"
#include "fovea/base/file.h"
#include "fovea/eval/evaluate.h"

static bool has_second(const fv_evaluation *e, int c) {
    return e->second[c][FV_SCORE_DICE].n > 0;
}

/* ---- JSON ---- */

static void put(cJSON *object, const char *name, double value) {
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

static void put_estimate(cJSON *object, const char *name, const fv_estimate *e) {
    cJSON *item = cJSON_AddObjectToObject(object, name);
    put(item, "mean", e->mean);
    put(item, "lo", e->lo);
    put(item, "hi", e->hi);
    put(item, "n", e->n);
}

static cJSON *put_agreement(cJSON *object, const char *name, const fv_agreement *a) {
    cJSON *item = cJSON_AddObjectToObject(object, name);
    put(item, "mae", a->mae);
    put(item, "bias", a->bias);
    put(item, "relative_bias", a->relative_bias);
    put(item, "r", a->r);
    put(item, "ccc", a->ccc);
    put(item, "n", a->n);
    return item;
}

char *fv_evaluation_json(const fv_evaluation *e, const fv_model_spec *spec) {
    cJSON *root = cJSON_CreateObject();
    put(root, "n", e->count);
    cJSON *classes = cJSON_AddObjectToObject(root, "classes");
    for (int c = 0; c < spec->classes; c++) {
        cJSON *item = cJSON_AddObjectToObject(classes, spec->class_names[c]);
        for (int i = 0; i < FV_SCORES; i++) put_estimate(item, fv_score_names[i], &e->score[c][i]);
        put(item, "pooled_auc", e->pooled_auc[c]);
        if (!has_second(e, c)) continue;
        cJSON *second = cJSON_AddObjectToObject(item, "second_reader");
        for (int i = 0; i < FV_SCORES; i++)
            if (i != FV_SCORE_AUC) put_estimate(second, fv_score_names[i], &e->second[c][i]);
    }
    cJSON *mean = cJSON_AddObjectToObject(root, "mean");
    put_estimate(mean, "dice", &e->mean_dice);
    put_estimate(mean, "iou", &e->mean_iou);
    put_agreement(root, "vessel_density", &e->density);
    if (e->density_second.n > 0) put_agreement(root, "vessel_density_second", &e->density_second);
    put(put_agreement(root, "vcdr", &e->vcdr), "missed", e->missed_discs);
    put_agreement(root, "hcdr", &e->hcdr);
    put_agreement(root, "area_cdr", &e->area_cdr);
    put_agreement(root, "vcdr_expert", &e->vcdr_expert);
    put(root, "seconds", e->seconds);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

/* ---- CSV ---- */

static const char *const ratio_names[] = {"vcdr", "hcdr", "area_cdr"};

static void write_header(FILE *stream, const fv_evaluation *e, const fv_model_spec *spec) {
    fprintf(stream, "set,name,disc_height_px");
    for (int c = 0; c < spec->classes; c++) {
        const char *name = spec->class_names[c];
        for (int i = 0; i < FV_SCORES; i++) fprintf(stream, ",%s_%s", name, fv_score_names[i]);
        if (has_second(e, c)) fprintf(stream, ",%s_dice_second", name);
    }
    if (fv_model_class(spec, "vessel") >= 0) fprintf(stream, ",vessel_density,vessel_density_truth");
    for (int i = 0; i < 3; i++) fprintf(stream, ",%s,%s_truth", ratio_names[i], ratio_names[i]);
    fprintf(stream, ",cdr_expert\n");
}

static void write_cell(FILE *stream, double value) {
    if (isfinite(value))
        fprintf(stream, ",%.5f", value);
    else
        fputc(',', stream);
}

static void write_row(FILE *stream, const fv_evaluation *e, const fv_eval_image *image, const fv_model_spec *spec,
                      const fv_record *record) {
    fv_csv_write_cell(stream, record->set, ',');
    fv_csv_write_cell(stream, record->name, ',');
    if (image->has_cdr) fprintf(stream, "%d", image->predicted.disc_height_px);
    for (int c = 0; c < spec->classes; c++) {
        for (int i = 0; i < FV_SCORES; i++) write_cell(stream, image->score[c][i]);
        if (has_second(e, c)) write_cell(stream, image->second[c][FV_SCORE_DICE]);
    }
    if (fv_model_class(spec, "vessel") >= 0) {
        write_cell(stream, image->density);
        write_cell(stream, image->density_truth);
    }
    const fv_cdr *p = &image->predicted, *t = &image->truth;
    double ratios[] = {p->vcdr, t->vcdr, p->hcdr, t->hcdr, p->area_cdr, t->area_cdr};
    for (int i = 0; i < 6; i++) write_cell(stream, image->has_cdr ? ratios[i] : NAN);
    write_cell(stream, image->cdr_expert);
    fputs("\n", stream);
}

fv_status fv_evaluation_write_csv(const fv_evaluation *e, const fv_model_spec *spec, const fv_manifest *manifest,
                                  const char *path) {
    fv_file file;
    FV_TRY(fv_file_begin(&file, path));
    write_header(file.stream, e, spec);
    for (int i = 0; i < e->count; i++)
        write_row(file.stream, e, &e->images[i], spec, &manifest->records[e->images[i].record]);
    return fv_file_commit(&file);
}
