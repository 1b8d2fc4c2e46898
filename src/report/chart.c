#include "fovea/report/chart.h"

#include <math.h>
#include <stdio.h>

#include "chart_draw.h"

#define DRAWABLE 1e100   /* larger values are gaps: their differences could overflow */
#define MARKED_VALUES 40 /* up to so many values are marked with points */
#define SHEET_WIDTH 1360 /* px */
#define SHEET_CHART_HEIGHT 380

uint32_t fv_chart_colour(int index) {
    static const uint32_t colours[] = {0x1F6FD0, 0xE8710A, 0x6B4FBB, 0x0C8F8F, 0xC2185B, 0x7A6A00, 0x5B6470, 0x8D4A2B};
    const int count = sizeof colours / sizeof *colours;
    return colours[(index % count + count) % count];
}

static bool drawable(double value) {
    return isfinite(value) && fabs(value) < DRAWABLE;
}

fv_status fv_chart_check(const fv_chart *chart) {
    const char *title = chart->title ? chart->title : "";
    if (chart->count < 1 || chart->series_count < 1)
        return fv_fail(FV_BAD_INPUT, "chart \"%s\" has no values: %d series of %d; draw it after the first epoch",
                       title, chart->series_count, chart->count);
    for (int i = 0; chart->x && i < chart->count; i++)
        if (!drawable(chart->x[i]) || (i > 0 && chart->x[i] <= chart->x[i - 1]))
            return fv_fail(FV_BAD_INPUT, "chart \"%s\": x of value %d is %g; expected finite and increasing places",
                           title, i, chart->x[i]);
    return FV_OK;
}

fv_ticks fv_ticks_choose(double low, double high, int wanted, bool whole) {
    const double rough = (high - low) / wanted, power = pow(10, floor(log10(rough)));
    double step = 10 * power;
    if (rough <= 5 * power) step = 5 * power;
    if (rough <= 2 * power) step = 2 * power;
    if (rough <= power) step = power;
    if (whole) step = fmax(1, step);
    const double slack = 1e-9 * step, first = ceil((low - slack) / step) * step;
    const double places = -floor(log10(step * (1 + 1e-9)));
    return (fv_ticks){first, step, (int)floor((high + slack - first) / step) + 1,
                      step >= 1e5 || places > 4 ? -1
                      : places > 0              ? (int)places
                                                : 0};
}

static void tick_label(const fv_ticks *ticks, int i, char *text, size_t size) {
    double value = ticks->first + i * ticks->step;
    if (fabs(value) < 1e-9 * ticks->step) value = 0; /* not "-0" */
    if (value == 0)
        snprintf(text, size, "0");
    else if (ticks->decimals < 0)
        snprintf(text, size, "%.3g", value);
    else
        snprintf(text, size, "%.*f", ticks->decimals, value);
}

/* From data to px of the canvas. */
typedef struct axes {
    fv_rect plot;
    double x_low, x_high, y_low, y_high;
} axes;

static double place(const fv_chart *chart, int i) {
    return chart->x ? chart->x[i] : i + 1;
}

static double x_px(const axes *a, double x) {
    return a->plot.x + (x - a->x_low) / (a->x_high - a->x_low) * a->plot.width;
}

static double y_px(const axes *a, double y) {
    return a->plot.y + (a->y_high - y) / (a->y_high - a->y_low) * a->plot.height;
}

/* Returns whether there is any value to draw. */
static bool find_range(const fv_chart *chart, axes *a) {
    double low = INFINITY, high = -INFINITY;
    for (int s = 0; s < chart->series_count; s++)
        for (int i = 0; i < chart->count; i++) {
            const double value = chart->series[s].values[i];
            if (!drawable(value)) continue;
            low = fmin(low, value);
            high = fmax(high, value);
        }
    const bool any = low <= high;
    if (!any) low = 0, high = 1;
    const double margin = high > low ? 0.06 * (high - low) : fmax(0.1 * fabs(high), 1e-6);
    a->y_low = drawable(chart->low) ? chart->low : low >= 0 && low < margin ? 0 : low - margin;
    a->y_high = drawable(chart->high) ? chart->high : high + margin;
    if (a->y_low >= a->y_high) a->y_high = a->y_low + fmax(1e-6, fabs(a->y_low) * 0.1);
    a->x_low = place(chart, 0);
    a->x_high = place(chart, chart->count - 1);
    if (chart->count == 1) a->x_low -= 1, a->x_high += 1;
    return any;
}

