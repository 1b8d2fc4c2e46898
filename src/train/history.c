#include "fovea/train/history.h"

#include <math.h>
#include <stdlib.h>

#include "fovea/base/file.h"

fv_status fv_history_append(fv_history *history, const fv_epoch *row) {
    if (history->count == history->capacity) {
        int capacity = history->capacity ? 2 * history->capacity : 64;
        fv_epoch *rows = realloc(history->rows, (size_t)capacity * sizeof *rows);
        if (!rows) return fv_fail_memory("the history", (size_t)capacity * sizeof *rows);
        history->rows = rows;
        history->capacity = capacity;
    }
    history->rows[history->count++] = *row;
    return FV_OK;
}

void fv_history_free(fv_history *history) {
    free(history->rows);
    *history = (fv_history){0};
}

/* An empty cell where there is no figure. */
static void write_cell(FILE *stream, double value) {
    if (isnan(value))
        fputc(',', stream);
    else
        fprintf(stream, ",%.6g", value);
}

static void write_row(FILE *stream, const fv_epoch *row, int classes) {
    fprintf(stream, "%d", row->epoch);
    write_cell(stream, row->rate);
    write_cell(stream, row->train_loss);
    write_cell(stream, row->train_dice);
    write_cell(stream, row->val_loss);
    for (int c = 0; c < classes; c++) write_cell(stream, row->val_dice[c]);
    for (int c = 0; c < classes; c++) write_cell(stream, row->val_iou[c]);
    fprintf(stream, ",%.2f\n", row->seconds);
}

fv_status fv_history_write(const fv_history *history, const fv_model_spec *spec, const char *path) {
    fv_file file;
    FV_TRY(fv_file_begin(&file, path));
    fprintf(file.stream, "epoch,rate,train_loss,train_dice,val_loss");
    for (int c = 0; c < spec->classes; c++) fprintf(file.stream, ",val_dice_%s", spec->class_names[c]);
    for (int c = 0; c < spec->classes; c++) fprintf(file.stream, ",val_iou_%s", spec->class_names[c]);
    fprintf(file.stream, ",seconds\n");
    for (int i = 0; i < history->count; i++) write_row(file.stream, &history->rows[i], spec->classes);
    return fv_file_commit(&file);
}
