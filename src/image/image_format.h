/* What the decoders of one file format each offer to image_file.c. They read from memory, give the pixels as they are
   stored (orientation not applied), grey as 1 channel and everything else as 3. */
#ifndef FOVEA_SRC_IMAGE_FORMAT_H
#define FOVEA_SRC_IMAGE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fovea/image/image.h"

typedef struct fv_image_source {
    const uint8_t *data;
    size_t bytes;
    const char *name; /* for messages */
} fv_image_source;

typedef struct fv_image_header {
    int64_t width, height; /* px, as stored; whatever the file says */
    int orientation;       /* EXIF 1 .. 8 */
} fv_image_header;

typedef struct fv_image_format {
    const char *name;
    bool (*matches)(const fv_image_source *source); /* by the first bytes */
    fv_status (*header)(const fv_image_source *source, fv_image_header *header);
    /* Called after the header was found good and its size within bounds. */
    fv_status (*decode)(const fv_image_source *source, const fv_image_header *header, fv_image *image);
} fv_image_format;

extern const fv_image_format fv_image_jpeg, fv_image_png, fv_image_bmp, fv_image_gif, fv_image_tiff;

/* Decodes a JPEG whose markers were checked before. CMYK becomes RGB. */
fv_status fv_jpeg_decode(const fv_image_source *source, const fv_image_header *header, fv_image *image);
/* Decodes a PNG or BMP whose container was checked before; `format` names it in messages. */
fv_status fv_stb_decode(const fv_image_source *source, const fv_image_header *header, const char *format, bool deep,
                        fv_image *image);
/* Whether a PNG with a sound header is of the common kind that fv_png_decode_plain() knows. */
bool fv_png_is_plain(const fv_image_source *source);
/* Decodes it, its chunks having been checked. false, with the image zeroed, leaves it to fv_stb_decode(), which is more
   lenient and has the sentences. */
bool fv_png_decode_plain(const fv_image_source *source, const fv_image_header *header, fv_image *image);
/* Orientation 1 .. 8 of an EXIF block that begins with "Exif\0\0"; 1 when it says nothing. */
int fv_exif_orientation(const uint8_t *block, size_t bytes);
/* FV_BAD_INPUT for a file that ends too early. */
fv_status fv_fail_truncated(const fv_image_source *source, const char *format);
/* FV_BAD_INPUT for a file whose content contradicts itself; `reason` is a few words. */
fv_status fv_fail_damaged(const fv_image_source *source, const char *format, const char *reason);

/* 16 bit to 8, rounded to nearest. */
static inline uint8_t fv_sample_8_of_16(uint16_t v) {
    return (uint8_t)(((uint32_t)v * 255 + 32767) / 65535);
}

static inline uint32_t fv_be16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t fv_be32(const uint8_t *p) {
    return fv_be16(p) << 16 | fv_be16(p + 2);
}

static inline uint32_t fv_le16(const uint8_t *p) {
    return (uint32_t)p[1] << 8 | p[0];
}

static inline uint32_t fv_le32(const uint8_t *p) {
    return fv_le16(p + 2) << 16 | fv_le16(p);
}

#endif
