#include "fovea/image/image_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fovea/base/file.h"
#include "image_format.h"

/* More than the largest picture that is read takes up in any of the formats, uncompressed and 16 bits deep. */
#define FILE_BYTES_MAX ((size_t)1 << 30)

static const fv_image_format *const formats[] = {&fv_image_jpeg, &fv_image_png, &fv_image_tiff, &fv_image_gif,
                                                 &fv_image_bmp};

fv_status fv_fail_truncated(const fv_image_source *source, const char *format) {
    return fv_fail(FV_BAD_INPUT, "%s: the %s image ends too early, after %zu bytes (truncated); copy the file again",
                   source->name, format, source->bytes);
}

fv_status fv_fail_damaged(const fv_image_source *source, const char *format, const char *reason) {
    return fv_fail(FV_BAD_INPUT,
                   "%s: the %s image is damaged or of a kind that can't be read (%s); copy or export it again",
                   source->name, format, reason);
}

static fv_status find_format(const fv_image_source *source, const fv_image_format **format) {
    if (source->bytes == 0)
        return fv_fail(FV_BAD_INPUT, "%s is empty (0 bytes, expected an image); copy the file again", source->name);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i]->matches(source)) {
            *format = formats[i];
            return FV_OK;
        }
    return fv_fail(FV_BAD_INPUT, "%s is not a JPEG, PNG, BMP, GIF or TIFF image; export it as one of them",
                   source->name);
}

static fv_status read_header(const fv_image_source *source, const fv_image_format *format, fv_image_header *header) {
    FV_TRY(format->header(source, header));
    if (header->width < 1 || header->height < 1)
        return fv_fail(FV_BAD_INPUT, "%s: the %s image has no pixels (%" PRId64 " x %" PRId64 "); export it again",
                       source->name, format->name, header->width, header->height);
    if (header->width > FV_IMAGE_MAX_PIXELS || header->height > FV_IMAGE_MAX_PIXELS / header->width)
        return fv_fail(FV_BAD_INPUT,
                       "%s: %" PRId64 " x %" PRId64 " pixels are too many, at most %" PRId64
                       " million are read; scale the picture down",
                       source->name, header->width, header->height, FV_IMAGE_MAX_PIXELS / 1000000);
    if (header->orientation < 1 || header->orientation > 8) header->orientation = 1;
    return FV_OK;
}

/* Rec. 601 luma with weights of 1/256: 77 R + 150 G + 29 B. */
static void rgb_to_grey(const fv_image *rgb, fv_image *grey) {
    size_t count = (size_t)rgb->width * (size_t)rgb->height;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *p = rgb->data + 3 * i;
        grey->data[i] = (uint8_t)((77 * p[0] + 150 * p[1] + 29 * p[2]) >> 8);
    }
}

static void grey_to_rgb(const fv_image *grey, fv_image *rgb) {
    size_t count = (size_t)grey->width * (size_t)grey->height;
    for (size_t i = 0; i < count; i++) memset(rgb->data + 3 * i, grey->data[i], 3);
}

static fv_status convert_channels(fv_image *image, int channels) {
    if (channels == 0 || channels == image->channels) return FV_OK;
    fv_image converted;
    FV_TRY(fv_image_make_unset(image->width, image->height, channels, &converted));
    if (channels == 1)
        rgb_to_grey(image, &converted);
    else
        grey_to_rgb(image, &converted);
    fv_image_free(image);
    *image = converted;
    return FV_OK;
}

/* Orientations 5 to 8 exchange rows and columns. */
static bool is_transposed(int orientation) {
    return orientation >= 5;
}

/* Where pixel (x, y) of the upright picture lies in the stored one: first + x * step_x + y * step_y, in pixels. */
typedef struct pixel_walk {
    ptrdiff_t first, step_x, step_y;
} pixel_walk;

