/* How much vessels wind. */
#ifndef FOVEA_SRC_CLINICAL_TORTUOSITY_H
#define FOVEA_SRC_CLINICAL_TORTUOSITY_H

#include "vessel_graph.h"

/* Means over segments, by length, after vessel_graph_count(). A segment's staircase of pixels is smoothed by a Gaussian
   as wide as the vessel (sigma 4 px at least) that leaves the ends where they are, and cut into equal steps of about
   sigma; a width of either end is left out, where a skeleton bends. Arc L over chord C, and L times the integral of
   squared curvature; curvature from the circle through three neighbours. Segments with a chord below 10 px are left
   out; NAN when none is left. */
fv_status vessel_tortuosity(const vessel_graph *graph, fv_vessels *vessels);

#endif