static void draw_line(const fv_canvas *canvas, double x0, double y0, double x1, double y1) {
    cairo_move_to(canvas->cr, x0, y0);
    cairo_line_to(canvas->cr, x1, y1);
    cairo_stroke(canvas->cr);
}

static void draw_grid(const fv_canvas *canvas, const axes *a, const char *x_label) {
    const fv_rect *p = &a->plot;
    const fv_text_style beside = {12, false, FV_INK_SOFT, FV_ALIGN_RIGHT, 60},
                        below = {12, false, FV_INK_SOFT, FV_ALIGN_CENTRE, 0};
    char text[32];
    cairo_set_line_width(canvas->cr, 1);
    const fv_ticks ys = fv_ticks_choose(a->y_low, a->y_high, 6, false);
    for (int i = 0; i < ys.count; i++) {
        const double y = round(y_px(a, ys.first + i * ys.step)) + 0.5;
        fv_canvas_set_colour(canvas, FV_RULE, 1);
        draw_line(canvas, p->x, y, p->x + p->width, y);
        tick_label(&ys, i, text, sizeof text);
        fv_canvas_text(canvas, p->x - 8, y + 4, text, &beside);
    }
    const fv_ticks xs = fv_ticks_choose(a->x_low, a->x_high, 8, true);
    const double bottom = p->y + p->height;
    for (int i = 0; i < xs.count; i++) {
        const double x = round(x_px(a, xs.first + i * xs.step)) + 0.5;
        fv_canvas_set_colour(canvas, FV_INK_SOFT, 1);
        draw_line(canvas, x, bottom, x, bottom + 5);
        tick_label(&xs, i, text, sizeof text);
        fv_canvas_text(canvas, x, bottom + 19, text, &below);
    }
    fv_canvas_set_colour(canvas, FV_INK_SOFT, 1);
    draw_line(canvas, p->x, round(bottom) + 0.5, p->x + p->width, round(bottom) + 0.5);
    fv_canvas_text(canvas, p->x + p->width / 2, bottom + 38, x_label, &below);
}

/* Dashed line; its label stands above the plot, where no curve is. */
static void draw_best(const fv_canvas *canvas, const fv_chart *chart, const axes *a) {
    if (chart->best < 0 || chart->best >= chart->count) return;
    const double x = round(x_px(a, place(chart, chart->best))) + 0.5, dashes[2] = {5, 4};
    char text[48];
    fv_canvas_set_colour(canvas, FV_INK_SOFT, 1);
    cairo_set_line_width(canvas->cr, 1);
    cairo_set_dash(canvas->cr, dashes, 2, 0);
    draw_line(canvas, x, a->plot.y, x, a->plot.y + a->plot.height);
    cairo_set_dash(canvas->cr, NULL, 0, 0);
    snprintf(text, sizeof text, "best: %g", place(chart, chart->best));
    const fv_text_style style = {11, false, FV_INK_SOFT, FV_ALIGN_LEFT, 0};
    const double half = fv_canvas_text_width(canvas, text, &style) / 2;
    const double centre = fmin(fmax(x, a->plot.x + half), a->plot.x + a->plot.width - half);
    fv_canvas_text(canvas, centre - half, a->plot.y - 5, text, &style);
}

/* Known values as connected lines; where some are missing each known one is marked, so that it is seen what was
   measured. */
static void draw_series(const fv_canvas *canvas, const fv_chart *chart, const fv_series *series, const axes *a) {
    cairo_t *cr = canvas->cr;
    fv_canvas_set_colour(canvas, series->colour, 1);
    cairo_set_line_width(cr, 2);
    bool connected = false;
    int known = 0;
    for (int i = 0; i < chart->count; i++) {
        if (isnan(series->values[i])) continue;
        const bool now = drawable(series->values[i]);
        const double x = x_px(a, place(chart, i)), y = now ? y_px(a, series->values[i]) : 0;
        if (now && connected) cairo_line_to(cr, x, y);
        if (now && !connected) cairo_move_to(cr, x, y);
        connected = now;
        known += now;
    }
    cairo_stroke(cr);
    if (known > MARKED_VALUES && known == chart->count) return;
    for (int i = 0; i < chart->count; i++) {
        if (!drawable(series->values[i])) continue;
        cairo_arc(cr, x_px(a, place(chart, i)), y_px(a, series->values[i]), known == 1 ? 3.5 : 2.5, 0, 2 * M_PI);
        cairo_fill(cr);
    }
}

