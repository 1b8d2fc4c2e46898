/* Gaussian blur of float images. */
#ifndef FOVEA_IMAGE_BLUR_H
#define FOVEA_IMAGE_BLUR_H

#define FV_BLUR_MAX_SIGMA 20.0 /* px */

/* image {height, width, channels} in place, separable, cut at 3 sigma (px, above 0 up to FV_BLUR_MAX_SIGMA), the rim
   repeated. scratch: as many floats as image. */
void fv_blur(float *image, int width, int height, int channels, double sigma, float *scratch);

#endif
