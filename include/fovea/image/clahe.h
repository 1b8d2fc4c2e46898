/* Contrast-limited adaptive histogram equalisation (Zuiderveld 1994), as OpenCV's CLAHE computes it. */
#ifndef FOVEA_IMAGE_CLAHE_H
#define FOVEA_IMAGE_CLAHE_H

#include "fovea/image/image.h"

/* One channel in place. clip_limit as cv2.createCLAHE(clipLimit): the histogram of a tile is cut at
   max(1, clip_limit * tile_area / 256) and the excess spread evenly; tiles x tiles tiles, the image extended to the
   right and below by reflection (BORDER_REFLECT_101) where a side is no multiple; grey levels interpolated bilinearly
   between the four nearest tiles. The same bytes as OpenCV 5.0.0. FV_BAD_INPUT unless clip_limit is above 0, tiles
   in 1..256 and the channels fit. */
fv_status fv_clahe(fv_image *grey, double clip_limit, int tiles);
/* RGB in place: to 8-bit CIE LAB (as cv2.COLOR_RGB2LAB: D65, sRGB gamma, L scaled to 0..255, a and b + 128), CLAHE on
 * L, back. */
fv_status fv_clahe_lab(fv_image *rgb, double clip_limit, int tiles);

#endif
