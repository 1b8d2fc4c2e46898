/* A manifest as one CSV table, splits included. */
#include "fovea/dataset/manifest.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "fovea/base/csv.h"

#include "columns.h"

/* Complete from the root on, so that the table may lie anywhere. */
static fv_status write_path(FILE *stream, const char *folder, const char *path) {
    char complete[FV_PATH_MAX] = "";
    if (*path) FV_TRY(fv_path_join(complete, folder, path));
    fv_csv_write_cell(stream, complete, ',');
    return FV_OK;
}

static void write_number(FILE *stream, double value, char end) {
    char text[32] = "";
    if (!isnan(value)) snprintf(text, sizeof text, "%.6g", value);
    fv_csv_write_cell(stream, text, end);
}

static bool has_second(const fv_manifest *manifest, int c) {
    for (int i = 0; i < manifest->count; i++)
        if (manifest->records[i].second[c][0]) return true;
    return false;
}

static fv_status write_record(FILE *stream, const fv_manifest *manifest, const fv_record *record, const char *folder) {
    fv_csv_write_cell(stream, record->name, ',');
    fv_csv_write_cell(stream, record->set, ',');
    FV_TRY(write_path(stream, folder, record->fundus));
    for (int c = 0; c < manifest->classes; c++) FV_TRY(write_path(stream, folder, record->mask[c]));
    for (int c = 0; c < manifest->classes; c++)
        if (has_second(manifest, c)) FV_TRY(write_path(stream, folder, record->second[c]));
    FV_TRY(write_path(stream, folder, record->fov));
    fv_csv_write_cell(stream, fv_split_names[record->split] ? fv_split_names[record->split] : "", ',');
    fv_csv_write_cell(stream, record->patient, ',');
    write_number(stream, record->fov_degrees, ',');
    write_number(stream, record->cdr_expert, '\n');
    return FV_OK;
}

fv_status fv_manifest_write(const fv_manifest *manifest, const char *path) {
    char folder[FV_PATH_MAX];
    if (!getcwd(folder, sizeof folder)) return fv_fail(FV_BAD_INPUT, "the current folder is gone: change to another");
    fv_file file;
    FV_TRY(fv_file_begin(&file, path));
    fputs("name,set,fundus,", file.stream);
    for (int c = 0; c < manifest->classes; c++) {
        fv_csv_write_cell(file.stream, fv_usual_mask_column(manifest->class_names[c]), ',');
    }
    for (int c = 0; c < manifest->classes; c++) {
        char second[FV_SECOND_COLUMN];
        fv_usual_second_column(manifest->class_names[c], second);
        if (has_second(manifest, c)) fv_csv_write_cell(file.stream, second, ',');
    }
    fputs("fov,split,patient,fov_degrees,cdr_expert\n", file.stream);
    fv_status status = FV_OK;
    for (int i = 0; i < manifest->count && status == FV_OK; i++) {
        status = write_record(file.stream, manifest, &manifest->records[i], folder);
    }
    if (status == FV_OK) return fv_file_commit(&file);
    fv_file_abandon(&file);
    return status;
}
