#include "fovea/report/vessels.h"

#include <math.h>
#include <stdio.h>

#include "canvas.h"
#include "fovea/report/picture.h"

#define LEGEND 126      /* px below the photograph */
#define LEAST_WIDTH 560 /* px of the page, for the legend's text */
#define BAR_WIDTH 240   /* px */
#define BAR_STEPS 120

/* From thin to wide: distinct on dark ground, in order of brightness for those who see no colours (after matplotlib's
   "viridis", its lower end made lighter). */
static uint32_t width_colour(double share) {
    static const uint32_t stops[] = {0x5A5FD0, 0x2F96C0, 0x2BC08C, 0x9ADE3C, 0xFDE725};
    const double at = fmin(fmax(share, 0), 1) * 4;
    const int i = at < 4 ? (int)at : 3;
    uint32_t colour = 0;
    for (int shift = 0; shift <= 16; shift += 8) {
        const double a = stops[i] >> shift & 255, b = stops[i + 1] >> shift & 255;
        colour |= (uint32_t)(a + (b - a) * (at - i) + 0.5) << shift;
    }
    return colour;
}

/* Width of the bar's right end, px: few vessels are wider than a third beyond the 90th percentile. */
static double widest_px(const fv_vessels *v) {
    return isnan(v->width_p90_px) ? 1 : fmax(2, ceil(v->width_p90_px * 4 / 3));
}

static void draw_lines(const fv_canvas *canvas, const fv_vessel_map *map, double widest, double size) {
    for (size_t i = 0; i < map->count; i++) {
        const fv_vessel_point *p = &map->points[i];
        fv_canvas_set_colour(canvas, width_colour(isnan(p->width_px) ? 0 : p->width_px / widest), 1);
        cairo_rectangle(canvas->cr, p->x + 0.5 - size / 2, p->y + 0.5 - size / 2, size, size);
        cairo_fill(canvas->cr);
    }
}

static void draw_nodes(const fv_canvas *canvas, const fv_vessel_map *map, double size) {
    cairo_set_line_width(canvas->cr, size / 2);
    for (size_t i = 0; i < map->count; i++) {
        const fv_vessel_point *p = &map->points[i];
        const double x = p->x + 0.5, y = p->y + 0.5;
        if (p->kind == FV_VESSEL_LINE) continue;
        fv_canvas_set_colour(canvas, p->kind == FV_VESSEL_BRANCH ? 0xFFFFFF : 0xFF5A4A, 1);
        cairo_new_path(canvas->cr);
        if (p->kind == FV_VESSEL_CROSSING)
            cairo_rectangle(canvas->cr, x - 2 * size, y - 2 * size, 4 * size, 4 * size);
        else
            cairo_arc(canvas->cr, x, y, p->kind == FV_VESSEL_END ? size : 2 * size, 0, 2 * M_PI);
        if (p->kind == FV_VESSEL_END)
            cairo_fill(canvas->cr);
        else
            cairo_stroke(canvas->cr);
    }
}

static void draw_bar(const fv_canvas *canvas, const fv_vessels *v, double widest, double top) {
    const fv_text_style style = {13, false, FV_INK, FV_ALIGN_LEFT, 0};
    const double x = FV_PAGE_MARGIN, step = (double)BAR_WIDTH / BAR_STEPS;
    char text[96];
    for (int i = 0; i < BAR_STEPS; i++) {
        fv_canvas_set_colour(canvas, width_colour((i + 0.5) / BAR_STEPS), 1);
        cairo_rectangle(canvas->cr, x + i * step, top, step + 0.5, 14);
        cairo_fill(canvas->cr);
    }
    snprintf(text, sizeof text, "width 0 to %.0f px", widest);
    if (v->scale.source != FV_SCALE_NONE)
        snprintf(text, sizeof text, "width 0 to %.0f px, %.0f \xC2\xB5m (%s)", widest, widest * v->scale.um_per_px,
                 fv_scale_source_names[v->scale.source]);
    fv_canvas_text(canvas, x + BAR_WIDTH + FV_CELL_GAP, top + 12, text, &style);
}

static void draw_texts(const fv_canvas *canvas, const char *name, const fv_vessels *v, double top) {
    const double room = canvas->width - 2 * FV_PAGE_MARGIN;
    const fv_text_style heading = {15, true, FV_INK, FV_ALIGN_LEFT, room};
    const fv_text_style figures = {13, false, FV_INK, FV_ALIGN_LEFT, room};
    const fv_text_style notice = {12, false, FV_INK_SOFT, FV_ALIGN_LEFT, room};
    char text[256];
    fv_canvas_text(canvas, FV_PAGE_MARGIN, top, name, &heading);
    int n = snprintf(text, sizeof text, "density %.2f %%   length %.0f px", 100 * v->density_ratio, v->length_px);
    if (!isnan(v->mean_width_px))
        snprintf(text + n, sizeof text - (size_t)n, "   mean width %.2f px", v->mean_width_px);
    fv_canvas_text(canvas, FV_PAGE_MARGIN, top + 20, text, &figures);
    snprintf(text, sizeof text, "%lld branchings (ring)   %lld crossings (square)   %lld ends (dot)",
             (long long)v->branch_points, (long long)v->crossings, (long long)v->end_points);
    fv_canvas_text(canvas, FV_PAGE_MARGIN, top + 38, text, &figures);
    fv_canvas_text(canvas, FV_PAGE_MARGIN, top + 56, "Research software, not a medical device.", &notice);
}

fv_status fv_report_vessels(const char *path, const char *name, const fv_image *background, const fv_vessels *vessels,
                            const fv_vessel_map *map) {
    const int width = background->width, height = background->height;
    fv_canvas canvas;
    FV_TRY(fv_canvas_make(width < LEAST_WIDTH ? LEAST_WIDTH : width, (int64_t)height + LEGEND, &canvas));
    const double size = fmax(1, fmax(width, height) / 900.0), widest = widest_px(vessels);
    fv_status status = fv_canvas_image(&canvas, background, NULL, (fv_rect){0, 0, width, height}, 0x707070);
    if (status == FV_OK) {
        draw_lines(&canvas, map, widest, size);
        draw_nodes(&canvas, map, fmax(1.5, size * 1.5));
        draw_bar(&canvas, vessels, widest, height + 12);
        draw_texts(&canvas, name, vessels, height + 48);
        status = fv_canvas_write_png(&canvas, path);
    }
    fv_canvas_free(&canvas);
    return status;
}
