#include "vessel_shapes.h"

#include <math.h>
#include <stdlib.h>

fv_image shape_blank(int side) {
    fv_image mask;
    if (fv_image_make(side, side, 1, &mask) != FV_OK) exit(1);
    return mask;
}

void shape_bar(fv_image *mask, double x0, double y0, double x1, double y1, double width) {
    const double length = hypot(x1 - x0, y1 - y0), ux = (x1 - x0) / length, uy = (y1 - y0) / length;
    for (int y = 0; y < mask->height; y++)
        for (int x = 0; x < mask->width; x++) {
            const double along = (x - x0) * ux + (y - y0) * uy, across = (y - y0) * ux - (x - x0) * uy;
            if (along >= 0 && along <= length && across >= -width / 2 && across < width / 2)
                mask->data[y * mask->width + x] = 255;
        }
}

void shape_arc(fv_image *mask, double cx, double cy, double radius, double begin, double turn, double width) {
    for (int y = 0; y < mask->height; y++)
        for (int x = 0; x < mask->width; x++) {
            const double r = hypot(x - cx, y - cy), angle = fmod(atan2(y - cy, x - cx) - begin + 4 * M_PI, 2 * M_PI);
            if (fabs(r - radius) <= width / 2 && angle <= turn) mask->data[y * mask->width + x] = 255;
        }
}
