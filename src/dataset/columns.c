/* Which column of a table holds what. */
#include "columns.h"

#include <stdio.h>
#include <string.h>

enum { USUAL_NAMES = 4 };

/* Names under which a column is known, the first also on the command line; ended by NULL. */
typedef const char *const usual_names[USUAL_NAMES];

static usual_names usual_name = {"name", "names"}, usual_fundus = {"fundus", "image_path"}, usual_fov = {"fov"},
                   usual_split = {"split"}, usual_patient = {"patient", "patient_id"},
                   usual_cdr = {"cdr_expert", "cdr_avg", "vcdr"}, usual_degrees = {"fov_degrees"};

/* The usual columns of classes that have some. */
static const struct {
    const char *class_name;
    usual_names names;
} usual_masks[] = {{"disc", {"od", "od_path", "fundus_od_seg"}},
                   {"cup", {"oc", "oc_path", "fundus_oc_seg"}},
                   {"vessel", {"bv", "vessel_path", "bv_seg"}}};

static fv_status find_column(const fv_csv *csv, const char *given, const char *const *usual, int *column) {
    *column = -1;
    if (given && *given) return fv_csv_need(csv, given, column);
    if (given) return FV_OK;
    for (int i = 0; i < USUAL_NAMES && usual[i] && *column < 0; i++) *column = fv_csv_column(csv, usual[i]);
    return FV_OK;
}

static const char *const *usual_mask(const char *class_name) {
    for (size_t i = 0; i < sizeof usual_masks / sizeof *usual_masks; i++) {
        if (strcmp(usual_masks[i].class_name, class_name) == 0) return usual_masks[i].names;
    }
    return NULL;
}

fv_status fv_columns_find(const fv_csv *csv, const fv_manifest_source *source, const fv_manifest *manifest,
                          fv_table_columns *found) {
    FV_TRY(find_column(csv, source->column_name, usual_name, &found->name));
    FV_TRY(find_column(csv, source->column_fundus, usual_fundus, &found->fundus));
    FV_TRY(find_column(csv, source->column_fov, usual_fov, &found->fov));
    FV_TRY(find_column(csv, source->column_split, usual_split, &found->split));
    FV_TRY(find_column(csv, source->column_patient, usual_patient, &found->patient));
    FV_TRY(find_column(csv, source->column_cdr, usual_cdr, &found->cdr));
    FV_TRY(find_column(csv, source->column_degrees, usual_degrees, &found->degrees));
    FV_TRY(find_column(csv, source->column_group ? source->column_group : "", NULL, &found->group));
    for (int c = 0; c < manifest->classes; c++) {
        const char *class_name = manifest->class_names[c], *own[USUAL_NAMES] = {class_name};
        const char *const *usual = usual_mask(class_name);
        char second[FV_SECOND_COLUMN];
        fv_usual_second_column(class_name, second);
        FV_TRY(find_column(csv, source->column_mask[c], usual ? usual : own, &found->mask[c]));
        FV_TRY(find_column(csv, source->column_second[c], (usual_names){second}, &found->second[c]));
    }
    if (found->fundus < 0) return fv_csv_need(csv, usual_fundus[0], &found->fundus); /* fails and lists what there is */
    return FV_OK;
}

const char *fv_usual_mask_column(const char *class_name) {
    const char *const *usual = usual_mask(class_name);
    return usual ? usual[0] : class_name;
}

void fv_usual_second_column(const char *class_name, char name[FV_SECOND_COLUMN]) {
    snprintf(name, FV_SECOND_COLUMN, "%.31s2", fv_usual_mask_column(class_name));
}

fv_status fv_manifest_source_column(fv_manifest_source *source, const fv_model_spec *spec, const char *assignment) {
    const struct {
        const char *name;
        const char **column;
    } plain[] = {{"name", &source->column_name},       {"fundus", &source->column_fundus},
                 {"fov", &source->column_fov},         {"split", &source->column_split},
                 {"patient", &source->column_patient}, {"cdr", &source->column_cdr},
                 {"degrees", &source->column_degrees}};
    const char *equals = strchr(assignment, '=');
    size_t length = equals ? (size_t)(equals - assignment) : 0;
    for (size_t i = 0; equals && i < sizeof plain / sizeof *plain; i++) {
        if (strlen(plain[i].name) != length || strncmp(plain[i].name, assignment, length) != 0) continue;
        *plain[i].column = equals + 1;
        return FV_OK;
    }
    for (int c = 0; equals && c < spec->classes; c++) {
        const char *class_name = spec->class_names[c], *const *usual = usual_mask(class_name);
        bool by_class = strlen(class_name) == length && strncmp(class_name, assignment, length) == 0;
        bool by_usual = usual && strlen(usual[0]) == length && strncmp(usual[0], assignment, length) == 0;
        if (!by_class && !by_usual) continue;
        source->column_mask[c] = equals + 1;
        return FV_OK;
    }
    for (int c = 0; equals && c < spec->classes; c++) {
        char second[FV_SECOND_COLUMN];
        fv_usual_second_column(spec->class_names[c], second);
        if (strlen(second) != length || strncmp(second, assignment, length) != 0) continue;
        source->column_second[c] = equals + 1;
        return FV_OK;
    }
    char classes[FV_MAX_CLASSES * 34] = "";
    for (int c = 0; c < spec->classes; c++) {
        size_t used = strlen(classes);
        snprintf(classes + used, sizeof classes - used, ", %s", spec->class_names[c]);
    }
    return fv_fail(FV_BAD_INPUT,
                   "\"%s\": expected column=name in the table, the column one of name, fundus, fov, split, patient, "
                   "cdr, degrees%s",
                   assignment, classes);
}
