/* Centre lines of masks. */
#ifndef FOVEA_CLINICAL_SKELETON_H
#define FOVEA_CLINICAL_SKELETON_H

#include "fovea/image/image.h"

/* The centre lines of a mask (1 channel, 0 or not 0): 255 on them, 0 elsewhere. 8-connected, one pixel thin, as many
   8-connected components and 4-connected holes as the mask has; an end of a line is kept.

   Border pixels are taken away in rounds of two directions under the conditions of Zhang and Suen (A fast parallel
   algorithm for thinning digital patterns, CACM 27, 1984). Of those that a round marks, each is removed only if it is
   still simple when its turn comes (removing it splits and joins nothing), which their algorithm does not check: it
   loses squares of 2 x 2 pixels. At the end corners of staircases go. Only border pixels are visited in a round.

   FV_BAD_INPUT for other channels. An empty mask has an empty skeleton. `skeleton` is made anew. */
fv_status fv_skeleton_make(const fv_image *mask, fv_image *skeleton);

/* The last step alone, in place: takes away simple pixels of a skeleton that are no ends, so that lines from which
   pieces were cut become one pixel thin again. */
fv_status fv_skeleton_clean(fv_image *skeleton);

#endif