/* Right of the title, in one line, from right to left so that it ends with the plot. */
static void draw_legend(const fv_canvas *canvas, const fv_chart *chart, fv_rect area, double y) {
    const fv_text_style style = {13, false, FV_INK, FV_ALIGN_LEFT, 130};
    double x = area.x + area.width;
    for (int s = chart->series_count - 1; s >= 0; s--) {
        x -= fv_canvas_text_width(canvas, chart->series[s].name, &style);
        fv_canvas_text(canvas, x, y, chart->series[s].name, &style);
        fv_canvas_set_colour(canvas, chart->series[s].colour, 1);
        cairo_set_line_width(canvas->cr, 3);
        draw_line(canvas, x - 24, y - 4.5, x - 6, y - 4.5);
        x -= 38;
    }
}

void fv_chart_draw(const fv_canvas *canvas, const fv_chart *chart, fv_rect area) {
    const fv_text_style title = {16, true, FV_INK, FV_ALIGN_LEFT, area.width / 2},
                        empty = {14, false, FV_INK_SOFT, FV_ALIGN_CENTRE, 0};
    axes a = {.plot = {area.x + 64, area.y + 44, area.width - 64 - 8, area.height - 44 - 48}};
    const bool any = find_range(chart, &a);
    cairo_save(canvas->cr);
    cairo_set_line_cap(canvas->cr, CAIRO_LINE_CAP_BUTT);
    cairo_set_line_join(canvas->cr, CAIRO_LINE_JOIN_ROUND);
    fv_canvas_text(canvas, area.x + 4, area.y + 18, chart->title, &title);
    draw_legend(canvas, chart, a.plot, area.y + 18);
    draw_grid(canvas, &a, chart->x_label);
    draw_best(canvas, chart, &a);
    cairo_rectangle(canvas->cr, a.plot.x - 4, a.plot.y - 4, a.plot.width + 8, a.plot.height + 8);
    cairo_clip(canvas->cr);
    for (int s = 0; s < chart->series_count; s++) draw_series(canvas, chart, &chart->series[s], &a);
    if (!any)
        fv_canvas_text(canvas, a.plot.x + a.plot.width / 2, a.plot.y + a.plot.height / 2, "no values yet", &empty);
    cairo_restore(canvas->cr);
}

fv_status fv_report_curves(const char *path, const char *title, const fv_chart *charts, int count) {
    if (count < 1) return fv_fail(FV_BAD_INPUT, "%s: no charts to draw; give at least one", path);
    for (int i = 0; i < count; i++) FV_TRY(fv_chart_check(&charts[i]));
    const int columns = count == 1 ? 1 : 2, rows = (count + columns - 1) / columns;
    const double top = FV_PAGE_MARGIN + (title ? 40 : 0), gap = 2 * FV_CELL_GAP;
    const double width = (SHEET_WIDTH - 2 * FV_PAGE_MARGIN - (columns - 1) * gap) / columns;
    fv_canvas canvas;
    FV_TRY(fv_canvas_make(SHEET_WIDTH, (int64_t)(top + rows * (SHEET_CHART_HEIGHT + gap)), &canvas));
    const fv_text_style heading = {22, true, FV_INK, FV_ALIGN_LEFT, SHEET_WIDTH - 2 * FV_PAGE_MARGIN};
    fv_canvas_text(&canvas, FV_PAGE_MARGIN, FV_PAGE_MARGIN + 20, title, &heading);
    for (int i = 0; i < count; i++) {
        const fv_rect area = {FV_PAGE_MARGIN + i % columns * (width + gap),
                              top + i / columns * (SHEET_CHART_HEIGHT + gap), width, SHEET_CHART_HEIGHT};
        fv_chart_draw(&canvas, &charts[i], area);
    }
    fv_status status = fv_canvas_write_png(&canvas, path);
    fv_canvas_free(&canvas);
    return status;
}
