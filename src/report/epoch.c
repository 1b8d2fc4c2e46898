#include <math.h>
#include <stdio.h>

#include "cells.h"
#include "chart_draw.h"

#define CELL 244         /* px, width of a cell */
#define HEADER 44        /* px, with the legend */
#define HEADINGS 26      /* px, names of the columns */
#define LABEL 24         /* px above a row: its name */
#define CHART_HEIGHT 330 /* px */
#define CROP_MARGIN 2.0  /* side of the overlay's square over that of the masks */

typedef struct layout {
    int columns;
    bool has_input;
    double row_height, rows_top, charts_top;
    int64_t width, height;
} layout;

static layout lay_out(const fv_report_classes *classes, const fv_report_sample *samples, int count, int chart_count) {
    layout l = {0};
    for (int i = 0; i < count; i++) l.has_input |= samples[i].input != NULL;
    l.columns = 2 + l.has_input + 2 * classes->count;
    l.row_height = fv_cells_row_height(samples, count, CELL);
    l.rows_top = FV_PAGE_MARGIN + HEADER + HEADINGS;
    l.charts_top = l.rows_top + count * (LABEL + l.row_height + FV_CELL_GAP) + FV_CELL_GAP;
    l.width = 2 * FV_PAGE_MARGIN + l.columns * (CELL + FV_CELL_GAP) - FV_CELL_GAP;
    l.height = (int64_t)l.charts_top + (chart_count > 0 ? CHART_HEIGHT : 0) + FV_PAGE_MARGIN / 2;
    return l;
}

static double column_x(int column) {
    return FV_PAGE_MARGIN + column * (CELL + FV_CELL_GAP);
}

static void draw_headings(const fv_canvas *canvas, const layout *l, const fv_report_classes *classes) {
    const fv_text_style style = {14, true, FV_INK, FV_ALIGN_CENTRE, CELL};
    const double y = FV_PAGE_MARGIN + HEADER + 16;
    int column = 0;
    fv_canvas_text(canvas, column_x(column++) + CELL / 2.0, y, "Photograph", &style);
    if (l->has_input) fv_canvas_text(canvas, column_x(column++) + CELL / 2.0, y, "Enhanced input", &style);
    for (int i = 0; i < classes->count; i++) {
        char text[96];
        snprintf(text, sizeof text, "True %s", classes->names[i]);
        fv_canvas_text(canvas, column_x(column++) + CELL / 2.0, y, text, &style);
        snprintf(text, sizeof text, "Predicted %s", classes->names[i]);
        fv_canvas_text(canvas, column_x(column++) + CELL / 2.0, y, text, &style);
    }
    fv_canvas_text(canvas, column_x(column) + CELL / 2.0, y, "Overlay", &style);
}

static fv_status draw_row(const fv_canvas *canvas, const layout *l, const fv_report_classes *classes,
                          const fv_report_sample *sample, double top) {
    const fv_image *photo = sample->photo;
    fv_cells_row_label(canvas, sample, FV_PAGE_MARGIN, (double)l->width - FV_PAGE_MARGIN, top + 16);
    fv_rect cell = {FV_PAGE_MARGIN, top + LABEL, CELL, l->row_height};
    FV_TRY(fv_cell_image(canvas, photo, cell));
    if (l->has_input) {
        cell.x += CELL + FV_CELL_GAP;
        if (sample->input) FV_TRY(fv_cell_image(canvas, sample->input, cell));
    }
    for (int i = 0; i < classes->count; i++) {
        const uint32_t colour = fv_report_class_colour(classes->names[i], i);
        cell.x += CELL + FV_CELL_GAP;
        FV_TRY(fv_cell_mask(canvas, photo, sample->truth ? &sample->truth[i] : NULL, 0xFFFFFF, cell));
        cell.x += CELL + FV_CELL_GAP;
        FV_TRY(fv_cell_mask(canvas, photo, &sample->predicted[i], colour, cell));
    }
    cell.x += CELL + FV_CELL_GAP;
    const fv_rect crop = fv_cells_crop(sample, classes, CROP_MARGIN);
    const fv_overlay overlay = {photo, classes, sample->predicted, sample->truth, crop, 1.8, true};
    return fv_cell_overlay(canvas, &overlay, cell, NULL);
}

static void draw_charts(const fv_canvas *canvas, const layout *l, const fv_chart *charts, int count) {
    const double gap = 2 * FV_CELL_GAP;
    const double width = ((double)l->width - 2 * FV_PAGE_MARGIN - (count - 1) * gap) / count;
    for (int i = 0; i < count; i++) {
        const fv_rect area = {FV_PAGE_MARGIN + i * (width + gap), l->charts_top, width, CHART_HEIGHT};
        fv_chart_draw(canvas, &charts[i], area);
    }
}

fv_status fv_report_epoch(const char *path, const char *header, const fv_report_classes *classes,
                          const fv_report_sample *samples, int count, const fv_chart *charts, int chart_count) {
    FV_TRY(fv_report_check_samples(path, classes, samples, count));
    for (int i = 0; i < chart_count; i++) FV_TRY(fv_chart_check(&charts[i]));
    const layout l = lay_out(classes, samples, count, chart_count);
    fv_canvas canvas;
    FV_TRY(fv_canvas_make(l.width, l.height, &canvas));
    const double right = (double)l.width - FV_PAGE_MARGIN;
    bool truth = false;
    for (int i = 0; i < count; i++) truth |= fv_report_has_truth(samples[i].truth, classes);
    const fv_text_style heading = {22, true, FV_INK, FV_ALIGN_LEFT, 0.6 * (double)l.width};
    fv_canvas_text(&canvas, FV_PAGE_MARGIN, FV_PAGE_MARGIN + 20, header, &heading);
    fv_cells_legend(&canvas, classes, truth, right, FV_PAGE_MARGIN + 18);
    draw_headings(&canvas, &l, classes);
    fv_status status = FV_OK;
    for (int i = 0; i < count && status == FV_OK; i++)
        status = draw_row(&canvas, &l, classes, &samples[i], l.rows_top + i * (LABEL + l.row_height + FV_CELL_GAP));
    if (status == FV_OK && chart_count > 0) draw_charts(&canvas, &l, charts, chart_count);
    if (status == FV_OK) status = fv_canvas_write_png(&canvas, path);
    fv_canvas_free(&canvas);
    return status;
}
