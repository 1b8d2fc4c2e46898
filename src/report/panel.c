#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cells.h"

#define PANEL 512      /* px, longer side of a panel */
#define TITLE 28       /* px above a panel */
#define TEXT_WIDTH 380 /* px */
#define LINE_HEIGHT 26 /* px */
#define LINE_MAX 400   /* bytes of a text line that are drawn */

typedef struct layout {
    int panels, columns, rows;
    double panel_width, panel_height, text_x;
    int64_t width, height;
} layout;

static layout lay_out(const fv_image *photo, int classes, int line_count) {
    const fv_rect panel = fv_rect_fit((fv_rect){0, 0, PANEL, PANEL}, photo->width, photo->height);
    layout l = {.panels = classes + 2, .panel_width = panel.width, .panel_height = panel.height};
    l.columns = l.panels == 4 ? 2 : l.panels < 4 ? l.panels : (l.panels + 1) / 2;
    l.rows = (l.panels + l.columns - 1) / l.columns;
    const double panels_width = l.columns * (l.panel_width + FV_CELL_GAP) - FV_CELL_GAP;
    l.text_x = FV_PAGE_MARGIN + panels_width + 2 * FV_CELL_GAP;
    l.width = (int64_t)(line_count > 0 ? l.text_x + TEXT_WIDTH : FV_PAGE_MARGIN + panels_width) + FV_PAGE_MARGIN;
    l.height = (int64_t)(l.rows * (TITLE + l.panel_height + FV_CELL_GAP)) - FV_CELL_GAP + 2 * FV_PAGE_MARGIN;
    return l;
}

static fv_rect panel_cell(const layout *l, int index) {
    return (fv_rect){FV_PAGE_MARGIN + index % l->columns * (l->panel_width + FV_CELL_GAP),
                     FV_PAGE_MARGIN + TITLE + index / l->columns * (TITLE + l->panel_height + FV_CELL_GAP),
                     l->panel_width, l->panel_height};
}

static void panel_title(const fv_canvas *canvas, fv_rect cell, const char *text) {
    const fv_text_style style = {16, true, FV_INK, FV_ALIGN_LEFT, cell.width};
    fv_canvas_text(canvas, cell.x, cell.y - 9, text, &style);
}

static fv_status draw_panels(const fv_canvas *canvas, const layout *l, const fv_overlay *overlay) {
    fv_rect cell = panel_cell(l, 0);
    panel_title(canvas, cell, "Photograph");
    FV_TRY(fv_cell_image(canvas, overlay->photo, cell));
    for (int i = 0; i < overlay->classes->count; i++) {
        const char *name = overlay->classes->names[i];
        char title[96];
        snprintf(title, sizeof title, "Predicted %s", name);
        cell = panel_cell(l, i + 1);
        panel_title(canvas, cell, title);
        FV_TRY(fv_cell_mask(canvas, overlay->photo, &overlay->predicted[i], fv_report_class_colour(name, i), cell));
    }
    cell = panel_cell(l, l->panels - 1);
    const bool truth = fv_report_has_truth(overlay->truth, overlay->classes);
    panel_title(canvas, cell, truth ? "Overlay, truth in red" : "Overlay");
    return fv_cell_overlay(canvas, overlay, cell, NULL);
}

/* Length of the part of `text` that fits into the width, ending at a space where there is one; at least one character.
 */
static size_t fitting_length(const fv_canvas *canvas, const char *text, const fv_text_style *style, double width) {
    const size_t length = strlen(text);
    char part[LINE_MAX];
    size_t fits = 0, end = 0;
    while (end < length) {
        end += 1 + strcspn(text + end + 1, " ");
        memcpy(part, text, end);
        part[end] = 0;
        if (fits > 0 && fv_canvas_text_width(canvas, part, style) > width) break;
        fits = end;
    }
    return fits;
}

/* Text wrapped at spaces; a single word that is too long is cut. Returns the baseline below. */
static double draw_wrapped(const fv_canvas *canvas, const char *text, double x, double y, const fv_text_style *style) {
    fv_text_style unbound = *style;
    unbound.max_width = 0;
    while (*text) {
        char part[LINE_MAX];
        const size_t length = fitting_length(canvas, text, &unbound, style->max_width);
        memcpy(part, text, length);
        part[length] = 0;
        fv_canvas_text(canvas, x, y, part, style);
        y += LINE_HEIGHT;
        text += length;
        text += strspn(text, " ");
    }
    return y;
}

/* One line of the caller: label and value, or a sentence. Returns the baseline below. */
static double draw_line(const fv_canvas *canvas, const char *line, double x, double y, bool heading) {
    char text[LINE_MAX];
    snprintf(text, sizeof text, "%s", line);
    char *tab = strchr(text, '\t');
    fv_text_style style = {heading ? 19 : 15, heading, FV_INK, FV_ALIGN_LEFT, TEXT_WIDTH};
    if (!*text) return y + LINE_HEIGHT / 2.0;
    if (!tab) return draw_wrapped(canvas, text, x, y, &style) + (heading ? 8 : 0);
    *tab = 0;
    const fv_text_style value = {15, true, FV_INK, FV_ALIGN_RIGHT, TEXT_WIDTH};
    style.colour = FV_INK_SOFT;
    const double width = fv_canvas_text(canvas, x, y, text, &style);
    if (width + 12 + fv_canvas_text_width(canvas, tab + 1, &value) > TEXT_WIDTH) y += LINE_HEIGHT;
    fv_canvas_text(canvas, x + TEXT_WIDTH, y, tab + 1, &value);
    return y + LINE_HEIGHT;
}

fv_status fv_report_panel(const char *path, const fv_image *photo, const fv_report_classes *classes,
                          const fv_image *predicted, const fv_image *truth, const char *const *lines, int line_count) {
    FV_TRY(fv_report_check_classes(classes, path));
    FV_TRY(fv_report_check_photo(photo, path));
    FV_TRY(fv_report_check_masks(predicted, classes, true, path));
    FV_TRY(fv_report_check_masks(truth, classes, false, path));
    const layout l = lay_out(photo, classes->count, line_count);
    fv_canvas canvas;
    FV_TRY(fv_canvas_make(l.width, l.height, &canvas));
    const fv_overlay overlay = {photo, classes, predicted, truth, {0, 0, photo->width, photo->height}, 2.2, true};
    fv_status status = draw_panels(&canvas, &l, &overlay);
    double y = FV_PAGE_MARGIN + TITLE + 14;
    for (int i = 0; i < line_count; i++) y = draw_line(&canvas, lines[i], l.text_x, y, i == 0);
    if (status == FV_OK) status = fv_canvas_write_png(&canvas, path);
    fv_canvas_free(&canvas);
    return status;
}
