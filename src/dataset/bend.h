/* Bending of a sample, for augmentation: elastic, grid and optical distortion as one field of shifts. */
#ifndef FOVEA_SRC_BEND_H
#define FOVEA_SRC_BEND_H

#include <stdbool.h>
#include <stddef.h>

#include "fovea/dataset/augment.h"

bool fv_bend_is_drawn(const fv_augment_draw *draw);
size_t fv_bend_scratch_floats(int size);
/* The shifts of all drawn distortions, added up. They lie in scratch (fv_bend_scratch_floats(size) floats).

   elastic: per axis, independent random numbers on a grid, interpolated by cubic B-splines. The grid's step is sqrt(3)
   sigma, for which the spline (of variance step^2 / 3) smooths like a Gaussian of that sigma (Simard, Steinkraus and
   Platt, 2003). The root mean square of the shifts is the amplitude; none is above 3.7 amplitudes.
   grid: grid_steps steps along each side; each is read from a step stretched by 1 +- limit, all of them together from
   the whole side: monotone for limits below 1, the rim stays (as GridDistortion of Albumentations, normalised).
   optical: read from centre + (p - centre) (1 + k r^2 + k r^4), r in sides from the centre: barrel for k > 0,
   pincushion for k < 0 (as OpticalDistortion of Albumentations, with OpenCV's camera model). */
fv_bend fv_bend_make(const fv_augment_draw *draw, int size, float *scratch);

#endif
