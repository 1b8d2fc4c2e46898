/* Shapes whose measures are known by geometry. */
#ifndef TESTS_UNIT_VESSEL_SHAPES_H
#define TESTS_UNIT_VESSEL_SHAPES_H

#include "fovea/image/image.h"

/* An empty mask, square. */
fv_image shape_blank(int side);
/* Sets what lies within `width` / 2 of the line from (x0, y0) to (x1, y1), px; ends are flat. */
void shape_bar(fv_image *mask, double x0, double y0, double x1, double y1, double width);
/* Sets what lies within `width` / 2 of the arc of `radius` round the centre from angle `begin` on by `turn` radians. */
void shape_arc(fv_image *mask, double x, double y, double radius, double begin, double turn, double width);

#endif
