/* A picture of vessel measures. */
#ifndef FOVEA_REPORT_VESSELS_H
#define FOVEA_REPORT_VESSELS_H

#include "fovea/clinical/vessels.h"

/* The background (a photograph or a mask of the map's size) dimmed, at its own size, with the skeleton coloured by
   width (a bar below says how, in px and, where the scale is known, in um), rings round branchings, squares round
   crossings, dots on ends, and a line of figures. FV_BAD_INPUT for a side above 32000 px and a path that can't be
   written. */
fv_status fv_report_vessels(const char *path, const char *name, const fv_image *background, const fv_vessels *vessels,
                            const fv_vessel_map *map);

#endif