static pixel_walk orientation_walk(int orientation, int width, int height) {
    bool mirrored_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool mirrored_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    ptrdiff_t along_x = mirrored_x ? -1 : 1, along_y = mirrored_y ? -width : width;
    ptrdiff_t first = (mirrored_x ? width - 1 : 0) + (mirrored_y ? (ptrdiff_t)(height - 1) * width : 0);
    if (is_transposed(orientation)) return (pixel_walk){first, along_y, along_x};
    return (pixel_walk){first, along_x, along_y};
}

static void copy_block(const fv_image *stored, pixel_walk walk, int x0, int y0, int size, fv_image *upright) {
    int x1 = x0 + size < upright->width ? x0 + size : upright->width;
    int y1 = y0 + size < upright->height ? y0 + size : upright->height;
    int channels = stored->channels;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) {
            const uint8_t *from = stored->data + (walk.first + x * walk.step_x + y * walk.step_y) * channels;
            uint8_t *to = upright->data + ((ptrdiff_t)y * upright->width + x) * channels;
            for (int c = 0; c < channels; c++) to[c] = from[c];
        }
}

static fv_status apply_orientation(fv_image *image, int orientation) {
    if (orientation == 1) return FV_OK;
    bool transposed = is_transposed(orientation);
    fv_image upright;
    FV_TRY(fv_image_make_unset(transposed ? image->height : image->width, transposed ? image->width : image->height,
                               image->channels, &upright));
    pixel_walk walk = orientation_walk(orientation, image->width, image->height);
    const int block = 64; /* px: a block's rows and columns both stay in the cache */
    for (int y = 0; y < upright.height; y += block)
        for (int x = 0; x < upright.width; x += block) copy_block(image, walk, x, y, block, &upright);
    fv_image_free(image);
    *image = upright;
    return FV_OK;
}

fv_status fv_image_decode(const void *data, size_t bytes, const char *name, int channels, fv_image *image) {
    *image = (fv_image){0};
    if (channels != 0 && channels != 1 && channels != 3)
        return fv_fail(FV_BAD_INPUT, "%s: %d channels were asked for; 0 (as stored), 1 or 3 can be given", name,
                       channels);
    if (bytes > FILE_BYTES_MAX)
        return fv_fail(FV_BAD_INPUT, "%s: %zu bytes are too many for an image (at most %zu)", name, bytes,
                       FILE_BYTES_MAX);
    fv_image_source source = {data, bytes, name};
    const fv_image_format *format = NULL;
    fv_image_header header = {.orientation = 1};
    FV_TRY(find_format(&source, &format));
    FV_TRY(read_header(&source, format, &header));
    FV_TRY(format->decode(&source, &header, image));
    fv_status status = convert_channels(image, channels);
    if (status == FV_OK) status = apply_orientation(image, header.orientation);
    if (status != FV_OK) fv_image_free(image);
    return status;
}

fv_status fv_image_read(const char *path, int channels, fv_image *image) {
    *image = (fv_image){0};
    void *data;
    size_t bytes;
    FV_TRY(fv_file_read(path, FILE_BYTES_MAX, &data, &bytes));
    fv_status status = fv_image_decode(data, bytes, path, channels, image);
    free(data);
    return status;
}

static fv_status upright_size(const fv_image_source *source, int *width, int *height) {
    const fv_image_format *format = NULL;
    fv_image_header header = {.orientation = 1};
    FV_TRY(find_format(source, &format));
    FV_TRY(read_header(source, format, &header));
    bool transposed = is_transposed(header.orientation);
    *width = (int)(transposed ? header.height : header.width);
    *height = (int)(transposed ? header.width : header.height);
    return FV_OK;
}

fv_status fv_image_read_size(const char *path, int *width, int *height) {
    *width = *height = 0;
    void *data;
    size_t bytes;
    FV_TRY(fv_file_read(path, FILE_BYTES_MAX, &data, &bytes));
    fv_image_source source = {data, bytes, path};
    fv_status status = upright_size(&source, width, height);
    free(data);
    return status;
}

bool fv_image_is_name(const char *path) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff"};
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    if (dot == NULL || dot == name) return false; /* ".png" is a hidden file without an ending */
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return true;
    return false;
}
