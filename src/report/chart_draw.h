/* One chart on a canvas. */
#ifndef FOVEA_SRC_REPORT_CHART_DRAW_H
#define FOVEA_SRC_REPORT_CHART_DRAW_H

#include "canvas.h"
#include "fovea/report/chart.h"

/* Tick marks of an axis: first + i * step for i < count, step 1, 2 or 5 times a power of ten. */
typedef struct fv_ticks {
    double first, step;
    int count;
    int decimals; /* digits behind the point, -1 for scientific notation */
} fv_ticks;

/* At most about `wanted` ticks inside [low, high], low < high. Whole numbers only where `whole`. */
fv_ticks fv_ticks_choose(double low, double high, int wanted, bool whole);

fv_status fv_chart_check(const fv_chart *chart);
void fv_chart_draw(const fv_canvas *canvas, const fv_chart *chart, fv_rect area);

#endif
