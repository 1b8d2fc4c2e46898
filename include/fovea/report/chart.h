/* Line charts of a training run, as PNG. */
#ifndef FOVEA_REPORT_CHART_H
#define FOVEA_REPORT_CHART_H

#include <stdint.h>

#include "fovea/base/status.h"

/* One curve. NAN: not measured there, its neighbours are connected. The line is interrupted at infinite values. */
typedef struct fv_series {
    const char *name;
    uint32_t colour;      /* 0xRRGGBB */
    const double *values; /* as many as the chart's `count` */
} fv_series;

typedef struct fv_chart {
    const char *title;   /* "Dice" */
    const char *x_label; /* "epoch"; may be NULL */
    const double *x;     /* place of each value, increasing; NULL for 1, 2, ... count */
    int count;           /* values in each series, at least 1 */
    const fv_series *series;
    int series_count;
    double low, high; /* ends of the y axis; NAN where the values decide */
    int best;         /* index of the value marked with a dashed line, -1 for none */
} fv_chart;

/* Colours that are told apart, for series that are no class: 0xRRGGBB of index modulo their number. */
uint32_t fv_chart_colour(int index);

/* Writes the charts in two columns under `title` (may be NULL), 1360 px wide, atomically. FV_BAD_INPUT for no charts,
   for a chart without values and for a path that can't be written. */
fv_status fv_report_curves(const char *path, const char *title, const fv_chart *charts, int count);

#endif
