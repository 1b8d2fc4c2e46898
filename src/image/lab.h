/* 8-bit sRGB to 8-bit CIE LAB (D65) and back in fixed point, with the roundings of OpenCV's COLOR_RGB2LAB and
 * COLOR_LAB2RGB. */
#ifndef FOVEA_IMAGE_LAB_H
#define FOVEA_IMAGE_LAB_H

#include <stddef.h>
#include <stdint.h>

/* `count` pixels. lightness: L * 255 / 100, one byte a pixel; ab: a + 128 and b + 128, two bytes a pixel. */
void fv_lab_from_rgb(const uint8_t *rgb, size_t count, uint8_t *lightness, uint8_t *ab);
/* Colours outside sRGB are cut to it. */
void fv_lab_to_rgb(const uint8_t *lightness, const uint8_t *ab, size_t count, uint8_t *rgb);

#endif
