/* A skeleton as points, the segments between ends and branchings, and those. */
#ifndef FOVEA_SRC_CLINICAL_VESSEL_GRAPH_H
#define FOVEA_SRC_CLINICAL_VESSEL_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "fovea/clinical/vessels.h"

#define NO_POINT (-1)

/* Points from one end or branching to the next, both included; a closed one ends where it begins. */
typedef struct vessel_segment {
    int first, count; /* in vessel_graph.paths */
    double length_px;
    bool closed;
    bool within_branching; /* joins pixels of one branching */
} vessel_segment;

typedef struct vessel_graph {
    int width, height;       /* px, of the skeleton */
    fv_vessel_point *points; /* in reading order */
    int count;
    int32_t *index; /* of each pixel of the image, NO_POINT for background */
    uint8_t *links; /* of each point: directions of its neighbours */
    int *parents;   /* of each point: towards the first point of its branching */
    vessel_segment *segments;
    int segment_count;
    int *paths; /* indices of points */
    int path_count;
} vessel_graph;

/* distance_px: fv_distance_within() of the vessels. Free with vessel_graph_free(). */
fv_status vessel_graph_make(const fv_image *skeleton, const float *distance_px, vessel_graph *graph);
void vessel_graph_free(vessel_graph *graph);

/* Takes spurs out of the skeleton: segments between an end and a branching that are no longer than the vessel is wide
   at the branching (3 px at least). Of each branching the shortest goes first, until there are none. */
fv_status vessel_prune(fv_image *skeleton, const float *distance_px);

/* Joins branchings between which a segment is no longer than the vessel is wide, or than 3 px (two branchings of a
   thinned crossing), marks the points' kinds and counts. */
fv_status vessel_graph_count(vessel_graph *graph, fv_vessels *vessels);
/* Sum of the steps between linked points, px. */
double vessel_graph_length(const vessel_graph *graph);
/* Half of the steps from a point to its neighbours, px; 1 for a point alone. */
double vessel_point_weight(const vessel_graph *graph, int point);

#endif
