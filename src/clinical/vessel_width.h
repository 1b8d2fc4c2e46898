/* Widths of vessels at points of their skeleton. */
#ifndef FOVEA_SRC_CLINICAL_VESSEL_WIDTH_H
#define FOVEA_SRC_CLINICAL_VESSEL_WIDTH_H

#include "vessel_graph.h"

/* Width at a pixel of the skeleton, px: twice the distance on the ridge less a correction.

   The ridge: from the pixel up to two steps to higher distances, for a skeleton may run a pixel beside it; then, across
   the vessel (where the distances fall most), a tent through three pixels has its peak |b - a| / 2 above the middle
   one. In a vessel of an even width the ridge always lies between two pixels.

   The correction: distances reach to centres of background pixels. Along rows and columns (whole distances) these lie
   half a pixel beyond the edge on either side, together 1. Beside a slanting edge the nearest of many centres lies
   closer: 0.5 together fits bars at all angles within half a pixel (tests/unit/test_vessels.c). NAN without background.
 */
float vessel_width(const float *distance_px, int image_width, int image_height, int x, int y);

/* Mean and percentiles of the points' widths by length. */
fv_status vessel_widths(const vessel_graph *graph, fv_vessels *vessels);

#endif
