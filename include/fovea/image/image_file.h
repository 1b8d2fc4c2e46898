/* Image files in and out. JPEG (libjpeg), PNG, BMP (stb_image), GIF (first frame, giflib), TIFF (first page, libtiff);
   8 and 16 bit (16 is scaled to 8), grey, palette, RGB, RGBA (alpha dropped); EXIF orientation applied (JPEG, TIFF).
   The format is told by the content, not by the name. */
#ifndef FOVEA_IMAGE_IMAGE_FILE_H
#define FOVEA_IMAGE_IMAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "fovea/image/image.h"

/* channels: 1, 3, or 0 for what the file has: grey (with or without alpha, 1 to 16 bits) 1, everything else 3, also
   palettes of greys; CMYK (JPEG) becomes RGB without its colour profile. Colour becomes grey as Rec. 601 luma (77 R +
   150 G + 29 B) / 256; 16 bits become v * 255 / 65535, rounded. Truncated or damaged files, files above
   FV_IMAGE_MAX_PIXELS and empty ones are FV_BAD_INPUT with a sentence that begins with the path. */
fv_status fv_image_read(const char *path, int channels, fv_image *image);
/* The same from memory, up to 1 GiB; `name` is used in messages. */
fv_status fv_image_decode(const void *data, size_t bytes, const char *name, int channels, fv_image *image);
/* Width and height after orientation, without decoding the pixels: a file cut behind its header passes. */
fv_status fv_image_read_size(const char *path, int *width, int *height);
/* Whether the name ends like an image that fv_image_read() knows (.jpg .jpeg .png .bmp .gif .tif .tiff, any case). */
bool fv_image_is_name(const char *path);
/* PNG of 8 bits, grey or RGB, atomically. Up to 1 GiB of pixels. */
fv_status fv_image_write_png(const fv_image *image, const char *path);

#endif
